//! Holds guests to their own addresses, and keeps them from playing router or DHCP server.
//!
//! Port security as Neutron's Open vSwitch firewall has it; RA guard as RFC 6105 and RFC 7113, DHCPv6 shield as
//! RFC 7610. Unlike the reference, what hosts send before they have an address (Router Solicitations, duplicate address
//! probes, MLD reports from `::`) passes, as RFC 4861 and RFC 4862 want it. A port without port security may send
//! anything but what nobody may (`martian`).

use super::{ethertype, icmpv4, icmpv6, icmpv6_type, in_prefix, ipv4, ipv6, protocol};
use crate::flow::Flow;
use crate::pipeline::{Stage, guard, neighbor_guard};
use ipnet::IpNet;
use rust_openflow::{Field, Match};
use sextant_model::{AddressPair, MacAddr, Port, Punt};
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// All systems on this link (RFC 1112).
const ALL_HOSTS: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 1);

/// All addresses but 224.0.0.0/4: those of which one of the first four bits differs from its.
const NO_GROUP: [(u32, u32); 4] = [(0, 1 << 31), (0, 1 << 30), (0, 1 << 29), (1 << 28, 1 << 28)];

/// `nw_frag=first`: a fragment, and the first (ovs-fields(7)).
const FIRST_FRAGMENT: (u8, u8) = (1, 3);

/// What no guarded guest may send, whatever its addresses.
pub(crate) fn base() -> Vec<Flow> {
    let to_clients = [
        to_dhcp_client(ethertype::IPV6, 546),
        to_dhcp_client(ethertype::IPV4, 68),
    ];
    let never = of_routers()
        .chain(to_clients)
        .chain(hidden_headers())
        .chain(fragmented_discovery())
        .map(|matches| Flow::new(Stage::Guard, guard::NEVER, matches));
    never.chain(unproven_discovery()).collect()
}

/// What routers say, and whoever asks for listeners: RFC 4890 §4.3, RFC 4286 §5, RFC 3810 §6, RFC 3376 §6.6.2.
fn of_routers() -> impl Iterator<Item = Match> {
    let ipv6 = [
        icmpv6::ROUTER_ADVERTISEMENT,
        icmpv6::REDIRECT,
        icmpv6::ROUTER_RENUMBERING,
        icmpv6::MLD_QUERY,
    ];
    let ipv6 = ipv6.into_iter().chain(icmpv6::MULTICAST_ROUTERS);
    let ipv4_type = |kind: u8| {
        ipv4()
            .with(Field::IP_PROTO, protocol::ICMP)
            .with(Field::ICMPV4_TYPE, kind)
    };
    let routing = [icmpv4::REDIRECT, icmpv4::ROUTER_ADVERTISEMENT].map(ipv4_type);
    ipv6.map(icmpv6_type).chain(routing).chain(igmp_queries())
}

/// Open vSwitch matches no type of IGMP, so it is told by where it goes: what listeners say is for a group (RFC 3376 §4.2.14,
/// RFC 2236 §9) and never for all hosts, while a query counts wherever it is sent (RFC 3376 §4.1.12).
///
/// A query to a group itself looks like a report of RFC 2236, and passes as one.
fn igmp_queries() -> impl Iterator<Item = Match> {
    let igmp = || ipv4().with(Field::IP_PROTO, protocol::IGMP);
    let to_no_group = NO_GROUP.map(|(bit, mask)| igmp().masked(Field::IPV4_DST, bit, mask));
    let to_all = igmp().with(Field::IPV4_DST, ALL_HOSTS.to_bits());
    to_no_group.into_iter().chain([to_all])
}

/// What a DHCP client takes for a server's message: clients look at no source port (RFC 7610 §3).
fn to_dhcp_client(ethertype: u16, port: u16) -> Match {
    Match::new()
        .with(Field::ETH_TYPE, ethertype)
        .with(Field::IP_PROTO, protocol::UDP)
        .with(Field::UDP_DST, port)
}

/// Packets whose upper-layer header cannot be seen here, but may be by who receives them (RFC 7112 §5, RFC 7113 §3).
///
/// Open vSwitch follows hop-by-hop and destination options, routing, authentication and fragment headers to the upper
/// layer. Where the first of them is cut short there is no protocol; where they are whole but what follows is not in
/// the first fragment, its fields are 0. What other extension headers lead to is not known.
fn hidden_headers() -> impl Iterator<Item = Match> {
    let of = |protocol: u8| ipv6().with(Field::IP_PROTO, protocol);
    let unknown = [
        protocol::SHIM6,
        protocol::EXPERIMENT_1,
        protocol::EXPERIMENT_2,
    ];
    let cut_short = [
        icmpv6_type(0),
        of(protocol::UDP).with(Field::UDP_DST, 0u16),
        of(protocol::TCP).with(Field::TCP_DST, 0u16),
    ];
    [of(0)]
        .into_iter()
        .chain(unknown.map(of))
        .chain(cut_short.map(in_first_fragment))
}

fn in_first_fragment(matches: Match) -> Match {
    let (value, mask) = FIRST_FRAGMENT;
    matches.masked(Field::IP_FRAG, value, mask)
}

/// Neighbor Discovery must not be fragmented (RFC 6980 §5).
fn fragmented_discovery() -> impl Iterator<Item = Match> {
    [
        icmpv6::ROUTER_SOLICITATION,
        icmpv6::NEIGHBOR_SOLICITATION,
        icmpv6::NEIGHBOR_ADVERTISEMENT,
    ]
    .into_iter()
    .map(|kind| in_first_fragment(icmpv6_type(kind)))
}

/// What is said about neighbours passes only where a port's own flow allows it, and never if Open vSwitch could not read
/// it: then there is no target (`parse_icmpv6` in its `lib/flow.c`).
fn unproven_discovery() -> impl Iterator<Item = Flow> {
    let kinds = [
        icmpv6::NEIGHBOR_SOLICITATION,
        icmpv6::NEIGHBOR_ADVERTISEMENT,
    ];
    kinds.into_iter().flat_map(|kind| {
        let unread = discovery(kind).ipv6(Field::ND_TARGET, Ipv6Addr::UNSPECIFIED);
        [
            Flow::new(Stage::NeighborGuard, neighbor_guard::NEVER, unread),
            Flow::new(
                Stage::NeighborGuard,
                neighbor_guard::OTHERWISE,
                icmpv6_type(kind),
            ),
        ]
    })
}

/// A message whose target and link-layer option can be matched on.
fn discovery(kind: u8) -> Match {
    icmpv6_type(kind).with(Field::ICMPV6_CODE, 0u8)
}

/// What the guest of a port may send.
pub(crate) fn port(port: &Port, ofport: u16) -> Vec<Flow> {
    if !port.port_security_enabled {
        let anything = Match::new().with(Field::IN_PORT, ofport);
        return vec![Flow::new(Stage::Guard, guard::UNGUARDED, anything).goto(Stage::Punt)];
    }
    let sources = sources(port);
    let macs: BTreeSet<MacAddr> = sources.iter().map(|(mac, _)| *mac).collect();
    let mut flows = vec![];
    for mac in macs {
        flows.extend(before_any_address(ofport, mac));
        flows.extend(own_link_layer_address(ofport, mac));
    }
    for (mac, source) in sources {
        let announced = |flow: Flow| {
            let paired = port.is_paired(source, mac);
            let up = |flow: Flow| flow.copy_up(Punt::Announced(port.id), ofport.into());
            if paired { up(flow) } else { flow }
        };
        match source {
            IpNet::V6(_) => flows.extend(from_ipv6(ofport, mac, source, announced)),
            IpNet::V4(_) => flows.extend(from_ipv4(ofport, mac, source, announced)),
        }
    }
    flows
}

/// Every MAC and prefix that the port may send from.
fn sources(port: &Port) -> BTreeSet<(MacAddr, IpNet)> {
    let own = port.mac_address;
    let pair = |pair: &AddressPair| (pair.mac_address.unwrap_or(own), pair.ip_address.trunc());
    let fixed = port
        .addresses()
        .map(|(_, address)| (own, IpNet::from(address)));
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
            Flow::new(Stage::Guard, guard::ALLOWED, from(ofport, mac, matches))
                .goto(Stage::NeighborGuard)
        })
        .collect()
}

/// What it says of an address out of its pairs, it may just have taken over: a copy goes up.
fn from_ipv6(
    ofport: u16,
    mac: MacAddr,
    source: IpNet,
    announced: impl Fn(Flow) -> Flow,
) -> Vec<Flow> {
    let packet = in_prefix(ipv6(), Field::IPV6_SRC, source);
    let target = in_prefix(
        discovery(icmpv6::NEIGHBOR_ADVERTISEMENT),
        Field::ND_TARGET,
        source,
    );
    let advertised = |link_layer: [u8; 6]| {
        let matches = from(ofport, mac, target.clone()).mac(Field::ND_TLL, link_layer);
        announced(Flow::new(
            Stage::NeighborGuard,
            neighbor_guard::ALLOWED,
            matches,
        ))
        .goto(Stage::Punt)
    };
    vec![
        Flow::new(Stage::Guard, guard::ALLOWED, from(ofport, mac, packet))
            .goto(Stage::NeighborGuard),
        advertised(mac.0),
        advertised([0; 6]),
    ]
}

/// A solicitation names the sender's own MAC or none.
fn own_link_layer_address(ofport: u16, mac: MacAddr) -> Vec<Flow> {
    let solicited = |link_layer: [u8; 6]| {
        let matches = from(ofport, mac, discovery(icmpv6::NEIGHBOR_SOLICITATION))
            .mac(Field::ND_SLL, link_layer);
        Flow::new(Stage::NeighborGuard, neighbor_guard::ALLOWED, matches).goto(Stage::Punt)
    };
    vec![solicited(mac.0), solicited([0; 6])]
}

fn from_ipv4(
    ofport: u16,
    mac: MacAddr,
    source: IpNet,
    announced: impl Fn(Flow) -> Flow,
) -> Vec<Flow> {
    let packet = in_prefix(
        Match::new().with(Field::ETH_TYPE, ethertype::IPV4),
        Field::IPV4_SRC,
        source,
    );
    let allowed = |matches| Flow::new(Stage::Guard, guard::ALLOWED, from(ofport, mac, matches));
    let arp = announced(allowed(arp_from(mac, source)));
    vec![allowed(packet), arp]
        .into_iter()
        .map(|flow| flow.goto(Stage::NeighborGuard))
        .collect()
}

fn arp_from(mac: MacAddr, source: IpNet) -> Match {
    let arp = Match::new()
        .with(Field::ETH_TYPE, ethertype::ARP)
        .mac(Field::ARP_SHA, mac.0);
    in_prefix(arp, Field::ARP_SPA, source)
}
