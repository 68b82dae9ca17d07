//! Decides what to change on a hypervisor so that it takes part in the cloud.
//!
//! What Sextant makes is marked in `external_ids`, so that exactly that is undone when the hypervisor leaves. A bridge
//! that exists is kept as it is, but for its controller, fail mode and protocols. One that Sextant made stays, too, for as long
//! as somebody else has ports there: they are guests', who may be back with the hypervisor. Without a controller Open vSwitch
//! has dropped its flows, and in fail mode `secure` it forwards nothing.

use super::bfd;
use super::schema::{Bridge, Controller, DATABASE, Manager, OpenVswitch, Port};
use super::wish::Wish;
use super::{
    DATAPATH_TYPE, INTEGRATION_BRIDGE, OWNED, integration_bridge, is_owned, managers, metadata,
    patches, port, tunnels, zone_limit,
};
use crate::metrics::Drift;
use sextant_ovsdb_client::{Atom, Condition, Mutation, Replica, Row, Table, Transaction, Value};
use uuid::Uuid;
use xxhash_rust::xxh3::xxh3_64;

/// Milliseconds that a switch and a database wait at most before they connect again.
const MAX_BACKOFF: i64 = 1000;
/// The key in a manager's `external_ids` with the `inactivity_probe` that Sextant has set.
const NOTED_PROBE: &str = "sextant-probe";
const PROTOCOL: &str = "OpenFlow13";
const FAIL_MODE: &str = "secure";
/// Not over the switch's own ports: that would add flows of its own.
const CONNECTION_MODE: &str = "out-of-band";

/// The next step from what is there to what should be. `None`: everything is as it should be.
pub fn wanted(replica: &Replica, wish: &Wish) -> Option<Transaction> {
    let transaction = bridge_wanted(replica, wish, Transaction::new(DATABASE));
    let transaction = ports_wanted(replica, wish, transaction);
    let transaction = keep_managers(replica, wish, transaction);
    let transaction = zone_limit::wanted(replica, wish, transaction);
    commented(transaction, "sextant: provision")
}

/// Of what kinds the differences are between what is there and what should be.
pub(super) fn differences(replica: &Replica, wish: &Wish) -> Vec<Drift> {
    let bridge = bridge_wanted(replica, wish, Transaction::new(DATABASE));
    let ports = ports_wanted(replica, wish, Transaction::new(DATABASE));
    let kinds = [(Drift::Bridge, bridge), (Drift::Port, ports)].into_iter();
    let different = kinds.filter(|(_, transaction)| !transaction.is_empty());
    different.map(|(kind, _)| kind).collect()
}

fn bridge_wanted(replica: &Replica, wish: &Wish, transaction: Transaction) -> Transaction {
    match integration_bridge(replica) {
        None => create_bridge(replica, wish, transaction),
        Some((uuid, bridge)) => control_bridge(replica, wish, uuid, bridge, transaction),
    }
}

/// On a bridge that is there.
fn ports_wanted(replica: &Replica, wish: &Wish, transaction: Transaction) -> Transaction {
    let Some((uuid, bridge)) = integration_bridge(replica) else {
        return transaction;
    };
    let transaction = tunnels::wanted(replica, wish, uuid, bridge, transaction);
    let transaction = bfd::wanted(replica, wish, uuid, bridge, transaction);
    let transaction = metadata::wanted(replica, wish, uuid, bridge, transaction);
    patches::wanted(replica, wish, uuid, bridge, transaction)
}

/// The next step to undo what Sextant made. `None`: nothing is left of it.
pub fn release(replica: &Replica) -> Option<Transaction> {
    let transaction = zone_limit::release(replica, Transaction::new(DATABASE));
    let transaction = release_managers(replica, transaction);
    let transaction = metadata::release(replica, transaction);
    let transaction = match integration_bridge(replica) {
        Some((uuid, bridge)) => release_bridge(replica, uuid, bridge, transaction),
        None => transaction,
    };
    commented(transaction, "sextant: release")
}

fn release_bridge(
    replica: &Replica,
    uuid: Uuid,
    bridge: Bridge<'_>,
    transaction: Transaction,
) -> Transaction {
    let transaction = patches::release(replica, uuid, transaction);
    if is_owned(bridge.row()) && !has_others_ports(replica, bridge) {
        transaction.mutate(
            "Open_vSwitch",
            [],
            [Mutation::delete("bridges", Value::set([uuid]))],
        )
    } else {
        let ports = owned_ports(replica, bridge);
        let transaction = port::remove(uuid, ports, transaction);
        release_controller(replica, uuid, bridge, transaction)
    }
}

fn commented(transaction: Transaction, comment: &str) -> Option<Transaction> {
    (!transaction.is_empty()).then(|| transaction.comment(comment))
}

fn owned() -> Value {
    Value::map([OWNED])
}

fn create_bridge(replica: &Replica, wish: &Wish, transaction: Transaction) -> Transaction {
    let Some((root, _)) = replica.all::<OpenVswitch>().next() else {
        return transaction;
    };
    let datapath_type = asked_datapath_type(replica).unwrap_or("");
    let interface = Row::new()
        .with("name", INTEGRATION_BRIDGE)
        .with("type", "internal")
        .with("external_ids", owned());
    let port = Row::new()
        .with("name", INTEGRATION_BRIDGE)
        .with("interfaces", Value::named_uuid("interface"))
        .with("external_ids", owned());
    let datapath_id = datapath_id(wish);
    let other_config = Value::map(other_config(&datapath_id));
    let (transaction, controllers) = insert_controllers(wish, wish.controllers.iter(), transaction);
    let bridge = Row::new()
        .with("name", INTEGRATION_BRIDGE)
        .with("datapath_type", datapath_type)
        .with("fail_mode", FAIL_MODE)
        .with("protocols", Value::set([PROTOCOL]))
        .with("ports", Value::named_uuid("port"))
        .with("controller", Value::set(controllers))
        .with("other_config", other_config)
        .with("external_ids", owned());
    transaction
        .insert("Interface", Some("interface"), interface)
        .insert("Port", Some("port"), port)
        .insert("Bridge", Some("bridge"), bridge)
        .mutate(
            "Open_vSwitch",
            [Condition::uuid(root)],
            [Mutation::insert("bridges", Value::named_uuid("bridge"))],
        )
}

/// Inserts a row for each of these targets. Returns what refers to them.
fn insert_controllers<'a>(
    wish: &Wish,
    targets: impl Iterator<Item = &'a String>,
    mut transaction: Transaction,
) -> (Transaction, Vec<Atom>) {
    let mut inserted = Vec::new();
    for (number, target) in targets.enumerate() {
        let name = format!("controller{number}");
        let row = Row::new()
            .with("target", target.as_str())
            .with("connection_mode", CONNECTION_MODE)
            .with("max_backoff", MAX_BACKOFF)
            .with("inactivity_probe", wish.probes.of_switch(target, None))
            .with("external_ids", owned());
        transaction = transaction.insert("Controller", Some(&name), row);
        inserted.push(Atom::NamedUuid(name));
    }
    (transaction, inserted)
}

fn control_bridge(
    replica: &Replica,
    wish: &Wish,
    uuid: Uuid,
    bridge: Bridge<'_>,
    mut transaction: Transaction,
) -> Transaction {
    let this = [Condition::uuid(uuid)];
    if is_owned(bridge.row()) {
        transaction = settle_own_bridge(replica, wish, uuid, bridge, transaction);
    }
    if bridge.fail_mode() != Some(FAIL_MODE) {
        transaction = transaction.update(
            "Bridge",
            this.clone(),
            Row::new().with("fail_mode", FAIL_MODE),
        );
    }
    let protocols = bridge.protocols();
    if !protocols.is_empty() && !protocols.contains(PROTOCOL) {
        transaction = transaction.mutate(
            "Bridge",
            this.clone(),
            [Mutation::insert("protocols", Value::set([PROTOCOL]))],
        );
    }
    settle_controllers(replica, wish, uuid, bridge, transaction)
}

/// The bridge has the controllers that it should have, and no others. Those that are right stay: the switch would connect anew.
fn settle_controllers(
    replica: &Replica,
    wish: &Wish,
    uuid: Uuid,
    bridge: Bridge<'_>,
    mut transaction: Transaction,
) -> Transaction {
    let mut missing = wish.controllers.clone();
    let mut kept = Vec::new();
    for (uuid, controller) in replica.get_all::<Controller>(bridge.controller()) {
        if !is_as_made(&controller) || !missing.remove(controller.target()) {
            continue;
        }
        kept.push(Atom::from(uuid));
        let present = controller.inactivity_probe();
        let probe = wish.probes.of_switch(controller.target(), present);
        if present != Some(probe) {
            let probe = Row::new().with("inactivity_probe", probe);
            transaction = transaction.update("Controller", [Condition::uuid(uuid)], probe);
        }
    }
    if missing.is_empty() && kept.len() == bridge.controller().len() {
        return transaction;
    }
    let (transaction, inserted) = insert_controllers(wish, missing.iter(), transaction);
    kept.extend(inserted);
    let row = Row::new().with("controller", Value::set(kept));
    transaction.update("Bridge", [Condition::uuid(uuid)], row)
}

/// A bridge that Sextant made has what it was made with.
fn settle_own_bridge(
    replica: &Replica,
    wish: &Wish,
    uuid: Uuid,
    bridge: Bridge<'_>,
    mut transaction: Transaction,
) -> Transaction {
    let this = [Condition::uuid(uuid)];
    let datapath_id = datapath_id(wish);
    let config = bridge.other_config();
    for (key, value) in other_config(&datapath_id) {
        if config.get(key) == Some(value) {
            continue;
        }
        let present = config.get(key).map(|present| [(key, present)]);
        let delete = present.map(|present| Mutation::delete("other_config", Value::map(present)));
        let insert = Mutation::insert("other_config", Value::map([(key, value)]));
        let mutations: Vec<Mutation> = delete.into_iter().chain([insert]).collect();
        transaction = transaction.mutate("Bridge", this.clone(), mutations);
    }
    let enabled = [
        ("stp_enable", bridge.stp_enable()),
        ("rstp_enable", bridge.rstp_enable()),
    ];
    for (protocol, enabled) in enabled {
        if enabled {
            let off = Row::new().with(protocol, false);
            transaction = transaction.update("Bridge", this.clone(), off);
        }
    }
    if let Some(asked) = asked_datapath_type(replica)
        && bridge.datapath_type() != asked
    {
        let asked = Row::new().with("datapath_type", asked);
        transaction = transaction.update("Bridge", this.clone(), asked);
    }
    transaction
}

/// The type of datapath that the hypervisor's administrator asks for.
fn asked_datapath_type(replica: &Replica) -> Option<&str> {
    let (_, root) = replica.all::<OpenVswitch>().next()?;
    root.external_ids().get(DATAPATH_TYPE)
}

fn datapath_id(wish: &Wish) -> String {
    format!("{:016x}", xxh3_64(wish.system_id.as_bytes()).max(1))
}

fn other_config(datapath_id: &str) -> [(&str, &str); 2] {
    [("datapath-id", datapath_id), ("disable-in-band", "true")]
}

/// Whether Sextant made a controller's row, and nobody has changed it.
fn is_as_made(controller: &Controller<'_>) -> bool {
    controller.connection_mode() == Some(CONNECTION_MODE)
        && controller.max_backoff() == Some(MAX_BACKOFF)
        && is_owned(controller.row())
}

fn release_controller(
    replica: &Replica,
    uuid: Uuid,
    bridge: Bridge<'_>,
    transaction: Transaction,
) -> Transaction {
    let controllers = replica.get_all::<Controller>(bridge.controller());
    let released: Vec<Uuid> = controllers
        .filter(|(_, controller)| is_owned(controller.row()))
        .map(|(uuid, _)| uuid)
        .collect();
    if released.is_empty() {
        return transaction;
    }
    transaction.mutate(
        "Bridge",
        [Condition::uuid(uuid)],
        [Mutation::delete("controller", Value::set(released))],
    )
}

/// Whether somebody else has ports on the integration bridge.
fn has_others_ports(replica: &Replica, bridge: Bridge<'_>) -> bool {
    bridge.ports().into_iter().any(|uuid| {
        let port = replica.get::<Port>(uuid);
        !port.is_some_and(|port| is_owned(port.row()))
    })
}

/// The ports that Sextant made on the integration bridge, but the bridge's own.
fn owned_ports(replica: &Replica, bridge: Bridge<'_>) -> Vec<Uuid> {
    replica
        .get_all::<Port>(bridge.ports())
        .filter(|(_, port)| is_owned(port.row()) && port.name() != INTEGRATION_BRIDGE)
        .map(|(uuid, _)| uuid)
        .collect()
}

/// A database that lost Sextant looks for it every second, not ever less often, and gives it up when it should. What an
/// administrator has set stays.
fn keep_managers(replica: &Replica, wish: &Wish, mut transaction: Transaction) -> Transaction {
    for (uuid, manager) in replica.all::<Manager>() {
        let target = manager.target();
        if !target.ends_with(&wish.manager_suffix) || managers::listens(target) {
            continue;
        }
        if manager.max_backoff().is_none() {
            let backoff = Row::new().with("max_backoff", MAX_BACKOFF);
            transaction = transaction.update("Manager", [Condition::uuid(uuid)], backoff);
        }
        let noted = noted_probe(manager);
        let present = manager.inactivity_probe();
        let probe = wish.probes.of_database(manager.target(), present, noted);
        if let Some(probe) = probe {
            transaction = set_probe(uuid, probe, transaction);
        }
    }
    transaction
}

/// Managers have Open vSwitch's own interval again, where they have Sextant's.
fn release_managers(replica: &Replica, mut transaction: Transaction) -> Transaction {
    for (uuid, manager) in replica.all::<Manager>() {
        let Some(noted) = noted_probe(manager) else {
            continue;
        };
        let this = [Condition::uuid(uuid)];
        if manager.inactivity_probe() == Some(noted) {
            let row = Row::new().with("inactivity_probe", Value::empty_set());
            transaction = transaction.update("Manager", this.clone(), row);
        }
        let note = Mutation::delete("external_ids", Value::set([NOTED_PROBE]));
        transaction = transaction.mutate("Manager", this.clone(), [note]);
    }
    transaction
}

/// What Sextant has set last.
fn noted_probe(manager: Manager<'_>) -> Option<i64> {
    manager.external_ids().get(NOTED_PROBE)?.parse().ok()
}

/// Sets a manager's interval, and notes that it is Sextant's.
fn set_probe(manager: Uuid, probe: i64, transaction: Transaction) -> Transaction {
    let this = [Condition::uuid(manager)];
    let note = Value::map([(NOTED_PROBE, probe.to_string())]);
    let note = [
        Mutation::delete("external_ids", Value::set([NOTED_PROBE])),
        Mutation::insert("external_ids", note),
    ];
    let row = Row::new().with("inactivity_probe", probe);
    transaction
        .update("Manager", this.clone(), row)
        .mutate("Manager", this.clone(), note)
}
