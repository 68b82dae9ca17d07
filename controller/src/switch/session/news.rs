//! What a session does with a new snapshot, unless it speaks for the hypervisor no more.

use super::{SwitchSession, SwitchSessionError};
use crate::metrics::Computation;
use crate::snapshot::{News, Snapshot};
use sextant_flows::Difference;
use std::sync::Arc;

impl SwitchSession {
    /// Goes on to the latest snapshot. Returns the one before it to compare with, if the flows may differ.
    ///
    /// A snapshot from after the tenure knows less of the hypervisor: flows computed of it would be missing. It is published after the
    /// tenure was ended, so that is looked at last.
    pub(super) fn take_news(
        &mut self,
        latest: Arc<Snapshot>,
    ) -> Result<Option<Arc<Snapshot>>, SwitchSessionError> {
        let before = self.go_on_to(latest);
        self.check_tenure()?;
        Ok(before)
    }

    /// Fails once this controller does not own the hypervisor any more.
    pub(super) fn check_tenure(&self) -> Result<(), SwitchSessionError> {
        let own = self.generation;
        let ended = own.is_some() && self.context.tenures.held(&self.chassis).own != own;
        match ended {
            true => Err(SwitchSessionError::Yielded),
            false => Ok(()),
        }
    }

    fn go_on_to(&mut self, latest: Arc<Snapshot>) -> Option<Arc<Snapshot>> {
        // The latest was read before: what comes in between is heard by the next call.
        let Some(News { before, after }) = self.listener.take() else {
            // News come shortly before their snapshot is the latest.
            if latest.serial > self.snapshot.serial {
                self.snapshot = latest;
            }
            return None;
        };
        self.snapshot = after;
        Some(before)
    }

    /// Brings the flows, computed of an earlier snapshot, in line with this one; gives what that changes.
    pub(super) fn catch_up(&mut self, before: &Snapshot) -> Difference {
        let started = std::time::Instant::now();
        let (old, new) = (
            (&before.intent, &before.facts),
            (&self.snapshot.intent, &self.snapshot.facts),
        );
        let difference = self.flows.update(&self.chassis, old, new);
        self.context.metrics.computed(Computation::Change, started);
        difference
    }

    /// A session that speaks for another hypervisor than it began with would program the wrong flows.
    pub(super) fn check_identity(&self, snapshot: &Snapshot) -> Result<(), SwitchSessionError> {
        let datapath_id = self.line.connection.features().datapath_id;
        let known = snapshot.facts.chassis().get(&self.chassis);
        match known.and_then(|chassis| chassis.datapath_id) {
            Some(known) if known == datapath_id => Ok(()),
            _ => Err(SwitchSessionError::Renamed),
        }
    }
}
