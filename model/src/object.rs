//! What the store holds, and changes to it.

use crate::{
    AddressScope, AddressScopeId, Chassis, ChassisId, Counted, Delegation, MacAddr, Network,
    NetworkId, NetworkKey, Outside, Port, PortId, ProjectQuota, RbacPolicy, RbacPolicyId, Router,
    RouterId, RouterKey, SecurityGroup, SecurityGroupId, SecurityGroupRule, SecurityGroupRuleId,
    Subnet, SubnetId, SubnetPool, SubnetPoolId,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use uuid::Uuid;

/// What every object of the API has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meta {
    /// Name, need not be unique.
    pub name: String,
    /// Free text.
    pub description: String,
    /// The project that owns it.
    pub project_id: String,
    /// When it was made, in seconds since 1970.
    pub created_at: i64,
    /// When it last changed, in seconds since 1970.
    pub updated_at: i64,
    /// Counts its changes.
    pub revision_number: u64,
    /// Labels.
    pub tags: BTreeSet<String>,
}

impl Meta {
    /// That of a project's object without name or description, made at this time (seconds since 1970), of revision 0.
    pub fn new(project: &str, now: i64) -> Self {
        Self {
            project_id: project.to_owned(),
            created_at: now,
            updated_at: now,
            ..Self::default()
        }
    }
}

/// Who this cloud's DHCPv6 server is; made once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerIdentity {
    /// The UUID of its DUID-UUID (RFC 6355).
    pub uuid: Uuid,
}

impl ServerIdentity {
    /// The DUID-UUID: type 4, then the UUID (RFC 6355 §4).
    pub fn duid(&self) -> Arc<[u8]> {
        let mut duid = vec![0, 4];
        duid.extend_from_slice(self.uuid.as_bytes());
        duid.into()
    }
}

/// The name of something stored.
///
/// Besides objects there are claims: keys that exist so that two writers cannot both have what they name. A commit
/// that makes one demands that it was absent.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Key {
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
    /// A hypervisor, as last observed.
    Chassis(ChassisId),
    /// Where a port's interface was last observed.
    Location(PortId),
    /// The DHCPv6 server's identity.
    ServerIdentity,
    /// Claim: an address of a subnet is a port's.
    Address(SubnetId, IpAddr),
    /// Claim: a MAC on a network is a port's.
    Mac(NetworkId, MacAddr),
    /// Claim: a number is a network's.
    NetworkKey(NetworkKey),
    /// Claim: a segment of a physical network is a network's: a VLAN, or what is untagged.
    Segment(String, Option<u16>),
    /// Claim: a number is a router's.
    RouterKey(RouterKey),
    /// Claim: a subnet pool is the default of an IP version (4 or 6).
    DefaultSubnetPool(u8),
    /// Claim: an external network is the default.
    DefaultNetwork,
    /// Not a claim but a mark: whoever makes, changes or removes a port of the network writes it again, so that a writer
    /// whose decision rests on all of the network's ports can demand that none changed, and writers of different ports
    /// do not hinder each other.
    PortsOf(NetworkId),
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
    /// Claim: a project has its default security group.
    DefaultSecurityGroup(String),
    /// A mark, as [`Key::PortsOf`]: whoever makes something counted of a project writes it again, so that a writer near
    /// the project's quota can demand that the count is no higher than it was.
    CountOf(String, Counted),
    /// A mark: whoever makes something counted near the project's quota writes it again, so that a writer who believes to
    /// be far from it can demand that nobody has come near.
    NearQuota(String, Counted),
    /// A mark, as [`Key::PortsOf`]: whoever puts a port under the security group, or makes a rule with it at the other
    /// end, writes it again, so that a writer who rests on the group being unused can demand that it still is.
    UsesOf(SecurityGroupId),
    /// What a hypervisor last knew of an external network's outside.
    Outside(ChassisId, NetworkId),
    /// The prefix that was delegated to a subnet.
    Delegation(SubnetId),
}

/// Something stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Object {
    /// A network.
    Network(Arc<Network>),
    /// A subnet.
    Subnet(Arc<Subnet>),
    /// A port.
    Port(Arc<Port>),
    /// A router.
    Router(Arc<Router>),
    /// A pool of prefixes.
    SubnetPool(Arc<SubnetPool>),
    /// An address scope.
    AddressScope(Arc<AddressScope>),
    /// A security group.
    SecurityGroup(Arc<SecurityGroup>),
    /// A rule of a security group.
    SecurityGroupRule(Arc<SecurityGroupRule>),
    /// An access control policy.
    RbacPolicy(Arc<RbacPolicy>),
    /// What a project may have.
    Quota(Arc<ProjectQuota>),
    /// A hypervisor.
    Chassis(Arc<Chassis>),
    /// Where a port's interface is.
    Location(PortId, ChassisId),
    /// The DHCPv6 server's identity.
    ServerIdentity(ServerIdentity),
    /// A claim or a mark (its key says all).
    Claim(Key),
    /// What a hypervisor knows of an external network's outside.
    Outside(ChassisId, NetworkId, Arc<Outside>),
    /// The prefix that was delegated to a subnet.
    Delegation(SubnetId, Arc<Delegation>),
}

impl Object {
    /// The project that it counts for, and as what.
    pub fn counted(&self) -> Option<(&str, Counted)> {
        let (meta, kind) = match self {
            Self::Network(network) => (&network.meta, Counted::Network),
            Self::Subnet(subnet) => (&subnet.meta, Counted::Subnet),
            Self::Port(port) => (&port.meta, Counted::Port),
            Self::Router(router) => (&router.meta, Counted::Router),
            Self::SubnetPool(pool) => (&pool.meta, Counted::SubnetPool),
            Self::SecurityGroup(group) => (&group.meta, Counted::SecurityGroup),
            Self::SecurityGroupRule(rule) => (&rule.meta, Counted::SecurityGroupRule),
            Self::RbacPolicy(policy) => (&policy.meta, Counted::RbacPolicy),
            Self::AddressScope(_)
            | Self::Quota(_)
            | Self::Chassis(_)
            | Self::Location(..)
            | Self::ServerIdentity(_)
            | Self::Claim(_)
            | Self::Outside(..)
            | Self::Delegation(..) => return None,
        };
        Some((&meta.project_id, kind))
    }

    /// The key under which it is stored.
    pub fn key(&self) -> Key {
        match self {
            Self::Network(network) => Key::Network(network.id),
            Self::Subnet(subnet) => Key::Subnet(subnet.id),
            Self::Port(port) => Key::Port(port.id),
            Self::Router(router) => Key::Router(router.id),
            Self::SubnetPool(pool) => Key::SubnetPool(pool.id),
            Self::AddressScope(scope) => Key::AddressScope(scope.id),
            Self::SecurityGroup(group) => Key::SecurityGroup(group.id),
            Self::SecurityGroupRule(rule) => Key::SecurityGroupRule(rule.id),
            Self::RbacPolicy(policy) => Key::RbacPolicy(policy.id),
            Self::Quota(quota) => Key::Quota(quota.project_id.clone()),
            Self::Chassis(chassis) => Key::Chassis(chassis.id.clone()),
            Self::Location(port, _) => Key::Location(*port),
            Self::ServerIdentity(_) => Key::ServerIdentity,
            Self::Claim(key) => key.clone(),
            Self::Outside(chassis, network, _) => Key::Outside(chassis.clone(), *network),
            Self::Delegation(subnet, _) => Key::Delegation(*subnet),
        }
    }
}

/// One change to what is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// Make or replace it.
    Put(Object),
    /// Remove it.
    Delete(Key),
}

impl Change {
    /// The key that it changes.
    pub fn key(&self) -> Key {
        match self {
            Self::Put(object) => object.key(),
            Self::Delete(key) => key.clone(),
        }
    }
}
