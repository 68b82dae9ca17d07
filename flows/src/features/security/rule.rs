//! What one rule matches in a packet, except for the other end.
//!
//! Rules of stateful groups match what the connection tracker knows of the connection, which has seen through fragments
//! and extension headers. Rules of stateless groups match packets as they are. One that names ports matches no fragment
//! but the first.

use super::super::of_version;
use super::super::protocol;
use super::connections::{LATER_FRAGMENT, of_opener};
use super::range;
use rust_openflow::{Field, Match};
use sextant_model::{IpVersion, SecurityGroupRule};

/// Matches of the packets that a rule allows. A rule about ports that cannot be matched allows nothing.
pub(super) fn matches(rule: &SecurityGroupRule, stateful: bool) -> Vec<Match> {
    let view = if stateful { TRACKED } else { PACKET };
    let any = (view.base)(rule.ethertype);
    let Some(protocol) = rule.only_protocol() else {
        return vec![any];
    };
    let number = upper_layer(rule.ethertype, protocol.number);
    let of_protocol = any.with(view.protocol, number);
    let Some((first, last)) = range_of(rule) else {
        let rest = (!stateful).then(|| rest(rule.ethertype)).flatten();
        return [of_protocol].into_iter().chain(rest).collect();
    };
    if is_icmp(rule.ethertype, number) {
        return typed(of_protocol, (view.icmp)(rule.ethertype), rule);
    }
    let port = (view.port)(number).into_iter();
    port.flat_map(|field| in_range(&of_protocol, field, first, last))
        .collect()
}

/// Fragments after the first. They show no protocol in IPv6, and are useless without a first one that a rule allows.
fn rest(of: IpVersion) -> Option<Match> {
    (of == IpVersion::V6).then(|| {
        of_version(of)
            .with(Field::IP_PROTO, protocol::FRAGMENT)
            .with(Field::IP_FRAG, LATER_FRAGMENT)
    })
}

/// The fields that rules match: of packets as they are, or of their connections.
struct RuleFields {
    base: fn(IpVersion) -> Match,
    protocol: Field,
    /// The destination port of a protocol. `None` where it cannot be matched.
    port: fn(u8) -> Option<Field>,
    /// Type and code of ICMP.
    icmp: fn(IpVersion) -> [Field; 2],
}

const TRACKED: RuleFields = RuleFields {
    base: of_opener,
    protocol: Field::CT_NW_PROTO,
    port: |protocol| port(protocol).and(Some(Field::CT_TP_DST)),
    icmp: |_| [Field::CT_TP_SRC, Field::CT_TP_DST],
};

const PACKET: RuleFields = RuleFields {
    base: of_version,
    protocol: Field::IP_PROTO,
    port,
    icmp: |family| match family {
        IpVersion::V4 => [Field::ICMPV4_TYPE, Field::ICMPV4_CODE],
        IpVersion::V6 => [Field::ICMPV6_TYPE, Field::ICMPV6_CODE],
    },
};

/// The port field of protocols whose ports Open vSwitch can match.
fn port(protocol: u8) -> Option<Field> {
    match protocol {
        protocol::TCP => Some(Field::TCP_DST),
        protocol::UDP => Some(Field::UDP_DST),
        protocol::SCTP => Some(Field::SCTP_DST),
        _ => None,
    }
}

/// `icmp` in a rule of IPv6 means ICMPv6, as in Neutron.
fn upper_layer(family: IpVersion, protocol: u8) -> u8 {
    match (family, protocol) {
        (IpVersion::V6, protocol::ICMP) => protocol::ICMPV6,
        (_, protocol) => protocol,
    }
}

fn range_of(rule: &SecurityGroupRule) -> Option<(u16, u16)> {
    let (min, max) = (rule.port_range_min, rule.port_range_max);
    Some((min.or(max)?, max.or(min)?))
}

fn is_icmp(family: IpVersion, protocol: u8) -> bool {
    match family {
        IpVersion::V4 => protocol == protocol::ICMP,
        IpVersion::V6 => protocol == protocol::ICMPV6,
    }
}

/// The lower bound of a range is the type, the upper one the code (Neutron API). No packet has a value above 255.
fn typed(matches: Match, fields: [Field; 2], rule: &SecurityGroupRule) -> Vec<Match> {
    let wanted = [rule.port_range_min, rule.port_range_max];
    if wanted.iter().flatten().any(|value| *value > 0xff) {
        return vec![];
    }
    let both = fields.into_iter().zip(wanted);
    vec![both.fold(matches, |matches, (field, value)| match value {
        Some(value) => matches.with(field, value),
        None => matches,
    })]
}

fn in_range(matches: &Match, field: Field, first: u16, last: u16) -> Vec<Match> {
    let masks = range::masks(first, last).into_iter();
    masks
        .map(|(value, mask)| matches.clone().masked(field, value, mask))
        .collect()
}
