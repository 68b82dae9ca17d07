//! What a switch does not take is left out of what it is given, and its objects are known.
//!
//! A flow that was refused is refused again: the same cookie is the same flow. So it is remembered for as long as the
//! switch stays connected, and no difference has it. Where a meter is missing that may pass, since meters can run out:
//! the flows that pass it, and the meter, are tried again once they went and came.

use super::Flows;
use crate::capability::{explain, needs, suspects};
use crate::contribution::Object;
use crate::features::neighbor;
use crate::flow::{Cookie, Flow, Packed};
use crate::view::View;
use rust_openflow::ErrorCode;
use sextant_model::{Answering, Capability, Port, PortId, Refusal, Shortfall};
use std::collections::{BTreeMap, BTreeSet};

/// More refused flows than these are not remembered but where they are wanted.
const REMEMBERED: usize = 1 << 16;

/// What a switch has refused.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Refused {
    flows: BTreeMap<Cookie, Refusal>,
    meters: BTreeMap<u32, ErrorCode>,
    /// The objects that want such flows.
    objects: BTreeSet<Object>,
}

impl Refused {
    pub(super) fn has(&self, cookie: Cookie) -> bool {
        self.flows.contains_key(&cookie)
    }

    pub(super) fn has_meter(&self, meter: u32) -> bool {
        self.meters.contains_key(&meter)
    }

    /// A flow that no message can hold is refused before it is sent.
    pub(super) fn measure(&mut self, cookie: Cookie, flow: &Packed) {
        if matches!(flow, Packed::TooLong(_)) {
            let refusal = Refusal {
                missing: Capability::MessageLength,
                error: "it is longer than an OpenFlow message".to_owned(),
            };
            self.flows.insert(cookie, refusal);
        }
    }

    /// The same before anybody wants anything. What is too long is measured again.
    pub(super) fn of_nobody(mut self) -> Self {
        let said = |refusal: &Refusal| refusal.missing != Capability::MessageLength;
        self.flows.retain(|_, refusal| said(refusal));
        self.objects.clear();
        self
    }

    /// An object wants just these flows.
    pub(super) fn wants(&mut self, object: &Object, cookies: &[Cookie]) {
        if self.flows.is_empty() {
            return;
        }
        if cookies.iter().any(|cookie| self.has(*cookie)) {
            self.objects.insert(object.clone());
        } else {
            self.objects.remove(object);
        }
    }

    /// Nobody wants a flow any more. Where it costs nothing to find out again, or may be another time, it is forgotten.
    pub(super) fn unwanted(&mut self, cookie: Cookie) {
        let passes = [Capability::Meters, Capability::MessageLength];
        let refusal = self.flows.get(&cookie);
        if refusal.is_some_and(|refusal| passes.contains(&refusal.missing)) {
            self.flows.remove(&cookie);
        }
    }

    /// No flow passes a meter any more.
    pub(super) fn unwanted_meter(&mut self, meter: u32) {
        self.meters.remove(&meter);
    }
}

impl Flows {
    /// The switch has refused these flows: from now on they are left out.
    pub fn refuse(&mut self, refused: &BTreeMap<Cookie, ErrorCode>) {
        let suspected = |(cookie, error): (&Cookie, &ErrorCode)| {
            Some((*cookie, suspects(&self.get(*cookie)?, *error)))
        };
        let suspected: BTreeMap<_, _> = refused.iter().filter_map(suspected).collect();
        let proven = self.proven(&suspected);
        for (cookie, missing) in explain(&suspected, &proven) {
            let error = self.in_words(missing, refused[&cookie]);
            let refusal = Refusal { missing, error };
            self.refused.flows.insert(cookie, refusal);
        }
        self.forget_unwanted();
        let wants = |cookies: &[Cookie]| cookies.iter().any(|cookie| refused.contains_key(cookie));
        let groups = self.groups.iter();
        let objects = groups.filter(|(_, group)| wants(&group.cookies));
        let objects: Vec<Object> = objects.map(|(object, _)| object.clone()).collect();
        self.refused.objects.extend(objects);
    }

    /// What of all that is suspected is needed by flows that are not refused.
    fn proven(&self, suspected: &BTreeMap<Cookie, BTreeSet<Capability>>) -> BTreeSet<Capability> {
        let all: BTreeSet<Capability> = suspected.values().flatten().copied().collect();
        let mut proven = BTreeSet::new();
        for (cookie, wanted) in &self.wanted {
            if proven.len() == all.len() {
                break;
            }
            if !suspected.contains_key(cookie) && !self.refused.has(*cookie) {
                let flow = self.unpacked(*cookie, wanted);
                proven.extend(needs(&flow).filter(|capability| all.contains(capability)));
            }
        }
        proven
    }

    /// The switch has refused a meter. It refuses the flows that pass it, too.
    pub fn refuse_meter(&mut self, meter: u32, error: ErrorCode) {
        if self.meters.contains_key(&meter) {
            self.refused.meters.insert(meter, error);
        }
    }

    /// Which flows are wanted and left out, and which ports of a hypervisor do without.
    pub fn shortfall(&self, view: &View<'_>) -> Shortfall {
        let flows = self.refused.flows.iter();
        let wanted = flows.filter(|(cookie, _)| self.wanted.contains_key(cookie));
        Shortfall {
            flows: wanted
                .map(|(cookie, refusal)| (cookie.0, refusal.clone()))
                .collect(),
            ports: self.ports_without(view),
            answering: self.answering(),
        }
    }

    /// Without one of the flows that all answers have in common, no flow answers.
    fn answering(&self) -> Answering {
        let refused = &self.refused;
        let missing = |flow: &Flow| refused.has(flow.cookie());
        if !refused.flows.is_empty() && neighbor::base().iter().any(missing) {
            Answering::ByPunt
        } else {
            Answering::ByFlow
        }
    }

    /// Whether any flow that is wanted is left out.
    pub fn is_short(&self) -> bool {
        !self.refused.objects.is_empty()
    }

    /// Whether a port here does without a flow of its own or of its security groups. What it has in common with others is
    /// not counted: of that, they all miss the same.
    pub fn lacks(&self, port: &Port) -> bool {
        let objects = &self.refused.objects;
        let own = || objects.contains(&Object::Port(port.id));
        let policy = || objects.contains(&Object::Policy(port.security_groups.clone()));
        !objects.is_empty() && (own() || policy())
    }

    fn ports_without(&self, view: &View<'_>) -> BTreeSet<PortId> {
        if self.refused.objects.is_empty() {
            return BTreeSet::new();
        }
        let networks = view.facts.networks_on(view.chassis);
        let ports = networks.flat_map(|network| view.facts.local_ports(network, view.chassis));
        let known = ports.filter_map(|port| view.intent.ports.get(&port));
        known
            .filter(|port| self.lacks(port))
            .map(|port| port.id)
            .collect()
    }

    /// Who wants a flow, in words.
    pub fn wanted_by(&self, cookie: Cookie) -> Vec<String> {
        let groups = self.groups.iter();
        let wanting = groups.filter(|(_, group)| group.cookies.contains(&cookie));
        wanting.map(|(object, _)| object.to_string()).collect()
    }

    /// What the switch said, and if a meter is missing, what it said of the meter.
    fn in_words(&self, missing: Capability, error: ErrorCode) -> String {
        let meter = self.refused.meters.values().next_back();
        match meter.filter(|_| missing == Capability::Meters) {
            Some(meter) => format!("{error}, its meter was refused: {meter}"),
            None => error.to_string(),
        }
    }

    fn forget_unwanted(&mut self) {
        if self.refused.flows.len() > REMEMBERED {
            let wanted = &self.wanted;
            self.refused
                .flows
                .retain(|cookie, _| wanted.contains_key(cookie));
        }
    }
}
