//! What guests announce of addresses out of the pairs of their ports: told to the owner of state, and never faster than a
//! guest may change flows everywhere.
//!
//! What is known is told as well, though less often: another may have announced the address meanwhile, and the owner, who
//! hears of both in their order, is the only one to know.

use crate::snapshot::Snapshot;
use crate::state::Event;
use sextant_model::{AddressHolder, ChassisId, MacAddr, PortId};
use sextant_responders::Learned;
use sextant_responders::throttle::Throttle;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// So many a port, which is as many as it may have, in so long.
const BURST: u32 = 256;
const STRETCH: Duration = Duration::from_secs(20);
/// So many of those that are known already, besides: what is said again and again takes nothing from what is news.
const AGAIN: u32 = 32;

/// What was announced on a hypervisor and not told yet.
#[derive(Debug, Default)]
pub(super) struct HeldAddresses {
    heard: BTreeMap<(PortId, IpAddr), MacAddr>,
    throttles: BTreeMap<PortId, Throttles>,
}

/// How often a port is told of.
#[derive(Debug)]
struct Throttles {
    news: Throttle,
    known: Throttle,
}

impl Default for Throttles {
    fn default() -> Self {
        Self {
            news: Throttle::new(BURST, STRETCH),
            known: Throttle::new(AGAIN, STRETCH),
        }
    }
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
            let Some(is_known) = is_known(snapshot, chassis, (port, address, mac)) else {
                continue;
            };
            let throttles = self.throttles.entry(port).or_default();
            let throttle = match is_known {
                true => &mut throttles.known,
                false => &mut throttles.news,
            };
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

/// Whether it is known, as far as this session has heard; none if it cannot be true.
fn is_known(
    Snapshot { intent, facts, .. }: &Snapshot,
    chassis: &ChassisId,
    (port, address, mac): (PortId, IpAddr, MacAddr),
) -> Option<bool> {
    let binding = facts.binding(port);
    let binding = binding.filter(|binding| binding.chassis == *chassis)?;
    let holder = facts.holders().get(&(binding.network, address));
    let known = intent.ports.get(&port);
    let may = known.is_some_and(|known| known.may_hold(address, mac));
    may.then(|| holder == Some(&AddressHolder { port, mac }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sextant_model::{AddressPair, Change, Intent, NetworkId, Object, Plugged, Port};
    use std::sync::Arc;
    use uuid::Uuid;

    const PORTS: [PortId; 2] = [PortId(Uuid::from_u128(1)), PortId(Uuid::from_u128(2))];

    fn mac(of: usize) -> MacAddr {
        [1, 2].map(|last| MacAddr([0xfa, 0x16, 0x3e, 0, 0, last]))[of]
    }

    fn on(of: usize) -> ChassisId {
        ChassisId::new(["h1", "h2"][of])
    }

    /// Two ports that share a prefix, on a hypervisor each.
    fn snapshot() -> Snapshot {
        let mut snapshot = Snapshot::default();
        let mut intent = Intent::default();
        for (of, id) in PORTS.into_iter().enumerate() {
            let pair = AddressPair {
                mac_address: None,
                ip_address: "2001:db8::/64".parse().unwrap(),
            };
            let mut port = Port::new(id, NetworkId(Uuid::from_u128(7)), mac(of));
            port.allowed_address_pairs = [pair].into();
            intent.apply(&Change::Put(Object::Port(Arc::new(port))));
        }
        for (of, id) in PORTS.into_iter().enumerate() {
            let plugged = Plugged {
                chassis: on(of),
                ofport: Some(1),
            };
            snapshot.facts.plug(&intent, id, plugged);
        }
        snapshot.intent = intent;
        snapshot
    }

    fn announce(session: &mut HeldAddresses, of: usize, address: IpAddr) {
        session.learn(&[Learned::Announced {
            port: PORTS[of],
            address,
            mac: mac(of),
        }]);
    }

    fn happen(snapshot: &mut Snapshot, events: Vec<Event>) {
        for event in events {
            if let Event::Announced(chassis, announced) = event {
                snapshot.facts.hold(&snapshot.intent, &chassis, announced);
            }
        }
    }

    /// The first has it; the second takes it, and the first takes it back before its session hears of the second.
    #[test]
    fn who_announced_last_has_it_though_its_session_has_not_heard_of_the_other() {
        let (now, address): (_, IpAddr) = (Instant::now(), "2001:db8::99".parse().unwrap());
        let mut owner = snapshot();
        let mut sessions = [HeldAddresses::default(), HeldAddresses::default()];
        announce(&mut sessions[0], 0, address);
        let first = sessions[0].news(&on(0), &owner, now);
        happen(&mut owner, first);
        let heard = owner.clone();
        let mut said = vec![];
        for of in [1, 0] {
            announce(&mut sessions[of], of, address);
            said.extend(sessions[of].news(&on(of), &heard, now));
        }
        happen(&mut owner, said);
        let held: Vec<_> = owner.facts.held_by(PORTS[0]).collect();
        assert_eq!(held, [(address, mac(0))]);
    }

    #[test]
    fn what_is_said_again_takes_nothing_from_what_is_news() {
        let (now, address): (_, IpAddr) = (Instant::now(), "2001:db8::99".parse().unwrap());
        let mut owner = snapshot();
        let mut session = HeldAddresses::default();
        let mut told = 0;
        for _ in 0..1000 {
            announce(&mut session, 0, address);
            let events = session.news(&on(0), &owner, now);
            told += events.len();
            happen(&mut owner, events);
        }
        assert_eq!(told, 1 + 32, "there is an end to it");
        announce(&mut session, 0, "2001:db8::98".parse().unwrap());
        assert_eq!(session.news(&on(0), &owner, now).len(), 1);
    }
}
