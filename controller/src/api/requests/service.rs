//! The API as a service: what it works with, and all its routes.

use crate::api::contract::draft::WRITERS_AT_ONCE;
use crate::api::contract::router::extra_routes::{AddExtraRoutes, RemoveExtraRoutes};
use crate::api::contract::router::interface::{AddRouterInterface, RemoveRouterInterface};
use crate::api::contract::subnet_pool::prefix_ops::{AddPrefixes, RemovePrefixes};
use crate::api::requests::actions;
use crate::api::requests::agent;
use crate::api::requests::audit::Audit;
use crate::api::requests::availability_zone;
use crate::api::requests::discovery;
use crate::api::requests::fair::FairPlaces;
use crate::api::requests::gate::Gate;
use crate::api::requests::identity::{self, Identity};
use crate::api::requests::ip_availability;
use crate::api::requests::middleware;
use crate::api::requests::quotas;
use crate::api::requests::resources;
use crate::metrics::Metrics;
use crate::seat::Seats;
use crate::snapshot::Snapshots;
use crate::state::Events;
use crate::store::Store;
use arc_swap::ArcSwap;
use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use sextant_model::{
    AddressScope, ChassisId, Network, Port, RbacPolicy, SecurityGroup, SecurityGroupRule, Subnet,
    SubnetPool,
};
use std::sync::Arc;
use tokio::sync::RwLock;

/// What the API works with.
#[derive(Clone)]
pub struct Api {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) snapshots: Snapshots,
    pub(crate) metrics: Metrics,
    pub(crate) turns: Arc<RwLock<()>>,
    pub(crate) writers: FairPlaces,
    pub(crate) gate: Gate,
    pub(crate) lists: Gate,
    pub(crate) hypervisors: Option<agent::Hypervisors>,
    pub(crate) identity: Arc<ArcSwap<Identity>>,
    pub(crate) audit: Arc<Audit>,
}

impl Api {
    /// An API that writes to this store. Somebody must watch the store and publish what it leads to as snapshots, or no
    /// write is ever answered.
    pub fn new(store: Arc<dyn Store>, snapshots: Snapshots, metrics: Metrics) -> Self {
        Self {
            store,
            snapshots,
            metrics,
            turns: Arc::new(RwLock::with_max_readers((), WRITERS_AT_ONCE as u32)),
            writers: FairPlaces::new(WRITERS_AT_ONCE as usize),
            gate: Gate::default(),
            lists: Gate::default(),
            hypervisors: None,
            identity: Arc::default(),
            audit: Arc::default(),
        }
    }

    /// The same, but it knows which hypervisors are connected, and can have those that are not forgotten.
    #[must_use]
    pub fn with_hypervisors(
        self,
        seats: Seats<ChassisId>,
        switches: Seats<ChassisId>,
        events: Events,
    ) -> Self {
        let hypervisors = Some(agent::Hypervisors {
            seats,
            switches,
            events,
        });
        Self {
            hypervisors,
            ..self
        }
    }

    /// The same, but this is how it knows who calls; else everyone is admin.
    #[must_use]
    pub fn with_identity(self, identity: Identity) -> Self {
        Self {
            identity: Arc::new(ArcSwap::from_pointee(identity)),
            ..self
        }
    }
}

impl Api {
    /// Knows from here on who calls by this, also in services that were made before.
    pub fn identify_by(&self, identity: Identity) {
        self.identity.store(Arc::new(identity));
    }
}

/// The API as a service, for `axum::serve`.
pub fn service(api: Api) -> Router {
    let resources = Router::new()
        .merge(discovery::routes())
        .merge(resources::routes::<Network>())
        .merge(resources::routes::<Subnet>())
        .merge(resources::routes::<SubnetPool>())
        .merge(resources::routes::<Port>())
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
        .layer(from_fn_with_state(api.clone(), identity::identify))
        .layer(from_fn_with_state(api.clone(), middleware::serve))
        .with_state(api);
    Router::new()
        .fallback_service(resources)
        .layer(from_fn(middleware::strip_suffix))
}
