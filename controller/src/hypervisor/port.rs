//! Ports that Sextant makes on the bridges of a hypervisor.

use super::OWNED;
use sextant_ovsdb_client::{Condition, Mutation, Row, Transaction, Value};
use uuid::Uuid;

/// Adds a port of one interface to a bridge, both of that name and marked as Sextant's; `mark`: with this, too.
pub(super) fn add(
    bridge: Uuid,
    name: &str,
    interface: Row,
    mark: Option<(&str, &str)>,
    transaction: Transaction,
) -> Transaction {
    // Rows are named within a transaction by identifiers, which the names of ports need not be (RFC 7047 §3.1).
    let number = transaction.len();
    let (port_name, interface_name) = (format!("port_{number}"), format!("interface_{number}"));
    let ids = Value::map([OWNED].into_iter().chain(mark));
    let port = Row::new()
        .with("name", name)
        .with("external_ids", ids.clone())
        .with("interfaces", Value::named_uuid(interface_name.as_str()));
    let interface = interface.with("name", name).with("external_ids", ids);
    let ports = Value::named_uuid(port_name.as_str());
    transaction
        .insert("Interface", Some(&interface_name), interface)
        .insert("Port", Some(&port_name), port)
        .mutate(
            "Bridge",
            [Condition::uuid(bridge)],
            [Mutation::insert("ports", ports)],
        )
}

/// Removes ports from a bridge.
pub(super) fn remove(bridge: Uuid, ports: Vec<Uuid>, transaction: Transaction) -> Transaction {
    if ports.is_empty() {
        return transaction;
    }
    transaction.mutate(
        "Bridge",
        [Condition::uuid(bridge)],
        [Mutation::delete("ports", Value::set(ports))],
    )
}
