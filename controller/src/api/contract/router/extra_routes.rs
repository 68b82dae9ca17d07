//! Routes of a router by way of its neighbours: `routes`, `add_extraroutes` and `remove_extraroutes`.

use crate::api::contract::action::{Action, ActionAnswer};
use crate::api::contract::draft::Draft;
use crate::api::contract::error::ApiError;
use crate::api::contract::host_routes::host_routes;
use crate::api::contract::kind::Kind;
use crate::api::contract::python;
use crate::api::contract::values;
use ipnet::IpNet;
use serde_json::{Map, Value, json};
use sextant_model::{FixedIp, HostRoute, Intent, Object, Router, SubnetId};
use std::net::IpAddr;
use std::sync::Arc;

/// Neutron's `max_routes`.
const MOST: usize = 30;

/// `add_extraroutes`: the present routes and these.
pub(crate) struct AddExtraRoutes(Vec<HostRoute>);

/// `remove_extraroutes`: the present routes without these.
pub(crate) struct RemoveExtraRoutes(Vec<HostRoute>);

impl Action for AddExtraRoutes {
    type Of = Router;
    const NAME: &'static str = "add_extraroutes";

    fn read(body: Map<String, Value>) -> Result<Self, ApiError> {
        named(body).map(Self)
    }

    fn act(&self, draft: &mut Draft, router: &Router) -> Result<ActionAnswer, ApiError> {
        let mut routes = router.routes.clone();
        let new = self.0.iter().filter(|route| !router.routes.contains(route));
        routes.extend(new);
        change(draft, router, routes)
    }
}

impl Action for RemoveExtraRoutes {
    type Of = Router;
    const NAME: &'static str = "remove_extraroutes";

    fn read(body: Map<String, Value>) -> Result<Self, ApiError> {
        named(body).map(Self)
    }

    fn act(&self, draft: &mut Draft, router: &Router) -> Result<ActionAnswer, ApiError> {
        let mut routes = router.routes.clone();
        routes.retain(|route| !self.0.contains(route));
        change(draft, router, routes)
    }
}

/// The routes in `{"router": {"routes": […]}}`.
fn named(body: Map<String, Value>) -> Result<Vec<HostRoute>, ApiError> {
    let given = values::within(body, Router::NAME)?;
    let routes = given.get("routes").unwrap_or(&Value::Null);
    host_routes(routes).map_err(|invalid| invalid.of("routes"))
}

fn change(
    draft: &mut Draft,
    router: &Router,
    routes: Vec<HostRoute>,
) -> Result<ActionAnswer, ApiError> {
    let mut router = Router {
        routes,
        ..router.clone()
    };
    check(&draft.intent, &router)?;
    draft.revise(&mut router.meta);
    draft.put(Object::Router(Arc::new(router)));
    Ok(ActionAnswer::Resource)
}

/// Checks that each next hop of the router's routes is a neighbour, and not the router itself.
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
    match router.routes.iter().find_map(|route| around.fault(route)) {
        Some(fault) => Err(invalid(&router.routes, fault)),
        None => Ok(()),
    }
}

/// A router's own addresses, and their prefixes.
struct Surroundings {
    prefixes: Vec<IpNet>,
    own: Vec<IpAddr>,
}

impl Surroundings {
    fn of(intent: &Intent, router: &Router) -> Self {
        let ports = intent
            .interfaces_of(router.id)
            .chain(intent.gateway_of(router.id));
        let fixed: Vec<&FixedIp> = ports.flat_map(|port| &port.fixed_ips).collect();
        let subnets = fixed
            .iter()
            .filter_map(|fixed| intent.subnets.get(&fixed.subnet_id));
        Self {
            prefixes: subnets.map(|subnet| subnet.cidr).collect(),
            own: fixed.iter().map(|fixed| fixed.ip_address).collect(),
        }
    }

    fn fault(&self, route: &HostRoute) -> Option<&'static str> {
        if route.destination.network().is_ipv4() != route.nexthop.is_ipv4() {
            Some("the nexthop is not of the IP version of the destination")
        } else if !self.is_connected_with(route.nexthop) {
            Some("the nexthop is not connected with router")
        } else if self.own.contains(&route.nexthop) {
            Some("the nexthop is used by router")
        } else {
            None
        }
    }

    fn is_connected_with(&self, address: IpAddr) -> bool {
        self.prefixes.iter().any(|prefix| prefix.contains(&address))
    }
}

fn invalid(routes: &[HostRoute], reason: &str) -> ApiError {
    let routes = python::repr(&json!(routes));
    ApiError::bad(
        "InvalidRoutes",
        format!("Invalid format for routes: {routes}, {reason}"),
    )
}

/// Refuses to remove a subnet from the router while a route's next hop is on it.
pub(super) fn refuse_needed(
    intent: &Intent,
    router: &Router,
    subnets: &[SubnetId],
) -> Result<(), ApiError> {
    let mut subnets = subnets.iter().filter_map(|id| intent.subnets.get(id));
    let needed = subnets.find(|subnet| {
        let mut routes = router.routes.iter();
        routes.any(|route| subnet.cidr.contains(&route.nexthop))
    });
    match needed {
        Some(subnet) => Err(ApiError::conflict(
            "RouterInterfaceInUseByRoute",
            format!(
                "Router interface for subnet {} on router {} cannot be deleted, as it is required by one or more routes.",
                subnet.id, router.id
            ),
        )),
        None => Ok(()),
    }
}
