//! Security groups and their rules: which connections a guest may make and take.

use crate::{Meta, SecurityGroupId, SecurityGroupRuleId};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// The name of the group that every project has.
pub const DEFAULT_SECURITY_GROUP: &str = "default";

/// A set of rules that ports are put under. What no rule of any of a port's groups allows is dropped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecurityGroup {
    /// Its id.
    pub id: SecurityGroupId,
    /// Name, project, times, revision.
    pub meta: Meta,
    /// Whether answers to what is allowed are allowed by themselves (connection tracking).
    pub stateful: bool,
}

/// Which way a rule looks, from the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// From the network to the guest.
    Ingress,
    /// From the guest to the network.
    Egress,
}

/// The address family of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Ethertype {
    /// IPv4.
    #[serde(rename = "IPv4")]
    Ipv4,
    /// IPv6.
    #[serde(rename = "IPv6")]
    Ipv6,
}

impl Ethertype {
    /// The family of an address.
    pub fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::Ipv4,
            IpAddr::V6(_) => Self::Ipv6,
        }
    }
}

/// The IP protocol of a rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleProtocol {
    /// As it was asked for: a name (`tcp`, `ipv6-icmp`) or a number.
    pub name: String,
    /// IANA's number; the next header behind all extension headers in IPv6.
    pub number: u8,
}

/// Who is at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RemoteEnd {
    /// Anybody of the rule's address family.
    Anybody,
    /// Whoever has an address of this prefix.
    Prefix(IpNet),
    /// The ports of a group, with their addresses of the rule's family.
    Group(SecurityGroupId),
}

/// One thing that is allowed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecurityGroupRule {
    /// Its id.
    pub id: SecurityGroupRuleId,
    /// The group that it belongs to.
    pub security_group_id: SecurityGroupId,
    /// Description, project, times, revision. A rule has no name.
    pub meta: Meta,
    /// Which way it looks.
    pub direction: Direction,
    /// Of which address family.
    pub ethertype: Ethertype,
    /// Of which protocol; any if none.
    pub protocol: Option<RuleProtocol>,
    /// The first destination port, or the ICMP type.
    pub port_range_min: Option<u16>,
    /// The last destination port, or the ICMP code.
    pub port_range_max: Option<u16>,
    /// Who is at the other end.
    pub remote: RemoteEnd,
}
