//! Parses a requested rule, value by value, with the errors of Neutron's converters.

use super::SecurityGroupRulePatch;
use crate::api::contract::error::ApiError;
use crate::api::contract::python;
use crate::api::contract::values::{self, Invalid};
use ipnet::IpNet;
use serde_json::Value;
use sextant_model::{Direction, IpVersion, RuleProtocol};
use std::net::IpAddr;

/// The protocols that have names, with IANA's numbers (neutron-lib's `IP_PROTOCOL_MAP`, in its order).
const PROTOCOLS: &[(&str, u8)] = &[
    ("ah", 51),
    ("dccp", 33),
    ("egp", 8),
    ("esp", 50),
    ("gre", 47),
    ("hopopt", 0),
    ("icmp", ICMP),
    ("igmp", 2),
    ("ip", 0),
    ("ipip", 4),
    ("ipv6-encap", 41),
    ("ipv6-frag", 44),
    ("ipv6-icmp", ICMPV6),
    ("icmpv6", ICMPV6),
    ("ipv6-nonxt", 59),
    ("ipv6-opts", 60),
    ("ipv6-route", 43),
    ("ospf", 89),
    ("pgm", 113),
    ("rsvp", 46),
    ("sctp", 132),
    ("tcp", 6),
    ("udp", 17),
    ("udplite", 136),
    ("vrrp", 112),
];

pub(super) const ICMP: u8 = 1;
pub(super) const ICMPV6: u8 = 58;

/// The name that stands for every protocol.
const ANY: &str = "any";

/// The request in the terms of rules.
pub(super) struct RuleRequest {
    pub(super) ethertype: IpVersion,
    pub(super) protocol: Option<RuleProtocol>,
    /// `port_range_min`.
    pub(super) first: Option<u16>,
    /// `port_range_max`.
    pub(super) last: Option<u16>,
    pub(super) prefix: Option<IpNet>,
    pub(super) remote_group: Option<String>,
}

impl RuleRequest {
    pub(super) fn of(patch: &SecurityGroupRulePatch) -> Self {
        let ethertype = patch.ethertype.unwrap_or(IpVersion::V4);
        let protocol = patch.protocol.clone().flatten();
        // A range of all ports restricts nothing.
        let (first, last) = match (
            patch.port_range_min.flatten(),
            patch.port_range_max.flatten(),
        ) {
            (Some(1), Some(u16::MAX)) => (None, None),
            some => some,
        };
        let remote_group = patch.remote_group_id.clone();
        Self {
            ethertype,
            protocol: protocol.map(|protocol| of_family(protocol, ethertype)),
            first,
            last,
            prefix: patch.remote_ip_prefix.flatten(),
            remote_group: remote_group.filter(|group| !group.is_empty()),
        }
    }
}

pub(super) fn direction(value: &Value) -> Result<Direction, Invalid> {
    let word = values::one_of(&["ingress", "egress"])(value)?;
    Ok(match word.as_str() {
        "ingress" => Direction::Ingress,
        _ => Direction::Egress,
    })
}

pub(super) fn ethertype(value: &Value) -> Result<IpVersion, Invalid> {
    let given = python::text(value);
    let known = IpVersion::ALL
        .into_iter()
        .find(|known| known.as_str().eq_ignore_ascii_case(&given));
    known.ok_or_else(|| {
        let names = python::names(IpVersion::ALL.map(IpVersion::as_str));
        own(
            "SecurityGroupRuleInvalidEtherType",
            format!(
                "Security group rule for ethertype '{given}' not supported. Allowed values are {names}."
            ),
        )
    })
}

/// A name or a number. Null and `any` mean every protocol.
pub(super) fn protocol(value: &Value) -> Result<Option<RuleProtocol>, Invalid> {
    if value.is_null() || value == ANY {
        return Ok(None);
    }
    let name = python::text(value).to_lowercase();
    let named = PROTOCOLS.iter().find(|(known, _)| *known == name);
    let number = named
        .map(|(_, number)| *number)
        .or_else(|| name.parse().ok());
    match number {
        Some(number) => Ok(Some(RuleProtocol { name, number })),
        None => Err(unknown_protocol(&python::text(value))),
    }
}

fn unknown_protocol(given: &str) -> Invalid {
    let names = PROTOCOLS.iter().map(|(name, _)| format!("'{name}'"));
    let names: Vec<String> = names.collect();
    own(
        "SecurityGroupRuleInvalidProtocol",
        format!(
            "Security group rule protocol {given} not supported. Only protocol values (None, '{ANY}', {}) and integer \
             representations [0 to 255] are supported.",
            names.join(", ")
        ),
    )
}

/// ICMP over IPv6 is ICMPv6, under any name.
fn of_family(protocol: RuleProtocol, ethertype: IpVersion) -> RuleProtocol {
    let name = match (ethertype, protocol.name.as_str()) {
        (IpVersion::V6, "icmp" | "icmpv6") => "ipv6-icmp",
        (IpVersion::V6, "1") => "58",
        _ => return protocol,
    };
    RuleProtocol {
        name: name.to_owned(),
        number: ICMPV6,
    }
}

pub(super) fn port(value: &Value) -> Result<u16, Invalid> {
    let text = python::text(value);
    text.parse().map_err(|_| {
        own(
            "SecurityGroupInvalidPortValue",
            format!("Invalid value for port {text}"),
        )
    })
}

/// A prefix, with the bits after its length as given. Null and the empty text are no prefix.
pub(super) fn prefix(value: &Value) -> Result<Option<IpNet>, Invalid> {
    let text = python::text(value);
    if value.is_null() || text.is_empty() {
        return Ok(None);
    }
    let prefix = text
        .parse()
        .or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
    prefix.map(Some).map_err(|_| {
        own(
            "InvalidCIDR",
            format!("Invalid CIDR {text} given as IP prefix."),
        )
    })
}

fn own(kind: &'static str, message: String) -> Invalid {
    Invalid::Own(ApiError::bad(kind, message))
}
