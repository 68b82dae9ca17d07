//! Who has addresses out of the pairs of ports, as guests announce them. A guest changes flows everywhere by that, so there
//! is an end to how often.
//!
//! What is known comes out as well, though less often: another may have announced the address meanwhile, and the owner, who
//! hears of both in their order, is the only one to know.

use super::HostEvent;
use crate::Learned;
use crate::throttle::Throttle;
use sextant_model::{AddressHolder, ChassisId, Facts, Intent, MacAddr, PortId};
use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// So many a port, which is as many as it may have, in so long.
const BURST: u32 = 256;
const STRETCH: Duration = Duration::from_secs(20);
/// So many of those that are known already, besides: what is said again and again takes nothing from what is news.
const AGAIN: u32 = 32;

/// What was announced on one hypervisor.
#[derive(Debug)]
pub struct HeldAddresses {
    chassis: ChassisId,
    /// What has not been compared yet.
    heard: BTreeMap<(PortId, IpAddr), MacAddr>,
    throttles: BTreeMap<PortId, PortThrottles>,
    events: VecDeque<HostEvent>,
}

/// How often a port may announce.
#[derive(Debug)]
struct PortThrottles {
    news: Throttle,
    known: Throttle,
}

impl Default for PortThrottles {
    fn default() -> Self {
        Self {
            news: Throttle::new(BURST, STRETCH),
            known: Throttle::new(AGAIN, STRETCH),
        }
    }
}

impl HeldAddresses {
    /// A hypervisor where nothing was announced yet.
    #[must_use]
    pub fn new(chassis: ChassisId) -> Self {
        Self {
            chassis,
            heard: BTreeMap::new(),
            throttles: BTreeMap::new(),
            events: VecDeque::new(),
        }
    }

    /// Takes in what a packet showed, if that is what a guest announced.
    pub fn handle_learned(&mut self, learned: &Learned) {
        if let Learned::Announced { port, address, mac } = learned {
            self.heard.insert((*port, *address), *mac);
        }
    }

    /// Compares what was announced since the last call with what the owner knows.
    pub fn handle_snapshot(&mut self, intent: &Intent, facts: &Facts, now: Instant) {
        if self.heard.is_empty() {
            return;
        }
        for ((port, address), mac) in std::mem::take(&mut self.heard) {
            let announced = (port, address, mac);
            let Some(is_known) = self.is_known(intent, facts, announced) else {
                continue;
            };
            let throttles = self.throttles.entry(port).or_default();
            let throttle = match is_known {
                true => &mut throttles.known,
                false => &mut throttles.news,
            };
            if throttle.admit(now).is_some() {
                self.events.push_back(HostEvent::Announced(announced));
            }
        }
        if !self.events.is_empty() {
            let chassis = &self.chassis;
            self.throttles
                .retain(|port, _| is_on(facts, *port, chassis));
        }
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<HostEvent> {
        self.events.pop_front()
    }

    /// Whether it is known; none if it cannot be true.
    fn is_known(
        &self,
        intent: &Intent,
        facts: &Facts,
        (port, address, mac): (PortId, IpAddr, MacAddr),
    ) -> Option<bool> {
        let binding = facts.binding(port);
        let binding = binding.filter(|binding| binding.chassis == self.chassis)?;
        let holder = facts.holders().get(&(binding.network, address));
        let asked_for = intent.ports.get(&port)?;
        let may = asked_for.may_hold(address, mac);
        may.then(|| holder == Some(&AddressHolder { port, mac }))
    }
}

fn is_on(facts: &Facts, port: PortId, chassis: &ChassisId) -> bool {
    let binding = facts.binding(port);
    binding.is_some_and(|binding| binding.chassis == *chassis)
}
