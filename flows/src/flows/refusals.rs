//! Leaves out of differences what a switch refuses, and knows which objects miss it.
//!
//! A switch that refused a flow refuses it again, since the same cookie is the same flow. So the flow is remembered
//! while the switch stays connected, and no difference contains it. A missing meter may pass, since meters can run out.
//! The meter and its flows are tried again once they were unwanted and are wanted again.

use super::Flows;
use crate::capability::{explain, needs, suspects};
use crate::contribution::PipelineObject;
use crate::features::neighbor;
use crate::flow::{Cookie, Packed};
use crate::view::View;
use rust_openflow::ErrorCode;
use sextant_model::{Answering, Capability, Port, PortId, Refusal, Shortfall};
use std::collections::{BTreeMap, BTreeSet};

/// Beyond this many refused flows, only those that are wanted are remembered.
const REMEMBERED: usize = 1 << 16;

/// What a switch has refused.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct RefusedFlows {
    flows: BTreeMap<Cookie, Refusal>,
    meters: BTreeMap<u32, ErrorCode>,
    /// The objects that want such flows.
    objects: BTreeSet<PipelineObject>,
}

impl RefusedFlows {
    pub(super) fn has(&self, cookie: Cookie) -> bool {
        self.flows.contains_key(&cookie)
    }

    pub(super) fn has_meter(&self, meter: u32) -> bool {
        self.meters.contains_key(&meter)
    }

    /// Refuses a flow that no message can contain, before it is sent.
    pub(super) fn measure(&mut self, cookie: Cookie, flow: &Packed) {
        if matches!(flow, Packed::TooLong(_)) {
            let refusal = Refusal {
                missing: Capability::MessageLength,
                error: "it is longer than an OpenFlow message".to_owned(),
            };
            self.flows.insert(cookie, refusal);
        }
    }

    /// The same refusals, before any object wants anything. Flows that are too long are measured again.
    pub(super) fn of_nobody(mut self) -> Self {
        self.flows
            .retain(|_, refusal| refusal.missing != Capability::MessageLength);
        self.objects.clear();
        self
    }

    /// An object wants exactly these flows.
    pub(super) fn wants(
        &mut self,
        object: &PipelineObject,
        mut cookies: impl Iterator<Item = Cookie>,
    ) {
        if self.flows.is_empty() {
            return;
        }
        if cookies.any(|cookie| self.has(cookie)) {
            self.objects.insert(object.clone());
        } else {
            self.objects.remove(object);
        }
    }

    /// No object wants a flow any more. It is forgotten if it costs nothing to find out again, or if it may be accepted
    /// another time.
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
    /// The switch has refused these flows: they are left out from now on. Which capability it lacks is found out from the
    /// contents of all.
    pub fn refuse(&mut self, refused: &BTreeMap<Cookie, ErrorCode>) {
        let suspected: BTreeMap<_, _> = refused
            .iter()
            .filter_map(|(cookie, error)| Some((*cookie, suspects(&self.get(*cookie)?, *error))))
            .collect();
        // A flow that was refused, before or just now, proves nothing.
        let proven = self.proven(&suspected);
        for (cookie, missing) in explain(&suspected, &proven) {
            let error = self.in_words(missing, refused[&cookie]);
            let refusal = Refusal { missing, error };
            self.refused.flows.insert(cookie, refusal);
        }

        self.forget_unwanted();
        let objects = self.groups.wanting(|cookie| refused.contains_key(&cookie));
        self.refused.objects.extend(objects);
    }

    /// Which of the suspected capabilities the switch has, as flows need them that it did not refuse.
    fn proven(&self, suspected: &BTreeMap<Cookie, BTreeSet<Capability>>) -> BTreeSet<Capability> {
        let all: BTreeSet<Capability> = suspected.values().flatten().copied().collect();
        let mut proven = BTreeSet::new();
        for (cookie, packed) in self.contents.iter().flatten() {
            if proven.len() == all.len() {
                break;
            }
            if !suspected.contains_key(cookie) && !self.refused.has(*cookie) {
                let flow = self.unpacked(*cookie, packed);
                let needed = flow.iter().flat_map(needs);
                proven.extend(needed.filter(|capability| all.contains(capability)));
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

    /// Which flows are wanted and left out, and which ports of a hypervisor miss some.
    #[must_use]
    pub fn shortfall(&self, view: &View<'_>) -> Shortfall {
        let flows = self.refused.flows.iter();
        let wanted = flows.filter(|(cookie, _)| self.wanted.contains(**cookie));
        Shortfall {
            flows: wanted
                .map(|(cookie, refusal)| (cookie.0, refusal.clone()))
                .collect(),
            ports: self.ports_without(view),
            answering: self.answering(),
        }
    }

    /// If the switch refused a flow that all answers share, no flow answers.
    fn answering(&self) -> Answering {
        let refused = &self.refused;
        if !refused.flows.is_empty()
            && neighbor::base()
                .iter()
                .any(|flow| refused.has(flow.cookie()))
        {
            Answering::ByPunt
        } else {
            Answering::ByFlow
        }
    }

    /// Whether any wanted flow is left out.
    #[must_use]
    pub fn is_short(&self) -> bool {
        !self.refused.objects.is_empty()
    }

    /// Whether a port here misses a flow of its own or of its security groups. Flows that all ports share are not
    /// counted: all miss them alike.
    #[must_use]
    pub fn lacks(&self, port: &Port) -> bool {
        let objects = &self.refused.objects;
        !objects.is_empty()
            && (objects.contains(&PipelineObject::Port(port.id))
                || objects.contains(&PipelineObject::Policy(port.security_groups.clone())))
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

    /// The objects that want a flow, in words.
    #[must_use]
    pub fn wanted_by(&self, cookie: Cookie) -> Vec<String> {
        let wanting = self.groups.wanting(|its| its == cookie).into_iter();
        wanting.map(|object| object.to_string()).collect()
    }

    /// The switch's error and, if a meter is missing, its error about the meter.
    fn in_words(&self, missing: Capability, error: ErrorCode) -> String {
        match self.refused.meters.values().next_back() {
            Some(meter) if missing == Capability::Meters => {
                format!("{error}, its meter was refused: {meter}")
            }
            Some(_) | None => error.to_string(),
        }
    }

    fn forget_unwanted(&mut self) {
        if self.refused.flows.len() > REMEMBERED {
            let wanted = &self.wanted;
            self.refused
                .flows
                .retain(|cookie, _| wanted.contains(*cookie));
        }
    }
}
