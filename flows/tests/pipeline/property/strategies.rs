//! Which steps are tried, and how often each.

use super::steps::{Families, GROUPS, GUESTS, HYPERVISORS, NETWORKS, ROUTERS, Step, What, Whom};
use proptest::prelude::*;
use sextant_model::{EncapKind, Ipv6Mode};

/// A step, each kind as often as its weight says.
pub(super) fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        17 => networks_step(),
        17 => routers_step(),
        38 => guests_step(),
        34 => hosts_step(),
        19 => gateways_step(),
    ]
}

/// A step of networks and their subnets.
fn networks_step() -> impl Strategy<Value = Step> {
    let up = any::<bool>;
    prop_oneof![
        3 => (0..NETWORKS).prop_map(Step::Network),
        1 => (0..NETWORKS).prop_map(Step::DeleteNetwork),
        2 => (0..NETWORKS, up()).prop_map(|(n, up)| Step::NetworkUp(n, up)),
        1 => (0..NETWORKS, prop::option::of(1200..1500u16)).prop_map(|(n, mtu)| Step::NetworkMtu(n, mtu)),
        2 => (0..NETWORKS, up()).prop_map(|(n, outside)| Step::NetworkOutside(n, outside)),
        4 => (0..NETWORKS, 0..2u8, ipv6_mode()).prop_map(|(n, s, mode)| Step::Subnet(n, s, mode)),
        2 => (0..NETWORKS).prop_map(Step::Subnet4),
        1 => (0..NETWORKS, 0..2u8, up()).prop_map(|(n, s, on)| Step::SubnetDhcp(n, s, on)),
        1 => (0..NETWORKS, 0..16u8).prop_map(|(n, tags)| Step::NetworkTags(n, tags)),
        1 => (0..NETWORKS, 0..2u8, up()).prop_map(|(n, s, on)| Step::SubnetTag(n, s, on)),
        1 => (0..NETWORKS, 0..2u8, up()).prop_map(|(n, s, on)| Step::SubnetRoute(n, s, on)),
        1 => (0..NETWORKS, 0..3u8).prop_map(|(n, s)| Step::DeleteSubnet(n, s)),
    ]
}

/// A step of routers and their interfaces.
fn routers_step() -> impl Strategy<Value = Step> {
    let up = any::<bool>;
    prop_oneof![
        2 => (0..ROUTERS).prop_map(Step::Router),
        2 => (0..ROUTERS, up()).prop_map(|(r, up)| Step::RouterUp(r, up)),
        1 => (0..ROUTERS).prop_map(Step::DeleteRouter),
        4 => (0..ROUTERS, any::<u8>()).prop_map(|(r, routes)| Step::RouterRoutes(r, routes)),
        5 => (0..ROUTERS, 0..NETWORKS).prop_map(|(r, n)| Step::Interface(r, n)),
        2 => (0..ROUTERS, 0..NETWORKS, up()).prop_map(|(r, n, up)| Step::InterfaceUp(r, n, up)),
        1 => (0..ROUTERS, 0..NETWORKS).prop_map(|(r, n)| Step::DeleteInterface(r, n)),
    ]
}

/// A step of guests' ports and their groups.
fn guests_step() -> impl Strategy<Value = Step> {
    let up = any::<bool>;
    prop_oneof![
        6 => (0..GUESTS, 0..NETWORKS).prop_map(|(g, n)| Step::Guest(g, n)),
        2 => (0..GUESTS, up()).prop_map(|(g, up)| Step::GuestUp(g, up)),
        2 => (0..GUESTS, up()).prop_map(|(g, on)| Step::GuestSecured(g, on)),
        3 => (0..GUESTS, 0..4u8).prop_map(|(g, pair)| Step::GuestPair(g, pair)),
        1 => (0..GUESTS, 0..4u8).prop_map(|(g, name)| Step::GuestRenamed(g, name)),
        4 => (0..GUESTS, 0..4u8, 0..2u8).prop_map(|(g, pair, last)| Step::Announce(g, pair, last)),
        1 => (0..GUESTS).prop_map(Step::DeleteGuest),
        6 => (0..GUESTS, 0..(1u8 << GROUPS)).prop_map(|(g, groups)| Step::GuestGroups(g, groups)),
        2 => (0..GROUPS, prop::bool::weighted(0.8)).prop_map(|(n, stateful)| Step::Group(n, stateful)),
        1 => (0..GROUPS).prop_map(Step::DeleteGroup),
        8 => (0..GROUPS, 0..3u8, up(), what(), whom())
            .prop_map(|(n, r, egress, what, whom)| Step::Rule(n, r, egress, what, whom)),
        2 => (0..GROUPS, 0..3u8).prop_map(|(n, r)| Step::DeleteRule(n, r)),
    ]
}

/// A step of hypervisors and what is plugged in there.
fn hosts_step() -> impl Strategy<Value = Step> {
    let up = any::<bool>;
    prop_oneof![
        2 => (0..HYPERVISORS).prop_map(Step::Attach),
        8 => (0..GUESTS, 0..HYPERVISORS).prop_map(|(g, h)| Step::Plug(g, h)),
        1 => (0..GUESTS, 0..HYPERVISORS).prop_map(|(g, h)| Step::PlugUnnumbered(g, h)),
        2 => (0..GUESTS).prop_map(Step::Unplug),
        1 => (0..GUESTS, 0..HYPERVISORS, prop_oneof![Just(None), Just(Some(40u16)), Just(Some(41u16))])
            .prop_map(|(g, h, ofport)| Step::Expect(g, h, ofport)),
        2 => (0..GUESTS, up()).prop_map(|(g, captured)| Step::Capture(g, captured)),
        4 => (0..HYPERVISORS, families(), encap_kind()).prop_map(|(h, families, kind)| Step::Join(h, families, kind)),
        1 => (0..HYPERVISORS).prop_map(Step::Leave),
        2 => (0..HYPERVISORS, up()).prop_map(|(h, flawed)| Step::Flawed(h, flawed)),
        1 => (100..103u16).prop_map(Step::LifetimeOfRouters),
        1 => (0..2u8).prop_map(Step::ServerIdentity),
        3 => (0..HYPERVISORS, up()).prop_map(|(h, gone)| Step::Gone(h, gone)),
        2 => (0..HYPERVISORS, up()).prop_map(|(h, serves)| Step::Metadata(h, serves)),
        4 => (0..HYPERVISORS, 0..NETWORKS, 0..8u8).prop_map(|(h, n, bits)| Step::Learn(h, n, bits)),
        2 => (0..8u8).prop_map(Step::External),
    ]
}

/// A step of gateways, delegated prefixes and pools.
fn gateways_step() -> impl Strategy<Value = Step> {
    let up = any::<bool>;
    prop_oneof![
        5 => (0..ROUTERS, 0..NETWORKS).prop_map(|(r, n)| Step::Gateway(r, n)),
        1 => (0..ROUTERS).prop_map(Step::NoGateway),
        1 => (0..ROUTERS, up()).prop_map(|(r, up)| Step::GatewayUp(r, up)),
        2 => (0..NETWORKS, 0..2u8, up()).prop_map(|(n, s, on)| Step::SubnetGateway(n, s, on)),
        2 => (0..NETWORKS, 0..2u8, up()).prop_map(|(n, s, on)| Step::SubnetDelegated(n, s, on)),
        2 => (0..NETWORKS, 0..2u8, up(), 0..3i64).prop_map(|(n, s, own, until)| Step::Delegated(n, s, own, until)),
        1 => (0..NETWORKS, 0..2u8).prop_map(|(n, s)| Step::NotDelegated(n, s)),
        3 => (0..NETWORKS, 0..2u8, 0..2u8).prop_map(|(n, s, pool)| Step::SubnetFromPool(n, s, pool)),
        2 => (0..2u8, prop::option::of(0..2u8)).prop_map(|(pool, scope)| Step::PoolScope(pool, scope)),
    ]
}

fn ipv6_mode() -> impl Strategy<Value = Option<Ipv6Mode>> {
    prop_oneof![
        Just(None),
        Just(Some(Ipv6Mode::Slaac)),
        Just(Some(Ipv6Mode::Dhcpv6Stateful)),
        Just(Some(Ipv6Mode::Dhcpv6Stateless)),
    ]
}

fn encap_kind() -> impl Strategy<Value = EncapKind> {
    prop_oneof![Just(EncapKind::Vxlan), Just(EncapKind::Gre)]
}

fn families() -> impl Strategy<Value = Families> {
    prop_oneof![
        3 => Just(Families::Ipv6),
        1 => Just(Families::Ipv4),
        2 => Just(Families::Both),
    ]
}

fn what() -> impl Strategy<Value = What> {
    prop_oneof![
        Just(What::Anything),
        Just(What::Udp),
        Just(What::Udp5000To5003),
        Just(What::Udp5001),
        Just(What::Ipv4),
    ]
}

fn whom() -> impl Strategy<Value = Whom> {
    prop_oneof![
        Just(Whom::Anybody),
        (0..NETWORKS).prop_map(Whom::Network),
        (0..GROUPS).prop_map(Whom::Group),
        (0..GROUPS).prop_map(Whom::Group),
    ]
}
