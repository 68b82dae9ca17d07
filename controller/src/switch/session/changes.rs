//! What a session does with changes of flows: sends one at a time, and takes its outcome.
//!
//! Who goes says so before its flows go. Whatever else is sent because something changed waits until the switch has confirmed
//! the flows that carry it, and take up the answers: sent earlier it would be lost, and may not be said again for long.

use super::host::router_ports;
use super::{SwitchSession, SwitchSessionError};
use crate::clock;
use crate::metrics::{FlowOperation, FlowOutcome};
use crate::snapshot::{Snapshot, Stopping};
use crate::state::Event;
use crate::switch::meters::Meters;
use crate::switch::programming::{Change, Refused};
use rust_openflow::{ErrorMessage, Xid};
use sextant_flows::{Difference, View};
use sextant_model::{Facts, PortId};
use tokio::time::Instant;

impl SwitchSession {
    /// An error about a flow, or about a meter that flows pass, is logged with the change that it belongs to.
    pub(super) fn take_error(&mut self, xid: Xid, error: &ErrorMessage) {
        let change = self.change.as_ref();
        let meter = change.and_then(|change| change.meter(xid));
        if let Some(meter) = meter {
            self.flows.refuse_meter(meter, error.code);
        }
        if meter.is_some() || change.is_some_and(|change| change.has(xid)) {
            self.line.count_refused();
        } else {
            self.line.refused(error);
        }
    }

    /// Finds out what the switch does not take, once it has answered. Returns whether that is other than before.
    pub(super) fn find_shortcomings(&mut self) -> bool {
        if self.change.is_some() || !self.shortcomings.is_due() {
            return false;
        }
        let found = self.flows.shortfall(&self.view());
        if !self.shortcomings.show(&found) {
            return false;
        }
        self.with_contents(|session| {
            session
                .shortcomings
                .update(&session.chassis, &session.flows, found);
        });
        true
    }

    /// Sends what the switch refuses to the owner of state, if that has changed.
    pub(super) async fn tell_shortcomings(&mut self, facts: &Facts) -> Result<(), Stopping> {
        let known = facts.shortfall(&self.chassis);
        let Some(shortfall) = self.shortcomings.unknown_to(known) else {
            return Ok(());
        };
        let event = Event::FellShort(self.chassis.clone(), shortfall);
        let sent = self.context.events.send(event).await;
        sent.map_err(|_| Stopping)
    }

    fn view(&self) -> View<'_> {
        View::new(&self.snapshot.intent, &self.snapshot.facts, &self.chassis)
    }

    /// Sends a difference to the switch; ports that are there turn active once it is confirmed.
    pub(super) fn program(&mut self, difference: Difference) {
        let wanted = i64::try_from(self.flows.len()).unwrap_or(i64::MAX);
        self.flows_wanted.show(&()).set(wanted);
        if difference.touches_links() {
            let ports = router_ports(&self.flows);
            self.host.handle_planned(&ports, clock::time());
            self.context.handover.put(&self.chassis, ports);
            self.send_frames();
        }
        let withheld = self.flows.withheld();
        self.unpublished.update(withheld, &self.chassis);
        self.shortcomings.may_differ(&self.flows);
        if difference.is_empty() && self.confirmable(&self.snapshot).next().is_none() {
            return self.speak(difference.touches_links(), difference.touches_uplinks());
        }
        self.vigil.disturbed();
        self.bundles = self.bundles.wrapping_add(1);
        let mut change = Change::new(self.bundles, difference, self.snapshot.clone());
        let meters = Meters::of(&self.snapshot, &self.chassis);
        change.send_meters(&meters, &mut self.line.connection);
        self.change = Some(change);
        self.drive();
    }

    /// The switch has the flows that carry what links and uplinks have to say, as far as these may have changed: the host may
    /// speak.
    fn speak(&mut self, links: bool, uplinks: bool) {
        let (now, random) = (clock::time(), &mut rand::random::<u64>);
        if links {
            let links = self.flows.links();
            self.host.handle_links(links, now, random);
        }
        if uplinks {
            let latest = self.context.snapshots.latest();
            let known = (&latest.intent, &latest.facts);
            let uplinks = self.flows.uplinks();
            self.host.handle_uplinks(uplinks, known, now, random);
        }
        self.host.handle_confirmed(now);
    }

    /// The ports that turn active once their flows are confirmed: those that do without none of theirs.
    fn confirmable(&self, snapshot: &Snapshot) -> impl Iterator<Item = PortId> {
        let unconfirmed = snapshot.facts.unconfirmed_on(&self.chassis);
        unconfirmed.filter(|port| {
            let port = snapshot.intent.ports.get(port);
            port.is_some_and(|port| !self.flows.lacks(port))
        })
    }

    pub(super) async fn confirmed(&mut self) -> Result<(), SwitchSessionError> {
        let Some(change) = self.change.take() else {
            return Ok(());
        };
        self.backoff.reset();
        self.is_up();
        self.flows.drop_contents();
        self.shortcomings.confirmed();
        self.speak(change.touches_links(), change.touches_uplinks());
        self.count(&change, FlowOutcome::Confirmed);
        self.context
            .metrics
            .reconcile_seconds
            .observe(change.sent.elapsed().as_secs_f64());
        self.line.post(change.last_messages());
        let facts = &change.snapshot.facts;
        let ports: Vec<_> = self
            .confirmable(&change.snapshot)
            .filter_map(|port| Some((port, facts.binding(port)?.clone())))
            .collect();
        if ports.is_empty() {
            return Ok(());
        }
        let event = Event::Confirmed(ports);
        self.context
            .events
            .send(event)
            .await
            .map_err(|_| Stopping.into())
    }

    /// What the switch refused goes again at once without the flows at fault; where none is, the switch is read and
    /// reconciled again later.
    pub(super) fn refused(&mut self, error: &Refused) {
        let Some(mut change) = self.change.take() else {
            return;
        };
        let at_fault = change.at_fault(error);
        if !at_fault.is_empty() {
            // They are kept until the change ends: it may be refused again.
            self.make_contents();
            self.flows.refuse(&at_fault);
        }
        self.shortcomings.may_differ(&self.flows);
        self.count_flows(FlowOperation::Add, FlowOutcome::LeftOut, at_fault.len());
        self.bundles = self.bundles.wrapping_add(1);
        if change.go_without(self.bundles, &at_fault) && !at_fault.is_empty() {
            self.change = Some(change);
            return;
        }
        self.flows.drop_contents();
        self.count(&change, FlowOutcome::Refused);
        let again_in = self.backoff.wait();
        self.shortcomings.give_up(&self.chassis, error, again_in);
        self.resync = Some(Instant::now() + again_in);
    }

    fn count(&self, change: &Change, outcome: FlowOutcome) {
        self.count_flows(FlowOperation::Add, outcome, change.additions());
        self.count_flows(FlowOperation::Delete, outcome, change.deletions());
    }

    fn count_flows(&self, operation: FlowOperation, outcome: FlowOutcome, flows: usize) {
        self.context
            .metrics
            .flow_operations
            .with_label_values(&[operation.as_str(), outcome.as_str()])
            .inc_by(u64::try_from(flows).unwrap_or(u64::MAX));
    }
}
