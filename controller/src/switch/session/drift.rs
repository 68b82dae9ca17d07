//! What a session does when somebody else changed what its switch has: reads back, and mends the difference.

use super::{SwitchSession, SwitchSessionError};
use crate::snapshot::Snapshot;
use crate::switch::groups;
use crate::switch::inventory::Inventory;
use crate::switch::meters::Meters;
use sextant_flows::{Difference, InstalledFlow, reconcile};
use std::collections::BTreeSet;
use tokio::time::Instant;

impl SwitchSession {
    /// Looks whether the switch has what it should have, as far as it is time for that.
    pub(super) async fn keep_vigil(&mut self, now: Instant) -> Result<(), SwitchSessionError> {
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

    /// What makes of what the switch has what was computed last. What others have changed is deleted and added anew.
    pub(super) fn difference_from(
        &self,
        inventory: &Inventory,
        changed: &BTreeSet<InstalledFlow>,
    ) -> Difference {
        let flows = inventory.flows.keys().copied();
        let unchanged = flows.filter(|flow| !changed.contains(flow)).collect();
        let meters = inventory.meters.keys().copied().collect();
        let mut difference = reconcile(&self.flows, &unchanged, &meters);
        let changed = changed.iter().copied();
        difference.renew(changed.filter(|flow| inventory.flows.contains_key(flow)));
        difference
    }

    /// Compares with what was computed last: what came to be wanted since is no drift, and has its turn after this.
    async fn mend(&mut self, now: Instant) -> Result<(), SwitchSessionError> {
        let tampered = self.vigil.reads(now);
        let inventory = self.inventory().await?;
        let changed = &tampered | &inventory.changed(&self.flows);
        let difference =
            self.with_contents(|session| session.difference_from(&inventory, &changed));
        let wanted = Meters::of(&self.snapshot, &self.chassis);
        let corrections = wanted.correct(inventory.meters.values());
        let meters = difference.added_meters().len() + difference.deleted_meters().len();
        self.vigil
            .mends(difference.flows(), meters + corrections.len());
        self.line.post(corrections);
        if !difference.is_empty() {
            // Who deletes a group deletes the flows that use it.
            self.line.post(groups::install());
            self.program(difference);
        }
        Ok(())
    }
}
