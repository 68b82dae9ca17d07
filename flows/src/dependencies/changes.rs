//! Compares two snapshots, once for all features.
//!
//! Snapshots share what did not change. So this costs as much as the change, and one walk from the root for each map
//! that differs.

use imbl::ordmap::DiffItem;
use imbl::{OrdMap, ordset};
use sextant_model::{
    AddressHolder, Binding, Chassis, ChassisId, Delegation, Facts, Intent, Network, NetworkId,
    Outside, Port, PortId, Router, RouterId, SecurityGroup, SecurityGroupId, SecurityGroupRule,
    SecurityGroupRuleId, Shortfall, Subnet, SubnetId, SubnetPool, SubnetPoolId,
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
    pub(super) expected: Vec<Changed<'a, (ChassisId, PortId), u16>>,
    pub(super) chassis: Vec<Changed<'a, ChassisId, Arc<Chassis>>>,
    pub(super) gateways: Vec<Changed<'a, RouterId, (ChassisId, NetworkId)>>,
    pub(super) delegations: Vec<Changed<'a, SubnetId, Arc<Delegation>>>,
    pub(super) holders: Vec<Changed<'a, (NetworkId, IpAddr), AddressHolder>>,
    pub(super) outside: Vec<Changed<'a, (ChassisId, NetworkId), Arc<Outside>>>,
    pub(super) shortfalls: Vec<Changed<'a, ChassisId, Arc<Shortfall>>>,
    pub(super) captured: Vec<PortId>,
}

impl<'a> Changes<'a> {
    pub(super) fn between(old: (&'a Intent, &'a Facts), new: (&'a Intent, &'a Facts)) -> Self {
        let ((old_intent, old_facts), (new_intent, new_facts)) = (old, new);
        Self {
            networks: changed(&old_intent.networks, &new_intent.networks),
            subnets: changed(&old_intent.subnets, &new_intent.subnets),
            pools: changed(&old_intent.subnet_pools, &new_intent.subnet_pools),
            ports: changed(&old_intent.ports, &new_intent.ports),
            routers: changed(&old_intent.routers, &new_intent.routers),
            groups: changed(&old_intent.security_groups, &new_intent.security_groups),
            rules: changed(
                &old_intent.security_group_rules,
                &new_intent.security_group_rules,
            ),
            bindings: changed(old_facts.bindings(), new_facts.bindings()),
            expected: changed(old_facts.expected(), new_facts.expected()),
            chassis: changed(old_facts.chassis(), new_facts.chassis()),
            gateways: changed(old_facts.gateways(), new_facts.gateways()),
            delegations: changed(old_facts.delegations(), new_facts.delegations()),
            holders: changed(old_facts.holders(), new_facts.holders()),
            outside: changed(old_facts.outside(), new_facts.outside()),
            shortfalls: changed(old_facts.shortfalls(), new_facts.shortfalls()),
            captured: captured(old_facts, new_facts),
        }
    }
}

/// The ports of which captures begin or end.
fn captured(old: &Facts, new: &Facts) -> Vec<PortId> {
    let differing = old.captured().diff(new.captured());
    differing
        .map(|item| {
            let (ordset::DiffItem::Add(port) | ordset::DiffItem::Remove(port)) = item;
            *port
        })
        .collect()
}

fn changed<'a, K: Ord + Clone, V: PartialEq>(
    old: &'a OrdMap<K, V>,
    new: &'a OrdMap<K, V>,
) -> Vec<Changed<'a, K, V>> {
    old.diff(new).map(Changed::of).collect()
}
