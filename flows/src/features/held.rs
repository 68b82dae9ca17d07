//! Addresses out of the `allowed_address_pairs` of ports, such as a virtual router's: who has one is whoever announced it last.
//!
//! On their own network guests find out among themselves. A router sends where it was announced, as to a fixed address. Where
//! nobody has announced it, the first packet for it goes up instead, and whoever may have it is asked.

use super::{neighbor, routing};
use crate::flow::Flow;
use crate::pipeline::{Holding, NETWORK, PROBLEM, Stage, next_hop, problem, report};
use crate::view::View;
use rust_openflow::{Field, Match};
use sextant_model::{Asker, Network, Port, Punt};
use std::net::IpAddr;

/// Where routers send what is for such addresses.
pub(crate) fn next_hops(view: &View<'_>, network: &Network, port: &Port) -> Vec<Flow> {
    let held = view.facts.held_by(port.id);
    let held = held.map(|(address, mac)| routing::reach(next_hop::HELD, network, address, mac));
    held.chain(asked_for(network, port)).collect()
}

/// What is for an address that nobody has announced is the controller's, as often as the sender's punts may be.
fn asked_for<'a>(network: &'a Network, port: &'a Port) -> impl Iterator<Item = Flow> + use<'a> {
    let pairs = port.allowed_address_pairs.iter();
    let pairs = pairs.filter(|_| port.port_security_enabled);
    pairs.map(move |pair| {
        let prefix = pair.ip_address.trunc();
        let matches = routing::to_hop_within(network, prefix);
        Flow::new(Stage::NextHop, next_hop::UNHELD, matches)
            .apply(vec![PROBLEM.set(problem::UNHELD)])
            .goto(Stage::Refuse)
    })
}

/// A router's port asks on its network. By then the packet comes from its MAC.
pub(crate) fn asker(network: &Network, port: &Port) -> Flow {
    let ipv4 = port.ipv4_addresses().map(|(_, address)| address.into());
    let ipv6 = neighbor::addresses(port).map(IpAddr::from);
    let matches = Match::new()
        .holding(PROBLEM, problem::UNHELD)
        .holding(NETWORK, network.key.0)
        .mac(Field::ETH_SRC, port.mac_address.0);
    Flow::new(Stage::Report, report::PORT, matches).punt(Punt::Unheld(Asker {
        network: network.key,
        mac: port.mac_address,
        addresses: ipv6.chain(ipv4).collect(),
        wanted: None,
    }))
}
