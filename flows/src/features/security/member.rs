//! Members of groups that rules name as the other end: one flow an address, however many rules there are.
//!
//! Such a flow is one half of a conjunctive match (ovs-fields(7)). The rules are the other half: what the packet is. So
//! rules and members add up, and do not multiply.

use super::super::{in_prefix, of_version};
use super::{RuleKind, RulePath, conjunction, rules};
use crate::flow::Flow;
use crate::pipeline::{Holding, NETWORK};
use crate::view::View;
use ipnet::IpNet;
use rust_openflow::{Action, Field, Match};
use sextant_model::{
    Direction, IpVersion, MemberAddress, NetworkId, NetworkKey, RemoteEnd, SecurityGroupId,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// How rules of groups with ports here match members of a group. Costs as much as there are rules about the group.
pub(crate) fn uses(view: &View<'_>, group: SecurityGroupId) -> Arc<BTreeSet<RuleKind>> {
    match view.lookups() {
        Some(lookups) => lookups.uses(group, || find_uses(view, group)),
        None => find_uses(view, group),
    }
}

fn find_uses(view: &View<'_>, group: SecurityGroupId) -> Arc<BTreeSet<RuleKind>> {
    let rules = view.intent.rules_about(group).filter_map(|rule| {
        let owner = view.intent.security_groups.get(&rule.security_group_id)?;
        view.has_ports_under(owner.id).then_some(RuleKind {
            direction: rule.direction,
            family: rule.ethertype,
            stateful: owner.stateful,
        })
    });
    Arc::new(rules.collect())
}

/// What the flows for a member's address depend on: the conjunctions of its groups that rules on a hypervisor need.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct MemberMatch {
    pub(crate) address: MemberAddress,
    /// The network of a link-local address.
    network: Option<NetworkKey>,
    /// By direction, and by whether the rules are stateful.
    conjunctions: BTreeMap<(Direction, bool), BTreeSet<u32>>,
}

impl MemberMatch {
    /// How rules on a hypervisor match a member. `None` where no rule does.
    pub(crate) fn of(view: &View<'_>, address: &MemberAddress) -> Option<Self> {
        let mut conjunctions: BTreeMap<_, BTreeSet<u32>> = BTreeMap::new();
        let groups: BTreeSet<_> = view.intent.groups_at(address).collect();
        for group in groups {
            let Some(number) = view.intent.group_number(group) else {
                continue;
            };
            for used in uses(view, group).iter() {
                if used.family == address.ethertype() {
                    let of_path = conjunctions.entry((used.direction, used.stateful));
                    let ids = of_path.or_default();
                    ids.insert(conjunction(number, used.stateful));
                }
            }
        }
        let network = match *address {
            MemberAddress::Given(_) => None,
            MemberAddress::OnLink(network, _) => Some(local_key(view, network)?),
        };
        (!conjunctions.is_empty()).then_some(Self {
            address: *address,
            network,
            conjunctions,
        })
    }

    /// Matches the address at the other end, for all these conjunctions.
    pub(crate) fn flows(&self) -> Vec<Flow> {
        let conjunctions = self.conjunctions.iter();
        let flows = conjunctions.map(|((direction, stateful), ids)| {
            let way = RulePath::of(*direction);
            let matches = self.matches(way);
            halves(way, *stateful, matches, 0, ids.iter().copied())
        });
        flows.collect()
    }

    fn matches(&self, way: &RulePath) -> Match {
        let field = way.remote(self.address.ethertype());
        let matches = match self.address {
            MemberAddress::Given(prefix) => of_prefix(field, prefix),
            MemberAddress::OnLink(_, address) => of_version(IpVersion::V6).ipv6(field, address),
        };
        match self.network {
            Some(network) => matches.holding(NETWORK, network.0),
            None => matches,
        }
    }
}

/// The key of a network with ports here: a link-local address is a member's on its own network only.
fn local_key(view: &View<'_>, network: NetworkId) -> Option<NetworkKey> {
    let network = view.network(network)?;
    view.has_ports_on(network.id).then_some(network.key)
}

/// Flows of one conjunction half: clause `clause` of each of these conjunctions.
pub(super) fn halves(
    way: &RulePath,
    stateful: bool,
    matches: Match,
    clause: u8,
    ids: impl Iterator<Item = u32>,
) -> Flow {
    let priority = if stateful {
        rules::STATEFUL_HALF
    } else {
        rules::STATELESS_HALF
    };
    let halves = ids.map(|id| Action::Conjunction {
        id,
        clause,
        clauses: 2,
    });
    Flow::new(way.rules, priority, matches).apply(halves.collect())
}

/// Matches addresses in a prefix, and their family.
pub(super) fn of_prefix(field: Field, prefix: IpNet) -> Match {
    let family = of_version(IpVersion::of(prefix.addr()));
    in_prefix(family, field, prefix)
}

/// The group that is a rule's other end, if one is.
pub(crate) fn group_of(remote: RemoteEnd) -> Option<SecurityGroupId> {
    match remote {
        RemoteEnd::Group(group) => Some(group),
        RemoteEnd::Anybody | RemoteEnd::Prefix(_) => None,
    }
}
