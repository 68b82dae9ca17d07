//! Finds the hypervisors that a change may concern, so that the others need not look at it.
//!
//! The owner of state asks this once a change, and wakes these. A hypervisor too many costs time. One too few keeps wrong
//! flows; the property `who_is_not_concerned_has_the_same_flows_to_be_confirmed` looks for that.

use super::changes::{Changed, Changes};
use crate::features::security::group_of;
use imbl::ordset::DiffItem;
use sextant_model::{
    Chassis, ChassisId, Facts, Intent, NetworkId, Port, Publish, RouterId, SecurityGroupId,
};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The hypervisors whose flows a change may alter, or whose ports it makes wait for their flows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Concerned {
    /// All of them.
    Everyone,
    /// These.
    These(BTreeSet<ChassisId>),
}

type Known<'a> = (&'a Intent, &'a Facts);

impl Concerned {
    /// Those that a change from one snapshot to another concerns. Costs as much as the change, and as the hypervisors that
    /// it finds.
    #[must_use]
    pub fn by_change(old: Known<'_>, new: Known<'_>) -> Self {
        let changes = Changes::between(old, new);
        if concerns_everyone(old, new, &changes) {
            return Self::Everyone;
        }
        let mut search = Search::new(old, new);
        search.facts(&changes);
        search.ports(&changes);
        search.rules(&changes);
        search.links(&changes);
        Self::These(search.found)
    }

    /// Whether a hypervisor is one of these.
    #[must_use]
    pub fn includes(&self, chassis: &ChassisId) -> bool {
        match self {
            Self::Everyone => true,
            Self::These(these) => these.contains(chassis),
        }
    }
}

/// The configuration, and the MTU of all networks. Where prefixes come from matters to routers that answer for guests.
fn concerns_everyone(
    (old, old_facts): Known<'_>,
    (new, new_facts): Known<'_>,
    changes: &Changes<'_>,
) -> bool {
    old.settings != new.settings
        || old.server_identity != new.server_identity
        || old_facts.tunnel_overhead() != new_facts.tunnel_overhead()
        || !changes.pools.is_empty()
}

struct Search<'a> {
    sides: [Known<'a>; 2],
    found: BTreeSet<ChassisId>,
    /// Networks whose hypervisors were found.
    networks: BTreeSet<NetworkId>,
    /// Networks that were followed through all routers.
    followed: BTreeSet<NetworkId>,
    groups: BTreeSet<SecurityGroupId>,
}

impl<'a> Search<'a> {
    fn new(old: Known<'a>, new: Known<'a>) -> Self {
        Self {
            sides: [old, new],
            found: BTreeSet::new(),
            networks: BTreeSet::new(),
            followed: BTreeSet::new(),
            groups: BTreeSet::new(),
        }
    }

    /// What was observed of hypervisors themselves.
    fn facts(&mut self, changes: &Changes<'_>) {
        for changed in &changes.chassis {
            self.found.insert(changed.key.clone());
            if is_elsewhere(changed) {
                self.peers_of(&changed.key);
            }
        }
        let expecting = changes.expected.iter().map(|changed| &changed.key);
        self.found
            .extend(expecting.map(|(chassis, _)| chassis.clone()));
        let short = changes.shortfalls.iter().map(|changed| changed.key.clone());
        self.found.extend(short);
        let [(_, old), (_, new)] = self.sides;
        for waiting in old.unconfirmed().diff(new.unconfirmed()) {
            let (DiffItem::Add((chassis, _)) | DiffItem::Remove((chassis, _))) = waiting;
            self.found.insert(chassis.clone());
        }
        for outside in &changes.outside {
            let (chassis, network) = &outside.key;
            self.found.insert(chassis.clone());
            for (_, facts) in self.sides {
                let routers = facts.gateways_of(*network, chassis);
                routers.for_each(|router| self.router(router));
            }
        }
        for gateway in &changes.gateways {
            self.found
                .extend(gateway.sides().map(|(chassis, _)| chassis.clone()));
            self.router(gateway.key);
        }
    }

    fn ports(&mut self, changes: &Changes<'_>) {
        for port in changes.ports.iter().flat_map(|port| port.sides()) {
            if port.router().or(port.gateway_of()).is_some() {
                self.follow(port.network_id);
            }
            self.network(port.network_id);
            for (_, facts) in self.sides {
                self.found.extend(facts.expecting(port.id).cloned());
            }
            port.security_groups
                .iter()
                .for_each(|group| self.about(*group));
            self.rivals(port);
        }
        for binding in changes.bindings.iter().flat_map(|binding| binding.sides()) {
            self.found.insert(binding.chassis.clone());
            self.network(binding.network);
        }
        for holder in &changes.holders {
            let (network, _) = holder.key;
            self.network(network);
        }
        for port in &changes.captured {
            for (_, facts) in self.sides {
                let binding = facts.binding(*port);
                self.found
                    .extend(binding.map(|binding| binding.chassis.clone()));
            }
        }
    }

    fn rules(&mut self, changes: &Changes<'_>) {
        for rule in changes.rules.iter().flat_map(|rule| rule.sides()) {
            self.under(rule.security_group_id);
            group_of(rule.remote)
                .into_iter()
                .for_each(|group| self.about(group));
        }
        for group in &changes.groups {
            self.under(group.key);
            self.about(group.key);
        }
    }

    /// Networks, their prefixes, and the routers between them.
    fn links(&mut self, changes: &Changes<'_>) {
        for network in &changes.networks {
            self.follow(network.key);
        }
        for subnet in changes.subnets.iter().flat_map(|subnet| subnet.sides()) {
            self.follow(subnet.network_id);
        }
        for delegation in &changes.delegations {
            for (intent, _) in self.sides {
                if let Some(subnet) = intent.subnets.get(&delegation.key) {
                    self.follow(subnet.network_id);
                }
            }
        }
        for router in &changes.routers {
            self.router(router.key);
        }
    }

    /// Those that send to a hypervisor, or that it sends to.
    fn peers_of(&mut self, chassis: &ChassisId) {
        for (_, facts) in self.sides {
            facts
                .networks_on(chassis)
                .for_each(|network| self.network(network));
            let routers = facts.gateways_on(chassis);
            routers.for_each(|(_, router)| self.router(router));
        }
    }

    /// All networks of a router, the external one and what is behind it included.
    fn router(&mut self, router: RouterId) {
        for (intent, _) in self.sides {
            let interfaces = intent.interfaces_of(router);
            let networks = interfaces.chain(intent.gateway_of(router));
            let networks: Vec<NetworkId> = networks.map(|port| port.network_id).collect();
            networks
                .into_iter()
                .for_each(|network| self.follow(network));
        }
    }

    /// The hypervisors where a network is present.
    fn network(&mut self, network: NetworkId) {
        if !self.networks.insert(network) {
            return;
        }
        for (intent, facts) in self.sides {
            self.found.extend(facts.chassis_with(network).cloned());
            for router in routers_on(intent, network) {
                let placed = facts.gateways().get(&router);
                self.found
                    .extend(placed.map(|(chassis, _)| chassis.clone()));
                for port in intent.interfaces_of(router) {
                    self.found
                        .extend(facts.chassis_with(port.network_id).cloned());
                }
            }
        }
    }

    /// The hypervisors where a network is present, and any other that routers join to it.
    fn follow(&mut self, network: NetworkId) {
        let mut waiting = vec![network];
        while let Some(network) = waiting.pop() {
            if !self.followed.insert(network) {
                continue;
            }
            self.network(network);
            for (intent, _) in self.sides {
                for router in routers_on(intent, network) {
                    let ports = intent
                        .interfaces_of(router)
                        .chain(intent.gateway_of(router));
                    waiting.extend(ports.map(|port| port.network_id));
                }
            }
        }
    }

    /// The hypervisors with ports under a group.
    fn under(&mut self, group: SecurityGroupId) {
        for (_, facts) in self.sides {
            self.found.extend(facts.chassis_under(group).cloned());
        }
    }

    /// The hypervisors with ports whose rules are about a group.
    fn about(&mut self, group: SecurityGroupId) {
        if !self.groups.insert(group) {
            return;
        }
        for (intent, _) in self.sides {
            let rules = intent.rules_about(group);
            rules.for_each(|rule| self.under(rule.security_group_id));
        }
    }

    /// Where routers answer for guests outside, they answer for one of those that have an address.
    fn rivals(&mut self, port: &Port) {
        for (intent, _) in self.sides {
            let mut external = intent.settings.external.values();
            if !external.any(|settings| settings.publish == Publish::NdProxy) {
                continue;
            }
            let addresses = port.addresses().map(|(_, address)| address);
            for rival in addresses.flat_map(|address| intent.holders_of(address)) {
                self.network(rival.network_id);
            }
        }
    }
}

/// The routers on a network, by their interfaces or their gateways.
fn routers_on(intent: &Intent, network: NetworkId) -> impl Iterator<Item = RouterId> {
    let inside = intent.router_ports_of(network);
    let outside = intent.gateway_ports_of(network);
    let inside = inside.filter_map(|port| port.router());
    inside.chain(outside.filter_map(|port| port.gateway_of()))
}

/// Whether others send to a hypervisor in another way than before.
fn is_elsewhere(changed: &Changed<'_, ChassisId, Arc<Chassis>>) -> bool {
    let [old, new] = [changed.old, changed.new].map(|side| side.map(|chassis| chassis.encap));
    old != new
}
