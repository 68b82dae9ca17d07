//! Plans which prefix each delegated subnet is to have.

use ipnet::{IpNet, Ipv6Net};
use sextant_model::{Delegation, Facts, Intent, PROVISIONAL_PREFIX, Subnet, SubnetId};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What has to be done at a time, and the state at that time.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct RenumberingPlan {
    /// Subnets with a wrong prefix, each with the right one.
    pub(super) renumber: BTreeMap<SubnetId, Ipv6Net>,
    /// Delegations that no router asks for on their network any more.
    pub(super) forget: Vec<(SubnetId, Arc<Delegation>)>,
    /// When the next delegation ends, in seconds since 1970.
    pub(super) next_end: Option<i64>,
    /// How many subnets with a router that asks have a delegated prefix.
    pub(super) delegated: usize,
    /// How many such subnets wait for one.
    pub(super) waiting: usize,
}

impl RenumberingPlan {
    /// The plan for intent and facts at a time, in seconds since 1970.
    pub(super) fn of(intent: &Intent, facts: &Facts, now: i64) -> Self {
        let delegations = facts.delegations();
        let mut plan = Self::default();
        for subnet in intent.delegated_subnets() {
            let network = intent.delegating_network(subnet);
            let delegation = delegations
                .get(&subnet.id)
                .filter(|delegation| network == Some(delegation.network))
                .filter(|delegation| !delegation.has_ended(now));
            plan.subnet(subnet, delegation.map(|delegation| &**delegation));
            match delegation {
                Some(_) => plan.delegated += 1,
                None if network.is_some() => plan.waiting += 1,
                None => {}
            }
        }
        plan.forget = delegations
            .iter()
            .filter(|(id, delegation)| {
                let subnet = intent.subnets.get(*id);
                let network = subnet.and_then(|subnet| intent.delegating_network(subnet));
                network != Some(delegation.network)
            })
            .map(|(id, delegation)| (*id, delegation.clone()))
            .collect();
        plan
    }

    fn subnet(&mut self, subnet: &Subnet, delegation: Option<&Delegation>) {
        let prefix = delegation.map_or(PROVISIONAL_PREFIX, Delegation::subnet_prefix);
        if subnet.cidr != IpNet::V6(prefix) {
            self.renumber.insert(subnet.id, prefix);
        }
        let end = delegation.map(|delegation| delegation.valid_until);
        self.next_end = self.next_end.into_iter().chain(end).min();
    }
}
