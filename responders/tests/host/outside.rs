//! What is outside of a host: a router, next hops, and a server that delegates prefixes. They answer what reaches them.

use crate::guest::delegation::{ADVERTISE, Asked, REPLY, Said, association};
use crate::guest::link::arp;
use crate::uplinks::{FIRST, OWN, said};
use ipnet::Ipv6Net;
use sextant_model::{KnownNeighbor, MacAddr, PortId, Punt, RouterPreference};
use sextant_responders::dhcpv6::codec::Dhcpv6MessageType;
use sextant_responders::dhcpv6::option::IA_PD;
use sextant_responders::prefix_client::IAID;
use sextant_responders::respond;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

/// Addresses of a host's speaker and of next hops beside the router.
pub(crate) const OWN4: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 9);
pub(crate) const NEXT_HOP: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0xe, 0, 0, 0, 0, 0x99);
pub(crate) const NEXT_HOP4: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 1);

/// T1 and T2, and the preferred and valid lifetime of what the server delegates, in seconds.
pub(crate) const TIMES: (u32, u32) = (120, 200);
const LIFETIMES: (u32, u32) = (400, 600);
const NO_BINDING: u16 = 3;

pub(crate) struct OutsideWorld {
    /// Which MAC each address has.
    pub(crate) stations: BTreeMap<IpAddr, MacAddr>,
    /// Which prefix the server has delegated to each DUID.
    pub(crate) bindings: BTreeMap<Vec<u8>, Ipv6Net>,
}

impl OutsideWorld {
    pub(crate) fn new() -> Self {
        let stations = [
            (FIRST.link_local().into(), FIRST),
            (NEXT_HOP.into(), MacAddr([2, 0, 0, 0, 0, 8])),
            (NEXT_HOP4.into(), MacAddr([2, 0, 0, 0, 0, 9])),
        ];
        Self {
            stations: stations.into(),
            bindings: BTreeMap::new(),
        }
    }

    /// Next hops other than the router get other network cards.
    pub(crate) fn renew_cards(&mut self) {
        let router = FIRST.link_local();
        let others = self.stations.iter_mut();
        for (_, mac) in others.filter(|(address, _)| **address != router) {
            mac.0[4] += 1;
        }
    }

    /// What routers and next hops answer to a frame.
    pub(crate) fn answer_frame(&self, frame: &[u8]) -> Vec<Vec<u8>> {
        let advertisement = Arc::new(said(FIRST, 9000, RouterPreference::Medium));
        let solicited = Punt::RouterSolicitation {
            port: PortId::MIN,
            advertisements: vec![advertisement],
        };
        let mut answers = respond(&solicited, frame).frames;
        for (address, mac) in &self.stations {
            answers.extend(answer_of(*address, *mac, frame));
        }
        answers
    }

    /// What the server answers to a DHCPv6 message.
    pub(crate) fn answer_client(&mut self, frame: &[u8]) -> Said {
        let asked = Asked::read(frame);
        let is_bound = self.bindings.contains_key(&asked.client);
        let mut answer = match asked.kind {
            Dhcpv6MessageType::Solicit => self.give(&asked, ADVERTISE),
            Dhcpv6MessageType::Renew | Dhcpv6MessageType::Rebind if !is_bound => {
                Said::to(REPLY, &asked).refusing(NO_BINDING)
            }
            Dhcpv6MessageType::Release => {
                self.bindings.remove(&asked.client);
                Said::to(REPLY, &asked).status(0)
            }
            _ => {
                let prefix = prefix_for(&asked.client);
                self.bindings.insert(asked.client.clone(), prefix);
                self.give(&asked, REPLY)
            }
        };
        answer.addresses.destination_mac = OWN;
        answer.addresses.destination = OWN.link_local();
        answer
    }

    fn give(&self, asked: &Asked, kind: Dhcpv6MessageType) -> Said {
        let (preferred, valid) = LIFETIMES;
        let prefixes = [(prefix_for(&asked.client), preferred, valid)];
        Said::to(kind, asked).with(IA_PD, &association(IAID, TIMES, &prefixes, None))
    }
}

/// The prefix of a client: the last octets of its DUID are in it.
pub(crate) fn prefix_for(duid: &[u8]) -> Ipv6Net {
    let [.., a, b] = duid else {
        panic!("{duid:?}");
    };
    let third = u16::from_be_bytes([*a, *b]);
    Ipv6Net::new_assert(Ipv6Addr::new(0x2001, 0xdb8, third, 0, 0, 0, 0, 0), 64)
}

/// What a station answers if it is asked for its MAC.
fn answer_of(address: IpAddr, mac: MacAddr, frame: &[u8]) -> Vec<Vec<u8>> {
    match address {
        IpAddr::V6(address) => {
            let known = KnownNeighbor {
                address,
                mac,
                router: true,
                overrides: true,
                vlan_tci: 0,
            };
            respond(&Punt::NeighborSolicitation(known), frame).frames
        }
        IpAddr::V4(address) => {
            let asks = neighbor_asked_for(frame) == Some(address.into());
            Vec::from_iter(asks.then(|| arp(2, mac, address, OWN4)))
        }
    }
}

/// The address whose MAC a frame asks for (RFC 4861 §4.3, RFC 826).
pub(crate) fn neighbor_asked_for(frame: &[u8]) -> Option<IpAddr> {
    let kind = [frame[12], frame[13]];
    match kind {
        [0x08, 0x06] => {
            let target: [u8; 4] = frame[38..42].try_into().unwrap();
            Some(target.into())
        }
        [0x86, 0xdd] if frame[20] == 58 && frame[54] == 135 => {
            let target: [u8; 16] = frame[62..78].try_into().unwrap();
            Some(target.into())
        }
        _ => None,
    }
}
