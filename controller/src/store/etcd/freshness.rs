//! How old what watchers know may be.

use crate::store::{Contact, PAUSE};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// When what watchers know was known to be the latest.
#[derive(Debug)]
pub(super) struct Freshness(Mutex<Contact>);

impl Default for Freshness {
    fn default() -> Self {
        Self(Mutex::new(Contact::NotYet))
    }
}

impl Freshness {
    /// Notes that watchers know all that was committed before this time.
    pub(super) fn confirm(&self, at: Instant) {
        let mut contact = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *contact = match *contact {
            Contact::Kept { since, until } if at <= until + PAUSE => Contact::Kept {
                since,
                until: until.max(at),
            },
            Contact::Kept { .. } | Contact::NotYet | Contact::Always => Contact::Kept {
                since: at,
                until: at,
            },
        };
    }

    /// Since when they do, and until when that is known.
    pub(super) fn contact(&self) -> Contact {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long ago that was. Nothing until there was a watch.
    pub(super) fn age(&self) -> Duration {
        match self.contact() {
            Contact::Kept { until, .. } => until.elapsed(),
            Contact::NotYet | Contact::Always => Duration::ZERO,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_longer_pause_begins_the_contact_anew() {
        let (freshness, begun) = (Freshness::default(), Instant::now());
        assert_eq!(freshness.contact(), Contact::NotYet);
        freshness.confirm(begun);
        freshness.confirm(begun + PAUSE);
        // An answer to an earlier question.
        freshness.confirm(begun);
        let until = begun + PAUSE;
        let since = begun;
        assert_eq!(freshness.contact(), Contact::Kept { since, until });
        let late = until + PAUSE + Duration::from_millis(1);
        freshness.confirm(late);
        let (since, until) = (late, late);
        assert_eq!(freshness.contact(), Contact::Kept { since, until });
    }
}
