//! Routes between the networks of a router, on the sender's own hypervisor (RFC 8200 §3, RFC 4291 §2.5.6).

use super::neighbor::addresses;
use super::{icmpv6, icmpv6_type, ipv6};
use crate::flow::Flow;
use crate::pipeline::{ADDRESS, NETWORK, ROUTER, Stage, mac_register};
use crate::view::View;
use ipnet::Ipv6Net;
use rust_openflow::{Action, Field, Match, Subfield, ports};
use sextant_model::{Network, Port, Router, Subnet};
use std::collections::BTreeSet;
use std::net::Ipv6Addr;

const ECHO: u16 = 2000;
const OWN_ADDRESS: u16 = 1900;
const NEVER_FORWARDED: u16 = 1800;
/// The priority of a route to `::/0`; a longer prefix has a higher one.
const ROUTE: u16 = 100;
/// Hop limit of what a router itself sends.
const HOP_LIMIT: u8 = 64;

/// What no router forwards: anything whose source or destination has link scope, or is no source at all.
pub(crate) fn base() -> Vec<Flow> {
    let link_local = Ipv6Net::new_assert(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10);
    let multicast = Ipv6Net::new_assert(Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0), 8);
    [
        prefix(ipv6(), Field::IPV6_SRC, link_local),
        prefix(ipv6(), Field::IPV6_DST, link_local),
        prefix(ipv6(), Field::IPV6_DST, multicast),
        ipv6().ipv6(Field::IPV6_SRC, Ipv6Addr::UNSPECIFIED),
    ]
    .map(|matches| Flow::new(Stage::Route, NEVER_FORWARDED, matches))
    .into()
}

/// What a router's port adds to its router: the way in, its addresses, and the routes to its prefixes.
pub(crate) fn interface(
    view: &View<'_>,
    network: &Network,
    router: &Router,
    port: &Port,
) -> Vec<Flow> {
    let mut flows = vec![enter(network, router, port)];
    for address in addresses(port) {
        flows.push(echo_reply(router, address));
        flows.push(own_address(router, address));
    }
    flows.extend(
        connected_prefixes(view, port)
            .into_iter()
            .map(|prefix| connected(network, router, port, prefix)),
    );
    flows
}

fn enter(network: &Network, router: &Router, port: &Port) -> Flow {
    let to_router = ipv6()
        .with(NETWORK, network.key.0)
        .mac(Field::ETH_DST, port.mac_address.0);
    Flow::new(Stage::Router, 100, to_router)
        .apply(vec![Action::set(ROUTER, router.key.0)])
        .goto(Stage::Route)
}

fn connected_prefixes(view: &View<'_>, port: &Port) -> BTreeSet<Ipv6Net> {
    let subnet = |(id, _)| view.intent.subnets.get(&id);
    port.ipv6_addresses()
        .filter_map(subnet)
        .filter_map(|subnet: &std::sync::Arc<Subnet>| subnet.ipv6_prefix())
        .collect()
}

/// Packets for a connected prefix go to their destination on its network.
fn connected(network: &Network, router: &Router, port: &Port, to: Ipv6Net) -> Flow {
    let matches = prefix(ipv6().with(ROUTER, router.key.0), Field::IPV6_DST, to);
    Flow::new(Stage::Route, ROUTE + u16::from(to.prefix_len()), matches)
        .apply(vec![
            Action::DecTtl,
            Action::set(Field::ETH_SRC, port.mac_address.to_u64()),
            Action::set(NETWORK, network.key.0),
            Action::copy(Field::IPV6_DST, ADDRESS),
        ])
        .goto(Stage::NextHop)
}

/// The router's addresses answer ping (RFC 4443 §4.2).
fn echo_reply(router: &Router, address: Ipv6Addr) -> Flow {
    let request = to_address(icmpv6_type(icmpv6::ECHO_REQUEST), router, address)
        .with(Field::ICMPV6_CODE, 0u8)
        .masked(Field::IP_FRAG, 0u8, 3u8);
    let (eth_src, eth_dst) = (
        Subfield::whole(Field::ETH_SRC),
        Subfield::whole(Field::ETH_DST),
    );
    Flow::new(Stage::Route, ECHO, request).apply(vec![
        Action::Move {
            src: eth_dst,
            dst: mac_register(),
        },
        Action::copy(Field::ETH_SRC, Field::ETH_DST),
        Action::Move {
            src: mac_register(),
            dst: eth_src,
        },
        Action::copy(Field::IPV6_SRC, Field::IPV6_DST),
        Action::set(Field::IPV6_SRC, address.to_bits()),
        Action::set(Field::NW_TTL, HOP_LIMIT),
        Action::set(Field::ICMPV6_TYPE, icmpv6::ECHO_REPLY),
        Action::output(ports::IN_PORT),
    ])
}

/// Nothing else that is sent to the router itself goes anywhere.
fn own_address(router: &Router, address: Ipv6Addr) -> Flow {
    Flow::new(
        Stage::Route,
        OWN_ADDRESS,
        to_address(ipv6(), router, address),
    )
}

/// Who has the address of a guest's port.
pub(crate) fn next_hop(network: &Network, port: &Port) -> Vec<Flow> {
    let reach = |address: Ipv6Addr| {
        let matches = Match::new()
            .with(NETWORK, network.key.0)
            .with(ADDRESS, address.to_bits());
        Flow::new(Stage::NextHop, 100, matches)
            .apply(vec![Action::set(Field::ETH_DST, port.mac_address.to_u64())])
            .goto(Stage::Switch)
    };
    port.ipv6_addresses()
        .map(|(_, address)| reach(address))
        .collect()
}

fn to_address(matches: Match, router: &Router, address: Ipv6Addr) -> Match {
    matches
        .with(ROUTER, router.key.0)
        .ipv6(Field::IPV6_DST, address)
}

fn prefix(matches: Match, field: Field, prefix: Ipv6Net) -> Match {
    matches.ipv6_prefix(field, prefix.network(), prefix.prefix_len())
}
