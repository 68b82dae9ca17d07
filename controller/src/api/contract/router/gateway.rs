//! The way of a router out of the cloud: `external_gateway_info`.
//!
//! The router stores the external network, and whether IPv4 is translated. Its port there has the addresses: the
//! requested ones, else one of each IP version, else those that it gets by itself like a guest.

use super::attachment::{refuse_overlap, refused};
use crate::api::contract::draft::Draft;
use crate::api::contract::error::ApiError;
use crate::api::contract::kind::Kind;
use crate::api::contract::placement;
use crate::api::contract::placement::addresses::{ListedIp, WantedAddresses, listed};
use crate::api::contract::python;
use crate::api::contract::values::{self, Invalid};
use serde_json::{Map, Value, json};
use sextant_model::{
    ExternalGateway, Intent, Network, NetworkId, Port, ROUTER_GATEWAY_OWNER, Router, Subnet,
};
use std::sync::Arc;

/// What a request says about the gateway.
#[derive(Clone, Debug)]
pub(crate) enum PatchedGateway {
    /// No gateway.
    Cleared,
    /// This gateway, with these addresses if there are any.
    Set(ExternalGateway, Vec<ListedIp>),
}

const FIELDS: [&str; 3] = ["network_id", "enable_snat", "external_fixed_ips"];

/// Reads `external_gateway_info`.
pub(super) fn patched(value: &Value) -> Result<PatchedGateway, Invalid> {
    let fields = match value {
        Value::Null => return Ok(PatchedGateway::Cleared),
        Value::Object(fields) if fields.is_empty() => return Ok(PatchedGateway::Cleared),
        Value::Object(fields) => fields,
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            let text = python::text(value);
            return Err(Invalid::Reason(format!("'{text}' is not a dictionary")));
        }
    };
    refuse_other_fields(fields)?;
    let gateway = ExternalGateway {
        network_id: values::id(NetworkId)(values::field(fields, "network_id"))?,
        enable_snat: fields
            .get("enable_snat")
            .map(values::boolean)
            .transpose()?
            .unwrap_or(true),
    };
    Ok(PatchedGateway::Set(
        gateway,
        listed(values::field(fields, "external_fixed_ips"))?,
    ))
}

fn refuse_other_fields(fields: &Map<String, Value>) -> Result<(), Invalid> {
    let mut names = fields.keys().map(String::as_str);
    if fields.contains_key("network_id") && names.all(|name| FIELDS.contains(&name)) {
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
pub(super) fn set(
    draft: &mut Draft,
    router: &mut Router,
    asked: &PatchedGateway,
) -> Result<(), ApiError> {
    let present = draft.intent.gateway_of(router.id).cloned();
    let PatchedGateway::Set(gateway, addresses) = asked else {
        router.external_gateway = None;
        present
            .iter()
            .for_each(|port| placement::remove(draft, port));
        return Ok(());
    };
    let network = external_network(&draft.intent, gateway.network_id)?;
    refuse_upstream_addresses(&draft.intent, &network, addresses)?;
    router.external_gateway = Some(*gateway);
    match present {
        Some(port) if port.network_id == network.id => readdress(draft, &port, addresses),
        present => {
            present
                .iter()
                .for_each(|port| placement::remove(draft, port));
            make(draft, router, &network, addresses)
        }
    }
}

/// Removes the port on the external network of a router that goes.
pub(super) fn remove(draft: &mut Draft, router: &Router) {
    let port = draft.intent.gateway_of(router.id).cloned();
    port.iter().for_each(|port| placement::remove(draft, port));
}

/// Counts a change of the router that has a port as its gateway, since the port's addresses are the router's, too.
pub(crate) fn revise(draft: &mut Draft, port: &Port) {
    let router = port
        .gateway_of()
        .and_then(|id| draft.intent.routers.get(&id).cloned());
    if let Some(router) = router {
        router.store_revised(draft);
    }
}

fn external_network(intent: &Intent, id: NetworkId) -> Result<Arc<Network>, ApiError> {
    let network = Network::get(intent, id)?;
    if network.external {
        Ok(network)
    } else {
        Err(refused(format!("Network {id} is not an external network")))
    }
}

/// Refuses gateway addresses of the external network's subnets, since the routers outside have them.
fn refuse_upstream_addresses(
    intent: &Intent,
    network: &Network,
    addresses: &[ListedIp],
) -> Result<(), ApiError> {
    let upstream: Vec<_> = intent
        .subnets_of(network.id)
        .filter_map(|subnet| subnet.gateway_ip)
        .collect();
    let mut wanted = addresses.iter().filter_map(|listed| listed.address);
    match wanted.find(|address| upstream.contains(address)) {
        Some(address) => Err(refused(format!(
            "External IP {address} is the same as the gateway IP"
        ))),
        None => Ok(()),
    }
}

/// The same when the addresses are requested through the gateway port itself.
pub(super) fn refuse_upstream(
    intent: &Intent,
    port: &Port,
    wanted: &WantedAddresses,
) -> Result<(), ApiError> {
    let network = Network::get(intent, port.network_id)?;
    match wanted {
        WantedAddresses::Listed(addresses) => {
            refuse_upstream_addresses(intent, &network, addresses)
        }
        WantedAddresses::OneOfEach(_) => Ok(()),
    }
}

fn readdress(draft: &mut Draft, port: &Port, addresses: &[ListedIp]) -> Result<(), ApiError> {
    if addresses.is_empty() {
        return Ok(());
    }
    let mut port = port.clone();
    draft.revise(&mut port.meta);
    placement::place(draft, port, WantedAddresses::Listed(addresses.to_vec()))
}

/// Makes the port on the external network. It has no project, since the router's owner does not own the external
/// network.
fn make(
    draft: &mut Draft,
    router: &Router,
    network: &Network,
    addresses: &[ListedIp],
) -> Result<(), ApiError> {
    let subnets: Vec<Arc<Subnet>> = draft.intent.subnets_of(network.id).cloned().collect();
    refuse_overlap(&draft.intent, router, &subnets)?;
    let wanted = if addresses.is_empty() {
        WantedAddresses::anywhere(&draft.intent, network.id, ROUTER_GATEWAY_OWNER)?
    } else {
        WantedAddresses::Listed(addresses.to_vec())
    };
    let owned = (router.id, String::new());
    let port = placement::router_port(draft, network.id, owned, ROUTER_GATEWAY_OWNER)?;
    placement::place(draft, port, wanted)
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
