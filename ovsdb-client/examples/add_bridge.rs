//! `ovs-vsctl --may-exist add-br` in a page: one transaction that makes a bridge with its port and interface.
//!
//! ```console
//! # cargo run --example add_bridge -- br0    # at unix:/var/run/openvswitch/db.sock; another remote is an argument
//! ```
//!
//! Two who do it at once make one bridge: the transaction waits for there being none of the name, and fails where there is one.

#![allow(clippy::print_stdout, reason = "printing is what it is for")]

use std::error::Error;
use std::time::Duration;

use sextant_ovsdb_client::{
    Condition, Event, Mutation, Options, Row, Transaction, TransactionError, Until, Value, connect,
};

const DATABASE: &str = "Open_vSwitch";
const DEFAULT_REMOTE: &str = "unix:/var/run/openvswitch/db.sock";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let name = arguments.next().ok_or("usage: add_bridge NAME [REMOTE]")?;
    let remote = arguments.next();
    let remote = remote.as_deref().unwrap_or(DEFAULT_REMOTE).parse()?;
    let mut connection = connect(&remote, Options::default()).await?;
    let request = connection.transact(add_bridge(&name));
    let result = loop {
        if let Event::Reply { id, result } = connection.next_event().await?
            && id == request
        {
            break result;
        }
    };
    match result {
        Ok(_) => println!("{name} is made"),
        // Operation 0 is the wait.
        Err(TransactionError::Operation { index: 0, .. }) => println!("{name} is there already"),
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

/// The rows refer to each other by the names that they have in this transaction only.
fn add_bridge(name: &str) -> Transaction {
    let interface = Row::new().with("name", name).with("type", "internal");
    let port = Row::new()
        .with("name", name)
        .with("interfaces", Value::named_uuid("interface"));
    let bridge = Row::new()
        .with("name", name)
        .with("ports", Value::named_uuid("port"));
    let bridges = Mutation::insert("bridges", Value::named_uuid("bridge"));
    let of_that_name = [Condition::equal("name", name)];
    Transaction::new(DATABASE)
        .wait(
            "Bridge",
            of_that_name,
            &["name"],
            Until::Equal,
            [],
            Some(Duration::ZERO),
        )
        .insert("Interface", Some("interface"), interface)
        .insert("Port", Some("port"), port)
        .insert("Bridge", Some("bridge"), bridge)
        .mutate(DATABASE, [], [bridges])
        .comment(&format!("add_bridge {name}"))
}
