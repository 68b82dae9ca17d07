//! Where a port is and whether it works, as the API shows it.

use crate::api::contract::python;
use crate::api::contract::values::Invalid;
use crate::api::contract::view::ResourceView;
use serde_json::{Value, json};
use sextant_model::{ChassisId, Port};

/// `ACTIVE` once the switch has confirmed the port's flows. A router's port on a network is everywhere, whether the
/// router is up or not. Its gateway port is active while a connected hypervisor has the gateway. A port that is
/// administratively down never is.
pub(super) fn status(port: &Port, view: ResourceView<'_>) -> &'static str {
    let present = if let Some(router) = port.gateway_of() {
        let host = view.facts.gateways().get(&router);
        host.is_some_and(|(host, _)| !view.facts.gone().contains(host))
    } else if let Some(router) = port.router() {
        view.intent.routers.contains_key(&router)
    } else {
        view.facts.active().contains(&port.id)
    };
    match port.admin_state_up && present {
        true => "ACTIVE",
        false => "DOWN",
    }
}

/// The hypervisor of a port: where its interface is bound or, for a gateway port, where the gateway is.
pub(super) fn place<'a>(port: &Port, view: ResourceView<'a>) -> Option<&'a ChassisId> {
    match port.gateway_of() {
        Some(router) => view.facts.gateways().get(&router).map(|(host, _)| host),
        None => view.facts.binding(port.id).map(|binding| &binding.chassis),
    }
}

/// `binding:host_id`: where its interface is or, before there is one, where Nova will plug it.
pub(super) fn host<'a>(port: &'a Port, view: ResourceView<'a>) -> &'a str {
    match port.host_id.as_str() {
        "" => place(port, view).map_or("", ChassisId::as_str),
        named => named,
    }
}

/// An object with any content, which others keep with the port. Null is an empty one.
pub(super) fn profile(value: &Value) -> Result<String, Invalid> {
    /// The room in Neutron's database, in octets.
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

pub(super) fn shown_profile(port: &Port) -> Value {
    serde_json::from_str(&port.binding_profile).unwrap_or_else(|_| json!({}))
}
