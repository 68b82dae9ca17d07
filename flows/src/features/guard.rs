//! Holds guests to their own addresses, and keeps them from playing router or DHCP server.
//!
//! Port security as Neutron's Open vSwitch firewall has it; RA guard as RFC 6105 and RFC 7113, DHCPv6 shield as
//! RFC 7610. Unlike the reference, what hosts send before they have an address (Router Solicitations, duplicate address
//! probes, MLD reports from `::`) passes, as RFC 4861 and RFC 4862 want it. A port without port security may send
//! anything.

use super::{ethertype, icmpv6, icmpv6_type, ipv6, protocol};
use crate::flow::Flow;
use crate::pipeline::Stage;
use ipnet::IpNet;
use rust_openflow::{Field, Match};
use sextant_model::{AddressPair, MacAddr, Port};
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const UNGUARDED: u16 = 2000;
const NEVER: u16 = 1000;
const ALLOWED: u16 = 500;
const OTHERWISE: u16 = 100;

/// `nw_frag=first`: a fragment, and the first (ovs-fields(7)).
const FIRST_FRAGMENT: (u8, u8) = (1, 3);

/// What no guarded guest may send, whatever its addresses.
pub(crate) fn base() -> Vec<Flow> {
    let udp = |ethertype: u16, source: u16, destination: u16| {
        Match::new()
            .with(Field::ETH_TYPE, ethertype)
            .with(Field::IP_PROTO, protocol::UDP)
            .with(Field::UDP_SRC, source)
            .with(Field::UDP_DST, destination)
    };
    let mut never = vec![
        icmpv6_type(icmpv6::ROUTER_ADVERTISEMENT),
        icmpv6_type(icmpv6::REDIRECT),
        udp(ethertype::IPV6, 547, 546),
        udp(ethertype::IPV4, 67, 68),
        headers_not_in_first_fragment(),
    ];
    never.extend(fragmented_discovery());
    let drop = |matches| Flow::new(Stage::Guard, NEVER, matches);
    let unless_allowed = |kind| Flow::new(Stage::NeighborGuard, OTHERWISE, icmpv6_type(kind));
    let neighbor = [
        icmpv6::NEIGHBOR_SOLICITATION,
        icmpv6::NEIGHBOR_ADVERTISEMENT,
    ]
    .map(unless_allowed);
    never.into_iter().map(drop).chain(neighbor).collect()
}

/// A packet whose header chain Open vSwitch cannot follow to its end has no protocol: RFC 7112 forbids to send it, and
/// RFC 7113 §3 to let it past an RA guard.
fn headers_not_in_first_fragment() -> Match {
    ipv6().with(Field::IP_PROTO, 0u8)
}

/// Neighbor Discovery must not be fragmented (RFC 6980 §5).
fn fragmented_discovery() -> impl Iterator<Item = Match> {
    let (value, mask) = FIRST_FRAGMENT;
    [
        icmpv6::ROUTER_SOLICITATION,
        icmpv6::NEIGHBOR_SOLICITATION,
        icmpv6::NEIGHBOR_ADVERTISEMENT,
    ]
    .into_iter()
    .map(move |kind| icmpv6_type(kind).masked(Field::IP_FRAG, value, mask))
}

/// What the guest of a port may send.
pub(crate) fn port(port: &Port, ofport: u16) -> Vec<Flow> {
    if !port.port_security_enabled {
        let anything = Match::new().with(Field::IN_PORT, ofport);
        return vec![Flow::new(Stage::Guard, UNGUARDED, anything).goto(Stage::Punt)];
    }
    let sources = sources(port);
    let macs: BTreeSet<MacAddr> = sources.iter().map(|(mac, _)| *mac).collect();
    let mut flows = vec![];
    for mac in macs {
        flows.extend(before_any_address(ofport, mac));
        flows.extend(own_link_layer_address(ofport, mac));
    }
    for (mac, source) in sources {
        match source {
            IpNet::V6(_) => flows.extend(from_ipv6(ofport, mac, source)),
            IpNet::V4(_) => flows.extend(from_ipv4(ofport, mac, source)),
        }
    }
    flows
}

/// Every MAC and prefix that the port may send from.
fn sources(port: &Port) -> BTreeSet<(MacAddr, IpNet)> {
    let own = port.mac_address;
    let pair = |pair: &AddressPair| (pair.mac_address.unwrap_or(own), pair.ip_address.trunc());
    let fixed = port
        .fixed_ips
        .iter()
        .map(|fixed| (own, IpNet::from(fixed.ip_address)));
    let named: BTreeSet<_> = fixed
        .chain(port.allowed_address_pairs.iter().map(pair))
        .collect();
    let link_local =
        |(mac, _): &(MacAddr, IpNet)| (*mac, IpNet::from(IpAddr::from(mac.link_local())));
    let own_link_local = (own, IpNet::from(IpAddr::from(own.link_local())));
    named
        .iter()
        .map(link_local)
        .chain([own_link_local])
        .chain(named.iter().copied())
        .collect()
}

fn from(ofport: u16, mac: MacAddr, rest: Match) -> Match {
    rest.with(Field::IN_PORT, ofport).mac(Field::ETH_SRC, mac.0)
}

/// What a host sends before it has an address (RFC 4862 §5.4, RFC 4861 §6.3.7, RFC 3590; RFC 2131, RFC 5227).
fn before_any_address(ofport: u16, mac: MacAddr) -> Vec<Flow> {
    let unspecified = [
        icmpv6::NEIGHBOR_SOLICITATION,
        icmpv6::ROUTER_SOLICITATION,
        icmpv6::MLD_REPORT,
        icmpv6::MLDV2_REPORT,
    ]
    .map(|kind| icmpv6_type(kind).ipv6(Field::IPV6_SRC, Ipv6Addr::UNSPECIFIED));
    let discover = Match::new()
        .with(Field::ETH_TYPE, ethertype::IPV4)
        .with(Field::IPV4_SRC, Ipv4Addr::UNSPECIFIED.to_bits())
        .with(Field::IP_PROTO, protocol::UDP)
        .with(Field::UDP_SRC, 68u16)
        .with(Field::UDP_DST, 67u16);
    let probe = arp_from(mac, IpNet::from(IpAddr::V4(Ipv4Addr::UNSPECIFIED)));
    let allowed = unspecified.into_iter().chain([discover, probe]);
    allowed
        .map(|matches| {
            Flow::new(Stage::Guard, ALLOWED, from(ofport, mac, matches)).goto(Stage::NeighborGuard)
        })
        .collect()
}

fn from_ipv6(ofport: u16, mac: MacAddr, source: IpNet) -> Vec<Flow> {
    let packet = in_prefix(ipv6(), Field::IPV6_SRC, source);
    let target = in_prefix(
        icmpv6_type(icmpv6::NEIGHBOR_ADVERTISEMENT),
        Field::ND_TARGET,
        source,
    );
    let advertised = |link_layer: [u8; 6]| {
        let matches = from(ofport, mac, target.clone()).mac(Field::ND_TLL, link_layer);
        Flow::new(Stage::NeighborGuard, ALLOWED, matches).goto(Stage::Punt)
    };
    vec![
        Flow::new(Stage::Guard, ALLOWED, from(ofport, mac, packet)).goto(Stage::NeighborGuard),
        advertised(mac.0),
        advertised([0; 6]),
    ]
}

/// A solicitation names the sender's own MAC or none.
fn own_link_layer_address(ofport: u16, mac: MacAddr) -> Vec<Flow> {
    let solicited = |link_layer: [u8; 6]| {
        let matches = from(ofport, mac, icmpv6_type(icmpv6::NEIGHBOR_SOLICITATION))
            .mac(Field::ND_SLL, link_layer);
        Flow::new(Stage::NeighborGuard, ALLOWED, matches).goto(Stage::Punt)
    };
    vec![solicited(mac.0), solicited([0; 6])]
}

fn from_ipv4(ofport: u16, mac: MacAddr, source: IpNet) -> Vec<Flow> {
    let packet = in_prefix(
        Match::new().with(Field::ETH_TYPE, ethertype::IPV4),
        Field::IPV4_SRC,
        source,
    );
    let allowed = |matches| {
        Flow::new(Stage::Guard, ALLOWED, from(ofport, mac, matches)).goto(Stage::NeighborGuard)
    };
    vec![allowed(packet), allowed(arp_from(mac, source))]
}

fn arp_from(mac: MacAddr, source: IpNet) -> Match {
    let arp = Match::new()
        .with(Field::ETH_TYPE, ethertype::ARP)
        .mac(Field::ARP_SHA, mac.0);
    in_prefix(arp, Field::ARP_SPA, source)
}

fn in_prefix(matches: Match, field: Field, prefix: IpNet) -> Match {
    match prefix {
        IpNet::V6(prefix) => matches.masked(
            field,
            prefix.network().to_bits(),
            prefix.netmask().to_bits(),
        ),
        IpNet::V4(prefix) => matches.masked(
            field,
            prefix.network().to_bits(),
            prefix.netmask().to_bits(),
        ),
    }
}
