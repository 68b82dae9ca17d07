//! Classifies what comes through tunnels, and sends frames through them.
//!
//! The tunnel ports are flow-based: endpoints and key are fields of the packet. Who may send is decided by the source
//! endpoint; the key is the network's, set by the sending hypervisor that has checked the guest. What is for a router is
//! on its way out, by the router's gateway here.
//!
//! A hypervisor may have an endpoint of each family. Which of them a pair uses is for both to see in the same way, but not
//! at the same moment: frames are taken from either.

use crate::flow::Flow;
use crate::pipeline::{NETWORK, ORIGIN, ORIGIN_TUNNEL, Stage};
use crate::view::{Tunnel, View};
use rust_openflow::{Action, Field, Match, Subfield};
use sextant_model::{ChassisId, Network};
use std::net::IpAddr;

/// Frames from a known peer's endpoint, on any of our tunnel ports, are on the network of their key.
pub(crate) fn classify(view: &View<'_>, peer: &ChassisId) -> Vec<Flow> {
    let (Some(own), Some(peer)) = (view.own(), view.facts.chassis().get(peer)) else {
        return vec![];
    };
    if own.id == peer.id {
        return vec![];
    }
    let key = Subfield {
        field: Field::TUN_ID,
        offset: 0,
        bits: 32,
    };
    let flow = |(port, endpoint): (u16, IpAddr)| {
        Flow::new(
            Stage::Classify,
            100,
            from_endpoint(endpoint).with(Field::IN_PORT, port),
        )
        .apply(vec![
            Action::Move {
                src: key,
                dst: Subfield::whole(NETWORK),
            },
            Action::set(ORIGIN, ORIGIN_TUNNEL),
        ])
        .goto(Stage::Router)
    };
    let endpoints = peer.encap.endpoints;
    let to = |port: &u16| {
        let port = *port;
        endpoints.addresses().map(move |endpoint| (port, endpoint))
    };
    let ways = own.tunnel_ports.values().flat_map(to);
    ways.map(flow).collect()
}

/// Frames from any other endpoint are dropped. They have flows of their own, whose counters say how many there were.
pub(crate) fn unknown(view: &View<'_>) -> Vec<Flow> {
    let ports = view
        .own()
        .into_iter()
        .flat_map(|own| own.tunnel_ports.values());
    let drop = |port: &u16| {
        let from_tunnel = Match::new().with(Field::IN_PORT, *port);
        Flow::new(Stage::Classify, 10, from_tunnel)
    };
    ports.map(drop).collect()
}

fn from_endpoint(endpoint: IpAddr) -> Match {
    match endpoint {
        IpAddr::V6(address) => Match::new().ipv6(Field::TUN_IPV6_SRC, address),
        IpAddr::V4(address) => Match::new().with(Field::TUN_SRC, address.to_bits()),
    }
}

/// Makes the packet a frame of the network, and sends a copy through each tunnel, those over IPv6 first.
///
/// A packet that has endpoints of both families is not sent as it should be, so those of IPv6 are taken off it in between.
pub(crate) fn through(network: &Network, tunnels: &[Tunnel]) -> Vec<Action> {
    let (ipv6, ipv4): (Vec<&Tunnel>, _) = tunnels.iter().partition(|tunnel| tunnel.local.is_ipv6());
    let key = Action::set(Field::TUN_ID, network.key.0);
    let mixed = !ipv6.is_empty() && !ipv4.is_empty();
    let ipv6_ends = [Field::TUN_IPV6_SRC, Field::TUN_IPV6_DST];
    let cleared = ipv6_ends.map(|end| Action::set(end, 0u128));
    let key = tunnels.first().map(|_| key);
    key.into_iter()
        .chain(of_one_family(&ipv6))
        .chain(cleared.into_iter().filter(|_| mixed))
        .chain(of_one_family(&ipv4))
        .collect()
}

/// Sends a packet whose key is set through a tunnel.
pub(crate) fn send(tunnel: &Tunnel) -> Vec<Action> {
    of_one_family(&[tunnel])
}

fn of_one_family(tunnels: &[&Tunnel]) -> Vec<Action> {
    let source = tunnels.first().map(|tunnel| match tunnel.local {
        IpAddr::V6(own) => Action::set(Field::TUN_IPV6_SRC, own.to_bits()),
        IpAddr::V4(own) => Action::set(Field::TUN_SRC, own.to_bits()),
    });
    let sent = tunnels.iter().flat_map(|tunnel| to(tunnel));
    source.into_iter().chain(sent).collect()
}

fn to(tunnel: &Tunnel) -> [Action; 2] {
    let destination = match tunnel.remote {
        IpAddr::V6(remote) => Action::set(Field::TUN_IPV6_DST, remote.to_bits()),
        IpAddr::V4(remote) => Action::set(Field::TUN_DST, remote.to_bits()),
    };
    [destination, Action::output(tunnel.port.into())]
}
