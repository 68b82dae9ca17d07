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

use std::collections::BTreeSet;
use std::error::Error;

use sextant_ovsdb_client::{
    Event, Failover, MonitorRequest, Options, Replica, RowChange, Table, reconnect, tables,
};
use uuid::Uuid;

tables! {
    const WATCHED;
    Bridge = "Bridge" { name: String, ports: BTreeSet<Uuid> }
    Port = "Port" { name: String }
}

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
        connection.monitor_request(MonitorRequest::declared("Open_vSwitch", WATCHED));
        let reason = loop {
            match connection.next_event().await {
                Ok(Event::Synced) => {
                    failover.succeeded();
                    // What differs from before came as changes; the first contents are no change.
                    if !known {
                        print_all(connection.replica());
                    }
                }
                Ok(Event::Changed(changes)) => print_changes(&changes, connection.replica()),
                Ok(_) => {}
                Err(reason) => break reason,
            }
        };
        println!("{reason}; connecting anew");
        replica = connection.into_replica();
    }
}

fn print_all(replica: &Replica) {
    replica
        .all()
        .for_each(|(_, bridge)| print_bridge(bridge, replica));
}

/// A transaction's changes; the replica has them all.
fn print_changes(changes: &[RowChange], replica: &Replica) {
    let bridges = changes.iter();
    for change in bridges.filter(|change| &*change.table == Bridge::NAME) {
        match (&change.old, &change.new) {
            (_, Some(bridge)) => print_bridge(Bridge::of(bridge), replica),
            (Some(bridge), None) => println!("{} is gone", Bridge::of(bridge).name()),
            (None, None) => {}
        }
    }
}

fn print_bridge(bridge: Bridge<'_>, replica: &Replica) {
    let ports = replica.get_all::<Port>(bridge.ports());
    let names: Vec<&str> = ports.map(|(_, port)| port.name()).collect();
    println!("{}: {}", bridge.name(), names.join(", "));
}
