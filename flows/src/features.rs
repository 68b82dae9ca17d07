//! The features. Each is a pure function of one object, in a file of its own.

pub(crate) mod arp;
pub(crate) mod arrival;
pub(crate) mod capture;
pub(crate) mod elsewhere;
pub(crate) mod external;
pub(crate) mod extra_routes;
pub(crate) mod fragments;
pub(crate) mod guard;
pub(crate) mod guest;
pub(crate) mod held;
pub(crate) mod icmp_error;
pub(crate) mod martian;
pub(crate) mod metadata;
pub(crate) mod neighbor;
pub(crate) mod provider;
pub(crate) mod punt;
pub(crate) mod replication;
pub(crate) mod routing;
pub(crate) mod security;
pub(crate) mod switching;
pub(crate) mod tunnel;

use crate::flow::Flow;
use crate::pipeline::{Miss, STAGES, StageSpec, miss};
use ipnet::IpNet;
use rust_openflow::{Field, Match};
use sextant_model::IpVersion;

/// EtherTypes that the pipeline knows.
pub(crate) mod ethertype {
    pub(crate) const IPV4: u16 = 0x0800;
    pub(crate) const ARP: u16 = 0x0806;
    pub(crate) const IPV6: u16 = 0x86dd;
}

/// IP protocol numbers that the pipeline knows.
pub(crate) mod protocol {
    pub(crate) const ICMP: u8 = 1;
    /// RFC 3376.
    pub(crate) const IGMP: u8 = 2;
    pub(crate) const TCP: u8 = 6;
    pub(crate) const UDP: u8 = 17;
    /// Open vSwitch's protocol number for fragments of IPv6 after the first (`parse_ipv6_ext_hdrs__` in its
    /// `lib/flow.c`).
    pub(crate) const FRAGMENT: u8 = 44;
    pub(crate) const ICMPV6: u8 = 58;
    pub(crate) const SCTP: u8 = 132;
    /// RFC 5533.
    pub(crate) const SHIM6: u8 = 140;
    /// RFC 3692.
    pub(crate) const EXPERIMENT_1: u8 = 253;
    /// RFC 3692.
    pub(crate) const EXPERIMENT_2: u8 = 254;
}

/// ICMPv6 types that the pipeline knows (RFC 4443, RFC 4861, RFC 3810).
pub(crate) mod icmpv6 {
    pub(crate) const ECHO_REQUEST: u8 = 128;
    pub(crate) const ECHO_REPLY: u8 = 129;
    pub(crate) const MLD_QUERY: u8 = 130;
    pub(crate) const MLD_REPORT: u8 = 131;
    pub(crate) const MLD_DONE: u8 = 132;
    pub(crate) const ROUTER_SOLICITATION: u8 = 133;
    pub(crate) const ROUTER_ADVERTISEMENT: u8 = 134;
    pub(crate) const NEIGHBOR_SOLICITATION: u8 = 135;
    pub(crate) const NEIGHBOR_ADVERTISEMENT: u8 = 136;
    pub(crate) const REDIRECT: u8 = 137;
    /// RFC 2894.
    pub(crate) const ROUTER_RENUMBERING: u8 = 138;
    pub(crate) const MLDV2_REPORT: u8 = 143;
    /// Multicast routers' advertisement, solicitation and termination (RFC 4286 §7).
    pub(crate) const MULTICAST_ROUTERS: [u8; 3] = [151, 152, 153];
}

/// ICMPv4 types that the pipeline knows (RFC 792).
pub(crate) mod icmpv4 {
    pub(crate) const ECHO_REPLY: u8 = 0;
    pub(crate) const REDIRECT: u8 = 5;
    pub(crate) const ECHO_REQUEST: u8 = 8;
    /// RFC 1256.
    pub(crate) const ROUTER_ADVERTISEMENT: u8 = 9;
}

/// Matches IPv4.
pub(crate) fn ipv4() -> Match {
    Match::new().with(Field::ETH_TYPE, ethertype::IPV4)
}

/// Matches IPv6.
pub(crate) fn ipv6() -> Match {
    Match::new().with(Field::ETH_TYPE, ethertype::IPV6)
}

/// And `field` has an address of a prefix.
pub(crate) fn in_prefix(matches: Match, field: Field, prefix: IpNet) -> Match {
    match prefix {
        IpNet::V6(prefix) => matches.ipv6_prefix(field, prefix.network(), prefix.prefix_len()),
        IpNet::V4(prefix) => matches.masked(
            field,
            prefix.network().to_bits(),
            prefix.netmask().to_bits(),
        ),
    }
}

/// Matches a version of IP.
pub(crate) fn of_version(version: IpVersion) -> Match {
    match version {
        IpVersion::V4 => ipv4(),
        IpVersion::V6 => ipv6(),
    }
}

/// Matches an ICMPv6 type.
pub(crate) fn icmpv6_type(kind: u8) -> Match {
    ipv6()
        .with(Field::IP_PROTO, protocol::ICMPV6)
        .with(Field::ICMPV6_TYPE, kind)
}

/// Matches a Neighbor Discovery message that did not pass a router (RFC 4861 §7.1: hop limit 255, code 0).
pub(crate) fn valid_nd(kind: u8) -> Match {
    icmpv6_type(kind)
        .with(Field::ICMPV6_CODE, 0u8)
        .with(Field::NW_TTL, 255u8)
}

/// The flows that every hypervisor has, whatever the cloud contains.
pub(crate) fn base() -> Vec<Flow> {
    [
        misses(),
        martian::base(),
        guard::base(),
        neighbor::base(),
        arp::base(),
        security::base(),
        routing::base(),
        icmp_error::base(),
        switching::base(),
    ]
    .concat()
}

/// Sends packets that nothing else matches to the next stage, where they are not dropped.
fn misses() -> Vec<Flow> {
    STAGES.iter().filter_map(miss_flow).collect()
}

fn miss_flow(spec: &StageSpec) -> Option<Flow> {
    match spec.miss {
        Miss::Goto(next) => Some(Flow::new(spec.stage, miss::MISS, Match::new()).goto(next)),
        Miss::Drop => None,
    }
}
