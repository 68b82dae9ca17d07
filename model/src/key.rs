//! Names of stored things, in four kinds.

use crate::{
    AddressScopeId, ChassisId, Counted, IpVersion, MacAddr, NetworkId, NetworkKey, PortId,
    RbacPolicyId, RouterId, RouterKey, SecurityGroupId, SecurityGroupRuleId, SubnetId,
    SubnetPoolId,
};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// The name of a stored thing. The texts of different kinds differ, so a text names one thing without its kind.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Key {
    /// An object that was asked for.
    Object(ObjectKey),
    /// A claim: only one may have it.
    Claim(Claim),
    /// A mark that writers agree on.
    Mark(Mark),
    /// A fact that was observed.
    Fact(Fact),
}

impl Key {
    /// The fact that it names, if it names one.
    #[must_use]
    pub fn into_fact(self) -> Option<Fact> {
        match self {
            Self::Fact(fact) => Some(fact),
            Self::Object(_) | Self::Claim(_) | Self::Mark(_) => None,
        }
    }
}

/// Names an object: what was asked for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ObjectKey {
    /// A network.
    Network(NetworkId),
    /// A subnet.
    Subnet(SubnetId),
    /// A port.
    Port(PortId),
    /// A router.
    Router(RouterId),
    /// A pool of prefixes.
    SubnetPool(SubnetPoolId),
    /// An address scope.
    AddressScope(AddressScopeId),
    /// A security group.
    SecurityGroup(SecurityGroupId),
    /// A rule of a security group.
    SecurityGroupRule(SecurityGroupRuleId),
    /// An access control policy.
    RbacPolicy(RbacPolicyId),
    /// A project's quotas.
    Quota(String),
    /// The DHCPv6 server's identity.
    ServerIdentity,
    /// What a router's port on a network does not advertise any more.
    Withdrawn(NetworkId, PortId),
    /// What Nova was told of a guest's port.
    NovaPort(PortId),
}

/// Names what only one may have. It is stored so that two writers cannot both get it: a commit that makes one requires
/// that it was absent.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Claim {
    /// A port has this address of a subnet.
    Address(SubnetId, IpAddr),
    /// A port has this MAC on a network.
    Mac(NetworkId, MacAddr),
    /// A network has this number.
    NetworkKey(NetworkKey),
    /// A network has this segment of a physical network: a VLAN, or the untagged one.
    Segment(String, Option<u16>),
    /// A router has this number.
    RouterKey(RouterKey),
    /// A subnet pool is the default of an IP version.
    DefaultSubnetPool(IpVersion),
    /// An external network is the default.
    DefaultNetwork,
    /// A project has its default security group.
    DefaultSecurityGroup(String),
}

/// Names what writers agree on. A writer who does what a mark stands for writes the mark. Another, who relies on nobody
/// doing it, requires that the mark did not change. Writers of the same mark do not hinder each other.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Mark {
    /// A port of the network is made, changed or removed.
    PortsOf(NetworkId),
    /// A port is put under the security group, or a rule names it as the other end.
    UsesOf(SecurityGroupId),
    /// A counted object is made. A writer near the project's quota requires that the count did not grow.
    CountOf(String, Counted),
    /// A counted object is made near the project's quota. A writer who believes to be far from the quota requires that
    /// nobody came near it.
    NearQuota(String, Counted),
}

/// Names what was observed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Fact {
    /// A hypervisor, as last observed.
    Chassis(ChassisId),
    /// Where a port's interface was last observed.
    Location(PortId),
    /// What a hypervisor last knew of an external network.
    Outside(ChassisId, NetworkId),
    /// The prefix delegated to a subnet.
    Delegation(SubnetId),
    /// Which controller owns a hypervisor.
    Ownership(ChassisId),
    /// Whether the flows of a port are confirmed.
    Active(PortId),
    /// Who has an address from address pairs on a network.
    Holder(NetworkId, IpAddr),
    /// Whether a hypervisor is silent for long.
    Gone(ChassisId),
}

impl Fact {
    /// The port of which this says where its interface is.
    #[must_use]
    pub fn located(&self) -> Option<PortId> {
        match self {
            Self::Location(port) => Some(*port),
            Self::Chassis(_)
            | Self::Outside(..)
            | Self::Delegation(_)
            | Self::Ownership(_)
            | Self::Active(_)
            | Self::Holder(..)
            | Self::Gone(_) => None,
        }
    }
}

impl From<ObjectKey> for Key {
    fn from(key: ObjectKey) -> Self {
        Self::Object(key)
    }
}

impl From<Claim> for Key {
    fn from(claim: Claim) -> Self {
        Self::Claim(claim)
    }
}

impl From<Mark> for Key {
    fn from(mark: Mark) -> Self {
        Self::Mark(mark)
    }
}

impl From<Fact> for Key {
    fn from(fact: Fact) -> Self {
        Self::Fact(fact)
    }
}
