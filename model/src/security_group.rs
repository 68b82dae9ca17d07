//! Security groups and their rules: which connections a guest may make and take.

use crate::{IpVersion, Meta, NetworkId, SecurityGroupId, SecurityGroupRuleId};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::net::Ipv6Addr;
use uuid::Uuid;

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

impl SecurityGroup {
    /// The default group of a project, with its rules: guests may send, and take what comes from each other. `now` is in
    /// seconds since 1970, and `id` makes ids.
    pub fn default_of(
        project: &str,
        now: i64,
        mut id: impl FnMut() -> Uuid,
    ) -> (Self, Vec<SecurityGroupRule>) {
        let group = Self {
            id: SecurityGroupId(id()),
            meta: Meta {
                name: DEFAULT_SECURITY_GROUP.to_owned(),
                description: "Default security group".to_owned(),
                revision_number: 1,
                ..Meta::new(project, now)
            },
            stateful: true,
        };
        let mut rules = group.egress_rules(now, &mut id);
        let members = RemoteEnd::Group(group.id);
        rules.extend(group.rules(Direction::Ingress, members, now, &mut id));
        (group, rules)
    }

    /// The rules that every group begins with: guests may send. `now` is in seconds since 1970, and `id` makes ids.
    pub fn egress_rules(&self, now: i64, id: impl FnMut() -> Uuid) -> Vec<SecurityGroupRule> {
        self.rules(Direction::Egress, RemoteEnd::Anybody, now, id)
    }

    /// A rule of each address family.
    fn rules(
        &self,
        direction: Direction,
        remote: RemoteEnd,
        now: i64,
        mut id: impl FnMut() -> Uuid,
    ) -> Vec<SecurityGroupRule> {
        let rule = |ethertype| SecurityGroupRule {
            id: SecurityGroupRuleId(id()),
            security_group_id: self.id,
            meta: Meta::new(&self.meta.project_id, now),
            direction,
            ethertype,
            protocol: None,
            port_range_min: None,
            port_range_max: None,
            remote,
        };
        [IpVersion::V4, IpVersion::V6].map(rule).to_vec()
    }
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

/// The IP protocol of a rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleProtocol {
    /// As it was asked for: a name (`tcp`, `ipv6-icmp`) or a number.
    pub name: String,
    /// IANA's number; the next header behind all extension headers in IPv6.
    pub number: u8,
}

impl SecurityGroupRule {
    /// The protocol that it is restricted to. Number 0 restricts nothing: IPv4's own is none of any packet, and Neutron
    /// calls it `ip` as well. By the name of IPv6's first extension header it means that.
    pub fn only_protocol(&self) -> Option<&RuleProtocol> {
        let protocol = self.protocol.as_ref()?;
        Some(protocol).filter(|protocol| protocol.number != 0 || protocol.name == "hopopt")
    }
}

/// Who is at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RemoteEnd {
    /// Anybody of the rule's address family.
    Anybody,
    /// Whoever has an address of this prefix. It is as it was asked for: bits beyond its length may be set.
    Prefix(IpNet),
    /// The ports of a group, with their addresses of the rule's family.
    Group(SecurityGroupId),
}

/// An address by which rules about a group know one of its ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum MemberAddress {
    /// One that was given to the port, or that it may send from besides.
    Given(IpNet),
    /// Its link-local address, which says who somebody is on its own network only.
    OnLink(NetworkId, Ipv6Addr),
}

impl MemberAddress {
    /// Its family.
    pub fn ethertype(&self) -> IpVersion {
        match self {
            Self::Given(prefix) => IpVersion::of(prefix.addr()),
            Self::OnLink(..) => IpVersion::V6,
        }
    }
}

/// The number of a security group in the pipeline: 31 bits, never 0, unique among the groups of one [`crate::Intent`].
///
/// It follows from the group's id, but where two ids yield the same number it also depends on which came first, so it is
/// not to be stored or sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct GroupNumber(pub u32);

impl GroupNumber {
    const LARGEST: u32 = u32::MAX >> 1;

    /// The number that a group gets if nobody has it.
    pub(crate) fn of(group: SecurityGroupId) -> Self {
        let (high, low) = group.0.as_u64_pair();
        let folded = high ^ low ^ (high ^ low) >> 32;
        let bits = folded & u64::from(Self::LARGEST);
        Self(u32::try_from(bits).unwrap_or_default().max(1))
    }

    /// The one to try next.
    pub(crate) fn next(self) -> Self {
        Self(self.0 % Self::LARGEST + 1)
    }
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
    #[serde(with = "crate::ip_version::as_ethertype")]
    pub ethertype: IpVersion,
    /// Of which protocol; any if none.
    pub protocol: Option<RuleProtocol>,
    /// The first destination port, or the ICMP type.
    pub port_range_min: Option<u16>,
    /// The last destination port, or the ICMP code.
    pub port_range_max: Option<u16>,
    /// Who is at the other end.
    pub remote: RemoteEnd,
}
