//! Random changes to networks with so many members that their shards matter.

use super::names::network;
use crate::support::Cloud;
use crate::support::cloud::{network_id, port_id};
use proptest::prelude::*;
use sextant_model::EncapKind;
use std::net::Ipv6Addr;

/// One change. Where it names a network that does not exist, it is none.
#[derive(Clone, Copy, Debug)]
pub(super) enum CrowdStep {
    /// So many hypervisors have a guest of the network.
    Elsewhere(u8, u8),
    /// So many guests of the network are on the first hypervisor.
    Here(u8, u8),
    /// One of these guests moves between a hypervisor of its own and the first one.
    Moves(u8, u8),
    /// So many guests of the network may use a MAC besides their own.
    Share(u8, u8),
    /// One of the hypervisors has another endpoint.
    Endpoint(u8, bool),
}

/// How many there are at most.
const MOST: u8 = 70;
const SHARED_MAC: &str = "00:00:5e:00:02:07";

pub(super) fn step() -> impl Strategy<Value = CrowdStep> {
    // About one shard, two and four.
    let size = || prop_oneof![Just(0u8), 30..36u8, 62..68u8, 0..MOST];
    let (n, one) = (|| 0..2u8, || 0..MOST);
    prop_oneof![
        3 => (n(), size()).prop_map(|(n, size)| CrowdStep::Elsewhere(n, size)),
        3 => (n(), size()).prop_map(|(n, size)| CrowdStep::Here(n, size)),
        2 => (n(), one()).prop_map(|(n, one)| CrowdStep::Moves(n, one)),
        2 => (n(), size()).prop_map(|(n, size)| CrowdStep::Share(n, size)),
        1 => (one(), any::<bool>()).prop_map(|(one, other)| CrowdStep::Endpoint(one, other)),
    ]
}

impl CrowdStep {
    pub(super) fn apply(self, cloud: &mut Cloud) {
        match self {
            Self::Elsewhere(n, size) => gather(cloud, n, size, Place::OfItsOwn),
            Self::Here(n, size) => gather(cloud, n, size, Place::First),
            Self::Moves(n, one) => {
                let place = Place::OfItsOwn;
                let (guest, to) = (place.guest(n, one), Place::First.hypervisor(one));
                if cloud.facts.plugged().contains_key(&port_id(&guest)) {
                    cloud.plug(&guest, &to);
                }
            }
            Self::Share(n, size) => {
                for one in 0..MOST {
                    share(cloud, &Place::OfItsOwn.guest(n, one), one < size);
                    share(cloud, &Place::First.guest(n, one), one < size);
                }
            }
            Self::Endpoint(one, other) => join(cloud, one, if other { 0x79 } else { 0x78 }),
        }
        cloud.facts.place_gateways(&cloud.intent);
    }
}

/// Where guests of a crowd are.
#[derive(Clone, Copy)]
enum Place {
    First,
    OfItsOwn,
}

impl Place {
    fn guest(self, n: u8, one: u8) -> String {
        match self {
            Self::First => format!("here{n}-{one}"),
            Self::OfItsOwn => format!("far{n}-{one}"),
        }
    }

    fn hypervisor(self, one: u8) -> String {
        match self {
            Self::First => "h0".to_owned(),
            Self::OfItsOwn => format!("x{one}"),
        }
    }
}

/// The first so many guests of a crowd are plugged in, and no others.
fn gather(cloud: &mut Cloud, n: u8, size: u8, place: Place) {
    let network = network(n);
    if !cloud.intent.networks.contains_key(&network_id(&network)) {
        return;
    }
    for one in 0..MOST {
        let guest = place.guest(n, one);
        if one >= size {
            cloud.unplug(&guest);
            continue;
        }
        if !cloud.intent.ports.contains_key(&port_id(&guest)) {
            cloud.port(&guest, &network);
        }
        if matches!(place, Place::OfItsOwn) {
            join(cloud, one, 0x78);
        }
        cloud.plug(&guest, &place.hypervisor(one));
    }
}

fn join(cloud: &mut Cloud, one: u8, subnet: u16) {
    let endpoint = Ipv6Addr::new(0x2001, 0xdb8, subnet, 0, 0, 0, 0, one.into());
    let name = Place::OfItsOwn.hypervisor(one);
    cloud.hypervisor(&name, endpoint.into(), EncapKind::Vxlan);
}

fn share(cloud: &mut Cloud, guest: &str, may: bool) {
    if !cloud.intent.ports.contains_key(&port_id(guest)) {
        return;
    }
    cloud.change_port(guest, |port| port.allowed_address_pairs.clear());
    if may {
        cloud.allow(guest, Some(SHARED_MAC), "2001:db8:f9::1/128");
    }
}
