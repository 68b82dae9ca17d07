//! Security groups and their rules: which connections a guest may open and accept.

use crate::{IpVersion, Meta, NetworkId, SecurityGroupId, SecurityGroupRuleId};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::net::Ipv6Addr;
use uuid::Uuid;

/// The name of the group that every project has.
pub const DEFAULT_SECURITY_GROUP: &str = "default";

/// A set of rules for the ports under it. What no rule of a port's groups allows is dropped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecurityGroup {
    /// Its id.
    pub id: SecurityGroupId,
    /// Name, project, times, revision.
    pub meta: Meta,
    /// Whether answers to allowed packets pass without a rule (connection tracking).
    pub stateful: bool,
}

impl SecurityGroup {
    /// The default group of a project, with its rules: guests may send, and may receive from each other. `now` is in
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

    /// The rules that every new group has: guests may send. `now` is in seconds since 1970, and `id` makes ids.
    pub fn egress_rules(&self, now: i64, id: impl FnMut() -> Uuid) -> Vec<SecurityGroupRule> {
        self.rules(Direction::Egress, RemoteEnd::Anybody, now, id)
    }

    /// A rule for each IP version.
    fn rules(
        &self,
        direction: Direction,
        remote: RemoteEnd,
        now: i64,
        mut id: impl FnMut() -> Uuid,
    ) -> Vec<SecurityGroupRule> {
        let rules = IpVersion::ALL.map(|ethertype| SecurityGroupRule {
            id: SecurityGroupRuleId(id()),
            security_group_id: self.id,
            meta: Meta::new(&self.meta.project_id, now),
            direction,
            ethertype,
            protocol: None,
            port_range_min: None,
            port_range_max: None,
            remote,
        });
        rules.into()
    }
}

/// The direction of a rule, as the guest sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
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
    /// The text of the request: a name (`tcp`, `ipv6-icmp`) or a number.
    pub name: String,
    /// IANA's number. In IPv6, the next header after all extension headers.
    pub number: u8,
}

impl SecurityGroupRule {
    /// The protocol that it is limited to. Number 0 limits nothing: no IPv4 packet has it, and Neutron also calls it
    /// `ip`. By the name of IPv6's first extension header, it means that header.
    #[must_use]
    pub fn only_protocol(&self) -> Option<&RuleProtocol> {
        let protocol = self.protocol.as_ref()?;
        Some(protocol).filter(|protocol| protocol.number != 0 || protocol.name == "hopopt")
    }
}

/// Who is at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RemoteEnd {
    /// Anybody, in the rule's IP version.
    Anybody,
    /// Addresses in this prefix. It is stored as in the request, so bits after its length may be set.
    Prefix(IpNet),
    /// The ports of a group, with their addresses of the rule's IP version.
    Group(SecurityGroupId),
}

/// An address of a port as a member of its groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MemberAddress {
    /// An address of the port or of its pairs.
    Given(IpNet),
    /// Its link-local address, which identifies the port only on its own network.
    OnLink(NetworkId, Ipv6Addr),
}

impl MemberAddress {
    /// Its IP version.
    #[must_use]
    pub fn ethertype(&self) -> IpVersion {
        match self {
            Self::Given(prefix) => IpVersion::of(prefix.addr()),
            Self::OnLink(..) => IpVersion::V6,
        }
    }
}

/// The number of a security group in the pipeline: 31 bits, never 0, unique among the groups of one [`crate::Intent`].
///
/// It follows from the group's id. If two ids yield the same number, it also depends on which came first. So it must
/// not be stored or sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct GroupNumber(pub u32);

impl GroupNumber {
    const LARGEST: u32 = u32::MAX >> 1;

    /// The number that a group gets if it is free.
    pub(crate) fn of(group: SecurityGroupId) -> Self {
        let (high, low) = group.0.as_u64_pair();
        let folded = high ^ low ^ (high ^ low) >> 32;
        let bits = folded & u64::from(Self::LARGEST);
        Self(u32::try_from(bits).unwrap_or_default().max(1))
    }

    /// The next number to try.
    pub(crate) fn next(self) -> Self {
        Self(self.0 % Self::LARGEST + 1)
    }
}

/// A rule: what it allows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecurityGroupRule {
    /// Its id.
    pub id: SecurityGroupRuleId,
    /// The group that it belongs to.
    pub security_group_id: SecurityGroupId,
    /// Description, project, times, revision. A rule has no name.
    pub meta: Meta,
    /// The direction.
    pub direction: Direction,
    /// The IP version.
    #[serde(with = "crate::ip_version::as_ethertype")]
    pub ethertype: IpVersion,
    /// The protocol. `None`: any.
    pub protocol: Option<RuleProtocol>,
    /// The first destination port, or the ICMP type.
    pub port_range_min: Option<u16>,
    /// The last destination port, or the ICMP code.
    pub port_range_max: Option<u16>,
    /// Who is at the other end.
    pub remote: RemoteEnd,
}
