//! Finds the port that a person means.

use crate::control::VerbError;
use crate::snapshot::Snapshot;
use sextant_model::{IndexedValue, MacAddr, Port, PortId};
use std::net::IpAddr;
use std::ops::Bound;
use std::sync::Arc;

/// The port that is meant by an id, a name, an address or a MAC.
///
/// # Errors
/// There is none, or there are several: their ids are in the text.
pub(super) fn port_named(snapshot: &Snapshot, text: &str) -> Result<Arc<Port>, VerbError> {
    match &ports_meant(snapshot, text)[..] {
        [port] => Ok(port.clone()),
        [] => Err(VerbError::Unfit(unknown(snapshot, text))),
        several => {
            let lines = several.iter().take(MOST_LISTED).map(|port| line(port));
            let lines: Vec<String> = lines.collect();
            let count = several.len();
            Err(VerbError::Unfit(format!(
                "{count} ports are meant by '{text}'; name one by its id:\n{}",
                lines.join("\n")
            )))
        }
    }
}

const MOST_LISTED: usize = 20;

/// All ports that are meant by an id, a name, an address or a MAC.
pub(super) fn ports_meant(snapshot: &Snapshot, text: &str) -> Vec<Arc<Port>> {
    let intent = &snapshot.intent;
    if let Ok(id) = text.parse::<PortId>() {
        return intent.ports.get(&id).cloned().into_iter().collect();
    }
    if let Ok(address) = text.parse::<IpAddr>() {
        return with_address(snapshot, address);
    }
    let mac = text.parse::<MacAddr>().ok();
    let value = mac.map_or(IndexedValue::Name(text), IndexedValue::Mac);
    let all = (Bound::Unbounded, Bound::Unbounded);
    let ids = intent.ids_with::<PortId>(value, all).into_iter().flatten();
    let ports = ids.filter_map(|id| intent.ports.get(&id));
    // Different values may be found by one digest.
    let meant = ports.filter(|port| match mac {
        Some(mac) => port.mac_address == mac,
        None => port.meta.name == text,
    });
    meant.cloned().collect()
}

/// A fixed address, or the link-local address of the port's MAC.
fn with_address(snapshot: &Snapshot, address: IpAddr) -> Vec<Arc<Port>> {
    let intent = &snapshot.intent;
    let holders: Vec<_> = intent.holders_of(address).cloned().collect();
    if !holders.is_empty() {
        return holders;
    }
    let ports = intent.ports.values();
    let own = ports.filter(|port| IpAddr::from(port.mac_address.link_local()) == address);
    own.cloned().collect()
}

fn line(port: &Port) -> String {
    let addresses = port.fixed_ips.iter().map(|fixed| fixed.ip_address);
    let addresses: Vec<String> = addresses.map(|address| address.to_string()).collect();
    let network = port.network_id;
    format!("{}  network {network}  {}", port.id, addresses.join(", "))
}

/// An interface may carry the id of a port that does not exist.
fn unknown(snapshot: &Snapshot, text: &str) -> String {
    let id = text.parse::<PortId>().ok();
    let plugged = id.and_then(|id| snapshot.facts.plugged().get(&id));
    match plugged {
        Some(plugged) => format!(
            "no port has the id {text}, but an interface on {} has it as iface-id: was the port deleted, or is the \
             iface-id wrong?",
            plugged.chassis
        ),
        None => format!("no port has '{text}' as id, name, address or MAC"),
    }
}
