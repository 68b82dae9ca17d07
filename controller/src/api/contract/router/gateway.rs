//! The way out of a router: `external_gateway_info`.
//!
//! The router says which external network, and whether IPv4 is translated. Its port there has the addresses: those asked
//! for, else one of each IP version, else those that it has by itself, as a guest would.

use super::attachment::{refuse_overlap, refused};
use crate::api::contract::attributes::Body;
use crate::api::contract::draft::Draft;
use crate::api::contract::error::ApiError;
use crate::api::contract::port;
use crate::api::contract::port::addresses::{ListedIp, Wanted, listed};
use crate::api::contract::python;
use crate::api::contract::resource::Resource;
use crate::api::contract::values::{self, Invalid};
use serde_json::{Map, Value, json};
use sextant_model::{
    ExternalGateway, Intent, Network, NetworkId, Port, ROUTER_GATEWAY_OWNER, Router, Subnet,
};
use std::sync::Arc;

/// What a request asks for.
pub(super) enum Asked {
    /// No way out.
    Nothing,
    /// This one, with these addresses if there are any.
    Gateway(ExternalGateway, Vec<ListedIp>),
}

/// What a request asks for, if it says anything.
pub(super) fn read(body: &Body) -> Result<Option<Asked>, ApiError> {
    body.read("external_gateway_info", asked)
}

const FIELDS: [&str; 3] = ["network_id", "enable_snat", "external_fixed_ips"];

fn asked(value: &Value) -> Result<Asked, Invalid> {
    let fields = match value {
        Value::Null => return Ok(Asked::Nothing),
        Value::Object(fields) if fields.is_empty() => return Ok(Asked::Nothing),
        Value::Object(fields) => fields,
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            let text = python::text(value);
            return Err(Invalid::Reason(format!("'{text}' is not a dictionary")));
        }
    };
    refuse_other_fields(fields)?;
    let field = |name: &str| fields.get(name).unwrap_or(&Value::Null);
    let gateway = ExternalGateway {
        network_id: NetworkId(values::uuid(field("network_id"))?),
        enable_snat: fields
            .get("enable_snat")
            .map(values::boolean)
            .transpose()?
            .unwrap_or(true),
    };
    Ok(Asked::Gateway(
        gateway,
        listed(field("external_fixed_ips"))?,
    ))
}

fn refuse_other_fields(fields: &Map<String, Value>) -> Result<(), Invalid> {
    let known = |name: &String| FIELDS.contains(&name.as_str());
    if fields.contains_key("network_id") && fields.keys().all(known) {
        return Ok(());
    }
    let (expected, provided) = (
        python::names(FIELDS),
        python::names(fields.keys().map(String::as_str)),
    );
    Err(Invalid::Reason(format!(
        "Validation of dictionary's keys failed. Expected keys: {expected} Provided keys: {provided}"
    )))
}

/// Sets, changes or clears the router's way out. The caller stores the router.
pub(super) fn set(draft: &mut Draft, router: &mut Router, asked: &Asked) -> Result<(), ApiError> {
    let present = draft.intent.gateway_of(router.id).cloned();
    let Asked::Gateway(gateway, addresses) = asked else {
        router.external_gateway = None;
        present.iter().for_each(|port| port::remove(draft, port));
        return Ok(());
    };
    let network = external_network(&draft.intent, gateway.network_id)?;
    refuse_upstream_addresses(&draft.intent, &network, addresses)?;
    router.external_gateway = Some(*gateway);
    match present {
        Some(port) if port.network_id == network.id => readdress(draft, &port, addresses),
        present => {
            present.iter().for_each(|port| port::remove(draft, port));
            make(draft, router, &network, addresses)
        }
    }
}

/// Removes the port on the external network of a router that goes.
pub(super) fn remove(draft: &mut Draft, router: &Router) {
    let port = draft.intent.gateway_of(router.id).cloned();
    port.iter().for_each(|port| port::remove(draft, port));
}

/// Counts a change of the router of which a port is the gateway: its addresses are the router's as well.
pub(crate) fn revise(draft: &mut Draft, port: &Port) {
    let router = port
        .gateway_of()
        .and_then(|id| draft.intent.routers.get(&id).cloned());
    if let Some(router) = router {
        let mut meta = router.meta.clone();
        draft.revise(&mut meta);
        router.put_with_meta(draft, meta);
    }
}

fn external_network(intent: &Intent, id: NetworkId) -> Result<Arc<Network>, ApiError> {
    let network = Network::get(intent, &id.to_string())?;
    if network.external {
        Ok(network)
    } else {
        Err(refused(format!("Network {id} is not an external network")))
    }
}

/// The gateways of the external network's subnets are the routers beyond.
fn refuse_upstream_addresses(
    intent: &Intent,
    network: &Network,
    addresses: &[ListedIp],
) -> Result<(), ApiError> {
    let upstream: Vec<_> = intent
        .subnets_of(network.id)
        .filter_map(|subnet| subnet.gateway_ip)
        .collect();
    let mut wanted = addresses.iter().filter_map(ListedIp::address);
    match wanted.find(|address| upstream.contains(address)) {
        Some(address) => Err(refused(format!(
            "External IP {address} is the same as the gateway IP"
        ))),
        None => Ok(()),
    }
}

/// The same for a gateway's port whose addresses are wanted through the port itself.
pub(super) fn refuse_upstream(
    intent: &Intent,
    port: &Port,
    wanted: &Wanted,
) -> Result<(), ApiError> {
    let network = Network::get(intent, &port.network_id.to_string())?;
    match wanted {
        Wanted::Listed(addresses) => refuse_upstream_addresses(intent, &network, addresses),
        Wanted::OneOfEach(_) => Ok(()),
    }
}

fn readdress(draft: &mut Draft, port: &Port, addresses: &[ListedIp]) -> Result<(), ApiError> {
    if addresses.is_empty() {
        return Ok(());
    }
    let mut port = port.clone();
    draft.revise(&mut port.meta);
    port::place(draft, port, Wanted::Listed(addresses.to_vec()))
}

/// The port on the external network. It has no project: whoever owns the router does not own what is outside.
fn make(
    draft: &mut Draft,
    router: &Router,
    network: &Network,
    addresses: &[ListedIp],
) -> Result<(), ApiError> {
    let subnets: Vec<Arc<Subnet>> = draft.intent.subnets_of(network.id).cloned().collect();
    refuse_overlap(&draft.intent, router, &subnets)?;
    let wanted = if addresses.is_empty() {
        Wanted::anywhere(&draft.intent, network.id, ROUTER_GATEWAY_OWNER)?
    } else {
        Wanted::Listed(addresses.to_vec())
    };
    let owned = (router.id, String::new());
    let port = port::router_port(draft, network.id, owned, ROUTER_GATEWAY_OWNER)?;
    port::place(draft, port, wanted)
}

/// The router's `external_gateway_info`.
pub(super) fn shown(intent: &Intent, router: &Router) -> Value {
    let Some(gateway) = router.external_gateway else {
        return Value::Null;
    };
    let port = intent.gateway_of(router.id);
    json!({
        "network_id": gateway.network_id.to_string(),
        "enable_snat": gateway.enable_snat,
        "external_fixed_ips": port.map(|port| &port.fixed_ips[..]).unwrap_or_default(),
    })
}
