//! Routes between the networks of a router, on the sender's hypervisor (RFC 8200 §3, RFC 4291 §2.5.6; RFC 1812 §5).

use super::{icmp_error, neighbor};
use super::{icmpv4, icmpv6, icmpv6_type, in_prefix, ipv4, ipv6, of_version, protocol};
use crate::flow::Flow;
use crate::pipeline::{
    ARRIVED, BACK, Holding, LONGER, NETWORK, NEXT_HOP, NEXT_MTU, OUTPUT, ROUTER, SENDER_MAC, Stage,
    TAG, next_hop, route, router, routes,
};
use crate::view::View;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use rust_openflow::{Action, Field, Match, Subfield};
use sextant_model::{IpVersion, MacAddr, Network, Port, Router};
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Octets of an Ethernet header. A packet's length in Open vSwitch includes them, an MTU does not.
const ETHERNET_HEADER: u16 = 14;
/// Hop limit of what a router itself sends.
const HOP_LIMIT: u8 = 64;

/// What no router forwards: packets with a source or destination of link scope, or without a source.
pub(crate) fn base() -> Vec<Flow> {
    let never = never_forwarded().chain(never_forwarded_ipv4());
    never
        .map(|matches| Flow::new(Stage::Route, route::NEVER_FORWARDED, matches))
        .collect()
}

fn never_forwarded() -> impl Iterator<Item = Match> {
    let link_local = Ipv6Net::new_assert(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10);
    let multicast = Ipv6Net::new_assert(Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0), 8);
    [
        from(link_local.into()),
        to(link_local.into()),
        to(multicast.into()),
        ipv6().ipv6(Field::IPV6_SRC, Ipv6Addr::UNSPECIFIED),
        dhcpv6_to_client(),
    ]
    .into_iter()
}

/// A DHCPv6 server, or its relay, is on the client's link (RFC 9915 §18.3), so its answers pass no router.
fn dhcpv6_to_client() -> Match {
    ipv6()
        .with(Field::IP_PROTO, protocol::UDP)
        .with(Field::UDP_SRC, 547u16)
        .with(Field::UDP_DST, 546u16)
}

/// RFC 1812 §5.3.7 ("martian addresses"), §4.2.2.11 and §5.3.5; link-local addresses RFC 3927 §7.
fn never_forwarded_ipv4() -> impl Iterator<Item = Match> {
    let either = [
        net([0, 0, 0, 0], 8),
        net([127, 0, 0, 0], 8),
        net([169, 254, 0, 0], 16),
        net([224, 0, 0, 0], 4),
    ];
    let broadcast = net([255, 255, 255, 255], 32);
    either
        .into_iter()
        .chain([broadcast])
        .flat_map(|prefix| [from(prefix), to(prefix)])
}

fn net(octets: [u8; 4], length: u8) -> IpNet {
    Ipv4Net::new_assert(octets.into(), length).into()
}

/// What a router's port contributes: the way into the router, the router's addresses there, and its anycast addresses.
pub(crate) fn interface(
    view: &View<'_>,
    network: &Network,
    router: &Router,
    port: &Port,
) -> Vec<Flow> {
    let mut flows = vec![enter(network, router, port, ipv6())];
    if port.ipv4_addresses().next().is_some() {
        flows.push(enter(network, router, port, ipv4()));
    }
    flows.extend(own_addresses(router, port));
    flows.extend(neighbor::anycast(view, port).flat_map(|address| anycast(router, port, address)));
    flows
}

/// Answers to packets for a router's own addresses, on any of its networks.
pub(crate) fn own_addresses(router: &Router, port: &Port) -> Vec<Flow> {
    addresses(port)
        .flat_map(|address| answered(router, address))
        .collect()
}

fn answered(router: &Router, address: IpAddr) -> [Flow; 2] {
    let (request, reply) = match address {
        IpAddr::V6(address) => echo(address, address),
        IpAddr::V4(address) => echo_ipv4(address),
    };
    [
        echo_reply(router, request, &reply),
        own_address(router, address),
    ]
}

/// Answers to packets for an anycast address of a router's port. A reply comes from an address of the port's own (RFC
/// 4443 §4.2).
fn anycast(router: &Router, port: &Port, address: Ipv6Addr) -> [Flow; 2] {
    let own = port.ipv6_addresses().next();
    let own = own.map_or_else(|| port.mac_address.link_local(), |(_, own)| own);
    let (request, reply) = echo(address, own);
    [
        echo_reply(router, request, &reply),
        own_address(router, address.into()),
    ]
}

/// The routes of a router to the prefixes of its own networks.
pub(crate) fn connected_networks(view: &View<'_>, router: &Router) -> Vec<Flow> {
    let mut flows = vec![];
    for (network, port) in view.interfaces(router) {
        let prefixes: BTreeSet<IpNet> = view.prefixes(port).collect();
        let way = Adjacency::onto(view, router, network, port.mac_address);
        for prefix in prefixes {
            flows.push(connected(router, &way, prefix));
            flows.extend(directed_broadcast(router, prefix));
        }
    }
    flows
}

/// A router port's addresses, with the link-local one.
fn addresses(port: &Port) -> impl Iterator<Item = IpAddr> + '_ {
    let ipv4 = port.ipv4_addresses();
    neighbor::addresses(port)
        .map(IpAddr::from)
        .chain(ipv4.map(|(_, address)| address.into()))
}

fn enter(network: &Network, router: &Router, port: &Port, family: Match) -> Flow {
    Flow::new(Stage::Router, router::PORT, to_port(network, port, family))
        .apply(entered(network, router))
        .goto(Stage::Route)
}

/// Matches packets of a network to a router's MAC there.
pub(super) fn to_port(network: &Network, port: &Port, family: Match) -> Match {
    family
        .holding(NETWORK, network.key.0)
        .mac(Field::ETH_DST, port.mac_address.0)
}

/// Notes of a packet that came to a router on a network.
pub(super) fn entered(network: &Network, router: &Router) -> Vec<Action> {
    vec![
        ROUTER.set(router.key.0),
        ARRIVED.set(network.key.0),
        SENDER_MAC.copy_from(Field::ETH_SRC),
    ]
}

/// Routes packets for a connected prefix to their destination on its network.
fn connected(router: &Router, way: &Adjacency, prefix: IpNet) -> Flow {
    let matches = to(prefix).holding(ROUTER, router.key.0);
    Flow::new(Stage::Route, priority(prefix) + 1, matches)
        .apply([way.actions.clone(), to_itself(prefix)].concat())
        .goto(way.next)
}

/// The next hop is the packet's destination.
pub(super) fn to_itself(prefix: IpNet) -> Vec<Action> {
    match prefix {
        IpNet::V6(_) => vec![NEXT_HOP.copy_from(Field::IPV6_DST)],
        IpNet::V4(_) => {
            // The register is 0 before. Its upper bits get the prefix of mapped addresses, its lower ones the address.
            let mapped = Action::Load {
                value: 0xffff,
                dst: Subfield::new(NEXT_HOP.field, 32, 16),
            };
            vec![mapped, NEXT_HOP.copy_from(Field::IPV4_DST)]
        }
    }
}

/// The priority of a route. A longer prefix has a higher one. There is room for a connected prefix just above it.
pub(crate) fn priority(prefix: IpNet) -> u16 {
    routes::ROUTE + 2 * u16::from(prefix.prefix_len())
}

/// How a packet leaves a router for one of its networks.
pub(super) struct Adjacency {
    /// The actions on it.
    pub(super) actions: Vec<Action>,
    /// The stage where it goes on.
    pub(super) next: Stage,
}

impl Adjacency {
    /// Leaves for a network, from the router's MAC there.
    pub(super) fn onto(view: &View<'_>, router: &Router, network: &Network, mac: MacAddr) -> Self {
        let routed = [
            Action::DecTtl,
            Action::set(Field::ETH_SRC, mac.to_u64()),
            NETWORK.set(network.key.0),
        ];
        let fits = fitting(view, router, network);
        let next = after(&fits);
        let actions = routed.into_iter().chain(fits).collect();
        Self { actions, next }
    }
}

/// Checks whether a packet is too long for a network. That is needed where a tunnel has to carry it, and where another
/// network of the router has a larger MTU.
pub(super) fn fitting(view: &View<'_>, router: &Router, network: &Network) -> Vec<Action> {
    let mtu = view.mtu(network);
    let arriving = view.arriving(router);
    let longer = arriving.iter().any(|other| view.mtu(other) > mtu);
    if !longer && !network.network_type.is_tunnelled() {
        return vec![];
    }
    longer_than(mtu)
}

/// Checks whether a packet is too long for the tunnel to the router's gateway, or for the external network. A guest may
/// send packets longer than its network's MTU.
pub(super) fn fitting_onward(view: &View<'_>, router: &Router, external: &Network) -> Vec<Action> {
    let inside = view.interfaces(router).map(|(network, _)| network);
    let tunnelled = inside.filter(|network| network.network_type.is_tunnelled());
    let carried = tunnelled.map(|network| view.mtu(network)).max();
    let mtu = view.mtu(external);
    longer_than(carried.map_or(mtu, |carried| carried.min(mtu)))
}

fn longer_than(mtu: u16) -> Vec<Action> {
    vec![check(mtu), NEXT_MTU.set(mtu)]
}

/// Notes whether a packet is longer than an MTU in octets.
pub(super) fn check(mtu: u16) -> Action {
    Action::CheckPktLarger {
        length: mtu.saturating_add(ETHERNET_HEADER),
        dst: LONGER.bits(),
    }
}

/// The stage where a packet goes on, with its length checked or not.
pub(super) fn after(fits: &[Action]) -> Stage {
    match fits {
        [_, ..] => Stage::Fit,
        [] => Stage::NextHop,
    }
}

/// Drops packets to all hosts of a network from outside it (RFC 2644).
fn directed_broadcast(router: &Router, prefix: IpNet) -> Option<Flow> {
    let IpNet::V4(prefix) = prefix else {
        return None;
    };
    let all_hosts = to(IpNet::from(IpAddr::V4(prefix.broadcast()))).holding(ROUTER, router.key.0);
    (prefix.prefix_len() < 31).then(|| Flow::new(Stage::Route, route::NEVER_FORWARDED, all_hosts))
}

/// Answers ping to a router's address (RFC 4443 §4.2, RFC 1812 §4.3.3.6).
fn echo_reply(router: &Router, request: Match, reply: &[Action]) -> Flow {
    // Only whole packets: turning one fragment around would answer a request that was never put together.
    let request = request
        .holding(ROUTER, router.key.0)
        .masked(Field::IP_FRAG, 0u8, 3u8);
    let turned = [
        Action::copy(Field::ETH_DST, Field::ETH_SRC),
        SENDER_MAC.copy_to(Field::ETH_DST),
    ];
    let out = [TAG.copy_to(Field::VLAN_TCI), OUTPUT.set(BACK)];
    Flow::new(Stage::Route, route::ECHO, request)
        .apply([&turned[..], reply, &out].concat())
        .goto(Stage::Deliver)
}

/// An echo request to an address, and the actions that make it the reply from one.
fn echo(address: Ipv6Addr, from: Ipv6Addr) -> (Match, [Action; 4]) {
    let request = icmpv6_type(icmpv6::ECHO_REQUEST)
        .with(Field::ICMPV6_CODE, 0u8)
        .ipv6(Field::IPV6_DST, address);
    let reply = [
        Action::copy(Field::IPV6_SRC, Field::IPV6_DST),
        Action::set(Field::IPV6_SRC, from.to_bits()),
        Action::set(Field::NW_TTL, HOP_LIMIT),
        Action::set(Field::ICMPV6_TYPE, icmpv6::ECHO_REPLY),
    ];
    (request, reply)
}

fn echo_ipv4(address: Ipv4Addr) -> (Match, [Action; 4]) {
    let request = ipv4()
        .with(Field::IP_PROTO, protocol::ICMP)
        .with(Field::ICMPV4_TYPE, icmpv4::ECHO_REQUEST)
        .with(Field::ICMPV4_CODE, 0u8)
        .with(Field::IPV4_DST, address.to_bits());
    let reply = [
        Action::copy(Field::IPV4_SRC, Field::IPV4_DST),
        Action::set(Field::IPV4_SRC, address.to_bits()),
        Action::set(Field::NW_TTL, HOP_LIMIT),
        Action::set(Field::ICMPV4_TYPE, icmpv4::ECHO_REPLY),
    ];
    (request, reply)
}

/// Ends all other packets to a router itself. Their senders get an error, except for ICMP.
fn own_address(router: &Router, address: IpAddr) -> Flow {
    let matches = to(address.into()).holding(ROUTER, router.key.0);
    icmp_error::own_address(route::OWN_ADDRESS, matches)
}

/// The MACs of a guest port's addresses.
pub(crate) fn next_hop(network: &Network, port: &Port) -> Vec<Flow> {
    port.addresses()
        .map(|(_, address)| reach(next_hop::FIXED, network, address, port.mac_address))
        .collect()
}

/// Sends packets for an address of a network to this MAC.
pub(super) fn reach(priority: u16, network: &Network, address: IpAddr, mac: MacAddr) -> Flow {
    // A tunnelled network has no bridge outside, so nothing on it is translated.
    let next = match network.network_type.is_tunnelled() {
        true => Stage::Switch,
        false => Stage::Translate,
    };
    Flow::new(Stage::NextHop, priority, to_hop(network, address))
        .apply(vec![Action::set(Field::ETH_DST, mac.to_u64())])
        .goto(next)
}

/// Matches packets with this next hop on a network.
pub(super) fn to_hop(network: &Network, address: IpAddr) -> Match {
    Match::new()
        .holding(NETWORK, network.key.0)
        .holding(NEXT_HOP, in_register(address))
}

/// Matches packets with a next hop in a prefix. An IPv4 address is in the low 32 bits.
pub(super) fn to_hop_within(network: &Network, prefix: IpNet) -> Match {
    let mask = match prefix.netmask() {
        IpAddr::V6(mask) => mask.to_bits(),
        IpAddr::V4(mask) => u128::MAX << 32 | u128::from(mask.to_bits()),
    };
    of_version(IpVersion::of_prefix(prefix))
        .holding(NETWORK, network.key.0)
        .masked(NEXT_HOP.field, in_register(prefix.network()), mask)
}

/// An address as [`NEXT_HOP`] contains it.
pub(super) fn in_register(address: IpAddr) -> u128 {
    match address {
        IpAddr::V6(address) => address.to_bits(),
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
    }
}

/// Matches packets to a prefix.
pub(super) fn to(prefix: IpNet) -> Match {
    match prefix {
        IpNet::V6(_) => in_prefix(ipv6(), Field::IPV6_DST, prefix),
        IpNet::V4(_) => in_prefix(ipv4(), Field::IPV4_DST, prefix),
    }
}

/// Matches packets from a prefix.
pub(super) fn from(prefix: IpNet) -> Match {
    match prefix {
        IpNet::V6(_) => in_prefix(ipv6(), Field::IPV6_SRC, prefix),
        IpNet::V4(_) => in_prefix(ipv4(), Field::IPV4_SRC, prefix),
    }
}
