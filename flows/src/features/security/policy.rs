//! The rules of the groups of ports, and the ports under them.

use super::super::{fragments, of_version, routing};
use super::member::{halves, of_prefix};
use super::{EGRESS, INGRESS, RuleKind, RulePath, WAYS, conjunction, entry, rule, rules};
use crate::flow::Flow;
use crate::pipeline::{Holding, POLICY};
use crate::trace::Packet;
use crate::view::View;
use ipnet::IpNet;
use rust_openflow::{Action, Field, Match};
use sextant_model::{
    IpVersion, Port, RemoteEnd, SecurityGroup, SecurityGroupId, SecurityGroupRule,
    SecurityGroupRuleId,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use xxhash_rust::xxh3::xxh3_64;

type Groups = BTreeSet<SecurityGroupId>;

/// The number of a set of groups: a hash, long enough that no two sets share it.
fn number(groups: &Groups) -> u64 {
    let ids: Vec<u8> = groups.iter().flat_map(|id| id.0.into_bytes()).collect();
    xxh3_64(&ids)
}

fn existing<'a, 'g>(
    view: &View<'a>,
    groups: &'g Groups,
) -> impl Iterator<Item = &'a Arc<SecurityGroup>> + use<'a, 'g> {
    let intent = view.intent;
    groups
        .iter()
        .filter_map(|id| intent.security_groups.get(id))
}

/// What a port here is held to. Without a group only what is always allowed passes.
pub(crate) fn port(view: &View<'_>, port: &Port, ofport: u16) -> Vec<Flow> {
    if !port.port_security_enabled {
        return WAYS.map(|way| unfiltered(way, ofport)).into();
    }
    let groups = &port.security_groups;
    let Some(stateful) = existing(view, groups).map(|group| group.stateful).max() else {
        return vec![];
    };
    let policy = POLICY.set(number(groups));
    let meter = meter(view, port, ofport);
    // Without address pairs nobody else may send from the port's addresses, so its own port meter is enough.
    let shares = !port.allowed_address_pairs.is_empty();
    let sent_meter = if shares { meter } else { None };
    let sent = held(&EGRESS, ofport, &policy, stateful)
        .flat_map(|flow| fragments::before_lookup(flow, sent_meter));
    let taken = held(&INGRESS, ofport, &policy, stateful)
        .flat_map(|flow| fragments::before_lookup(flow, meter));
    let mut flows: Vec<_> = sent.chain(taken).chain([own(ofport)]).collect();
    if meter.is_some() && !shares {
        flows.extend(forged_pieces(port, ofport));
    }
    flows
}

/// Drops fragments to a guest that claim to come from that guest. The tracker would join them with fragments that the
/// guest sends, which pass another meter. A port with address pairs is different: others may send from these addresses,
/// so what it sends passes the zone's meter, too.
fn forged_pieces(port: &Port, ofport: u16) -> impl Iterator<Item = Flow> {
    let own = port.addresses().map(|(_, address)| address);
    let own = own.chain([port.mac_address.link_local().into()]);
    own.map(move |own| {
        let matches = fragments::only(routing::from(own.into()).with(INGRESS.port, ofport));
        Flow::new(INGRESS.entry, entry::NEVER, matches)
    })
}

/// The meter of fragments that are put together for a port. `None` where it needs none.
pub(crate) fn meter(view: &View<'_>, port: &Port, ofport: u16) -> Option<u32> {
    if !port.port_security_enabled || !keeps_state(view, port) {
        return None;
    }
    fragments::meter_of_zone(view, ofport)
}

fn keeps_state(view: &View<'_>, port: &Port) -> bool {
    existing(view, &port.security_groups).any(|group| group.stateful)
}

/// Passes everything.
fn unfiltered(way: &RulePath, ofport: u16) -> Flow {
    let matches = Match::new().with(way.port, ofport);
    Flow::new(way.entry, entry::UNFILTERED, matches).goto(way.next)
}

/// Drops what a guest sent to many when it comes back to that guest: the tracker would take it for another sender's.
fn own(ofport: u16) -> Flow {
    let back = Match::new()
        .with(Field::IN_PORT, ofport)
        .with(INGRESS.port, ofport);
    Flow::new(INGRESS.entry, entry::OWN, back)
}

/// Sends IP to the rules; nothing else passes. If no group is stateful, what the tracker knows from the sender's side
/// is cleared.
fn held(
    way: &'static RulePath,
    ofport: u16,
    policy: &Action,
    stateful: bool,
) -> impl Iterator<Item = Flow> + use<> {
    let policy = policy.clone();
    IpVersion::ALL.into_iter().map(move |of| {
        let matches = of_version(of).with(way.port, ofport);
        let flow = Flow::new(way.entry, entry::RULED, matches);
        if stateful {
            flow.apply(vec![policy.clone(), way.track()])
        } else {
            flow.apply(vec![policy.clone(), Action::CtClear])
                .goto(way.rules)
        }
    })
}

/// The rules of a set of groups, if a port here is under exactly these.
pub(crate) fn flows(view: &View<'_>, groups: &Groups) -> Vec<Flow> {
    if !is_here(view, groups) {
        return vec![];
    }
    let mut policy = Policy::of(groups);
    for group in existing(view, groups) {
        for rule in view.intent.rules_of(group.id) {
            policy.add(view, rule, group.stateful);
        }
    }
    policy.flows()
}

/// The rules of these groups because of which there is a flow. Members of a group are matched by one flow for all
/// rules about the group. Of these rules, only those remain that allow the packet, if one is given.
pub(crate) fn rules_behind(
    view: &View<'_>,
    groups: &Groups,
    flow: &Flow,
    packet: Option<&Packet>,
) -> Vec<SecurityGroupRuleId> {
    let mut behind = vec![];
    for group in existing(view, groups) {
        for rule in view.intent.rules_of(group.id) {
            let mut only = Policy::of(groups);
            only.add(view, rule, group.stateful);
            if is_behind(&only.flows(), flow, packet) {
                behind.push(rule.id);
            }
        }
    }
    behind
}

/// Whether a flow is one of those of a rule, and what the rule says of packets is true of this one.
fn is_behind(of_rule: &[Flow], flow: &Flow, packet: Option<&Packet>) -> bool {
    let wanted = (flow.stage, flow.priority, &flow.matches);
    let mut all = of_rule.iter();
    let is_of_rule = all.any(|own| (own.stage, own.priority, &own.matches) == wanted);
    let Some(packet) = packet.filter(|_| joins_halves(flow)) else {
        return is_of_rule;
    };
    let mut halves = of_rule.iter().filter(|own| !joins_halves(own));
    is_of_rule && halves.any(|half| packet.satisfies(&half.matches))
}

fn joins_halves(flow: &Flow) -> bool {
    flow.matches.get(Field::CONJ_ID).is_some()
}

/// Whether a port here is under exactly these groups.
fn is_here(view: &View<'_>, groups: &Groups) -> bool {
    let Some(first) = groups.first() else {
        return false;
    };
    let ports = view.facts.local_ports_under(*first, view.chassis);
    let mut ports = ports.filter_map(|id| view.intent.ports.get(&id));
    ports.any(|port| port.port_security_enabled && port.security_groups == *groups)
}

/// Rules being collected. Several may match the same packets.
struct Policy {
    number: u64,
    /// Packets that are allowed.
    allowed: BTreeSet<(RuleKind, Match)>,
    /// Packets that are allowed with the members of groups, with the ids of their conjunctions.
    halves: BTreeMap<(RuleKind, Match), BTreeSet<u32>>,
}

impl Policy {
    /// Of a set of groups, still without rules.
    fn of(groups: &Groups) -> Self {
        Self {
            number: number(groups),
            allowed: BTreeSet::new(),
            halves: BTreeMap::new(),
        }
    }

    fn add(&mut self, view: &View<'_>, rule: &SecurityGroupRule, stateful: bool) {
        let kind = RuleKind {
            direction: rule.direction,
            family: rule.ethertype,
            stateful,
        };
        let packets = rule::matches(rule, stateful).into_iter();
        let packets = packets.map(|matches| matches.holding(POLICY, self.number));
        match rule.remote {
            RemoteEnd::Anybody => self.allowed.extend(packets.map(|matches| (kind, matches))),
            RemoteEnd::Prefix(prefix) => {
                let from_there = packets.filter_map(|matches| kind.with(prefix, matches));
                self.allowed
                    .extend(from_there.map(|matches| (kind, matches)));
            }
            RemoteEnd::Group(group) => {
                let Some(number) = view.intent.group_number(group) else {
                    return;
                };
                for matches in packets {
                    let ids = self.halves.entry((kind, matches)).or_default();
                    ids.insert(conjunction(number, stateful));
                }
            }
        }
    }

    fn flows(self) -> Vec<Flow> {
        let allowed = self.allowed.into_iter();
        let mut flows: Vec<_> = allowed
            .flat_map(|(kind, matches)| kind.allow(&matches))
            .collect();
        let conjunctions: BTreeSet<(RuleKind, u32)> = self
            .halves
            .iter()
            .flat_map(|((kind, _), ids)| ids.iter().map(|id| (*kind, *id)))
            .collect();
        for (kind, id) in conjunctions {
            flows.extend(kind.allow(&kind.opener().with(Field::CONJ_ID, id)));
        }
        for ((kind, matches), ids) in self.halves {
            let way = RulePath::of(kind.direction);
            flows.push(halves(way, kind.stateful, matches, 1, ids.into_iter()));
        }
        flows
    }
}

impl RuleKind {
    /// Matches these packets with the other end in that prefix. `None` if the prefix is of the other family.
    fn with(self, prefix: IpNet, matches: Match) -> Option<Match> {
        let field = RulePath::of(self.direction).remote(self.family);
        let of_family = IpVersion::of(prefix.addr()) == self.family;
        of_family.then(|| and(matches, &of_prefix(field, prefix)))
    }

    /// Matches any packet of its kind.
    fn opener(self) -> Match {
        if self.stateful {
            super::connections::of_opener(self.family)
        } else {
            of_version(self.family)
        }
    }

    /// Lets these packets pass. A connection is committed once.
    fn allow(self, matches: &Match) -> Vec<Flow> {
        let way = RulePath::of(self.direction);
        if !self.stateful {
            let stateless = Flow::new(way.rules, rules::STATELESS, matches.clone());
            return vec![stateless.goto(way.next)];
        }
        // Only the first packet of a connection is committed. The others find its mark.
        let known = matches.clone().with(Field::CT_MARK, way.own);
        vec![
            Flow::new(way.rules, rules::KNOWN, known).goto(way.next),
            Flow::new(way.rules, rules::ALLOWED, matches.clone())
                .apply(vec![way.remember(way.own)])
                .goto(way.next),
        ]
    }
}

fn and(matches: Match, more: &Match) -> Match {
    let mut both = matches;
    more.fields().for_each(|entry| both.insert(*entry));
    both
}
