//! Addresses out of the pairs of ports: who announced them last has them, and there is an end to announcing.

use crate::clock::start;
use sextant_model::{
    AddressPair, Change, ChassisId, Facts, Intent, MacAddr, NetworkId, Object, Plugged, Port,
    PortId,
};
use sextant_responders::Learned;
use sextant_responders::host::{HeldAddresses, HostEvent};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

const PORTS: [PortId; 2] = [PortId::MIN, PortId::MAX];

fn mac(of: usize) -> MacAddr {
    [1, 2].map(|last| MacAddr([0xfa, 0x16, 0x3e, 0, 0, last]))[of]
}

fn on(of: usize) -> ChassisId {
    ChassisId::new(["h1", "h2"][of])
}

/// The owner of all that is known.
#[derive(Clone, Default)]
struct Owner {
    intent: Intent,
    facts: Facts,
}

impl Owner {
    /// Two ports that share a prefix, on a hypervisor each.
    fn new() -> Self {
        let mut owner = Self::default();
        for (of, id) in PORTS.into_iter().enumerate() {
            let pair = AddressPair {
                mac_address: None,
                ip_address: "2001:db8::/64".parse().unwrap(),
            };
            let mut port = Port::new(id, NetworkId::MAX, mac(of));
            port.allowed_address_pairs = [pair].into();
            let port = Object::Port(Arc::new(port));
            owner.intent.apply(&Change::Put(port));
            let plugged = Plugged {
                chassis: on(of),
                ofport: Some(1),
            };
            owner.facts.plug(&owner.intent, id, plugged);
        }
        owner
    }

    fn happen(&mut self, of: usize, events: Vec<HostEvent>) {
        for event in events {
            if let HostEvent::Announced(announced) = event {
                self.facts.hold(&self.intent, &on(of), announced);
            }
        }
    }
}

fn announce(held: &mut HeldAddresses, of: usize, address: IpAddr) {
    held.handle_learned(&Learned::Announced {
        port: PORTS[of],
        address,
        mac: mac(of),
    });
}

/// What comes of it when what was announced is compared with this.
fn news(held: &mut HeldAddresses, known: &Owner, now: Instant) -> Vec<HostEvent> {
    held.handle_snapshot(&known.intent, &known.facts, now);
    std::iter::from_fn(|| held.poll_event()).collect()
}

/// The first has it; the second takes it, and the first takes it back before its hypervisor hears of the second.
#[test]
fn who_announced_last_has_it_though_its_hypervisor_has_not_heard_of_the_other() {
    let (now, address) = (start().instant, "2001:db8::99".parse().unwrap());
    let mut owner = Owner::new();
    let mut all = [0, 1].map(|of| HeldAddresses::new(on(of)));
    announce(&mut all[0], 0, address);
    let first = news(&mut all[0], &owner, now);
    owner.happen(0, first);
    let heard = owner.clone();
    for of in [1, 0] {
        announce(&mut all[of], of, address);
        let said = news(&mut all[of], &heard, now);
        owner.happen(of, said);
    }
    let held: Vec<_> = owner.facts.held_by(PORTS[0]).collect();
    assert_eq!(held, [(address, mac(0))]);
}

#[test]
fn what_is_said_again_takes_nothing_from_what_is_news() {
    let now = start().instant;
    let mut owner = Owner::new();
    let mut held = HeldAddresses::new(on(0));
    let mut said = 0;
    for _ in 0..1000 {
        announce(&mut held, 0, "2001:db8::99".parse().unwrap());
        let events = news(&mut held, &owner, now);
        said += events.len();
        owner.happen(0, events);
    }
    assert_eq!(said, 1 + 32, "there is an end to it");
    announce(&mut held, 0, "2001:db8::98".parse().unwrap());
    assert_eq!(news(&mut held, &owner, now).len(), 1);
}

/// Ports share a prefix, and one announces more at once than it may.
#[test]
fn what_is_announced_over_the_limit_waits_and_is_not_lost() {
    let now = start().instant;
    let mut owner = Owner::new();
    let mut held = HeldAddresses::new(on(0));
    let address = |n: u16| IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 1, n]);
    for n in 0..256 {
        announce(&mut held, 0, address(n));
    }
    let first = news(&mut held, &owner, now);
    assert_eq!((first.len(), held.poll_timeout()), (256, None));
    owner.happen(0, first);

    for n in [300, 301, 302] {
        announce(&mut held, 0, address(n));
    }
    assert_eq!(news(&mut held, &owner, now), []);
    let later = held.poll_timeout().unwrap();
    assert!(later > now);
    // Another takes one of them over meanwhile.
    owner
        .facts
        .hold(&owner.intent, &on(1), (PORTS[1], address(301), mac(1)));

    assert_eq!(news(&mut held, &owner, now), [], "not before its time");
    let said = news(&mut held, &owner, later);
    let expected = [300, 302].map(|n| HostEvent::Announced((PORTS[0], address(n), mac(0))));
    assert_eq!(said, expected);
    assert_eq!(held.poll_timeout(), None);
}

#[test]
fn no_more_waits_than_a_port_may_have() {
    let now = start().instant;
    let owner = Owner::new();
    let mut held = HeldAddresses::new(on(0));
    for n in 0..2000 {
        announce(
            &mut held,
            0,
            IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 1, n]),
        );
    }
    assert_eq!(news(&mut held, &owner, now).len(), 256);
    let later = held.poll_timeout().unwrap();
    assert_eq!(news(&mut held, &owner, later).len(), 256);
    assert_eq!(held.poll_timeout(), None);
}
