//! Checks a rule for contradictions, in Neutron's order and words.

use super::parse::{ICMP, ICMPV6, RuleRequest};
use crate::api::contract::error::ApiError;
use crate::api::contract::kind::Kind;
use ipnet::IpNet;
use sextant_model::{
    Intent, IpVersion, RemoteEnd, RuleProtocol, SecurityGroup, SecurityGroupId, SecurityGroupRule,
};
use std::net::IpAddr;

/// The protocols that have ports: DCCP, SCTP, TCP, UDP, UDP-Lite.
const WITH_PORTS: [u8; 5] = [33, 132, 6, 17, 136];

/// IPv6's own protocols: its encapsulation, extension headers and ICMP.
const OF_IPV6: [u8; 6] = [41, 43, 44, ICMPV6, 59, 60];

/// Refuses contradictions. Returns the other end.
pub(super) fn consistent(asked: &RuleRequest) -> Result<RemoteEnd, ApiError> {
    if asked.first.is_some() || asked.last.is_some() {
        check_ports(asked)?;
    }
    check_families(asked)?;
    match (asked.prefix, &asked.remote_group) {
        (Some(_), Some(_)) => Err(ApiError::bad(
            "SecurityGroupMultipleRemoteEntites",
            "Only one of remote_ip_prefix or remote_group_id or remote_address_group_id may be provided.",
        )),
        (Some(prefix), None) => Ok(RemoteEnd::Prefix(prefix)),
        (None, Some(group)) => match group.parse::<SecurityGroupId>() {
            Ok(group) => Ok(RemoteEnd::Group(group)),
            Err(_) => Err(SecurityGroup::missing(group)),
        },
        (None, None) => Ok(RemoteEnd::Anybody),
    }
}

fn check_ports(asked: &RuleRequest) -> Result<(), ApiError> {
    let Some(protocol) = &asked.protocol else {
        return Err(ApiError::bad(
            "SecurityGroupProtocolRequiredWithPorts",
            "Must also specify protocol if port range is given.",
        ));
    };
    match protocol.number {
        number if WITH_PORTS.contains(&number) => check_range(asked),
        ICMP | ICMPV6 => check_type_and_code(asked),
        number => Err(ApiError::bad(
            "SecurityGroupInvalidProtocolForPort",
            format!(
                "Ports cannot be specified for protocol {number}. Ports are only supported for DCCP, SCTP, TCP, UDP, UDPLITE."
            ),
        )),
    }
}

fn check_range(asked: &RuleRequest) -> Result<(), ApiError> {
    match (asked.first, asked.last) {
        (Some(0), _) | (_, Some(0)) => Err(ApiError::bad(
            "SecurityGroupInvalidPortValue",
            "Invalid value for port 0",
        )),
        (Some(first), Some(last)) if first <= last => Ok(()),
        _ => Err(ApiError::bad(
            "SecurityGroupInvalidPortRange",
            "For TCP/UDP protocols, port_range_min must be <= port_range_max",
        )),
    }
}

fn check_type_and_code(asked: &RuleRequest) -> Result<(), ApiError> {
    for (field, attribute, value) in [
        ("type", "port_range_min", asked.first),
        ("code", "port_range_max", asked.last),
    ] {
        if let Some(value) = value.filter(|value| *value > 255) {
            return Err(ApiError::bad(
                "SecurityGroupInvalidIcmpValue",
                format!(
                    "Invalid value for ICMP {field} ({attribute}) {value}. It must be 0 to 255."
                ),
            ));
        }
    }
    match (asked.first, asked.last) {
        (None, Some(code)) => Err(ApiError::bad(
            "SecurityGroupMissingIcmpType",
            format!(
                "ICMP code (port-range-max) {code} is provided but ICMP type (port-range-min) is missing."
            ),
        )),
        _ => Ok(()),
    }
}

fn check_families(asked: &RuleRequest) -> Result<(), ApiError> {
    let ethertype = asked.ethertype;
    if let Some(prefix) = asked.prefix
        && IpVersion::of(prefix.addr()) != asked.ethertype
    {
        return Err(ApiError::bad(
            "SecurityGroupRuleParameterConflict",
            format!("Conflicting value ethertype {ethertype} for CIDR {prefix}"),
        ));
    }
    match &asked.protocol {
        Some(RuleProtocol { name, number })
            if asked.ethertype == IpVersion::V4 && OF_IPV6.contains(number) =>
        {
            Err(ApiError::bad(
                "SecurityGroupEthertypeConflictWithProtocol",
                format!("Invalid ethertype {ethertype} for protocol {name}."),
            ))
        }
        _ => Ok(()),
    }
}

/// Refuses a rule that says the same as another of its group.
pub(super) fn refuse_twin(intent: &Intent, rule: &SecurityGroupRule) -> Result<(), ApiError> {
    let mut rules = intent.rules_of(rule.security_group_id);
    match rules.find(|other| meaning(other) == meaning(rule)) {
        Some(other) => Err(ApiError::conflict(
            "SecurityGroupRuleExists",
            format!(
                "Security group rule already exists. Rule id is {}.",
                other.id
            ),
        )),
        None => Ok(()),
    }
}

/// What a rule means. A protocol is its number, and a prefix of all addresses is no restriction.
fn meaning(rule: &SecurityGroupRule) -> impl PartialEq {
    let remote = match rule.remote {
        RemoteEnd::Prefix(prefix) if is_everything(prefix) => RemoteEnd::Anybody,
        remote @ (RemoteEnd::Anybody | RemoteEnd::Prefix(_) | RemoteEnd::Group(_)) => remote,
    };
    let protocol = rule.protocol.as_ref().map(|protocol| protocol.number);
    let ports = (rule.port_range_min, rule.port_range_max);
    (rule.direction, rule.ethertype, protocol, ports, remote)
}

fn is_everything(prefix: IpNet) -> bool {
    prefix.prefix_len() == 0
        && match prefix.addr() {
            IpAddr::V4(address) => address.is_unspecified(),
            IpAddr::V6(address) => address.is_unspecified(),
        }
}
