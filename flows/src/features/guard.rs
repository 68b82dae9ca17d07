//! Holds guests to their own addresses, and keeps them from acting as router or DHCP server.
//!
//! Port security is that of Neutron's Open vSwitch firewall, RA guard that of RFC 6105 and RFC 7113, DHCPv6 shield that
//! of RFC 7610. Unlike in Neutron, packets that hosts send before they have an address pass, as RFC 4861 and RFC 4862
//! ask for. Those are Router Solicitations, duplicate address probes, and MLD reports from `::`. A port without port
//! security may send anything but what nobody may (`martian`).

use super::{ethertype, icmpv4, icmpv6, icmpv6_type, in_prefix, ipv4, ipv6, protocol};
use crate::flow::Flow;
use crate::pipeline::{Stage, guard, neighbor_guard};
use ipnet::IpNet;
use rust_openflow::{Field, Match};
use sextant_model::{MacAddr, Port, Punt};
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// All systems on this link (RFC 1112).
const ALL_HOSTS: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 1);

/// All that look for multicast routers (RFC 4286 §4.1).
const ALL_SNOOPERS: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 106);

/// All addresses but 224.0.0.0/4: at least one of their first four bits differs.
const NO_GROUP: [(u32, u32); 4] = [(0, 1 << 31), (0, 1 << 30), (0, 1 << 29), (1 << 28, 1 << 28)];

/// `nw_frag=first`: the first fragment (ovs-fields(7)).
const FIRST_FRAGMENT: (u8, u8) = (1, 3);

/// What no guarded guest may send, whatever its addresses are.
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

/// What only routers send, and queries for listeners: RFC 4890 §4.3, RFC 4286 §5, RFC 3810 §6, RFC 3376 §6.6.2.
fn of_routers() -> impl Iterator<Item = Match> {
    let ipv6 = [
        icmpv6::ROUTER_ADVERTISEMENT,
        icmpv6::REDIRECT,
        icmpv6::ROUTER_RENUMBERING,
        icmpv6::MLD_QUERY,
    ];
    let ipv6 = ipv6.into_iter().chain(icmpv6::MULTICAST_ROUTERS);
    let routing = [icmpv4::REDIRECT, icmpv4::ROUTER_ADVERTISEMENT].map(|kind| {
        ipv4()
            .with(Field::IP_PROTO, protocol::ICMP)
            .with(Field::ICMPV4_TYPE, kind)
    });
    ipv6.map(icmpv6_type)
        .chain(routing)
        .chain(of_igmp_routers())
}

/// Open vSwitch matches no type of IGMP, so the destination decides. A listener's report goes to a group (RFC 3376
/// §4.2.14, RFC 2236 §9) and never to all hosts. A query counts at any destination (RFC 3376 §4.1.12).
///
/// A query to one group looks like a report of RFC 2236, and passes as one. What multicast routers say of themselves goes
/// to [`ALL_SNOOPERS`].
fn of_igmp_routers() -> impl Iterator<Item = Match> {
    let igmp = ipv4().with(Field::IP_PROTO, protocol::IGMP);
    let to_all =
        [ALL_HOSTS, ALL_SNOOPERS].map(|group| igmp.clone().with(Field::IPV4_DST, group.to_bits()));
    let to_no_group = NO_GROUP.map(|(bit, mask)| igmp.clone().masked(Field::IPV4_DST, bit, mask));
    to_no_group.into_iter().chain(to_all)
}

/// What a DHCP client takes for a server's message. Clients do not look at the source port (RFC 7610 §3).
fn to_dhcp_client(ethertype: u16, port: u16) -> Match {
    Match::new()
        .with(Field::ETH_TYPE, ethertype)
        .with(Field::IP_PROTO, protocol::UDP)
        .with(Field::UDP_DST, port)
}

/// Packets whose upper-layer header cannot be seen here, while their receiver may see it (RFC 7112 §5, RFC 7113 §3).
///
/// Open vSwitch follows hop-by-hop and destination options, routing, authentication and fragment headers to the upper
/// layer. If the first of these is cut short, the protocol is 0. If they are whole but the upper layer is not in the
/// first fragment, its fields are 0. Open vSwitch does not follow other extension headers.
fn hidden_headers() -> impl Iterator<Item = Match> {
    let unknown = [
        protocol::SHIM6,
        protocol::EXPERIMENT_1,
        protocol::EXPERIMENT_2,
    ];
    let cut_short = [
        icmpv6_type(0),
        of_protocol(protocol::UDP).with(Field::UDP_DST, 0u16),
        of_protocol(protocol::TCP).with(Field::TCP_DST, 0u16),
    ];
    [of_protocol(0)]
        .into_iter()
        .chain(unknown.map(of_protocol))
        .chain(cut_short.map(in_first_fragment))
}

fn of_protocol(protocol: u8) -> Match {
    ipv6().with(Field::IP_PROTO, protocol)
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

/// Neighbor Solicitations and Advertisements pass only by a port's own flow. Those that Open vSwitch could not read
/// never pass: their target is 0 (`parse_icmpv6` in its `lib/flow.c`).
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

/// A message whose target and link-layer option can be matched.
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
        match source {
            IpNet::V6(_) => flows.extend(from_ipv6(port, ofport, mac, source)),
            IpNet::V4(_) => flows.extend(from_ipv4(port, ofport, mac, source)),
        }
    }
    flows
}

/// A copy goes up of what a port says of an address from its pairs: it may have taken the address over. Nobody takes over
/// the port's own addresses.
fn announcing(flow: Flow, port: &Port, ofport: u16, mac: MacAddr, source: IpNet) -> Flow {
    if port.is_paired(source, mac) {
        flow.copy_up(Punt::Announced(port.id), ofport.into())
    } else {
        flow
    }
}

/// Every MAC and prefix that the port may send from.
fn sources(port: &Port) -> BTreeSet<(MacAddr, IpNet)> {
    let own = port.mac_address;
    let fixed = port
        .addresses()
        .map(|(_, address)| (own, IpNet::from(address)));
    let pairs = port
        .allowed_address_pairs
        .iter()
        .map(|pair| (pair.mac_address.unwrap_or(own), pair.ip_address.trunc()));
    let named: BTreeSet<_> = fixed.chain(pairs).collect();
    let macs = named.iter().map(|(mac, _)| *mac).chain([own]);
    macs.map(|mac| (mac, IpNet::from(IpAddr::from(mac.link_local()))))
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

/// Packets from IPv6 addresses, and advertisements of them with the sender's own MAC or none.
fn from_ipv6(port: &Port, ofport: u16, mac: MacAddr, source: IpNet) -> Vec<Flow> {
    let packets = in_prefix(ipv6(), Field::IPV6_SRC, source);
    let packets = Flow::new(Stage::Guard, guard::ALLOWED, from(ofport, mac, packets))
        .goto(Stage::NeighborGuard);
    let advertisement = discovery(icmpv6::NEIGHBOR_ADVERTISEMENT);
    let advertised = in_prefix(advertisement, Field::ND_TARGET, source);
    let advertisements = [mac.0, [0; 6]].map(|link_layer| {
        let matches = from(ofport, mac, advertised.clone()).mac(Field::ND_TLL, link_layer);
        let allowed = Flow::new(Stage::NeighborGuard, neighbor_guard::ALLOWED, matches);
        announcing(allowed, port, ofport, mac, source).goto(Stage::Punt)
    });
    [packets].into_iter().chain(advertisements).collect()
}

/// A solicitation names the sender's own MAC, or no MAC.
fn own_link_layer_address(ofport: u16, mac: MacAddr) -> Vec<Flow> {
    let solicitation = from(ofport, mac, discovery(icmpv6::NEIGHBOR_SOLICITATION));
    let allowed = [mac.0, [0; 6]].map(|link_layer| {
        let matches = solicitation.clone().mac(Field::ND_SLL, link_layer);
        Flow::new(Stage::NeighborGuard, neighbor_guard::ALLOWED, matches).goto(Stage::Punt)
    });
    allowed.into()
}

fn from_ipv4(port: &Port, ofport: u16, mac: MacAddr, source: IpNet) -> Vec<Flow> {
    let packets = in_prefix(ipv4(), Field::IPV4_SRC, source);
    let [packets, arp] = [packets, arp_from(mac, source)]
        .map(|matches| Flow::new(Stage::Guard, guard::ALLOWED, from(ofport, mac, matches)));
    [packets, announcing(arp, port, ofport, mac, source)]
        .map(|flow| flow.goto(Stage::NeighborGuard))
        .into()
}

fn arp_from(mac: MacAddr, source: IpNet) -> Match {
    let arp = Match::new()
        .with(Field::ETH_TYPE, ethertype::ARP)
        .mac(Field::ARP_SHA, mac.0);
    in_prefix(arp, Field::ARP_SPA, source)
}
