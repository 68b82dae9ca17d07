//! Who is at the other end, where rules name a group: one flow an address of its members, however many rules there are.
//!
//! It is one half of a conjunctive match (ovs-fields(7)); the other, what the packet is, comes from the rules. So rules
//! and members add up, and do not multiply.

use super::super::{in_prefix, of_version};
use super::{Kind, Way, conjunction, rules};
use crate::flow::Flow;
use crate::pipeline::{Holding, NETWORK};
use crate::view::View;
use ipnet::IpNet;
use rust_openflow::{Action, Field, Match};
use sextant_model::{Direction, IpVersion, MemberAddress, RemoteEnd, SecurityGroupId};
use std::collections::{BTreeMap, BTreeSet};

/// How rules of groups that have ports here look at the members of a group. Costs as much as there are rules about it.
pub(crate) fn uses(view: &View<'_>, group: SecurityGroupId) -> BTreeSet<Kind> {
    let rules = view.intent.rules_about(group).filter_map(|rule| {
        let owner = view.intent.security_groups.get(&rule.security_group_id)?;
        view.has_ports_under(owner.id).then_some(Kind {
            direction: rule.direction,
            family: rule.ethertype,
            stateful: owner.stateful,
        })
    });
    rules.collect()
}

/// What makes the address one of a member.
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
    let flow = |((direction, stateful), ids): (_, BTreeSet<u32>)| {
        let way = Way::of(direction);
        let matches = at(view, way, address)?;
        Some(halves(way, stateful, matches, 0, ids.into_iter()))
    };
    clauses.into_iter().filter_map(flow).collect()
}

/// Matches the address at the other end.
fn at(view: &View<'_>, way: &Way, address: &MemberAddress) -> Option<Match> {
    let field = way.remote(address.ethertype());
    Some(match address {
        MemberAddress::Given(prefix) => of_prefix(field, *prefix),
        MemberAddress::OnLink(network, address) => {
            let network = view.network(*network)?;
            view.has_ports_on(network.id)
                .then(|| of_version(IpVersion::V6).ipv6(field, *address))?
                .holding(NETWORK, network.key.0)
        }
    })
}

/// Halves of rules that look at packets alike: the `clause`th of each of these conjunctions.
pub(super) fn halves(
    way: &Way,
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
    let half = |id| Action::Conjunction {
        id,
        clause,
        clauses: 2,
    };
    Flow::new(way.rules, priority, matches).apply(ids.map(half).collect())
}

/// Matches an address of a prefix, and its family.
pub(super) fn of_prefix(field: Field, prefix: IpNet) -> Match {
    let family = of_version(IpVersion::of(prefix.addr()));
    in_prefix(family, field, prefix)
}

/// The group that a rule's other end is.
pub(crate) fn group_of(remote: RemoteEnd) -> Option<SecurityGroupId> {
    match remote {
        RemoteEnd::Group(group) => Some(group),
        RemoteEnd::Anybody | RemoteEnd::Prefix(_) => None,
    }
}
