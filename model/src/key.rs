//! Names of what is stored, in four kinds.

use crate::{
    AddressScopeId, ChassisId, Counted, IpVersion, MacAddr, NetworkId, NetworkKey, PortId,
    RbacPolicyId, RouterId, RouterKey, SecurityGroupId, SecurityGroupRuleId, SubnetId,
    SubnetPoolId,
};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// The name of something stored. Names of different kinds differ in their text too, so that it does without the kind.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Key {
    /// Something that was asked for.
    Object(ObjectKey),
    /// Something that only one may have.
    Claim(Claim),
    /// Something that writers agree on.
    Mark(Mark),
    /// Something that was observed.
    Fact(Fact),
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
    /// What a project may have.
    Quota(String),
    /// The DHCPv6 server's identity.
    ServerIdentity,
}

/// Names what only one may have. It is stored so that two writers cannot both have it: a commit that makes one demands that
/// it was absent.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Claim {
    /// An address of a subnet is a port's.
    Address(SubnetId, IpAddr),
    /// A MAC on a network is a port's.
    Mac(NetworkId, MacAddr),
    /// A number is a network's.
    NetworkKey(NetworkKey),
    /// A segment of a physical network is a network's: a VLAN, or what is untagged.
    Segment(String, Option<u16>),
    /// A number is a router's.
    RouterKey(RouterKey),
    /// A subnet pool is the default of an IP version.
    DefaultSubnetPool(IpVersion),
    /// An external network is the default.
    DefaultNetwork,
    /// A project has its default security group.
    DefaultSecurityGroup(String),
}

/// Names what writers agree on. Whoever does what it stands for writes it again, so that a writer who rests on nobody having
/// done so can demand that it did not change. Those who do it do not hinder each other.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Mark {
    /// A port of the network is made, changed or removed.
    PortsOf(NetworkId),
    /// A port is put under the security group, or a rule is made with it at the other end.
    UsesOf(SecurityGroupId),
    /// Something counted of a project is made. A writer near the project's quota demands that the count is no higher than
    /// it was.
    CountOf(String, Counted),
    /// Something counted is made near the project's quota. A writer who believes to be far from it demands that nobody has
    /// come near.
    NearQuota(String, Counted),
}

/// Names what was observed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Fact {
    /// A hypervisor, as last observed.
    Chassis(ChassisId),
    /// Where a port's interface was last observed.
    Location(PortId),
    /// What a hypervisor last knew of an external network's outside.
    Outside(ChassisId, NetworkId),
    /// The prefix that was delegated to a subnet.
    Delegation(SubnetId),
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
