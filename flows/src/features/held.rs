//! Addresses from the `allowed_address_pairs` of ports, such as a virtual router's. The port that announced one last
//! has it.
//!
//! On their own network guests resolve such an address themselves. A router sends packets to the port that announced
//! it, as to a fixed address. Until a port has announced it, the first packet for it goes up instead, and the
//! controller asks for it on the network.

use super::{neighbor, routing};
use crate::flow::Flow;
use crate::pipeline::{Holding, NETWORK, PROBLEM, Stage, next_hop, problem, report};
use rust_openflow::{Field, Match};
use sextant_model::{Asker, MacAddr, Network, Port, Punt};
use std::net::IpAddr;

/// Where routers send packets for the addresses that a port has from its pairs.
pub(crate) fn next_hops(network: &Network, port: &Port, held: &[(IpAddr, MacAddr)]) -> Vec<Flow> {
    let held = held.iter();
    let held = held.map(|(address, mac)| routing::reach(next_hop::HELD, network, *address, *mac));
    held.chain(asked_for(network, port)).collect()
}

/// Packets for an address that no port has announced go to the controller, as often as the meter of their sender's
/// punts allows.
fn asked_for<'a>(network: &'a Network, port: &'a Port) -> impl Iterator<Item = Flow> + use<'a> {
    // Without port security a port may have any address, so there are no pairs to ask for.
    let pairs = match port.port_security_enabled {
        true => port.allowed_address_pairs.as_slice(),
        false => &[],
    };
    pairs.iter().map(move |pair| {
        let prefix = pair.ip_address.trunc();
        let matches = routing::to_hop_within(network, prefix);
        Flow::new(Stage::NextHop, next_hop::UNHELD, matches)
            .apply(vec![PROBLEM.set(problem::UNHELD)])
            .goto(Stage::Refuse)
    })
}

/// A router's port asks on its network. At this stage the packet has the port's MAC as its source.
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
