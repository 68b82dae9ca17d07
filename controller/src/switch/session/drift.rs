//! What a session does when somebody else changed what its switch has: reads back, and mends the difference.

use super::{Session, SessionError};
use crate::snapshot::Snapshot;
use crate::switch::meters::Meters;
use sextant_flows::reconcile;
use tokio::time::Instant;

impl Session {
    /// Looks whether the switch has what it should have, as far as it is time for that.
    pub(super) async fn keep_vigil(&mut self, now: Instant) -> Result<(), SessionError> {
        let idle = self.is_idle();
        let connection = &mut self.line.connection;
        self.vigil
            .ask(now, idle, |request| connection.send(request).ok());
        if !idle {
            return Ok(());
        }
        if self.vigil.has_read_meters() {
            let meters = Meters::of(&self.snapshot, &self.chassis);
            self.vigil.compare_meters(&self.flows, &meters, now);
        }
        match self.vigil.is_suspicious(now) {
            true => self.mend(now).await,
            false => Ok(()),
        }
    }

    /// What meters should be may differ from before, though the flows that pass them do not.
    pub(super) fn follow_meters(&mut self, before: &Snapshot) {
        let was = Meters::of(before, &self.chassis);
        let wanted = Meters::of(&self.snapshot, &self.chassis);
        if wanted == was {
            return;
        }
        let changes = wanted.follow(&was, self.flows.installable_meters());
        self.vigil.disturbed();
        self.line.post(changes);
    }

    /// Compares with what was computed last: what came to be wanted since is no drift, and has its turn after this.
    async fn mend(&mut self, now: Instant) -> Result<(), SessionError> {
        let tampered = self.vigil.reads(now);
        let mut inventory = self.inventory().await?;
        let doubled = std::mem::take(&mut inventory.doubled);
        let renewed = &tampered | &doubled;
        let present = &inventory.flows - &renewed;
        let meters = inventory.meters.keys().copied().collect();
        let mut difference = reconcile(&self.flows, &present, &meters);
        difference.renew(renewed.intersection(&inventory.flows).copied());
        let wanted = Meters::of(&self.snapshot, &self.chassis);
        let corrections = wanted.correct(inventory.meters.values());
        let meters = difference.added_meters().len() + difference.deleted_meters().len();
        self.vigil
            .mends(difference.flows(), meters + corrections.len());
        self.line.post(corrections);
        if !difference.is_empty() {
            self.program(difference);
        }
        Ok(())
    }
}
