//! A client that writes ports of its own, and knows what of them was acknowledged.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use sextant_lab::{Api, Network, Subnet};
use std::collections::BTreeMap;
use std::sync::mpsc::Sender;

/// How many ports it keeps before it begins to delete.
const MOST: usize = 60;
/// How many are made in one request.
const BULK: usize = 20;

/// A client that writes until the controller is killed, one request after the other.
pub(crate) struct Writer {
    number: usize,
    network: String,
    subnet: String,
    dice: StdRng,
    /// Its ports by id, as they were last acknowledged or, after a kill, found.
    ports: BTreeMap<String, Value>,
    /// The write that was not answered.
    unanswered: Option<Write>,
    counter: u32,
    acknowledged: usize,
    cut_off: usize,
}

/// Something that changes several rows of the store at once.
#[derive(Clone, Debug)]
enum Write {
    /// Makes ports of these names, with what they claim.
    Make(Vec<String>),
    /// Gives a port another name.
    Rename(String, String),
    /// Gives a port another address, and its old one back.
    Readdress(String, String),
    /// Removes a port and what it claimed.
    Delete(String),
}

impl Writer {
    pub(crate) fn new(number: usize, network: &Network, subnet: &Subnet, seed: u64) -> Self {
        Self {
            number,
            network: network.id.clone(),
            subnet: subnet.id.clone(),
            dice: StdRng::seed_from_u64(seed),
            ports: BTreeMap::new(),
            unanswered: None,
            counter: 0,
            acknowledged: 0,
            cut_off: 0,
        }
    }

    pub(crate) fn acknowledged(&self) -> usize {
        self.acknowledged
    }

    pub(crate) fn cut_off(&self) -> usize {
        self.cut_off
    }

    /// Writes until a request gets no answer, and tells of each that does.
    pub(crate) fn write_until_killed(&mut self, api: &Api, acknowledged: &Sender<()>) {
        loop {
            let write = self.next();
            match self.send(api, &write) {
                Some(answer) => {
                    self.answered(&write, answer);
                    // Nobody listens any more once the moment has come.
                    let _ = acknowledged.send(());
                }
                None => {
                    self.cut_off += 1;
                    self.unanswered = Some(write);
                    return;
                }
            }
        }
    }

    fn next(&mut self) -> Write {
        let index = self.dice.random_range(0..self.ports.len().max(1));
        let Some(id) = self.ports.keys().nth(index).cloned() else {
            return Write::Make(self.names(BULK));
        };
        if self.ports.len() > MOST {
            return Write::Delete(id);
        }
        match self.dice.random_range(0..10) {
            0 => Write::Make(self.names(BULK)),
            1..5 => Write::Make(self.names(1)),
            5..7 => Write::Rename(id, self.names(1).remove(0)),
            7 => Write::Readdress(id, self.address()),
            _ => Write::Delete(id),
        }
    }

    fn names(&mut self, count: usize) -> Vec<String> {
        self.counter += 1;
        let (number, counter) = (self.number, self.counter);
        (0..count)
            .map(|n| format!("{}{counter}-{n}", prefix(number)))
            .collect()
    }

    /// An address outside of the pool that nobody has had.
    fn address(&mut self) -> String {
        self.counter += 1;
        format!("2001:db8:1::{}:{:x}", self.number + 1, self.counter)
    }

    /// The answer's body; none if there was no answer.
    fn send(&self, api: &Api, write: &Write) -> Option<Value> {
        let named = |name: &String| json!({"network_id": self.network, "name": name});
        let path = |id: &String| format!("/v2.0/ports/{id}");
        let answer = match write {
            Write::Make(names) if names.len() == 1 => {
                api.post("/v2.0/ports", &json!({"port": named(&names[0])}))
            }
            Write::Make(names) => {
                let ports: Vec<Value> = names.iter().map(named).collect();
                api.post("/v2.0/ports", &json!({"ports": ports}))
            }
            Write::Rename(id, name) => api.put(&path(id), &json!({"port": {"name": name}})),
            Write::Readdress(id, address) => {
                let fixed_ips = json!([{"subnet_id": self.subnet, "ip_address": address}]);
                api.put(&path(id), &json!({"port": {"fixed_ips": fixed_ips}}))
            }
            Write::Delete(id) => api.delete(&path(id)),
        };
        let (status, body) = answer.ok()?;
        assert!((200..300).contains(&status), "{write:?}: {status} {body}");
        Some(body)
    }

    fn answered(&mut self, write: &Write, mut answer: Value) {
        self.acknowledged += 1;
        let made = match write {
            Write::Delete(id) => {
                self.ports.remove(id);
                return;
            }
            Write::Make(names) if names.len() > 1 => answer["ports"].take(),
            Write::Make(_) | Write::Rename(..) | Write::Readdress(..) => {
                Value::from(vec![answer["port"].take()])
            }
        };
        for port in made.as_array().into_iter().flatten() {
            self.ports.insert(id_of(port), port.clone());
        }
    }

    /// Compares what is there after a restart with what was acknowledged. The write that was not
    /// answered has happened, or it has not.
    pub(crate) fn compare(&mut self, found: &BTreeMap<String, Value>) {
        if let Some(write) = self.unanswered.take() {
            self.whole_or_not_at_all(&write, found);
        }
        let prefix = prefix(self.number);
        let is_mine = |port: &Value| {
            port["name"]
                .as_str()
                .is_some_and(|name| name.starts_with(&prefix))
        };
        let mine: BTreeMap<&String, &Value> =
            found.iter().filter(|(_, port)| is_mine(port)).collect();
        for (id, port) in &self.ports {
            let found = mine.get(id).copied();
            assert_eq!(found, Some(port), "an acknowledged port is lost or changed");
        }
        for (id, port) in mine {
            assert!(
                self.ports.contains_key(id),
                "a port that nobody knows of: {port}"
            );
        }
    }

    fn whole_or_not_at_all(&mut self, write: &Write, found: &BTreeMap<String, Value>) {
        match write {
            Write::Make(names) => {
                let made: Vec<&Value> = found
                    .values()
                    .filter(|port| names.iter().any(|name| port["name"] == name.as_str()))
                    .collect();
                assert!(
                    made.is_empty() || made.len() == names.len(),
                    "{} of {} ports of one request",
                    made.len(),
                    names.len()
                );
                for port in made {
                    assert!(port["fixed_ips"][0]["ip_address"].is_string(), "{port}");
                    self.ports.insert(id_of(port), port.clone());
                }
            }
            Write::Delete(id) => {
                if !found.contains_key(id) {
                    self.ports.remove(id);
                }
            }
            Write::Rename(id, name) => self.changed_or_not(id, found, |port| {
                port["name"] = name.as_str().into();
            }),
            Write::Readdress(id, address) => self.changed_or_not(id, found, |port| {
                port["fixed_ips"][0]["ip_address"] = address.as_str().into();
            }),
        }
    }

    fn changed_or_not(
        &mut self,
        id: &str,
        found: &BTreeMap<String, Value>,
        change: impl FnOnce(&mut Value),
    ) {
        let (Some(port), Some(found)) = (self.ports.get_mut(id), found.get(id)) else {
            panic!("port {id} is lost");
        };
        let mut changed = port.clone();
        change(&mut changed);
        changed["revision_number"] = (port["revision_number"].as_u64().unwrap_or(0) + 1).into();
        // What follows from the time and from the rest.
        for name in ["updated_at", "dns_assignment"] {
            changed[name] = found[name].clone();
        }
        if *found == changed {
            *port = changed;
        }
    }
}

fn prefix(number: usize) -> String {
    format!("writer{number}-")
}

fn id_of(port: &Value) -> String {
    port["id"].as_str().unwrap_or_default().to_owned()
}
