//! Classifies what comes through tunnels, and sends frames through them.
//!
//! The tunnel ports are flow-based: endpoints and key are fields of the packet. Who may send is decided by the source
//! endpoint; the key is the network's, set by the sending hypervisor that has checked the guest. What is for a router is
//! on its way out, by the router's gateway here.

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
    let flow = |port: &u16| {
        Flow::new(
            Stage::Classify,
            100,
            from_endpoint(peer.encap.ip).with(Field::IN_PORT, *port),
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
    own.tunnel_ports.values().map(flow).collect()
}

fn from_endpoint(endpoint: IpAddr) -> Match {
    match endpoint {
        IpAddr::V6(address) => Match::new().ipv6(Field::TUN_IPV6_SRC, address),
        IpAddr::V4(address) => Match::new().with(Field::TUN_SRC, address.to_bits()),
    }
}

/// Makes the packet a frame of the network, from our endpoint; [`to`] sends it.
pub(crate) fn prepare(network: &Network, own: IpAddr) -> [Action; 2] {
    [Action::set(Field::TUN_ID, network.key.0), source(own)]
}

/// From our endpoint.
pub(crate) fn source(own: IpAddr) -> Action {
    match own {
        IpAddr::V6(own) => Action::set(Field::TUN_IPV6_SRC, own.to_bits()),
        IpAddr::V4(own) => Action::set(Field::TUN_SRC, own.to_bits()),
    }
}

/// Sends a prepared frame to a peer.
pub(crate) fn to(tunnel: &Tunnel) -> [Action; 2] {
    let destination = match tunnel.remote {
        IpAddr::V6(remote) => Action::set(Field::TUN_IPV6_DST, remote.to_bits()),
        IpAddr::V4(remote) => Action::set(Field::TUN_DST, remote.to_bits()),
    };
    [destination, Action::output(tunnel.port.into())]
}
