//! Who has addresses out of the pairs of ports, as guests announce them. A guest changes flows everywhere by that, so there
//! is an end to how often.
//!
//! What is over the limit waits for its turn: a guest announces once that it has taken an address over. It no longer counts if
//! another has the address meanwhile.
//!
//! What is known comes out as well, though less often: another may have announced the address meanwhile, and the owner, who
//! hears of both in their order, is the only one to know.

use super::HostEvent;
use crate::Learned;
use crate::throttle::Throttle;
use sextant_model::{AddressHolder, ChassisId, Facts, Intent, MacAddr, NetworkId, PortId};
use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// So many a port, which is as many as it may have, in so long.
const BURST: u32 = 256;
const STRETCH: Duration = Duration::from_secs(20);
/// So many of those that are known already, besides: what is said again and again takes nothing from what is news.
const AGAIN: u32 = 32;
/// So many of a port wait at most, which is as many addresses as it may have.
const MOST_WAITING: usize = 256;

/// What was announced on one hypervisor.
#[derive(Debug)]
pub struct HeldAddresses {
    chassis: ChassisId,
    /// What has not been compared yet.
    heard: BTreeMap<(PortId, IpAddr), MacAddr>,
    /// What is news and waits for its throttle.
    waiting: BTreeMap<PortId, BTreeMap<IpAddr, WaitingNews>>,
    throttles: BTreeMap<PortId, PortThrottles>,
    events: VecDeque<HostEvent>,
}

/// An announcement over the limit.
#[derive(Debug)]
struct WaitingNews {
    network: NetworkId,
    mac: MacAddr,
    /// Who had the address when this was announced.
    before: Option<AddressHolder>,
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
            waiting: BTreeMap::new(),
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

    /// Compares what was announced since the last call, and what has waited since, with what the owner knows.
    pub fn handle_snapshot(&mut self, intent: &Intent, facts: &Facts, now: Instant) {
        let is_due = self.poll_timeout().is_some_and(|due| due <= now);
        if self.heard.is_empty() && !is_due {
            return;
        }
        if is_due {
            self.admit_waiting(intent, facts, now);
        }
        for ((port, address), mac) in std::mem::take(&mut self.heard) {
            let announced = (port, address, mac);
            if let Some(network) = self.network_of(intent, facts, announced) {
                self.admit(network, announced, facts, now);
            }
        }
        if !self.events.is_empty() {
            let chassis = &self.chassis;
            self.throttles
                .retain(|port, _| is_on(facts, *port, chassis));
            self.waiting.retain(|port, _| is_on(facts, *port, chassis));
        }
    }

    /// When what waits is to be compared again.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let ports = self.waiting.keys();
        let throttles = ports.filter_map(|port| self.throttles.get(port));
        throttles
            .filter_map(|throttles| throttles.news.opens_at())
            .min()
    }

    /// Tells of an announcement, or has it wait.
    fn admit(
        &mut self,
        network: NetworkId,
        announced: (PortId, IpAddr, MacAddr),
        facts: &Facts,
        now: Instant,
    ) {
        let (port, address, mac) = announced;
        let before = facts.holders().get(&(network, address)).copied();
        self.forget(network, address);
        let throttles = self.throttles.entry(port).or_default();
        let is_known = before == Some(AddressHolder { port, mac });
        let throttle = match is_known {
            true => &mut throttles.known,
            false => &mut throttles.news,
        };
        if throttle.admit(now).is_some() {
            self.events.push_back(HostEvent::Announced(announced));
        } else if !is_known {
            let waiting = self.waiting.entry(port).or_default();
            if waiting.len() < MOST_WAITING {
                let news = WaitingNews {
                    network,
                    mac,
                    before,
                };
                waiting.insert(address, news);
            }
        }
    }

    /// What waited for an address does not count any more: it was announced again, or by another.
    fn forget(&mut self, network: NetworkId, address: IpAddr) {
        self.waiting.retain(|_, waiting| {
            if waiting
                .get(&address)
                .is_some_and(|news| news.network == network)
            {
                waiting.remove(&address);
            }
            !waiting.is_empty()
        });
    }

    /// Has those that wait for an open throttle try again, unless somebody else has taken the address meanwhile.
    fn admit_waiting(&mut self, intent: &Intent, facts: &Facts, now: Instant) {
        for (port, waiting) in std::mem::take(&mut self.waiting) {
            let throttles = self.throttles.get(&port);
            let opens = throttles.and_then(|throttles| throttles.news.opens_at());
            if opens.is_some_and(|opens| opens > now) {
                self.waiting.insert(port, waiting);
                continue;
            }
            for (address, news) in waiting {
                let announced = (port, address, news.mac);
                let holder = facts.holders().get(&(news.network, address)).copied();
                if holder == news.before
                    && self.network_of(intent, facts, announced) == Some(news.network)
                {
                    self.admit(news.network, announced, facts, now);
                }
            }
        }
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<HostEvent> {
        self.events.pop_front()
    }

    /// The network where this counts; none if it cannot be true.
    fn network_of(
        &self,
        intent: &Intent,
        facts: &Facts,
        (port, address, mac): (PortId, IpAddr, MacAddr),
    ) -> Option<NetworkId> {
        let binding = facts.binding(port);
        let binding = binding.filter(|binding| binding.chassis == self.chassis)?;
        let asked_for = intent.ports.get(&port)?;
        asked_for.may_hold(address, mac).then_some(binding.network)
    }
}

fn is_on(facts: &Facts, port: PortId, chassis: &ChassisId) -> bool {
    let binding = facts.binding(port);
    binding.is_some_and(|binding| binding.chassis == *chassis)
}
