//! What the store contains, and changes to it.

use crate::{
    AddressScope, Chassis, ChassisId, Counted, Delegation, Fact, Key, MacAddr, Network, NetworkId,
    NovaPort, ObjectKey, Outside, Ownership, Port, PortId, ProjectQuota, RbacPolicy, Router,
    SecurityGroup, SecurityGroupRule, Subnet, SubnetId, SubnetPool, Withdrawn,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use uuid::Uuid;

/// What all objects of the API have.
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
    /// The metadata of a project's new object: without name or description, made at this time (seconds since 1970), of
    /// revision 0.
    #[must_use]
    pub fn new(project: &str, now: i64) -> Self {
        Self {
            project_id: project.to_owned(),
            created_at: now,
            updated_at: now,
            ..Self::default()
        }
    }
}

/// The identity of this cloud's DHCPv6 server. It is made once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerIdentity {
    /// The UUID of its DUID-UUID (RFC 6355).
    pub uuid: Uuid,
}

impl ServerIdentity {
    /// The DUID-UUID: type 4, then the UUID (RFC 6355 §4).
    #[must_use]
    pub fn duid(&self) -> Arc<[u8]> {
        let mut duid = vec![0, 4];
        duid.extend_from_slice(self.uuid.as_bytes());
        duid.into()
    }
}

/// A stored thing.
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
    /// A project's quotas.
    Quota(Arc<ProjectQuota>),
    /// A hypervisor.
    Chassis(Arc<Chassis>),
    /// Where a port's interface is.
    Location(PortId, ChassisId),
    /// The DHCPv6 server's identity.
    ServerIdentity(ServerIdentity),
    /// A claim or a mark. Its key says everything.
    Claim(Key),
    /// What a hypervisor knows of an external network.
    Outside(ChassisId, NetworkId, Arc<Outside>),
    /// The prefix that was delegated to a subnet.
    Delegation(SubnetId, Arc<Delegation>),
    /// Which controller owns a hypervisor.
    Ownership(ChassisId, Ownership),
    /// A port whose flows its hypervisor's switch has confirmed.
    Active(PortId, ChassisId),
    /// Who has an address from address pairs, and at which MAC.
    Holder(NetworkId, IpAddr, PortId, MacAddr),
    /// A hypervisor is silent for so long that others have its gateways.
    Gone(ChassisId),
    /// What a router's port does not advertise any more.
    Withdrawn(Arc<Withdrawn>),
    /// What Nova was told of a guest's port.
    NovaPort(Arc<NovaPort>),
}

impl Object {
    /// The project that it counts for, and the kind that it counts as.
    #[must_use]
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
            | Self::Delegation(..)
            | Self::Ownership(..)
            | Self::Active(..)
            | Self::Holder(..)
            | Self::Gone(_)
            | Self::Withdrawn(_)
            | Self::NovaPort(_) => return None,
        };
        Some((&meta.project_id, kind))
    }

    /// The hypervisor of which it tells, if it names one.
    #[must_use]
    pub fn chassis(&self) -> Option<&ChassisId> {
        match self {
            Self::Chassis(chassis) => Some(&chassis.id),
            Self::Location(_, chassis)
            | Self::Outside(chassis, ..)
            | Self::Ownership(chassis, _)
            | Self::Active(_, chassis)
            | Self::Gone(chassis) => Some(chassis),
            Self::Network(_)
            | Self::Subnet(_)
            | Self::Port(_)
            | Self::Router(_)
            | Self::SubnetPool(_)
            | Self::AddressScope(_)
            | Self::SecurityGroup(_)
            | Self::SecurityGroupRule(_)
            | Self::RbacPolicy(_)
            | Self::Quota(_)
            | Self::ServerIdentity(_)
            | Self::Claim(_)
            | Self::Delegation(..)
            | Self::Holder(..)
            | Self::Withdrawn(_)
            | Self::NovaPort(_) => None,
        }
    }

    /// The key under which it is stored.
    #[must_use]
    pub fn key(&self) -> Key {
        let object = match self {
            Self::Network(network) => ObjectKey::Network(network.id),
            Self::Subnet(subnet) => ObjectKey::Subnet(subnet.id),
            Self::Port(port) => ObjectKey::Port(port.id),
            Self::Router(router) => ObjectKey::Router(router.id),
            Self::SubnetPool(pool) => ObjectKey::SubnetPool(pool.id),
            Self::AddressScope(scope) => ObjectKey::AddressScope(scope.id),
            Self::SecurityGroup(group) => ObjectKey::SecurityGroup(group.id),
            Self::SecurityGroupRule(rule) => ObjectKey::SecurityGroupRule(rule.id),
            Self::RbacPolicy(policy) => ObjectKey::RbacPolicy(policy.id),
            Self::Quota(quota) => ObjectKey::Quota(quota.project_id.clone()),
            Self::ServerIdentity(_) => ObjectKey::ServerIdentity,
            Self::NovaPort(known) => ObjectKey::NovaPort(known.port),
            Self::Withdrawn(gone) => ObjectKey::Withdrawn(gone.network, gone.port),
            Self::Chassis(chassis) => return Fact::Chassis(chassis.id.clone()).into(),
            Self::Location(port, _) => return Fact::Location(*port).into(),
            Self::Outside(chassis, network, _) => {
                return Fact::Outside(chassis.clone(), *network).into();
            }
            Self::Delegation(subnet, _) => return Fact::Delegation(*subnet).into(),
            Self::Ownership(chassis, _) => return Fact::Ownership(chassis.clone()).into(),
            Self::Active(port, _) => return Fact::Active(*port).into(),
            Self::Holder(network, address, ..) => {
                return Fact::Holder(*network, *address).into();
            }
            Self::Gone(chassis) => return Fact::Gone(chassis.clone()).into(),
            Self::Claim(key) => return key.clone(),
        };
        object.into()
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
    /// Removes the thing of this key.
    pub fn delete(key: impl Into<Key>) -> Self {
        Self::Delete(key.into())
    }

    /// The key that it changes.
    #[must_use]
    pub fn key(&self) -> Key {
        match self {
            Self::Put(object) => object.key(),
            Self::Delete(key) => key.clone(),
        }
    }
}
