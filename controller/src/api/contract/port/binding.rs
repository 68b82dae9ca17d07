//! Where a port is and whether it works, as the API shows it.

use crate::api::contract::python;
use crate::api::contract::values::Invalid;
use crate::api::contract::view::ResourceView;
use serde::Serialize;
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
fn place<'a>(port: &Port, view: ResourceView<'a>) -> Option<&'a ChassisId> {
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

fn is_bound(port: &Port, view: ResourceView<'_>) -> bool {
    !port.host_id.is_empty() || place(port, view).is_some()
}

pub(super) fn vif_type(port: &Port, view: ResourceView<'_>) -> &'static str {
    match is_bound(port, view) {
        true => "ovs",
        false => "unbound",
    }
}

/// What Nova needs to plug an interface in. Empty for a port that is not bound.
pub(super) fn vif_details(port: &Port, view: ResourceView<'_>) -> VifDetails {
    match is_bound(port, view) {
        true => OVS,
        false => VifDetails::default(),
    }
}

/// `binding:vif_details`: each field only where the port is bound.
#[derive(Default, Serialize)]
pub(super) struct VifDetails {
    #[serde(skip_serializing_if = "Option::is_none")]
    port_filter: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    connectivity: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bridge_name: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ovs_hybrid_plug: Option<bool>,
}

const OVS: VifDetails = VifDetails {
    port_filter: Some(true),
    connectivity: Some("l2"),
    bridge_name: Some("br-int"),
    ovs_hybrid_plug: Some(false),
};

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
