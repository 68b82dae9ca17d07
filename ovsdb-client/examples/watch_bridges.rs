//! Prints the bridges of an Open vSwitch with their ports, and again each that changes.
//!
//! ```console
//! # cargo run --example watch_bridges        # unix:/var/run/openvswitch/db.sock; another remote is an argument
//! # ovs-vsctl add-br br0 -- add-port br0 veth0
//! # ovs-vsctl del-br br0
//! ```
//!
//! It outlives the server: it connects anew, and prints only what it has missed.

#![allow(clippy::print_stdout, reason = "printing is what it is for")]

use std::error::Error;

use sextant_ovsdb_client::{
    ColumnError, Event, Failover, Options, Replica, Row, RowChange, reconnect,
};

const DEFAULT_REMOTE: &str = "unix:/var/run/openvswitch/db.sock";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let remote = std::env::args().nth(1);
    let remote = remote.as_deref().unwrap_or(DEFAULT_REMOTE).parse()?;
    let mut failover = Failover::new([remote])?;
    let mut replica = Replica::default();
    loop {
        let known = replica.is_synced();
        let mut connection = reconnect(&mut failover, Options::default(), replica).await;
        connection.monitor(
            "Open_vSwitch",
            [("Bridge", vec!["name", "ports"]), ("Port", vec!["name"])],
        );
        let reason = loop {
            match connection.next_event().await {
                Ok(Event::Synced) => {
                    failover.succeeded();
                    // What differs from before came as changes; the first contents are no change.
                    if !known {
                        print_all(connection.replica())?;
                    }
                }
                Ok(Event::Changed(changes)) => print_changes(&changes, connection.replica())?,
                Ok(_) => {}
                Err(reason) => break reason,
            }
        };
        println!("{reason}; connecting anew");
        replica = connection.into_replica();
    }
}

fn print_all(replica: &Replica) -> Result<(), ColumnError> {
    replica
        .rows("Bridge")
        .try_for_each(|(_, bridge)| print_bridge(bridge, replica))
}

/// A transaction's changes; the replica has them all.
fn print_changes(changes: &[RowChange], replica: &Replica) -> Result<(), ColumnError> {
    for change in changes.iter().filter(|change| &*change.table == "Bridge") {
        match (&change.old, &change.new) {
            (_, Some(bridge)) => print_bridge(bridge, replica)?,
            (Some(bridge), None) => println!("{} is gone", bridge.string("name")?),
            (None, None) => {}
        }
    }
    Ok(())
}

fn print_bridge(bridge: &Row, replica: &Replica) -> Result<(), ColumnError> {
    let ports = bridge.uuids("ports")?;
    let ports = ports
        .into_iter()
        .filter_map(|uuid| replica.row("Port", uuid));
    let names: Vec<&str> = ports
        .map(|port| port.string("name"))
        .collect::<Result<_, _>>()?;
    println!("{}: {}", bridge.string("name")?, names.join(", "));
    Ok(())
}
