//! Compares two snapshots, once for all features.
//!
//! Snapshots share what did not change. So this costs as much as the change, and one walk from the root for each map
//! that differs.

use crate::view::View;
use imbl::OrdMap;
use imbl::ordmap::DiffItem;
use sextant_model::{
    AddressHolder, Binding, Chassis, ChassisId, Delegation, Network, NetworkId, Outside, Port,
    PortId, Router, RouterId, SecurityGroup, SecurityGroupId, SecurityGroupRule,
    SecurityGroupRuleId, Subnet, SubnetId, SubnetPool, SubnetPoolId,
};
use std::net::IpAddr;
use std::sync::Arc;

/// An entry of a map that differs, before and after.
pub(super) struct Changed<'a, K, V> {
    pub(super) key: K,
    pub(super) old: Option<&'a V>,
    pub(super) new: Option<&'a V>,
}

impl<'a, K: Clone, V> Changed<'a, K, V> {
    fn of(item: DiffItem<'a, 'a, K, V>) -> Self {
        let (key, old, new) = match item {
            DiffItem::Add(key, new) => (key, None, Some(new)),
            DiffItem::Remove(key, old) => (key, Some(old), None),
            DiffItem::Update {
                old: (key, old),
                new: (_, new),
            } => (key, Some(old), Some(new)),
        };
        let key = key.clone();
        Self { key, old, new }
    }
}

impl<'a, K, V> Changed<'a, K, V> {
    /// Its values: before, after, or both.
    pub(super) fn sides(&self) -> impl Iterator<Item = &'a V> + use<'a, K, V> {
        [self.old, self.new].into_iter().flatten()
    }
}

/// Every difference that flows may depend on.
pub(super) struct Changes<'a> {
    pub(super) networks: Vec<Changed<'a, NetworkId, Arc<Network>>>,
    pub(super) subnets: Vec<Changed<'a, SubnetId, Arc<Subnet>>>,
    pub(super) pools: Vec<Changed<'a, SubnetPoolId, Arc<SubnetPool>>>,
    pub(super) ports: Vec<Changed<'a, PortId, Arc<Port>>>,
    pub(super) routers: Vec<Changed<'a, RouterId, Arc<Router>>>,
    pub(super) groups: Vec<Changed<'a, SecurityGroupId, Arc<SecurityGroup>>>,
    pub(super) rules: Vec<Changed<'a, SecurityGroupRuleId, Arc<SecurityGroupRule>>>,
    pub(super) bindings: Vec<Changed<'a, PortId, Binding>>,
    pub(super) chassis: Vec<Changed<'a, ChassisId, Arc<Chassis>>>,
    pub(super) gateways: Vec<Changed<'a, RouterId, (ChassisId, NetworkId)>>,
    pub(super) delegations: Vec<Changed<'a, SubnetId, Arc<Delegation>>>,
    pub(super) holders: Vec<Changed<'a, (NetworkId, IpAddr), AddressHolder>>,
    pub(super) outside: Vec<Changed<'a, (ChassisId, NetworkId), Arc<Outside>>>,
}

impl<'a> Changes<'a> {
    pub(super) fn between(old: &View<'a>, new: &View<'a>) -> Self {
        Self {
            networks: changed(&old.intent.networks, &new.intent.networks),
            subnets: changed(&old.intent.subnets, &new.intent.subnets),
            pools: changed(&old.intent.subnet_pools, &new.intent.subnet_pools),
            ports: changed(&old.intent.ports, &new.intent.ports),
            routers: changed(&old.intent.routers, &new.intent.routers),
            groups: changed(&old.intent.security_groups, &new.intent.security_groups),
            rules: changed(
                &old.intent.security_group_rules,
                &new.intent.security_group_rules,
            ),
            bindings: changed(old.facts.bindings(), new.facts.bindings()),
            chassis: changed(old.facts.chassis(), new.facts.chassis()),
            gateways: changed(old.facts.gateways(), new.facts.gateways()),
            delegations: changed(old.facts.delegations(), new.facts.delegations()),
            holders: changed(old.facts.holders(), new.facts.holders()),
            outside: changed(old.facts.outside(), new.facts.outside()),
        }
    }
}

fn changed<'a, K: Ord + Clone, V: PartialEq>(
    old: &'a OrdMap<K, V>,
    new: &'a OrdMap<K, V>,
) -> Vec<Changed<'a, K, V>> {
    old.diff(new).map(Changed::of).collect()
}
