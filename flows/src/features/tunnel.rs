//! Recognizes what comes through tunnels, and sends frames through them.
//!
//! A tunnel port is of one protocol and one IP version. The port's own endpoint is ours; the peer's endpoint and the
//! key are fields of the packet. The source endpoint decides who may send: hypervisors whose guests have something to
//! say to guests here. The key is the network's: the sending
//! hypervisor has checked the guest and set it. What is for a router's MAC is leaving the cloud by that router's
//! gateway here.
//!
//! Each IP version has a port and a table of its own. A kernel's datapath takes no flow that matches endpoints of both
//! versions. If one table had both, every flow would match both, and every packet would go up to ovs-vswitchd.
//!
//! A hypervisor may have an endpoint of each version. Both sides of a pair choose the version by the same rule, but not
//! at the same moment. So frames are accepted from either endpoint.

use crate::flow::Flow;
use crate::pipeline::{NETWORK, ORIGIN, Stage, classify, origin, tunnel};
use crate::view::{Tunnel, View};
use rust_openflow::{Action, Field, Match};
use sextant_model::{ChassisId, IpVersion, Network, PROBE_ETHERTYPE, PROBE_KEY, PROBE_MAC, Punt};
use std::collections::BTreeSet;
use std::net::IpAddr;

/// The endpoints of a hypervisor, of the IP versions that another one has tunnel ports of.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct PeerEndpoints {
    pub(crate) chassis: ChassisId,
    pub(crate) endpoints: Vec<IpAddr>,
}

/// Where the frames of a peer come from, if it may send here.
pub(crate) fn heard(view: &View<'_>, peer: &ChassisId) -> Option<PeerEndpoints> {
    let (own, peer) = (view.own()?, view.facts.chassis().get(peer)?);
    if own.id == peer.id || !view.hears(&peer.id) {
        return None;
    }
    let endpoints = peer.encap.endpoints.addresses();
    let endpoints = endpoints.filter(|endpoint| {
        let mut ports = own.tunnel_ports.keys();
        ports.any(|transport| transport.family == IpVersion::of(*endpoint))
    });
    Some(PeerEndpoints {
        chassis: peer.id.clone(),
        endpoints: endpoints.collect(),
    })
}

/// Frames from the endpoints of a peer that may send here are on the network of their key.
pub(crate) fn accepted(peer: &PeerEndpoints) -> Vec<Flow> {
    peer.endpoints.iter().copied().map(accept).collect()
}

fn accept(endpoint: IpAddr) -> Flow {
    let stage = stage(IpVersion::of(endpoint));
    Flow::new(stage, tunnel::ENDPOINT, from_endpoint(endpoint))
        .apply(vec![
            NETWORK.copy_from(Field::TUN_ID),
            ORIGIN.set(origin::TUNNEL),
        ])
        .goto(Stage::Router)
}

/// Packets from a tunnel port are looked up among the endpoints of its IP version.
pub(crate) fn arrive(view: &View<'_>) -> Vec<Flow> {
    let ports = view.own().into_iter().flat_map(|own| &own.tunnel_ports);
    ports
        .map(|(transport, port)| {
            let by_port = Match::new().with(Field::IN_PORT, *port);
            Flow::new(Stage::Classify, classify::PORT, by_port).goto(stage(transport.family))
        })
        .collect()
}

/// Sends up probes of other hypervisors, whoever may send here: whether they arrive is the question. They pass the meter
/// with the number of the tunnel port.
pub(crate) fn probed(view: &View<'_>) -> Vec<Flow> {
    let ports = view.own().into_iter().flat_map(|own| &own.tunnel_ports);
    ports
        .map(|(_, port)| {
            let probes = Match::new()
                .with(Field::IN_PORT, *port)
                .mac(Field::ETH_DST, PROBE_MAC.0)
                .with(Field::ETH_TYPE, PROBE_ETHERTYPE)
                .with(Field::TUN_ID, PROBE_KEY);
            Flow::new(Stage::Classify, classify::PROBE, probes)
                .punt(Punt::Probed)
                .meter(u32::from(*port))
        })
        .collect()
}

/// The meters of probes.
pub(crate) fn meters(view: &View<'_>) -> Vec<u32> {
    let own = view.own().into_iter();
    own.flat_map(|own| own.tunnel_ports.values())
        .map(|port| u32::from(*port))
        .collect()
}

/// How a probe gets from a hypervisor to another. `None`: there is no tunnel.
#[must_use]
pub fn probing(view: &View<'_>, peer: &ChassisId) -> Option<Vec<Action>> {
    let tunnel = view.tunnel_to(peer)?;
    let key = Action::set(Field::TUN_ID, PROBE_KEY);
    Some([&[key][..], &send(&tunnel)].concat())
}

/// Drops frames from all other endpoints. They have flows of their own, whose counters say how many there were.
pub(crate) fn unknown(view: &View<'_>) -> Vec<Flow> {
    let families = families(view).into_iter();
    families
        .map(|family| Flow::new(stage(family), tunnel::UNKNOWN, Match::new()))
        .collect()
}

/// The IP versions of our tunnel ports.
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
/// Open vSwitch does not send a packet correctly that has destinations of both versions. So the IPv6 one is cleared in
/// between.
pub(crate) fn through(network: &Network, tunnels: &[Tunnel]) -> Vec<Action> {
    let (ipv6, ipv4): (Vec<&Tunnel>, _) =
        tunnels.iter().partition(|tunnel| tunnel.remote.is_ipv6());
    let key = Action::set(Field::TUN_ID, network.key.0);
    let key = tunnels.first().map(|_| key);
    let mixed = !ipv6.is_empty() && !ipv4.is_empty();
    let cleared = mixed.then(|| Action::set(Field::TUN_IPV6_DST, 0u128));
    key.into_iter()
        .chain(ipv6.into_iter().flat_map(send))
        .chain(cleared)
        .chain(ipv4.into_iter().flat_map(send))
        .collect()
}

/// Sends a packet with its key set through a tunnel. The tunnel port adds our endpoint.
pub(crate) fn send(tunnel: &Tunnel) -> [Action; 2] {
    let destination = match tunnel.remote {
        IpAddr::V6(remote) => Action::set(Field::TUN_IPV6_DST, remote.to_bits()),
        IpAddr::V4(remote) => Action::set(Field::TUN_DST, remote.to_bits()),
    };
    [destination, Action::output(u32::from(tunnel.port))]
}
