//! Routes by way of neighbours, as requests give them: of a subnet's hosts or of a router.

use crate::api::contract::python;
use crate::api::contract::values::{self, Invalid};
use serde_json::Value;
use sextant_model::HostRoute;

/// Routes, each once; of a subnet or of a router.
pub(crate) fn host_routes(value: &Value) -> Result<Vec<HostRoute>, Invalid> {
    let routes = values::list(host_route)(value)?;
    let mut numbered = routes.iter().enumerate();
    match numbered.find(|(n, route)| routes[..*n].contains(route)) {
        Some((n, _)) => Err(Invalid::Reason(format!(
            "Duplicate hostroute '{}'",
            python::repr(&value[n])
        ))),
        None => Ok(routes),
    }
}

fn host_route(value: &Value) -> Result<HostRoute, Invalid> {
    let route = values::object(value, &["destination", "nexthop"], "hostroute")?;
    Ok(HostRoute {
        destination: values::subnet(values::field(route, "destination"))?,
        nexthop: values::address(values::field(route, "nexthop"))?,
    })
}
