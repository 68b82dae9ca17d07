//! The API as a service: all its routes.

use crate::api::contract::router::extra_routes::{AddExtraRoutes, RemoveExtraRoutes};
use crate::api::contract::router::interface::{AddRouterInterface, RemoveRouterInterface};
use crate::api::contract::subnet_pool::prefix_ops::{AddPrefixes, RemovePrefixes};
use crate::api::requests::actions;
use crate::api::requests::agent;
use crate::api::requests::api::Api;
use crate::api::requests::availability_zone;
use crate::api::requests::discovery;
use crate::api::requests::host_bindings;
use crate::api::requests::ip_availability;
use crate::api::requests::middleware;
use crate::api::requests::quotas;
use crate::api::requests::resources;
use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use sextant_model::{
    AddressScope, Network, Port, RbacPolicy, SecurityGroup, SecurityGroupRule, Subnet, SubnetPool,
};

/// The API as a service, for `axum::serve`.
pub fn service(api: Api) -> Router {
    let resources = Router::new()
        .merge(discovery::routes())
        .merge(resources::routes::<Network>())
        .merge(resources::routes::<Subnet>())
        .merge(resources::routes::<SubnetPool>())
        .merge(resources::routes::<Port>())
        .merge(host_bindings::routes())
        .merge(resources::routes::<sextant_model::Router>())
        .merge(actions::route::<AddRouterInterface>())
        .merge(actions::route::<RemoveRouterInterface>())
        .merge(actions::route::<AddExtraRoutes>())
        .merge(actions::route::<RemoveExtraRoutes>())
        .merge(actions::route::<AddPrefixes>())
        .merge(actions::route::<RemovePrefixes>())
        .merge(resources::routes::<AddressScope>())
        .merge(resources::routes::<SecurityGroup>())
        .merge(resources::routes::<SecurityGroupRule>())
        .merge(resources::routes::<RbacPolicy>())
        .merge(quotas::routes())
        .merge(agent::routes())
        .merge(availability_zone::routes())
        .merge(ip_availability::routes())
        .method_not_allowed_fallback(discovery::not_allowed)
        .fallback(discovery::not_found)
        .layer(from_fn_with_state(api.clone(), middleware::identify))
        .layer(from_fn_with_state(api.clone(), middleware::serve))
        .with_state(api);
    Router::new()
        .fallback_service(resources)
        .layer(from_fn(middleware::strip_suffix))
}
