//! Routes by way of neighbours, as requests give them: of a subnet's hosts or of a router.

use crate::api::contract::python;
use crate::api::contract::values::{self, Invalid};
use serde_json::Value;
use sextant_model::HostRoute;

/// Routes, each once; of a subnet or of a router.
pub(crate) fn host_routes(value: &Value) -> Result<Vec<HostRoute>, Invalid> {
    let routes = values::list(host_route)(value)?;
    let twice = |(n, route): &(usize, &HostRoute)| routes[..*n].contains(route);
    match routes.iter().enumerate().find(twice) {
        Some((n, _)) => Err(Invalid::Reason(format!(
            "Duplicate hostroute '{}'",
            python::repr(&value[n])
        ))),
        None => Ok(routes),
    }
}

fn host_route(value: &Value) -> Result<HostRoute, Invalid> {
    let route = values::object(value, &["destination", "nexthop"], "hostroute")?;
    let destination = python::text(route.get("destination").unwrap_or(&Value::Null));
    let invalid = || Invalid::Reason(format!("'{destination}' is not a valid IP subnet"));
    Ok(HostRoute {
        destination: values::prefix(&destination).ok_or_else(invalid)?,
        nexthop: values::address(route.get("nexthop").unwrap_or(&Value::Null))?,
    })
}
