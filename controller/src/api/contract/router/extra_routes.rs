//! Routes of a router by way of its neighbours: `routes`, `add_extraroutes` and `remove_extraroutes`.

use crate::api::Api;
use crate::api::contract::caller::Caller;
use crate::api::contract::draft::Draft;
use crate::api::contract::error::ApiError;
use crate::api::contract::python;
use crate::api::contract::resource::Resource;
use crate::api::contract::shown::Wanted;
use crate::api::contract::subnet::host_routes;
use crate::api::requests::answer;
use crate::api::requests::incoming;
use axum::body::Body as Stream;
use axum::extract::{Extension, Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::put;
use ipnet::IpNet;
use serde_json::{Value, json};
use sextant_model::{HostRoute, Intent, Object, Port, Router, SubnetId};
use std::net::IpAddr;
use std::sync::Arc;

/// Neutron's `max_routes`.
const MOST: usize = 30;

pub(super) fn routes() -> axum::Router<Api> {
    axum::Router::new()
        .route("/v2.0/routers/{id}/add_extraroutes", put(add))
        .route("/v2.0/routers/{id}/remove_extraroutes", put(remove))
}

async fn add(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    body: Stream,
) -> Result<Response, ApiError> {
    let added = named(&api, body, &id).await?;
    let with = |routes: &mut Vec<HostRoute>| {
        let new = added.iter().filter(|route| !routes.contains(route));
        let new: Vec<HostRoute> = new.copied().collect();
        routes.extend(new);
    };
    change(&api, (&caller, "add_extraroutes"), &id, with).await
}

async fn remove(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    body: Stream,
) -> Result<Response, ApiError> {
    let removed = named(&api, body, &id).await?;
    let without = |routes: &mut Vec<HostRoute>| routes.retain(|route| !removed.contains(route));
    change(&api, (&caller, "remove_extraroutes"), &id, without).await
}

/// The routes in `{"router": {"routes": […]}}`.
async fn named(api: &Api, body: Stream, id: &str) -> Result<Vec<HostRoute>, ApiError> {
    let given = incoming::within(incoming::json(api, body, id).await?, Router::NAME)?;
    let routes = given.get("routes").unwrap_or(&Value::Null);
    host_routes(routes).map_err(|invalid| invalid.of("routes"))
}

/// Changes what there is, whatever that is by then.
async fn change(
    api: &Api,
    (caller, action): (&Caller, &str),
    id: &str,
    change: impl Fn(&mut Vec<HostRoute>),
) -> Result<Response, ApiError> {
    let plan = |draft: &mut Draft| {
        let router = caller.find::<Router>(&draft.intent, id)?;
        caller.may_act(&draft.intent, &*router, action)?;
        let mut router = Router::clone(&*router);
        change(&mut router.routes);
        check(&draft.intent, &router)?;
        draft.revise(&mut router.meta);
        draft.put(Object::Router(Arc::new(router)));
        Ok(())
    };
    let ((), written) = api.write(plan).await?;
    let router = Router::get(&written.intent, id)?;
    let view = written.view(caller);
    Ok(answer::one(StatusCode::OK, &*router, view, Wanted::All))
}

/// Whether the router can have its routes: each next hop is a neighbour, and not the router itself.
pub(super) fn check(intent: &Intent, router: &Router) -> Result<(), ApiError> {
    if router.routes.len() > MOST {
        let id = router.id;
        return Err(ApiError::bad(
            "RoutesExhausted",
            format!(
                "Unable to complete operation for {id}. The number of routes exceeds the maximum {MOST}."
            ),
        ));
    }
    let around = Surroundings::of(intent, router);
    let fault = |route: &HostRoute| around.fault(route);
    match router.routes.iter().find_map(fault) {
        Some(fault) => Err(invalid(&router.routes, fault)),
        None => Ok(()),
    }
}

/// A router's own addresses, and the prefixes that they are of.
struct Surroundings {
    prefixes: Vec<IpNet>,
    own: Vec<IpAddr>,
}

impl Surroundings {
    fn of(intent: &Intent, router: &Router) -> Self {
        let ports: Vec<&Arc<Port>> = intent
            .interfaces_of(router.id)
            .chain(intent.gateway_of(router.id))
            .collect();
        let fixed = || ports.iter().flat_map(|port| &port.fixed_ips);
        let prefix = |id| intent.subnets.get(id).map(|subnet| subnet.cidr);
        Self {
            prefixes: fixed()
                .filter_map(|fixed| prefix(&fixed.subnet_id))
                .collect(),
            own: fixed().map(|fixed| fixed.ip_address).collect(),
        }
    }

    fn fault(&self, route: &HostRoute) -> Option<&'static str> {
        let connected = |prefix: &IpNet| prefix.contains(&route.nexthop);
        if route.destination.network().is_ipv4() != route.nexthop.is_ipv4() {
            Some("the nexthop is not of the IP version of the destination")
        } else if !self.prefixes.iter().any(connected) {
            Some("the nexthop is not connected with router")
        } else if self.own.contains(&route.nexthop) {
            Some("the nexthop is used by router")
        } else {
            None
        }
    }
}

fn invalid(routes: &[HostRoute], reason: &str) -> ApiError {
    let routes = python::repr(&json!(routes));
    ApiError::bad(
        "InvalidRoutes",
        format!("Invalid format for routes: {routes}, {reason}"),
    )
}

/// A subnet stays with the router while a route's next hop is on it.
pub(super) fn refuse_needed(
    intent: &Intent,
    router: &Router,
    subnets: &[SubnetId],
) -> Result<(), ApiError> {
    let needed = |id: &&SubnetId| {
        let subnet = intent.subnets.get(*id);
        subnet.is_some_and(|subnet| {
            let mut routes = router.routes.iter();
            routes.any(|route| subnet.cidr.contains(&route.nexthop))
        })
    };
    match subnets.iter().find(needed) {
        Some(subnet) => Err(ApiError::conflict(
            "RouterInterfaceInUseByRoute",
            format!(
                "Router interface for subnet {subnet} on router {} cannot be deleted, as it is required by one or more routes.",
                router.id
            ),
        )),
        None => Ok(()),
    }
}
