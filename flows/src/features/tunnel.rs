//! Classifies what comes through tunnels, and sends frames through them.
//!
//! A tunnel port is of one protocol and one family of addresses. Ours is the port's own endpoint, theirs and the key are
//! fields of the packet. Who may send is decided by the source endpoint; the key is the network's, set by the sending
//! hypervisor that has checked the guest. What is for a router is on its way out, by the router's gateway here.
//!
//! Each family has a port and a table of its own. A kernel's datapath takes no flow that looks at endpoints of both
//! families, and where one table has both, so does each flow: every packet would go up to ovs-vswitchd.
//!
//! A hypervisor may have an endpoint of each family. Which of them a pair uses is for both to see in the same way, but not
//! at the same moment: frames are taken from either.

use crate::flow::Flow;
use crate::pipeline::{NETWORK, ORIGIN, Stage, classify, origin, tunnel};
use crate::view::{Tunnel, View};
use rust_openflow::{Action, Field, Match};
use sextant_model::{ChassisId, IpVersion, Network};
use std::collections::BTreeSet;
use std::net::IpAddr;

/// Frames from a known peer's endpoint are on the network of their key.
pub(crate) fn classify(view: &View<'_>, peer: &ChassisId) -> Vec<Flow> {
    let (Some(own), Some(peer)) = (view.own(), view.facts.chassis().get(peer)) else {
        return vec![];
    };
    if own.id == peer.id {
        return vec![];
    }
    let flow = |endpoint: IpAddr| {
        let stage = stage(IpVersion::of(endpoint));
        Flow::new(stage, tunnel::ENDPOINT, from_endpoint(endpoint))
            .apply(vec![
                NETWORK.copy_from(Field::TUN_ID),
                ORIGIN.set(origin::TUNNEL),
            ])
            .goto(Stage::Router)
    };
    let families = families(view);
    let endpoints = peer.encap.endpoints.addresses();
    endpoints
        .filter(|endpoint| families.contains(&IpVersion::of(*endpoint)))
        .map(flow)
        .collect()
}

/// What comes by a tunnel port is looked up among the endpoints of its family.
pub(crate) fn arrive(view: &View<'_>) -> Vec<Flow> {
    let ports = view.own().into_iter().flat_map(|own| &own.tunnel_ports);
    ports
        .map(|(transport, port)| {
            let by_port = Match::new().with(Field::IN_PORT, *port);
            Flow::new(Stage::Classify, classify::PORT, by_port).goto(stage(transport.family))
        })
        .collect()
}

/// Frames from any other endpoint are dropped. They have flows of their own, whose counters say how many there were.
pub(crate) fn unknown(view: &View<'_>) -> Vec<Flow> {
    let drop = |family| Flow::new(stage(family), tunnel::UNKNOWN, Match::new());
    families(view).into_iter().map(drop).collect()
}

/// The families of our tunnel ports.
fn families(view: &View<'_>) -> BTreeSet<IpVersion> {
    let own = view.own().into_iter();
    own.flat_map(|own| own.tunnel_ports.keys())
        .map(|transport| transport.family)
        .collect()
}

fn stage(family: IpVersion) -> Stage {
    match family {
        IpVersion::V6 => Stage::TunnelIpv6,
        IpVersion::V4 => Stage::TunnelIpv4,
    }
}

fn from_endpoint(endpoint: IpAddr) -> Match {
    match endpoint {
        IpAddr::V6(address) => Match::new().ipv6(Field::TUN_IPV6_SRC, address),
        IpAddr::V4(address) => Match::new().with(Field::TUN_SRC, address.to_bits()),
    }
}

/// Makes the packet a frame of the network, and sends a copy through each tunnel, those over IPv6 first.
///
/// A packet that has destinations of both families is not sent as it should be, so that of IPv6 is taken off it in between.
pub(crate) fn through(network: &Network, tunnels: &[Tunnel]) -> Vec<Action> {
    let (ipv6, ipv4): (Vec<&Tunnel>, _) =
        tunnels.iter().partition(|tunnel| tunnel.remote.is_ipv6());
    let key = Action::set(Field::TUN_ID, network.key.0);
    let key = tunnels.first().map(|_| key);
    let mixed = !ipv6.is_empty() && !ipv4.is_empty();
    let cleared = mixed.then(|| Action::set(Field::TUN_IPV6_DST, 0u128));
    let send = |tunnel: &&Tunnel| send(tunnel);
    key.into_iter()
        .chain(ipv6.iter().flat_map(send))
        .chain(cleared)
        .chain(ipv4.iter().flat_map(send))
        .collect()
}

/// Sends a packet whose key is set through a tunnel. The port gives it our endpoint.
pub(crate) fn send(tunnel: &Tunnel) -> [Action; 2] {
    let destination = match tunnel.remote {
        IpAddr::V6(remote) => Action::set(Field::TUN_IPV6_DST, remote.to_bits()),
        IpAddr::V4(remote) => Action::set(Field::TUN_DST, remote.to_bits()),
    };
    [destination, Action::output(u32::from(tunnel.port))]
}
