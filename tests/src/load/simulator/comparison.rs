//! A played database and a real one are asked the same for locks and for rows, and say the same.

use super::Simulator;
use crate::error::LabError;
use crate::load::database::OvsdbServer;
use crate::loopback::Folder;
use serde_json::{Deserializer, Value, json};
use std::io::{BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(20);
const NOBODY: Option<usize> = None;

/// A database's connection to a manager.
struct Connection {
    stream: TcpStream,
    messages: Box<dyn Iterator<Item = serde_json::Result<Value>>>,
}

impl Connection {
    fn accept(listener: &TcpListener) -> Self {
        let (stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let reader = BufReader::new(stream.try_clone().unwrap());
        let messages = Box::new(Deserializer::from_reader(reader).into_iter());
        Self { stream, messages }
    }

    fn ask(&mut self, method: &str, params: &Value) {
        let request = json!({"id": 1, "method": method, "params": params});
        let octets = request.to_string();
        self.stream.write_all(octets.as_bytes()).unwrap();
    }

    /// The next message that is no probe.
    fn next(&mut self) -> String {
        let mut messages = self.messages.by_ref().map(Result::unwrap);
        let message = messages.find(|message| !(message["method"] == "echo"));
        message.unwrap().to_string()
    }
}

/// What connections are told when each asks for something in turn. Of some requests, another connection hears.
fn tell(listeners: &[TcpListener; 3]) -> Vec<String> {
    let mut connections = listeners.each_ref().map(Connection::accept);
    let (lock, steal, unlock) = ("lock", "steal", "unlock");
    let name = json!(["sextant"]);
    let operations = json!([
        "Open_vSwitch",
        {"op": "comment", "comment": "before"},
        {"op": "assert", "lock": "sextant"},
        {"op": "comment", "comment": "after"},
    ]);
    let mut told = vec![];
    for (asker, method, hears) in [
        (0, lock, NOBODY),
        (1, lock, NOBODY),
        (2, lock, NOBODY),
        (0, "transact", NOBODY),
        (1, "transact", NOBODY),
        // The owner hears once more that it has the lock.
        (2, unlock, Some(0)),
        (2, steal, Some(0)),
        (0, "transact", NOBODY),
        (2, "transact", NOBODY),
        (2, unlock, Some(0)),
        (0, "transact", NOBODY),
        (0, unlock, Some(1)),
        // Two thieves, one after the other.
        (0, steal, Some(1)),
        (2, steal, Some(0)),
        (2, unlock, Some(1)),
        (0, unlock, NOBODY),
        (0, lock, NOBODY),
    ] {
        let params = if method == "transact" {
            &operations
        } else {
            &name
        };
        connections[asker].ask(method, params);
        for hearer in [Some(asker), hears].into_iter().flatten() {
            told.push(format!(
                "{method} by {asker}, to {hearer}: {}",
                connections[hearer].next()
            ));
        }
    }
    let [mut waiter, owner, _third] = connections;
    drop(owner);
    told.push(format!("the owner has left: {}", waiter.next()));
    told
}

/// What a connection is told that first monitors no manager, then all, then none.
fn select(listeners: &[TcpListener; 3]) -> Vec<String> {
    let [mut connection, _, _] = listeners.each_ref().map(Connection::accept);
    let nobody = "00000000-0000-0000-0000-000000000000";
    let none = json!([["_uuid", "==", ["uuid", nobody]]]);
    let all = json!([]);
    let monitor = json!([
        "Open_vSwitch",
        "monitor",
        {"Manager": [{"columns": ["inactivity_probe"], "where": none}]},
        nobody,
    ]);
    connection.ask("monitor_cond_since", &monitor);
    let mut told = vec![connection.next()];
    for wanted in [&all, &all, &none] {
        let change = json!(["monitor", "monitor", {"Manager": [{"where": wanted}]}]);
        connection.ask("monitor_cond_change", &change);
        loop {
            let message = connection.next();
            let is_answer = message.contains("result");
            told.push(without_names(&message));
            if is_answer {
                break;
            }
        }
    }
    told
}

/// A message without the identities of rows and transactions, which are chance.
fn without_names(message: &str) -> String {
    let words = message.split('"');
    let words = words.map(|word| {
        if word.len() == 36 && word.chars().all(|c| c.is_ascii_hexdigit() || c == '-') {
            "UUID"
        } else {
            word
        }
    });
    words.collect::<Vec<_>>().join("\"")
}

/// What a real database says, and a played one.
fn both(
    tell: impl Fn(&[TcpListener; 3]) -> Vec<String>,
) -> Result<(Vec<String>, Vec<String>), LabError> {
    let listeners = listen();
    let folder = Folder::make()?;
    let real = OvsdbServer::start(folder.path(), "real")?;
    real.vsctl(["init"])?;
    let targets = listeners
        .each_ref()
        .map(|listener| format!("tcp:{}", listener.local_addr().unwrap()));
    let words: Vec<&str> = ["set-manager"]
        .into_iter()
        .chain(targets.iter().map(|target| &**target))
        .collect();
    real.vsctl(words)?;
    let real = tell(&listeners);
    let listeners = listen();
    let played = Simulator::start(1)?;
    let ovsdb: [SocketAddr; 3] = listeners
        .each_ref()
        .map(|listener| listener.local_addr().unwrap());
    played.connect(&ovsdb);
    Ok((real, tell(&listeners)))
}

fn listen() -> [TcpListener; 3] {
    [0, 1, 2].map(|_| TcpListener::bind("127.0.0.1:0").unwrap())
}

#[test]
fn a_played_database_has_locks_as_a_real_one() -> Result<(), LabError> {
    let (real, played) = both(tell)?;
    assert_eq!(played, real);
    assert!(
        real[0].contains("true") && real[1].contains("false"),
        "{real:#?}"
    );
    Ok(())
}

#[test]
fn a_played_database_selects_rows_as_a_real_one() -> Result<(), LabError> {
    let (real, played) = both(select)?;
    assert_eq!(played[1..], real[1..]);
    // What it says first names a transaction. There are no rows.
    assert!(real[0].contains("{}"), "{real:#?}");
    assert!(played[0].contains("{}"), "{played:#?}");
    assert_eq!(real[1].matches("insert").count(), 3, "{real:#?}");
    Ok(())
}
