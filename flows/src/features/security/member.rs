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
use sextant_model::{Direction, IpVersion, MemberAddress, RemoteEnd, SecurityGroupId};
use std::collections::{BTreeMap, BTreeSet};

/// How rules of groups with ports here match members of a group. Costs as much as there are rules about the group.
pub(crate) fn uses(view: &View<'_>, group: SecurityGroupId) -> BTreeSet<RuleKind> {
    let rules = view.intent.rules_about(group).filter_map(|rule| {
        let owner = view.intent.security_groups.get(&rule.security_group_id)?;
        view.has_ports_under(owner.id).then_some(RuleKind {
            direction: rule.direction,
            family: rule.ethertype,
            stateful: owner.stateful,
        })
    });
    rules.collect()
}

/// Matches a member's address, for all conjunctions of its groups.
pub(crate) fn flows(view: &View<'_>, address: &MemberAddress) -> Vec<Flow> {
    let groups: BTreeSet<_> = view.intent.groups_at(address).collect();
    let mut clauses: BTreeMap<(Direction, bool), BTreeSet<u32>> = BTreeMap::new();
    for group in groups {
        let Some(number) = view.intent.group_number(group) else {
            continue;
        };
        for used in uses(view, group) {
            if used.family == address.ethertype() {
                let ids = clauses.entry((used.direction, used.stateful)).or_default();
                ids.insert(conjunction(number, used.stateful));
            }
        }
    }
    let flows = clauses
        .into_iter()
        .filter_map(|((direction, stateful), ids)| {
            let way = RulePath::of(direction);
            let matches = at(view, way, address)?;
            Some(halves(way, stateful, matches, 0, ids.into_iter()))
        });
    flows.collect()
}

/// Matches the address at the other end.
fn at(view: &View<'_>, way: &RulePath, address: &MemberAddress) -> Option<Match> {
    let field = way.remote(address.ethertype());
    Some(match address {
        MemberAddress::Given(prefix) => of_prefix(field, *prefix),
        MemberAddress::OnLink(network, address) => {
            // A link-local address is a member's on its own network only.
            let network = view.network(*network)?;
            view.has_ports_on(network.id)
                .then(|| of_version(IpVersion::V6).ipv6(field, *address))?
                .holding(NETWORK, network.key.0)
        }
    })
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
