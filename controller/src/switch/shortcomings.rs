//! Tells what a switch does not take of its flows: the log once, the metrics and the owner of state always.
//!
//! What was told is compared with what is, so that a flow which is refused again after a reconnect is no news, and a
//! thousand flows that fall out for one reason make one line.

use super::programming::Refused;
use crate::metrics::Metrics;
use crate::throttle::Throttle;
use rust_openflow::FlowMod;
use sextant_flows::{Cookie, Flows};
use sextant_model::{Capability, ChassisId, Refusal, Shortfall};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A flow is told in so many characters: one that is too long for a message is too long for a log, too.
const LONGEST: usize = 1000;

/// What a session has told of its switch.
pub(super) struct Shortcomings {
    told: Arc<Shortfall>,
    throttle: Throttle,
    due: bool,
    gave_up: Option<String>,
}

impl Shortcomings {
    /// A session begins with what is known from the one before.
    pub(super) fn new(known: Option<&Arc<Shortfall>>) -> Self {
        Self {
            told: known.cloned().unwrap_or_default(),
            throttle: Throttle::default(),
            due: true,
            gave_up: None,
        }
    }

    /// Flows have changed: what is missing may be other than it was.
    pub(super) fn may_differ(&mut self, flows: &Flows) {
        self.due |= flows.is_short() || !self.told.is_none();
    }

    /// The switch refused a change, and not for the sake of flows that can be left out: it is tried again, and that may go on.
    pub(super) fn give_up(&mut self, chassis: &ChassisId, refused: &Refused, again_in: Duration) {
        self.due = true;
        let error = refused.to_string();
        if self.gave_up.as_ref() == Some(&error) {
            tracing::debug!(%chassis, error, ?again_in, "switch refused a change of its flows");
            return;
        }
        tracing::warn!(%chassis, error, ?again_in, "switch refused a change of its flows");
        self.gave_up = Some(error);
    }

    /// The switch has taken a change.
    pub(super) fn confirmed(&mut self) {
        self.gave_up = None;
    }

    /// Whether something is to be told, once the switch has answered.
    pub(super) fn is_due(&self) -> bool {
        self.due
    }

    /// Tells; returns what the owner of state does not know yet.
    pub(super) fn tell(
        &mut self,
        chassis: &ChassisId,
        flows: &Flows,
        found: Shortfall,
        metrics: &Metrics,
    ) -> Option<Arc<Shortfall>> {
        self.due = false;
        count(chassis, &found, metrics);
        if found == *self.told {
            return None;
        }
        for (refusal, cookies) in news(&self.told, &found) {
            self.log(chassis, flows, refusal, &cookies, &found);
        }
        if found.is_none() {
            tracing::info!(%chassis, "switch takes all its flows");
        }
        self.told = Arc::new(found);
        Some(self.told.clone())
    }

    fn log(
        &mut self,
        chassis: &ChassisId,
        flows: &Flows,
        refusal: &Refusal,
        cookies: &[Cookie],
        found: &Shortfall,
    ) {
        let (missing, error) = (refusal.missing.as_str(), &refusal.error);
        let Some((first, rest)) = cookies.split_first() else {
            return;
        };
        for cookie in rest {
            let flow = text(flows, *cookie);
            tracing::debug!(%chassis, missing, %error, %flow, "switch refused a flow, which is left out");
        }
        if let Some(unsaid) = self.throttle.admit(Instant::now()) {
            let (flow, more) = (text(flows, *first), rest.len());
            let wanted_by = wanted_by(flows, *first);
            let ports_down = found.ports.len();
            tracing::warn!(%chassis, missing, %error, %flow, wanted_by, more, ports_down, unsaid, "switch refused a flow, which is left out");
        }
    }
}

/// The series of a hypervisor, once its session has ended.
pub(super) fn hide(chassis: &ChassisId, metrics: &Metrics) {
    count(chassis, &Shortfall::default(), metrics);
}

fn count(chassis: &ChassisId, found: &Shortfall, metrics: &Metrics) {
    let missing = found.missing();
    for capability in Capability::ALL {
        let labels = [chassis.as_str(), capability.as_str()];
        match missing.get(&capability) {
            Some(flows) => metrics
                .flows_refused
                .with_label_values(&labels)
                .set(i64::try_from(*flows).unwrap_or(i64::MAX)),
            None => drop(metrics.flows_refused.remove_label_values(&labels)),
        }
    }
}

/// The flows that are left out and were not told with that reason, by reason.
fn news<'a>(told: &Shortfall, found: &'a Shortfall) -> BTreeMap<&'a Refusal, Vec<Cookie>> {
    let mut news: BTreeMap<&Refusal, Vec<Cookie>> = BTreeMap::new();
    for (cookie, refusal) in &found.flows {
        if told.flows.get(cookie) != Some(refusal) {
            news.entry(refusal).or_default().push(Cookie(*cookie));
        }
    }
    news
}

/// A flow as `ovs-ofctl add-flow` takes it, or the beginning of it.
fn text(flows: &Flows, cookie: Cookie) -> String {
    let flow = flows.get(cookie);
    let flow: Option<FlowMod> = flow.map(|flow| flow.to_flow_mod(cookie.0));
    let mut text = flow.map_or_else(String::new, |flow| flow.to_string());
    if let Some((end, _)) = text.char_indices().nth(LONGEST) {
        text.truncate(end);
        text.push('…');
    }
    text
}

fn wanted_by(flows: &Flows, cookie: Cookie) -> String {
    const NAMED: usize = 3;
    let all = flows.wanted_by(cookie);
    let named = all.iter().take(NAMED).map(String::as_str);
    let named: Vec<&str> = named.collect();
    match all.len().saturating_sub(NAMED) {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}
