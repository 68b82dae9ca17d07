//! Answers ARP requests for IPv4 addresses of routers and guests in flows (RFC 826).
//!
//! One flow an address sets the MAC of its owner. One more flow turns any such request into its reply. An address
//! probe, from 0.0.0.0, is answered like any other request: the prober sees a reply from the address and has found a
//! conflict (RFC 5227 §2.1.1).

use super::ethertype;
use crate::flow::Flow;
use crate::pipeline::{
    ANSWER_MAC, BACK, Holding, NETWORK, OUTPUT, SWAPPED_IPV4, Stage, TAG, advertise, known,
    neighbor,
};
use rust_openflow::{Action, Field, Match};
use sextant_model::{MacAddr, Network, Port};
use std::net::Ipv4Addr;

const REQUEST: u16 = 1;
const REPLY: u16 = 2;

/// Answers requests on a network for a port's addresses with the port's MAC.
pub(crate) fn known(stage: Stage, network: &Network, port: &Port) -> Vec<Flow> {
    let answers = port.ipv4_addresses().map(|(_, address)| {
        let asks = asking_for(address).holding(NETWORK, network.key.0);
        answer(stage, asks, port.mac_address)
    });
    answers.collect()
}

/// Does not answer a guest that asks for an address of its own: so it finds no duplicate.
pub(crate) fn own(port: &Port, ofport: u16) -> Vec<Flow> {
    let silent = port.ipv4_addresses().map(|(_, address)| {
        let asks = asking_for(address).with(Field::IN_PORT, ofport);
        Flow::new(Stage::Neighbor, neighbor::OWN, asks).goto(Stage::Egress)
    });
    silent.collect()
}

/// Answers a guest that asks for a server's address, which no port has, with this MAC.
pub(crate) fn server(address: Ipv4Addr, mac: MacAddr, ofport: u16) -> Flow {
    let asks = asking_for(address).with(Field::IN_PORT, ofport);
    answer(Stage::Neighbor, asks, mac)
}

/// Answers who asks on a network for an address that no port has with this MAC.
pub(crate) fn on_link(network: &Network, address: Ipv4Addr, mac: MacAddr) -> Flow {
    let asks = asking_for(address).holding(NETWORK, network.key.0);
    answer(Stage::Neighbor, asks, mac)
}

/// The flow that all answers share.
pub(crate) fn base() -> Vec<Flow> {
    // Sources become destinations before they are overwritten. The two ARP addresses need a register to be swapped.
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
        OUTPUT.set(BACK),
    ];
    let answer = Flow::new(Stage::Advertise, advertise::ANSWER, request()).apply(reply);
    vec![answer.goto(Stage::Deliver)]
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
