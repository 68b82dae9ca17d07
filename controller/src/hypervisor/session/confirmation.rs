//! Asks the hypervisor's database whether this controller has the lock still, when somebody doubts it.
//!
//! The database tells a session that has lost the lock. But one that was cut off, or hung, hears of it late.

use super::HypervisorSession;
use super::claim::{AskedGeneration, OwnerClaim, unchanged};
use sextant_model::ChassisId;
use sextant_ovsdb_client::TransactionError;
use std::time::Duration;
use tokio::time::Instant;

/// The pause before a database is asked again that has refused to confirm the lock, though this session has it.
const PAUSE: Duration = Duration::from_millis(200);

impl OwnerClaim {
    /// A transaction was answered that only who has the lock can make, and only while the generation is the one that was shown.
    pub(super) fn was_confirmed(
        &mut self,
        asked: AskedGeneration,
        refusal: Option<&TransactionError>,
    ) {
        match (&self.tenure, refusal) {
            (Some((chassis, _)), None) => {
                let tenures = self.cluster.tenures();
                tenures.confirm(chassis, asked.generation, asked.at);
            }
            (Some(_) | None, _) => self.confirm_again = Some(Instant::now() + PAUSE),
        }
    }
}

impl HypervisorSession {
    /// Has the lock confirmed for the tenure by the generation that the database shows, if somebody asks for that.
    pub(super) fn confirm_lock(&mut self, chassis: &ChassisId, own: Option<u64>, seen: u64) {
        let Some(claim) = &mut self.claim else { return };
        let now = Instant::now();
        let is_due = claim.has_lock()
            && own.or(claim.written) == Some(seen)
            && claim.confirming.is_none()
            && claim.confirm_again.is_none_or(|at| at <= now)
            && claim.cluster.tenures().held(chassis).is_doubted;
        if !is_due {
            return;
        }
        claim.confirm_again = None;
        if let Some(transaction) = unchanged(self.connection.replica()) {
            let id = self.connection.transact(transaction);
            claim.confirming = Some(AskedGeneration {
                id,
                generation: seen,
                at: now,
            });
        }
    }
}
