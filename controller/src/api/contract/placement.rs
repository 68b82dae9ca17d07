//! Ports with their addresses and MACs: claiming, storing and removing them.

pub(crate) mod addresses;

use crate::api::contract::draft::Draft;
use crate::api::contract::error::ApiError;
use crate::api::contract::quota;
use addresses::WantedAddresses;
use rand::RngExt;
use sextant_model::{
    Claim, Counted, MacAddr, Meta, NetworkId, Object, ObjectKey, Port, PortId, RouterId,
};
use std::sync::Arc;

/// The first three octets of the addresses that Neutron makes (`base_mac`).
const OUI: [u8; 3] = [0xfa, 0x16, 0x3e];

/// A port with nothing requested.
pub(crate) fn blank(id: PortId, network_id: NetworkId, meta: Meta) -> Port {
    let unassigned = MacAddr([0; 6]);
    Port {
        meta,
        ..Port::new(id, network_id, unassigned)
    }
}

/// Gives a port its addresses and stores it.
pub(crate) fn place(
    draft: &mut Draft,
    mut port: Port,
    wanted: WantedAddresses,
) -> Result<(), ApiError> {
    draft.relies_on(ObjectKey::Network(port.network_id));
    port.fixed_ips = addresses::settle(draft, &port, wanted)?;
    store(draft, port);
    Ok(())
}

/// Stores a port that is new or has changed.
pub(crate) fn store(draft: &mut Draft, mut port: Port) {
    port.fixed_ips
        .sort_by_cached_key(|fixed| fixed.ip_address.to_string());
    draft.put(Object::Port(Arc::new(port)));
}

/// Stores a port that has changed, and counts the change.
pub(crate) fn store_changed(draft: &mut Draft, mut port: Port) {
    draft.revise(&mut port.meta);
    store(draft, port);
}

/// A new port of a router, without an address yet.
pub(crate) fn router_port(
    draft: &mut Draft,
    network: NetworkId,
    (router, project): (RouterId, String),
    owner: &str,
) -> Result<Port, ApiError> {
    draft.relies_on(ObjectKey::Network(network));
    if !project.is_empty() {
        quota::note(draft, &project, Counted::Port, 1);
    }
    let meta = draft.meta(String::new(), String::new(), project, 1);
    Ok(Port {
        mac_address: claim_mac(draft, network, None)?,
        device_id: router.to_string(),
        device_owner: owner.to_owned(),
        port_security_enabled: false,
        ..blank(PortId(draft.uuid()), network, meta)
    })
}

/// Removes a port and what it has claimed.
pub(crate) fn remove(draft: &mut Draft, port: &Port) {
    port.fixed_ips
        .iter()
        .for_each(|fixed| addresses::release(draft, *fixed));
    draft.delete(Claim::Mac(port.network_id, port.mac_address));
    draft.touch_ports_of(port.network_id);
    draft.delete(ObjectKey::Port(port.id));
}

/// Claims the requested MAC, or one at random.
pub(crate) fn claim_mac(
    draft: &mut Draft,
    network: NetworkId,
    asked: Option<MacAddr>,
) -> Result<MacAddr, ApiError> {
    /// How many random MACs are tried before the network counts as full.
    const TRIES: usize = 64;
    if let Some(mac) = asked {
        return match draft.claim(Claim::Mac(network, mac)) {
            true => Ok(mac),
            false => Err(ApiError::conflict(
                "MacAddressInUse",
                format!(
                    "Unable to complete operation for network {network}. The mac address {mac} is in use."
                ),
            )),
        };
    }
    for _ in 0..TRIES {
        let [a, b, c]: [u8; 3] = draft.dice.random();
        let mac = MacAddr([OUI[0], OUI[1], OUI[2], a, b, c]);
        if draft.claim(Claim::Mac(network, mac)) {
            return Ok(mac);
        }
    }
    Err(ApiError::unavailable(format!(
        "Unable to generate unique mac on network {network}."
    )))
}
