//! Finds objects by values that lists are filtered by.
//!
//! One set has the entries of all kinds. An entry is a digest of an attribute's value and an object's id: 20 octets,
//! however long the value is. Different values can have one digest, so that what is found are candidates. Whoever makes
//! values collide finds only more of their own objects.

use super::Intent;
use crate::{MacAddr, Meta, NetworkId, Object, ObjectId, Port, PortId, RbacObject, SubnetId};
use crate::{RbacPolicyId, RouterId, SecurityGroupId, SecurityGroupRuleId};
use imbl::OrdSet;
use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::IpAddr;
use std::ops::Bound;
use uuid::Uuid;

/// A value of an attribute by which objects are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IndexedValue<'a> {
    /// `name`.
    Name(&'a str),
    /// `project_id`.
    Project(&'a str),
    /// `device_id` of ports.
    Device(&'a str),
    /// `binding:host_id` of ports, as it was asked for.
    Host(&'a str),
    /// `mac_address` of ports.
    Mac(MacAddr),
    /// `subnet_id` in `fixed_ips` of ports.
    Subnet(SubnetId),
    /// `target_tenant` of access policies.
    Target(&'a str),
    /// `router:external` of networks.
    External,
}

/// The ids that a search is limited to.
pub type Span<Id> = (Bound<Id>, Bound<Id>);

/// The set of digests and ids.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct ValueIndex(OrdSet<Entry>);

type Entry = (u32, Uuid);

impl IndexedValue<'_> {
    /// Objects without a value are not indexed, since there are many.
    fn is_empty(&self) -> bool {
        match self {
            Self::Name(text)
            | Self::Project(text)
            | Self::Device(text)
            | Self::Host(text)
            | Self::Target(text) => text.is_empty(),
            Self::Mac(_) | Self::Subnet(_) | Self::External => false,
        }
    }

    fn digest<Id: ObjectId>(&self) -> u32 {
        let mut hasher = DefaultHasher::new();
        (Id::NAME, self).hash(&mut hasher);
        hasher.finish() as u32
    }
}

impl ValueIndex {
    /// Replaces the entries of an object as it was by those of the object as it is.
    pub(super) fn replace(&mut self, was: Option<&Object>, is: Option<&Object>) {
        let (was, is) = (was.map(entries), is.map(entries));
        let (was, is) = (was.unwrap_or_default(), is.unwrap_or_default());
        for entry in was.difference(&is) {
            self.0.remove(entry);
        }
        for entry in is.difference(&was) {
            self.0.insert(*entry);
        }
    }
}

fn entries(object: &Object) -> BTreeSet<Entry> {
    match object {
        Object::Network(network) => {
            let external = network.external.then_some(IndexedValue::External);
            let values = common(&network.meta).into_iter().chain(external);
            of(network.id, values)
        }
        Object::Subnet(subnet) => of(subnet.id, common(&subnet.meta)),
        Object::Port(port) => of(port.id, of_port(port)),
        Object::Router(router) => of(router.id, common(&router.meta)),
        Object::SubnetPool(pool) => of(pool.id, common(&pool.meta)),
        Object::AddressScope(scope) => of(scope.id, common(&scope.meta)),
        Object::SecurityGroup(group) => of(group.id, common(&group.meta)),
        Object::SecurityGroupRule(rule) => of(rule.id, common(&rule.meta)),
        Object::RbacPolicy(policy) => {
            let project = IndexedValue::Project(&policy.meta.project_id);
            of(policy.id, [project, IndexedValue::Target(&policy.target)])
        }
        Object::Quota(_)
        | Object::Chassis(_)
        | Object::Location(..)
        | Object::ServerIdentity(_)
        | Object::Claim(_)
        | Object::Outside(..)
        | Object::Delegation(..)
        | Object::Ownership(..)
        | Object::Active(..)
        | Object::Holder(..)
        | Object::Gone(_)
        | Object::Withdrawn(_)
        | Object::NovaPort(_) => BTreeSet::new(),
    }
}

fn of<'a, Id: ObjectId>(
    id: Id,
    values: impl IntoIterator<Item = IndexedValue<'a>>,
) -> BTreeSet<Entry> {
    let values = values.into_iter().filter(|value| !value.is_empty());
    values
        .map(|value| (value.digest::<Id>(), id.into()))
        .collect()
}

fn common(meta: &Meta) -> [IndexedValue<'_>; 2] {
    let name = IndexedValue::Name(&meta.name);
    [name, IndexedValue::Project(&meta.project_id)]
}

fn of_port(port: &Port) -> impl Iterator<Item = IndexedValue<'_>> {
    let subnets = port.fixed_ips.iter();
    let subnets = subnets.map(|fixed| IndexedValue::Subnet(fixed.subnet_id));
    let of_device = [
        IndexedValue::Device(&port.device_id),
        IndexedValue::Host(&port.host_id),
        IndexedValue::Mac(port.mac_address),
    ];
    let common = common(&port.meta);
    common.into_iter().chain(of_device).chain(subnets)
}

impl Intent {
    /// The ids within a span of all objects that have a value, in order, and perhaps of others. `None` for the empty
    /// value.
    pub fn ids_with<Id: ObjectId>(
        &self,
        value: IndexedValue<'_>,
        span: Span<Id>,
    ) -> Option<impl DoubleEndedIterator<Item = Id> + use<'_, Id>> {
        let span = (span.0.map(Id::into), span.1.map(Id::into));
        let digest = value.digest::<Id>();
        (!value.is_empty()).then(|| {
            let found = within(&self.found_by.0, digest, span, (Uuid::nil(), Uuid::max()));
            found.map(Id::from)
        })
    }

    /// The ids within a span of the subnets of a network, in order.
    #[must_use]
    pub fn subnet_ids_of(
        &self,
        network: NetworkId,
        span: Span<SubnetId>,
    ) -> impl DoubleEndedIterator<Item = SubnetId> + use<'_> {
        typed(&self.subnets_of, network, span)
    }

    /// The ids within a span of the ports of a network, in order.
    #[must_use]
    pub fn port_ids_of(
        &self,
        network: NetworkId,
        span: Span<PortId>,
    ) -> impl DoubleEndedIterator<Item = PortId> + use<'_> {
        typed(&self.ports_of, network, span)
    }

    /// The ids within a span of the gateway ports of a router, in order.
    #[must_use]
    pub fn gateway_ids_of(
        &self,
        router: RouterId,
        span: Span<PortId>,
    ) -> impl DoubleEndedIterator<Item = PortId> + use<'_> {
        typed(&self.gateways_of, router, span)
    }

    /// The ids within a span of the ports under a security group, in order.
    #[must_use]
    pub fn port_ids_under(
        &self,
        group: SecurityGroupId,
        span: Span<PortId>,
    ) -> impl DoubleEndedIterator<Item = PortId> + use<'_> {
        typed(&self.ports_under, group, span)
    }

    /// The ids within a span of the ports that were given an address, in order.
    #[must_use]
    pub fn holder_ids_of(
        &self,
        address: IpAddr,
        span: Span<PortId>,
    ) -> impl DoubleEndedIterator<Item = PortId> + use<'_> {
        typed(&self.holders_of, address, span)
    }

    /// The ids within a span of the rules of a security group, in order.
    #[must_use]
    pub fn rule_ids_of(
        &self,
        group: SecurityGroupId,
        span: Span<SecurityGroupRuleId>,
    ) -> impl DoubleEndedIterator<Item = SecurityGroupRuleId> + use<'_> {
        typed(&self.rules_of, group, span)
    }

    /// The ids within a span of the rules whose other end is a security group, in order.
    #[must_use]
    pub fn rule_ids_about(
        &self,
        group: SecurityGroupId,
        span: Span<SecurityGroupRuleId>,
    ) -> impl DoubleEndedIterator<Item = SecurityGroupRuleId> + use<'_> {
        typed(&self.rules_about, group, span)
    }

    /// The ids within a span of the policies for an object, in order.
    #[must_use]
    pub fn policy_ids_for(
        &self,
        object: RbacObject,
        span: Span<RbacPolicyId>,
    ) -> impl DoubleEndedIterator<Item = RbacPolicyId> + use<'_> {
        typed(&self.policies_for, object, span)
    }
}

fn typed<K: Ord + Copy, Id: ObjectId>(
    set: &OrdSet<(K, Id)>,
    key: K,
    span: Span<Id>,
) -> impl DoubleEndedIterator<Item = Id> + use<'_, K, Id> {
    within(set, key, span, (Id::MIN, Id::MAX))
}

fn within<K: Ord + Copy, Id: Ord + Copy>(
    set: &OrdSet<(K, Id)>,
    key: K,
    (low, high): Span<Id>,
    (first, last): (Id, Id),
) -> impl DoubleEndedIterator<Item = Id> + use<'_, K, Id> {
    let found = set.range((end(key, low, first), end(key, high, last)));
    found.map(|(_, id)| *id)
}

/// A bound among the entries of a key. Without one it is the key's outermost entry.
fn end<K, Id>(key: K, bound: Bound<Id>, outermost: Id) -> Bound<(K, Id)> {
    match bound {
        Bound::Unbounded => Bound::Included((key, outermost)),
        Bound::Included(id) => Bound::Included((key, id)),
        Bound::Excluded(id) => Bound::Excluded((key, id)),
    }
}
