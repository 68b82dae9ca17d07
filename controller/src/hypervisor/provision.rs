//! Decides what to change on a hypervisor so that it takes part in the cloud.
//!
//! What Sextant makes is marked in `external_ids`, so that exactly that is undone when the hypervisor leaves. A bridge
//! that exists is kept as it is, but for its controller, fail mode and protocols.

use super::bfd;
use super::wish::Wish;
use super::{
    DATABASE, INTEGRATION_BRIDGE, OWNED, integration_bridge, is_owned, patches, port, tunnels,
};
use sextant_ovsdb_client::{ColumnError, Condition, Mutation, Replica, Row, Transaction, Value};
use uuid::Uuid;
use xxhash_rust::xxh3::xxh3_64;

/// Milliseconds that a switch and a database wait at most before they connect again.
const MAX_BACKOFF: i64 = 1000;
const PROTOCOL: &str = "OpenFlow13";
const FAIL_MODE: &str = "secure";
/// Not over the switch's own ports: that would add flows of its own.
const CONNECTION_MODE: &str = "out-of-band";

/// The next step from what is there to what should be; none if all is as it should be.
///
/// # Errors
/// The schema is not Open vSwitch's.
pub fn wanted(replica: &Replica, wish: &Wish) -> Result<Option<Transaction>, ColumnError> {
    let mut transaction = Transaction::new(DATABASE);
    match integration_bridge(replica) {
        None => transaction = create_bridge(replica, wish, transaction)?,
        Some((uuid, bridge)) => {
            transaction = control_bridge(replica, wish, uuid, bridge, transaction)?;
            transaction = tunnels::wanted(replica, wish, uuid, bridge, transaction)?;
            transaction = bfd::wanted(replica, wish, uuid, bridge, transaction)?;
            transaction = patches::wanted(replica, wish, uuid, bridge, transaction)?;
        }
    }
    transaction = reconnect_quickly(replica, wish, transaction)?;
    Ok(commented(transaction, "sextant: provision"))
}

/// The next step to undo what Sextant made; none if nothing is left of it.
///
/// # Errors
/// The schema is not Open vSwitch's.
pub fn release(replica: &Replica) -> Result<Option<Transaction>, ColumnError> {
    let Some((uuid, bridge)) = integration_bridge(replica) else {
        return Ok(None);
    };
    let transaction = patches::release(replica, uuid, Transaction::new(DATABASE))?;
    let transaction = if is_owned(bridge) {
        transaction.mutate(
            "Open_vSwitch",
            [],
            [Mutation::delete("bridges", Value::set([uuid]))],
        )
    } else {
        let ports = owned_ports(replica, bridge)?;
        let transaction = port::remove(uuid, ports, transaction);
        release_controller(replica, uuid, bridge, transaction)?
    };
    Ok(commented(transaction, "sextant: release"))
}

fn commented(transaction: Transaction, comment: &str) -> Option<Transaction> {
    (!transaction.is_empty()).then(|| transaction.comment(comment))
}

fn owned() -> Value {
    Value::map([OWNED])
}

fn create_bridge(
    replica: &Replica,
    wish: &Wish,
    transaction: Transaction,
) -> Result<Transaction, ColumnError> {
    let Some((root, row)) = replica.rows("Open_vSwitch").next() else {
        return Ok(transaction);
    };
    let datapath_type = row
        .map_entry("external_ids", "sextant-bridge-datapath-type")?
        .unwrap_or("");
    let interface = Row::new()
        .with("name", INTEGRATION_BRIDGE)
        .with("type", "internal")
        .with("external_ids", owned());
    let port = Row::new()
        .with("name", INTEGRATION_BRIDGE)
        .with("interfaces", Value::named_uuid("interface"))
        .with("external_ids", owned());
    let datapath_id = format!("{:016x}", xxh3_64(wish.system_id.as_bytes()).max(1));
    let other_config = Value::map([
        ("datapath-id", datapath_id.as_str()),
        ("disable-in-band", "true"),
    ]);
    let bridge = Row::new()
        .with("name", INTEGRATION_BRIDGE)
        .with("datapath_type", datapath_type)
        .with("fail_mode", FAIL_MODE)
        .with("protocols", Value::set([PROTOCOL]))
        .with("ports", Value::named_uuid("port"))
        .with("controller", Value::named_uuid("controller"))
        .with("other_config", other_config)
        .with("external_ids", owned());
    Ok(transaction
        .insert("Interface", Some("interface"), interface)
        .insert("Port", Some("port"), port)
        .insert("Controller", Some("controller"), controller(wish))
        .insert("Bridge", Some("bridge"), bridge)
        .mutate(
            "Open_vSwitch",
            [Condition::uuid(root)],
            [Mutation::insert("bridges", Value::named_uuid("bridge"))],
        ))
}

fn controller(wish: &Wish) -> Row {
    Row::new()
        .with("target", wish.controller.as_str())
        .with("connection_mode", CONNECTION_MODE)
        .with("max_backoff", MAX_BACKOFF)
        .with("external_ids", owned())
}

fn control_bridge(
    replica: &Replica,
    wish: &Wish,
    uuid: Uuid,
    bridge: &Row,
    mut transaction: Transaction,
) -> Result<Transaction, ColumnError> {
    let this = || [Condition::uuid(uuid)];
    if bridge.optional_string("fail_mode")? != Some(FAIL_MODE) {
        transaction = transaction.update("Bridge", this(), Row::new().with("fail_mode", FAIL_MODE));
    }
    let protocols = bridge.strings("protocols")?;
    if !protocols.is_empty() && !protocols.contains(PROTOCOL) {
        transaction = transaction.mutate(
            "Bridge",
            this(),
            [Mutation::insert("protocols", Value::set([PROTOCOL]))],
        );
    }
    if !is_controlled(replica, wish, bridge)? {
        transaction = transaction.insert("Controller", Some("controller"), controller(wish));
        transaction = transaction.update(
            "Bridge",
            this(),
            Row::new().with("controller", Value::named_uuid("controller")),
        );
    }
    Ok(transaction)
}

/// Whether the bridge has one controller and that is Sextant.
fn is_controlled(replica: &Replica, wish: &Wish, bridge: &Row) -> Result<bool, ColumnError> {
    let controllers = bridge.uuids("controller")?;
    let Some(only) = controllers
        .first()
        .filter(|_| controllers.len() == 1)
        .and_then(|uuid| replica.row("Controller", *uuid))
    else {
        return Ok(false);
    };
    Ok(only.string("target")? == wish.controller
        && only.optional_string("connection_mode")? == Some(CONNECTION_MODE))
}

fn release_controller(
    replica: &Replica,
    uuid: Uuid,
    bridge: &Row,
    transaction: Transaction,
) -> Result<Transaction, ColumnError> {
    let ours = |row: &Row| {
        row.optional_string("connection_mode") == Ok(Some(CONNECTION_MODE))
            && row.optional_integer("max_backoff") == Ok(Some(MAX_BACKOFF))
    };
    let controllers = bridge.uuids("controller")?;
    let released: Vec<Uuid> = controllers
        .into_iter()
        .filter(|uuid| replica.row("Controller", *uuid).is_some_and(ours))
        .collect();
    if released.is_empty() {
        return Ok(transaction);
    }
    Ok(transaction.mutate(
        "Bridge",
        [Condition::uuid(uuid)],
        [Mutation::delete("controller", Value::set(released))],
    ))
}

/// The ports that Sextant made on the integration bridge, but the bridge's own.
fn owned_ports(replica: &Replica, bridge: &Row) -> Result<Vec<Uuid>, ColumnError> {
    let mut found = vec![];
    for uuid in bridge.uuids("ports")? {
        let Some(port) = replica.row("Port", uuid).filter(|port| is_owned(port)) else {
            continue;
        };
        if port.string("name")? != INTEGRATION_BRIDGE {
            found.push(uuid);
        }
    }
    Ok(found)
}

/// A database that lost Sextant looks for it every second, not ever less often.
fn reconnect_quickly(
    replica: &Replica,
    wish: &Wish,
    mut transaction: Transaction,
) -> Result<Transaction, ColumnError> {
    for (uuid, manager) in replica.rows("Manager") {
        let ours = manager.string("target")?.ends_with(&wish.manager_suffix);
        if ours && manager.optional_integer("max_backoff")?.is_none() {
            let backoff = Row::new().with("max_backoff", MAX_BACKOFF);
            transaction = transaction.update("Manager", [Condition::uuid(uuid)], backoff);
        }
    }
    Ok(transaction)
}
