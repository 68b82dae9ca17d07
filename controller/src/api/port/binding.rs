//! Where a port is and whether it works, as far as the API tells.

use super::super::python;
use super::super::resource::View;
use super::super::values::Invalid;
use serde_json::{Map, Value, json};
use sextant_model::Port;

/// `ACTIVE` once the switch has confirmed the port's flows; a router's port is everywhere, so it is when it is up.
pub(super) fn status(port: &Port, view: View<'_>) -> &'static str {
    let router = port.router().or(port.gateway_of());
    let active = match router.map(|id| view.intent.routers.get(&id)) {
        Some(router) => port.admin_state_up && router.is_some_and(|router| router.admin_state_up),
        None => view.facts.active().contains(&port.id),
    };
    if active { "ACTIVE" } else { "DOWN" }
}

/// The `binding:` attributes. A port is bound where its interface is; until then, where Nova says that it will be.
pub(super) fn shown(port: &Port, view: View<'_>) -> Map<String, Value> {
    let binding = view.facts.binding(port.id);
    let host = match binding {
        Some(binding) if port.host_id.is_empty() => binding.chassis.as_str(),
        _ => &port.host_id,
    };
    let is_bound = binding.is_some() || !port.host_id.is_empty();
    let details = || json!({"port_filter": true, "connectivity": "l2", "bridge_name": "br-int", "ovs_hybrid_plug": false});
    super::super::fields(json!({
        "binding:vnic_type": port.vnic_type,
        "binding:profile": shown_profile(port),
        "binding:host_id": host,
        "binding:vif_type": if is_bound { "ovs" } else { "unbound" },
        "binding:vif_details": if is_bound { details() } else { json!({}) },
    }))
}

/// Anything at all in an object, which others keep with the port; null is an empty one.
pub(super) fn profile(value: &Value) -> Result<String, Invalid> {
    /// What Neutron's database has room for, in octets.
    const LONGEST: usize = 4095;
    match value {
        Value::Null => Ok(String::new()),
        Value::Object(fields) if fields.is_empty() => Ok(String::new()),
        Value::Object(_) if value.to_string().len() <= LONGEST => Ok(value.to_string()),
        Value::Object(_) => Err(Invalid::Input("binding:profile value too large".to_owned())),
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Err(
            Invalid::Reason(format!("'{}' is not a dictionary", python::text(value))),
        ),
    }
}

fn shown_profile(port: &Port) -> Value {
    serde_json::from_str(&port.binding_profile).unwrap_or_else(|_| json!({}))
}
