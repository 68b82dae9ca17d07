//! Clients that create and delete ports, each with whatever controller answers, and what was acknowledged to them.

use super::history::{Asked, History, Operation};
use crate::stage::Stage;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use sextant_lab::story::{Failure, Outcome, ensure};
use sextant_lab::{Api, Network};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// How many ports it keeps.
const MOST: usize = 40;
/// When a client turns to another controller.
const PATIENCE: Duration = Duration::from_secs(3);
/// Longer than controllers are without the store, in which one may not have heard of a port that another has made.
const HEARD_OF: Duration = Duration::from_secs(60);
/// A client's pause after an error.
const RETRY: Duration = Duration::from_millis(100);

/// A client that makes one request after the other.
pub(crate) struct Writer {
    number: usize,
    network: String,
    apis: Vec<Api>,
    dice: StdRng,
    counter: u32,
    /// The ports that were acknowledged to it.
    ports: Vec<HeldPort>,
    /// Names of ports that may have been made, and when they were asked for.
    doubtful: Vec<(String, Instant)>,
    /// Ports that may have been deleted.
    doomed: Vec<Doomed>,
}

/// A port that is being deleted.
struct Doomed {
    held: HeldPort,
    /// When that was asked for first.
    since: Instant,
    /// Whether that was asked for and not answered.
    is_in_doubt: bool,
}

/// A port and its address.
struct HeldPort {
    port: String,
    address: String,
}

impl Writer {
    pub(crate) fn new(
        number: usize,
        stage: &Stage,
        network: &Network,
        seed: u64,
    ) -> Result<Self, Failure> {
        let apis = stage.cluster.controllers().iter();
        let apis = apis.map(|controller| controller.api_within(PATIENCE));
        Ok(Self {
            number,
            network: network.id.clone(),
            apis: apis.collect::<Result<_, _>>()?,
            dice: StdRng::seed_from_u64(seed),
            counter: 0,
            ports: Vec::new(),
            doubtful: Vec::new(),
            doomed: Vec::new(),
        })
    }

    pub(crate) fn write_until(&mut self, stop: &AtomicBool, known: &Acknowledged) {
        let mut turn = self.number;
        while !stop.load(Ordering::Relaxed) {
            let api = turn % self.apis.len();
            let delete = self.ports.len() >= MOST || self.dice.random_bool(0.3);
            let made = match delete && !self.ports.is_empty() {
                true => self.delete(api, known),
                false => self.create(api, known),
            };
            if !made || !self.settle_doubts(api, known) {
                turn += 1;
                thread::sleep(RETRY);
            }
        }
        for doomed in self.doomed.drain(..) {
            match doomed.is_in_doubt {
                true => known.note(Asked::TakeBack, &doomed.held, doomed.since, None),
                false => known.stays(doomed.held),
            }
        }
    }

    /// False: it was not acknowledged.
    fn create(&mut self, api: usize, known: &Acknowledged) -> bool {
        self.counter += 1;
        let name = format!("w{}-{}", self.number, self.counter);
        let wanted = json!({"port": {"network_id": self.network, "name": name}});
        let sent = Instant::now();
        match self.apis[api].post("/v2.0/ports", &wanted) {
            Ok((201, body)) => {
                self.adopt(&body["port"], sent, known);
                true
            }
            Ok((500..600, _)) | Err(_) => {
                self.doubtful.push((name, sent));
                false
            }
            Ok((status, body)) => panic!("{name}: {status} {body}"),
        }
    }

    fn adopt(&mut self, port: &Value, sent: Instant, known: &Acknowledged) {
        let held = HeldPort {
            port: text(&port["id"]),
            address: text(&port["fixed_ips"][0]["ip_address"]),
        };
        known.note(Asked::Give, &held, sent, Some(Instant::now()));
        known.created(&held);
        self.ports.push(held);
    }

    /// False: it was not acknowledged.
    fn delete(&mut self, api: usize, known: &Acknowledged) -> bool {
        let index = self.dice.random_range(0..self.ports.len());
        let held = self.ports.swap_remove(index);
        known.deleting(&held.port);
        self.doomed.push(Doomed {
            held,
            since: Instant::now(),
            is_in_doubt: false,
        });
        self.delete_doomed(api, known)
    }

    /// False: one was not acknowledged.
    fn delete_doomed(&mut self, api: usize, known: &Acknowledged) -> bool {
        while let Some(doomed) = self.doomed.last_mut() {
            let (held, since) = (&doomed.held, doomed.since);
            let id = &held.port;
            match self.apis[api].delete(&format!("/v2.0/ports/{id}")) {
                Ok((204, _)) => {
                    known.note(Asked::TakeBack, held, since, Some(Instant::now()));
                    known.deleted(id);
                }
                // By a request that was not answered.
                Ok((404, _)) if doomed.is_in_doubt => {
                    known.note(Asked::TakeBack, held, since, None);
                }
                // This controller has not heard of it yet. All that live have before long.
                Ok((404, _)) if since.elapsed() < HEARD_OF => return false,
                Ok((500..600, _)) | Err(_) => {
                    doomed.is_in_doubt = true;
                    return false;
                }
                Ok((status, body)) => panic!("{id} was acknowledged, and now: {status} {body}"),
            }
            self.doomed.pop();
        }
        true
    }

    /// Takes what came of requests that were not answered, so that it does not use up all addresses. False: no answer.
    fn settle_doubts(&mut self, api: usize, known: &Acknowledged) -> bool {
        while let Some((name, sent)) = self.doubtful.last() {
            let sent = *sent;
            let Ok((200, body)) = self.apis[api].get(&format!("/v2.0/ports?name={name}")) else {
                return false;
            };
            self.doubtful.pop();
            for port in body["ports"].as_array().into_iter().flatten() {
                self.adopt(port, sent, known);
            }
        }
        self.delete_doomed(api, known)
    }
}

/// What was acknowledged to all writers.
#[derive(Default)]
pub(crate) struct Acknowledged(Mutex<Ports>);

#[derive(Default)]
struct Ports {
    /// What was asked of each address, and when it was answered.
    history: History,
    /// Ports that nobody has asked to delete, with their addresses.
    there: BTreeMap<String, String>,
    /// Ports that were acknowledged to be deleted.
    gone: BTreeSet<String>,
    twice: Vec<String>,
    acknowledged: usize,
}

impl Acknowledged {
    fn ports(&self) -> MutexGuard<'_, Ports> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, asked: Asked, held: &HeldPort, sent: Instant, answered: Option<Instant>) {
        let operation = Operation {
            asked,
            port: held.port.clone(),
            sent,
            answered,
        };
        self.ports().history.note(&held.address, operation);
    }

    fn created(&self, held: &HeldPort) {
        let mut ports = self.ports();
        let address = held.address.clone();
        if ports.there.values().any(|held| *held == address) {
            ports.twice.push(address.clone());
        }
        ports.there.insert(held.port.clone(), address);
        ports.acknowledged += 1;
    }

    /// It was not deleted after all.
    fn stays(&self, held: HeldPort) {
        self.ports().there.insert(held.port, held.address);
    }

    /// From then on its address may be given to another.
    fn deleting(&self, id: &str) {
        self.ports().there.remove(id);
    }

    fn deleted(&self, id: &str) {
        let mut ports = self.ports();
        ports.gone.insert(id.to_owned());
        ports.acknowledged += 1;
    }

    /// Compares it with the ports of the cloud in the end.
    pub(crate) fn compare(&self, found: &[Value]) -> Outcome {
        let mut known = self.ports();
        let there: BTreeSet<String> = found.iter().map(|port| text(&port["id"])).collect();
        known.history.were_not_taken_back(&there);
        println!(
            "{} writes acknowledged, {} in the history of addresses",
            known.acknowledged,
            known.history.len()
        );
        if let Some((address, operations)) = known.history.unexplained() {
            let what = format!("no order explains what was answered of {address}: {operations:#?}");
            return Err(Failure::Observed(what));
        }
        ensure(known.acknowledged > 100, || "there was load".to_owned())?;
        ensure(known.twice.is_empty(), || {
            format!("given twice: {:?}", known.twice)
        })?;
        let found: BTreeMap<String, String> = found
            .iter()
            .map(|port| {
                let address = &port["fixed_ips"][0]["ip_address"];
                (text(&port["id"]), text(address))
            })
            .collect();
        for (id, address) in &known.there {
            ensure(found.get(id) == Some(address), || {
                format!("{id} with {address} is lost: {:?}", found.get(id))
            })?;
        }
        let back: Vec<&String> = known
            .gone
            .iter()
            .filter(|id| found.contains_key(*id))
            .collect();
        ensure(back.is_empty(), || format!("deleted, and there: {back:?}"))?;
        let different: BTreeSet<&String> = found.values().collect();
        ensure(different.len() == found.len(), || {
            format!("an address is there twice: {found:?}")
        })
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
