//! Patch ports between `br-int` and the bridges of physical networks (ovs-vswitchd.conf.db(5), Patch Options).
//!
//! A pair for each mapping whose bridge exists, one port on either side. A mapping that went, or names another bridge now,
//! loses its pair first and gets the new one in the next step: two interfaces must not have the same name.

use super::wish::Wish;
use super::{PHYSICAL_NETWORK, is_owned, port};
use sextant_ovsdb_client::{ColumnError, Replica, Row, Transaction, Value};
use std::collections::BTreeMap;
use uuid::Uuid;

/// One end of a pair, as it is there.
struct End {
    bridge: Uuid,
    port: Uuid,
    physical: String,
    /// It leads to the other one.
    intact: bool,
}

/// Makes the pairs that are missing and removes those that are not wanted.
pub(super) fn wanted(
    replica: &Replica,
    wish: &Wish,
    integration: Uuid,
    bridge: &Row,
    transaction: Transaction,
) -> Result<Transaction, ColumnError> {
    let pairs = pairs(replica, wish, bridge)?;
    let present = ends(replica)?;
    let unwanted = present.iter().filter(|end| {
        let other = pairs.get(&end.physical);
        !end.intact || other.is_none_or(|other| ![integration, *other].contains(&end.bridge))
    });
    let transaction = remove(unwanted, transaction);
    let is_there = |bridge: Uuid, physical: &str| {
        let mut ends = present.iter();
        ends.any(|end| end.bridge == bridge && end.physical == physical)
    };
    Ok(pairs
        .iter()
        .fold(transaction, |transaction, (physical, other)| {
            let [inner, outer] = names(physical);
            [(integration, &inner, &outer), (*other, &outer, &inner)]
                .into_iter()
                .filter(|(bridge, name, _)| !is_there(*bridge, physical) && is_free(replica, name))
                .fold(transaction, |transaction, (bridge, name, peer)| {
                    add(bridge, physical, name, peer, transaction)
                })
        }))
}

/// Removes the ends on the bridges of physical networks; those on `br-int` are removed with whatever else is there.
pub(super) fn release(
    replica: &Replica,
    integration: Uuid,
    transaction: Transaction,
) -> Result<Transaction, ColumnError> {
    let ends = ends(replica)?;
    let outer = ends.iter().filter(|end| end.bridge != integration);
    Ok(remove(outer, transaction))
}

/// Whether a port is an end of a pair.
pub(super) fn is_patch(replica: &Replica, port: Uuid) -> bool {
    let row = replica.row("Port", port);
    row.is_some_and(|row| physical(row).is_ok_and(|physical| physical.is_some()))
}

/// Bridges of mappings that do not exist.
pub(super) fn missing_bridges<'a>(
    replica: &Replica,
    mappings: &'a BTreeMap<String, String>,
) -> Vec<&'a str> {
    let exists = |name: &str| replica.find("Bridge", "name", name).is_some();
    let bridges = mappings.values().map(String::as_str);
    bridges.filter(|name| !exists(name)).collect()
}

/// The bridge of each physical network, where it exists and is not `br-int` itself.
fn pairs(
    replica: &Replica,
    wish: &Wish,
    integration: &Row,
) -> Result<BTreeMap<String, Uuid>, ColumnError> {
    let datapath = integration.string("name")?;
    let bridge = |(physical, name): (&String, &String)| {
        let (uuid, _) = replica.find("Bridge", "name", name.as_str())?;
        (name != datapath).then(|| (physical.clone(), uuid))
    };
    Ok(wish.bridge_mappings.iter().filter_map(bridge).collect())
}

fn ends(replica: &Replica) -> Result<Vec<End>, ColumnError> {
    let mut ends = vec![];
    for (bridge, row) in replica.rows("Bridge") {
        for port in row.uuids("ports")? {
            let Some(row) = replica.row("Port", port) else {
                continue;
            };
            if let Some(physical) = physical(row)? {
                let intact = is_intact(replica, row, physical)?;
                let physical = physical.to_owned();
                ends.push(End {
                    bridge,
                    port,
                    physical,
                    intact,
                });
            }
        }
    }
    Ok(ends)
}

/// Whether a port's interface is what was made, but for what it may have besides.
fn is_intact(replica: &Replica, port: &Row, physical: &str) -> Result<bool, ColumnError> {
    let [inner, outer] = names(physical);
    let peer = match port.string("name")? == inner {
        true => outer,
        false => inner,
    };
    for interface in port.uuids("interfaces")? {
        if let Some(interface) = replica.row("Interface", interface) {
            let is_patch = interface.string("type")? == "patch";
            return Ok(is_patch && interface.map_entry("options", "peer")? == Some(&peer));
        }
    }
    Ok(false)
}

/// The physical network of a port that Sextant made for one.
fn physical(port: &Row) -> Result<Option<&str>, ColumnError> {
    if is_owned(port) {
        port.map_entry("external_ids", PHYSICAL_NETWORK)
    } else {
        Ok(None)
    }
}

/// On `br-int` and on the physical network's bridge.
fn names(physical: &str) -> [String; 2] {
    ["int", "ext"].map(|side| format!("sextant-{side}-{physical}"))
}

fn is_free(replica: &Replica, name: &str) -> bool {
    ["Port", "Interface"]
        .into_iter()
        .all(|table| replica.find(table, "name", name).is_none())
}

fn remove<'a>(ends: impl Iterator<Item = &'a End>, transaction: Transaction) -> Transaction {
    ends.fold(transaction, |transaction, end| {
        port::remove(end.bridge, vec![end.port], transaction)
    })
}

fn add(
    bridge: Uuid,
    physical: &str,
    name: &str,
    peer: &str,
    transaction: Transaction,
) -> Transaction {
    let interface = Row::new()
        .with("type", "patch")
        .with("options", Value::map([("peer", peer)]));
    let mark = (PHYSICAL_NETWORK, physical);
    port::add(bridge, name, interface, Some(mark), transaction)
}
