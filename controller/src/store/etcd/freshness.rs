//! How old what watchers know may be.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// When what watchers know was known to be the latest. `None` until there was a watch.
#[derive(Debug, Default)]
pub(super) struct Freshness(Mutex<Option<Instant>>);

impl Freshness {
    /// Notes that watchers know all that was committed before this time.
    pub(super) fn confirm(&self, at: Instant) {
        let mut latest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *latest = (*latest).max(Some(at));
    }

    /// How long ago that was.
    pub(super) fn age(&self) -> Duration {
        let latest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        latest.map_or(Duration::ZERO, |at| at.elapsed())
    }
}
