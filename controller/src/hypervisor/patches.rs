//! Patch ports between `br-int` and the bridges of physical networks (ovs-vswitchd.conf.db(5), Patch Options).
//!
//! A pair for each mapping whose bridge exists, one port on either side. A mapping that went, or names another bridge now,
//! loses its pair first and gets the new one in the next step: two interfaces must not have the same name.

use super::schema::{Bridge, Interface, Port};
use super::wish::Wish;
use super::{PHYSICAL_NETWORK, is_owned, port};
use sextant_ovsdb_client::{Replica, Row, Table, Transaction, Value};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// One end of a pair, as the database has it.
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
    bridge: Bridge<'_>,
    transaction: Transaction,
) -> Transaction {
    let pairs = pairs(replica, wish, bridge);
    let present = ends(replica);
    let unwanted = present.iter().filter(|end| {
        let other = pairs.get(&end.physical);
        !end.intact || other.is_none_or(|other| ![integration, *other].contains(&end.bridge))
    });
    let transaction = remove(unwanted, transaction);
    let there: BTreeSet<(Uuid, &str)> = present
        .iter()
        .map(|end| (end.bridge, &*end.physical))
        .collect();
    pairs
        .iter()
        .fold(transaction, |transaction, (physical, other)| {
            let [inner, outer] = names(physical);
            [(integration, &inner, &outer), (*other, &outer, &inner)]
                .into_iter()
                .filter(|(bridge, ..)| !there.contains(&(*bridge, physical)))
                .filter(|(_, name, _)| is_free(replica, name))
                .fold(transaction, |transaction, (bridge, name, peer)| {
                    add(bridge, physical, name, peer, transaction)
                })
        })
}

/// Removes the ends on the bridges of physical networks; those on `br-int` are removed with whatever else is there.
pub(super) fn release(
    replica: &Replica,
    integration: Uuid,
    transaction: Transaction,
) -> Transaction {
    let ends = ends(replica);
    let outer = ends.iter().filter(|end| end.bridge != integration);
    remove(outer, transaction)
}

/// Whether a port is an end of a pair.
pub(super) fn is_patch(port: Port<'_>) -> bool {
    physical(port).is_some()
}

/// Bridges of mappings that do not exist.
pub(super) fn missing_bridges<'a>(
    replica: &Replica,
    mappings: &'a BTreeMap<String, String>,
) -> Vec<&'a str> {
    let bridges = mappings.values().map(String::as_str);
    bridges
        .filter(|name| bridge(replica, name).is_none())
        .collect()
}

fn bridge(replica: &Replica, name: &str) -> Option<Uuid> {
    let mut bridges = replica.all::<Bridge>();
    let (uuid, _) = bridges.find(|(_, bridge)| bridge.name() == name)?;
    Some(uuid)
}

/// The bridge of each physical network, where it exists and is not `br-int` itself.
fn pairs(replica: &Replica, wish: &Wish, integration: Bridge<'_>) -> BTreeMap<String, Uuid> {
    let others = wish.bridge_mappings.iter();
    let others = others.filter(|(_, name)| *name != integration.name());
    others
        .filter_map(|(physical, name)| Some((physical.clone(), bridge(replica, name)?)))
        .collect()
}

fn ends(replica: &Replica) -> Vec<End> {
    let mut ends = vec![];
    for (bridge, row) in replica.all::<Bridge>() {
        for (port, row) in replica.get_all::<Port>(row.ports()) {
            if let Some(physical) = physical(row) {
                ends.push(End {
                    bridge,
                    port,
                    physical: physical.to_owned(),
                    intact: is_intact(replica, row, physical),
                });
            }
        }
    }
    ends
}

/// Whether a port's interface still is what Sextant made. It may have more than that.
fn is_intact(replica: &Replica, port: Port<'_>, physical: &str) -> bool {
    let [inner, outer] = names(physical);
    let peer = match port.name() == inner {
        true => outer,
        false => inner,
    };
    let mut interfaces = replica.get_all::<Interface>(port.interfaces());
    interfaces.next().is_some_and(|(_, interface)| {
        interface.kind() == "patch" && interface.options().get("peer") == Some(&peer)
    })
}

/// The physical network of a port that Sextant made for one.
fn physical(port: Port<'_>) -> Option<&str> {
    if is_owned(port.row()) {
        port.external_ids().get(PHYSICAL_NETWORK)
    } else {
        None
    }
}

/// On `br-int` and on the physical network's bridge.
fn names(physical: &str) -> [String; 2] {
    ["int", "ext"].map(|side| format!("sextant-{side}-{physical}"))
}

fn is_free(replica: &Replica, name: &str) -> bool {
    replica.all::<Port>().all(|(_, port)| port.name() != name)
        && replica
            .all::<Interface>()
            .all(|(_, interface)| interface.name() != name)
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
