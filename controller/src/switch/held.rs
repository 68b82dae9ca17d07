//! What guests announce of addresses out of the pairs of their ports: told to the owner of state where it is news, and never
//! faster than a guest may change flows everywhere.

use crate::snapshot::Snapshot;
use crate::state::Event;
use crate::throttle::Throttle;
use sextant_model::{ChassisId, Holder, MacAddr, PortId};
use sextant_responders::Learned;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// So many a port, which is as many as it may have, in so long.
const BURST: u32 = 256;
const STRETCH: Duration = Duration::from_secs(20);

/// What was announced on a hypervisor and not told yet.
#[derive(Debug, Default)]
pub(super) struct HeldAddresses {
    heard: BTreeMap<(PortId, IpAddr), MacAddr>,
    throttles: BTreeMap<PortId, Throttle>,
}

impl HeldAddresses {
    pub(super) fn learn(&mut self, learned: &[Learned]) {
        for fact in learned {
            if let Learned::Announced { port, address, mac } = fact {
                self.heard.insert((*port, *address), *mac);
            }
        }
    }

    /// What is to be told of what was announced since the last call.
    pub(super) fn news(
        &mut self,
        chassis: &ChassisId,
        snapshot: &Snapshot,
        now: Instant,
    ) -> Vec<Event> {
        let mut news = vec![];
        for ((port, address), mac) in std::mem::take(&mut self.heard) {
            if !is_news(snapshot, chassis, (port, address, mac)) {
                continue;
            }
            let throttle = self.throttles.entry(port);
            let throttle = throttle.or_insert_with(|| Throttle::new(BURST, STRETCH));
            if throttle.admit(now).is_some() {
                news.push(Event::Announced(chassis.clone(), (port, address, mac)));
            }
        }
        if !news.is_empty() {
            let facts = &snapshot.facts;
            let here = |port: &PortId| {
                let binding = facts.binding(*port);
                binding.is_some_and(|binding| binding.chassis == *chassis)
            };
            self.throttles.retain(|port, _| here(port));
        }
        news
    }
}

/// Whether it is not known yet and could be true.
fn is_news(
    Snapshot { intent, facts, .. }: &Snapshot,
    chassis: &ChassisId,
    (port, address, mac): (PortId, IpAddr, MacAddr),
) -> bool {
    let binding = facts.binding(port);
    let Some(binding) = binding.filter(|binding| binding.chassis == *chassis) else {
        return false;
    };
    let holder = facts.holders().get(&(binding.network, address));
    let known = intent.ports.get(&port);
    holder != Some(&Holder { port, mac }) && known.is_some_and(|known| known.may_hold(address, mac))
}
