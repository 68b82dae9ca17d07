//! Answers ARP requests for IPv4 addresses of routers and guests, in flows (RFC 826).
//!
//! One flow an address says whose it is; one flow turns any of these requests into its reply. An address probe, from
//! 0.0.0.0, is answered like any other request: whoever sees the address it was about to take as the sender's of any
//! packet has found a conflict (RFC 5227 §2.1.1).

use super::ethertype;
use crate::flow::Flow;
use crate::pipeline::{
    ANSWER_MAC, Holding, NETWORK, SWAPPED_IPV4, Stage, TAG, advertise, known, neighbor,
};
use rust_openflow::{Action, Field, Match, ports};
use sextant_model::{MacAddr, Network, Port};
use std::net::Ipv4Addr;

const REQUEST: u16 = 1;
const REPLY: u16 = 2;

/// Who asks for the address of a port on its network is told its MAC.
pub(crate) fn known(stage: Stage, network: &Network, port: &Port) -> Vec<Flow> {
    let answered = |(_, address)| {
        let asks = asking_for(address).holding(NETWORK, network.key.0);
        answer(stage, asks, port.mac_address)
    };
    port.ipv4_addresses().map(answered).collect()
}

/// Nobody is answered for an address of its own: that is how it finds no duplicate.
pub(crate) fn own(port: &Port, ofport: u16) -> Vec<Flow> {
    let silence = |(_, address)| {
        let asks = asking_for(address).with(Field::IN_PORT, ofport);
        Flow::new(Stage::Neighbor, neighbor::OWN, asks).goto(Stage::Egress)
    };
    port.ipv4_addresses().map(silence).collect()
}

/// A guest that asks for an address that is a server's, and no port's, is told this MAC.
pub(crate) fn server(address: Ipv4Addr, mac: MacAddr, ofport: u16) -> Flow {
    let asks = asking_for(address).with(Field::IN_PORT, ofport);
    answer(Stage::Neighbor, asks, mac)
}

/// What all answers have in common.
pub(crate) fn base() -> Vec<Flow> {
    let reply = vec![
        Action::set(Field::ARP_OP, REPLY),
        Action::copy(Field::ETH_SRC, Field::ETH_DST),
        ANSWER_MAC.copy_to(Field::ETH_SRC),
        Action::copy(Field::ARP_SHA, Field::ARP_THA),
        ANSWER_MAC.copy_to(Field::ARP_SHA),
        SWAPPED_IPV4.copy_from(Field::ARP_SPA),
        Action::copy(Field::ARP_TPA, Field::ARP_SPA),
        SWAPPED_IPV4.copy_to(Field::ARP_TPA),
        TAG.copy_to(Field::VLAN_TCI),
        Action::output(ports::IN_PORT),
    ];
    vec![Flow::new(Stage::Advertise, advertise::ANSWER, request()).apply(reply)]
}

fn answer(stage: Stage, asks: Match, mac: MacAddr) -> Flow {
    Flow::new(stage, known::KNOWN, asks)
        .apply(vec![ANSWER_MAC.set(mac.to_u64())])
        .goto(Stage::Advertise)
}

fn asking_for(address: Ipv4Addr) -> Match {
    request().with(Field::ARP_TPA, address.to_bits())
}

fn request() -> Match {
    Match::new()
        .with(Field::ETH_TYPE, ethertype::ARP)
        .with(Field::ARP_OP, REQUEST)
}
