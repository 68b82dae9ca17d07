//! Requests that are made to cost much, and what others meanwhile wait: another client of the API, and a guest.

use super::latency::Latencies;
use super::packets::Question;
use super::rig::{Rig, Size};
use super::traffic::{Pace, Traffic};
use crate::api::Api;
use crate::error::LabError;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// What others have waited.
#[derive(Clone, Debug, Default)]
pub struct Waited {
    /// A client that asks for one network, again and again.
    pub client: Latencies,
    /// Guests that solicit routers.
    pub guests: Latencies,
    /// How many of the requests were answered meanwhile.
    pub answered: u64,
}

/// Has `clients` clients send such requests at once, as fast as they are answered.
///
/// # Errors
/// What failed on the way; an answer to the others that was wrong.
pub fn hostile(clients: usize, time: Duration) -> Result<Waited, LabError> {
    // Before there is a switch that must be served: it takes a while.
    let bodies: Vec<String> = (0..clients).map(|n| body(n).to_string()).collect();
    let mut rig = Rig::start(Size {
        switches: 1,
        guests: 20,
    })?;
    let api = rig.api()?;
    let network = api.create_network("hostile")?;
    let subnet = json!({"network_id": network.id, "ip_version": 6, "cidr": "2001:db8:bad::/64"});
    let (_, made) = api.post("/v2.0/subnets", &json!({"subnet": subnet}))?;
    let subnet = format!(
        "/v2.0/subnets/{}",
        made["subnet"]["id"].as_str().unwrap_or_default()
    );
    let (stop, answered) = (AtomicBool::new(false), AtomicU64::new(0));
    let traffic = Traffic {
        question: Question::RouterSolicitation,
        pace: Pace::Rate(100.0),
        time,
        count: u64::MAX,
    };
    let mut waited = thread::scope(|scope| {
        for body in &bodies {
            let (api, stop, answered) = (rig.api()?, &stop, &answered);
            let subnet = &subnet;
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) && api.request("PUT", subnet, &[], body).is_ok()
                {
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let (api, end) = (rig.api()?, Instant::now() + time);
        let path = format!("/v2.0/networks/{}", network.id);
        let asking = scope.spawn(move || ask(&api, &path, end));
        let report = rig.run(traffic);
        let client = asking.join().unwrap_or_else(|_| {
            Err(LabError::unexpected(
                "the client that asks",
                "it has panicked",
            ))
        });
        stop.store(true, Ordering::Relaxed);
        Ok::<_, LabError>(Waited {
            client: client?,
            guests: report?.latencies,
            answered: 0,
        })
    })?;
    waited.answered = answered.into_inner();
    Ok(waited)
}

/// Every client has its own way of asking for too much.
fn body(n: usize) -> Value {
    const MANY: usize = 20_000;
    let pool = json!({"start": "2001:db8:bad::1", "end": "2001:db8:bad::2"});
    let route = json!({"destination": "2001:db8::/64", "nexthop": "2001:db8:bad::1"});
    let asked = match n % 4 {
        0 => json!({"allocation_pools": vec![pool; MANY]}),
        1 => json!({"host_routes": vec![route; MANY]}),
        2 => json!({"dns_nameservers": vec!["2001:db8::1"; MANY]}),
        _ => json!({"allocation_pools": vec![pool; 64]}),
    };
    json!({"subnet": asked})
}

fn ask(api: &Api, path: &str, end: Instant) -> Result<Latencies, LabError> {
    let mut latencies = Latencies::default();
    while Instant::now() < end {
        let begin = Instant::now();
        api.get(path)?;
        latencies.add(begin.elapsed(), 1);
        thread::sleep(Duration::from_millis(5));
    }
    Ok(latencies)
}
