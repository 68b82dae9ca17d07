//! Attributes that concern only the port itself.

use super::{PortPatch, dhcp_options};
use crate::api::contract::error::ApiError;
use crate::api::contract::values::{self, Invalid};
use serde_json::{Value, json};
use sextant_model::{AddressPair, Port, ROUTER_GATEWAY_OWNER, ROUTER_INTERFACE_OWNER};

/// Neutron's `max_allowed_address_pair`.
const MOST_PAIRS: usize = 10;

/// Applies a request's attributes, except those that are stored without further code.
pub(super) fn change(port: &mut Port, patch: &PortPatch) -> Result<(), ApiError> {
    change_device(port, patch)?;
    if let Some(pairs) = &patch.allowed_address_pairs {
        refuse_pairs(pairs, port)?;
        port.allowed_address_pairs.clone_from(pairs);
    }
    dhcp_options::change(port, patch.extra_dhcp_opts.as_deref().unwrap_or_default())
}

/// Only a router may change the owner of its port.
fn change_device(port: &mut Port, patch: &PortPatch) -> Result<(), ApiError> {
    let device = patch.device_id.as_ref().unwrap_or(&port.device_id).clone();
    let owner = patch
        .device_owner
        .as_ref()
        .unwrap_or(&port.device_owner)
        .clone();
    let to_router = [ROUTER_INTERFACE_OWNER, ROUTER_GATEWAY_OWNER].contains(&owner.as_str());
    let same = (&device, &owner) == (&port.device_id, &port.device_owner);
    if !same && (to_router || port.is_of_router()) {
        let message =
            "the device_owner of a router's port is set and taken through the router only";
        return Err(ApiError::bad_request("port", message));
    }
    (port.device_id, port.device_owner) = (device, owner);
    Ok(())
}

pub(super) fn refuse_pairs_without_security(port: &Port) -> Result<(), ApiError> {
    if port.port_security_enabled || port.allowed_address_pairs.is_empty() {
        return Ok(());
    }
    Err(ApiError::conflict(
        "AddressPairAndPortSecurityRequired",
        "Port Security must be enabled in order to have allowed address pairs on a port.",
    ))
}

pub(super) fn pair(value: &Value) -> Result<AddressPair, Invalid> {
    let pair = values::object(
        value,
        &["mac_address", "ip_address"],
        "allowed address pair",
    )?;
    let ip_address = values::subnet(values::field(pair, "ip_address"))?;
    if ip_address.addr().is_multicast() {
        return Err(Invalid::Reason(format!(
            "'{ip_address}' is a multicast address, which nobody sends from"
        )));
    }
    Ok(AddressPair {
        mac_address: pair
            .get("mac_address")
            .map(values::or_null(values::mac))
            .transpose()?
            .flatten(),
        ip_address,
    })
}

fn refuse_pairs(pairs: &[AddressPair], port: &Port) -> Result<(), ApiError> {
    if pairs.len() > MOST_PAIRS {
        return Err(ApiError::bad(
            "AllowedAddressPairExhausted",
            format!("The number of allowed address pair exceeds the maximum {MOST_PAIRS}."),
        ));
    }
    let twice = pairs
        .iter()
        .enumerate()
        .find(|(n, pair)| pairs[..*n].contains(pair));
    match twice {
        Some((_, pair)) => {
            let (mac, ip) = (
                pair.mac_address.unwrap_or(port.mac_address),
                pair.ip_address,
            );
            Err(ApiError::bad(
                "DuplicateAddressPairInRequest",
                format!(
                    "Request contains duplicate address pair: mac_address {mac} ip_address {ip}."
                ),
            ))
        }
        None => Ok(()),
    }
}

/// Address pairs, each with its MAC. A single address is shown without a prefix length.
pub(super) fn shown_pairs(port: &Port) -> Vec<Value> {
    let pairs = port.allowed_address_pairs.iter();
    let shown = pairs.map(|pair| {
        let mac = pair.mac_address.unwrap_or(port.mac_address);
        let single = pair.ip_address.prefix_len() == pair.ip_address.max_prefix_len();
        let ip = match single {
            true => pair.ip_address.addr().to_string(),
            false => pair.ip_address.to_string(),
        };
        json!({"mac_address": mac, "ip_address": ip})
    });
    shown.collect()
}
