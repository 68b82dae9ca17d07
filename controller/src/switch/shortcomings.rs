//! What a switch does not take of its flows. The log has it once, the metrics and the owner of state always.
//!
//! A flow that is refused again after a reconnect is no news to the log, and a thousand flows that fall out for one reason
//! make one line. What the owner knows is compared with what was found, so an event that was lost comes again.

use super::programming::Refused;
use crate::series::GaugeSeries;
use rust_openflow::FlowMod;
use sextant_flows::{Cookie, Flows};
use sextant_model::{Capability, ChassisId, Refusal, Shortfall};
use sextant_responders::throttle::Throttle;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A flow is logged in so many characters: one that is too long for a message is too long for a log, too.
const LONGEST: usize = 1000;

/// What a switch does not take, as far as its session has found out.
pub(super) struct Shortcomings {
    found: Arc<Shortfall>,
    refused: GaugeSeries<Capability>,
    throttle: Throttle,
    due: bool,
    gave_up: Option<String>,
}

impl Shortcomings {
    /// A session begins with what is known from the one before.
    pub(super) fn new(known: Option<&Arc<Shortfall>>, refused: GaugeSeries<Capability>) -> Self {
        Self {
            found: known.cloned().unwrap_or_default(),
            refused,
            throttle: Throttle::default(),
            due: true,
            gave_up: None,
        }
    }

    /// Flows have changed: what is missing may be other than it was.
    pub(super) fn may_differ(&mut self, flows: &Flows) {
        self.due |= flows.is_short() || !self.found.is_none();
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

    /// Whether what is missing is to be found out, once the switch has answered.
    pub(super) fn is_due(&self) -> bool {
        self.due
    }

    /// Shows what is missing. Returns whether that is other than before.
    pub(super) fn show(&mut self, found: &Shortfall) -> bool {
        self.due = false;
        self.count(found);
        *found != *self.found
    }

    /// Takes in what is missing, and logs what was not missing before.
    pub(super) fn update(&mut self, chassis: &ChassisId, flows: &Flows, found: Shortfall) {
        let before = std::mem::replace(&mut self.found, Arc::new(found));
        let found = self.found.clone();
        for (refusal, cookies) in news(&before, &found) {
            self.log(chassis, flows, refusal, &cookies, &found);
        }
        if found.is_none() {
            tracing::info!(%chassis, "switch takes all its flows");
        }
    }

    /// What is missing, if that is not what is known of the switch.
    pub(super) fn unknown_to(&self, known: Option<&Arc<Shortfall>>) -> Option<Arc<Shortfall>> {
        let is_known = known.map_or(self.found.is_none(), |known| *known == self.found);
        (!is_known).then(|| self.found.clone())
    }

    fn count(&mut self, found: &Shortfall) {
        let missing = found.missing();
        for capability in Capability::ALL {
            match missing.get(&capability) {
                Some(flows) => {
                    let flows = i64::try_from(*flows).unwrap_or(i64::MAX);
                    self.refused.show(&capability).set(flows);
                }
                None => self.refused.hide(&capability),
            }
        }
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

/// The flows that are left out and were not before for that reason, by reason.
fn news<'a>(before: &Shortfall, found: &'a Shortfall) -> BTreeMap<&'a Refusal, Vec<Cookie>> {
    let mut news: BTreeMap<&Refusal, Vec<Cookie>> = BTreeMap::new();
    for (cookie, refusal) in &found.flows {
        if before.flows.get(cookie) != Some(refusal) {
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
