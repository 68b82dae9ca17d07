//! What a session does with what its switch has: reads it back, and makes it what it should be.

use super::{HIGH_WATER, MOST_FLOWS, SwitchSession, SwitchSessionError};
use crate::metrics::Computation;
use crate::snapshot::Snapshot;
use crate::switch::groups;
use crate::switch::inventory::{Inventory, requests};
use crate::switch::meters::Meters;
use rust_openflow::{Message, Xid};
use tokio::time::{Instant, timeout_at};

impl SwitchSession {
    /// What the switch says that it has.
    pub(super) async fn inventory(&mut self) -> Result<Inventory, SwitchSessionError> {
        let mut inventory = Inventory::default();
        let asked = requests().map(|request| self.line.connection.send(&request).ok());
        while !inventory.is_complete() {
            let message = self.answer_to(&asked).await?;
            inventory.take(&message);
            if inventory.flows.len() > MOST_FLOWS {
                return Err(SwitchSessionError::TooMuch);
            }
        }
        Ok(inventory)
    }

    /// The next message that answers one of these requests; others are taken in. The last may be refused.
    async fn answer_to(&mut self, asked: &[Option<Xid>]) -> Result<Message, SwitchSessionError> {
        let deadline = Instant::now() + self.context.patience;
        loop {
            if self.line.connection.queued_bytes() >= HIGH_WATER {
                self.line.connection.flush().await?;
            }
            let received = timeout_at(deadline, self.line.next()).await;
            let (xid, message) =
                received.map_err(|_| self.unanswered("what flows and meters it has"))??;
            if asked.contains(&Some(xid)) {
                if let Message::Error(error) = &message
                    && asked.last() != Some(&Some(xid))
                {
                    return Err(SwitchSessionError::Unreadable(error.clone()));
                }
                return Ok(message);
            }
            let begun = std::time::Instant::now();
            self.take(xid, &message).await?;
            self.punts.add_up(begun);
        }
    }

    /// Reads back what the switch has and makes it what it should be.
    pub(super) async fn reconcile(&mut self) -> Result<(), SwitchSessionError> {
        let inventory = self.inventory().await?;
        let latest = self.context.snapshots.latest();
        if let Some(before) = self.take_news(latest)? {
            // What changes is found by comparing with what the switch has.
            drop(self.catch_up(&before));
        }
        self.with_contents(|session| session.reconcile_with(&inventory));
        if self.change.is_none() {
            self.is_up();
        }
        Ok(())
    }

    fn reconcile_with(&mut self, inventory: &Inventory) {
        let changed = inventory.changed(&self.flows);
        self.vigil.mends(changed.len(), 0);
        let difference = self.difference_from(inventory, &changed);
        let (present, add, delete) = (
            inventory.flows.len(),
            difference.additions(),
            difference.deletions(),
        );
        tracing::info!(chassis = %self.chassis, present, add, delete, "switch read and reconciled");
        let meters = Meters::of(&self.snapshot, &self.chassis);
        let corrections = meters.correct(inventory.meters.values());
        self.line.post(corrections);
        self.line.post(groups::install());
        self.program(difference);
    }

    /// Does what needs the contents of flows, which are not kept: few things do.
    pub(super) fn with_contents<T>(&mut self, act: impl FnOnce(&mut Self) -> T) -> T {
        self.make_contents();
        let done = act(self);
        self.flows.drop_contents();
        done
    }

    pub(super) fn make_contents(&mut self) {
        if !self.flows.has_contents() {
            let started = std::time::Instant::now();
            let Snapshot { intent, facts, .. } = &*self.snapshot;
            self.flows.recompute(intent, facts, &self.chassis);
            self.context.metrics.computed(Computation::All, started);
        }
    }
}
