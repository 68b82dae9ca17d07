//! Which prefix each subnet with a delegated one is to have.

use ipnet::{IpNet, Ipv6Net};
use sextant_model::{Delegation, Facts, Intent, PROVISIONAL_PREFIX, Subnet, SubnetId};
use std::collections::BTreeMap;

/// What is to be done at one time, and what is the case then.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    /// The subnets that have another prefix than they should, with the one that they should have.
    pub(super) renumber: BTreeMap<SubnetId, Ipv6Net>,
    /// The subnets whose delegations no router asks for any more.
    pub(super) forget: Vec<SubnetId>,
    /// When the next delegation ends, in seconds since 1970.
    pub(super) next_end: Option<i64>,
    /// How many subnets a router asks for to which a prefix is delegated.
    pub(super) delegated: usize,
    /// How many to which none is.
    pub(super) waiting: usize,
}

impl Plan {
    /// What follows from intent and facts at a time, in seconds since 1970.
    pub(super) fn of(intent: &Intent, facts: &Facts, now: i64) -> Self {
        let delegations = facts.delegations();
        let mut plan = Self::default();
        for subnet in intent.delegated_subnets() {
            let asked_for = intent.delegating_router(subnet).is_some();
            let delegation = delegations.get(&subnet.id).filter(|_| asked_for);
            let delegation = delegation.filter(|delegation| !delegation.has_ended(now));
            plan.subnet(subnet, delegation.map(|delegation| &**delegation));
            match delegation {
                Some(_) => plan.delegated += 1,
                None if asked_for => plan.waiting += 1,
                None => {}
            }
        }
        let asked_for = |id: &SubnetId| {
            let subnet = intent.subnets.get(id);
            subnet.is_some_and(|subnet| intent.delegating_router(subnet).is_some())
        };
        plan.forget = delegations
            .keys()
            .filter(|id| !asked_for(id))
            .copied()
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
