//! When the next transaction may be sent: one at a time, and after a refusal not at once.
//!
//! What is refused is computed again from an unchanged database, and would be refused again.

use sextant_responders::backoff::Backoff;
use std::time::Duration;
use tokio::time::Instant;

/// How long after a refusal the next transaction waits, at first and at most.
const BACKOFF: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));

/// Whose turn it is: the hypervisor's to answer, or Sextant's to send.
#[derive(Debug)]
pub(super) struct TransactionTurn<Id> {
    /// The transaction whose reply is awaited.
    awaited: Option<Id>,
    /// When the next may be sent, after a refusal.
    after: Option<Instant>,
    backoff: Backoff,
}

impl<Id> Default for TransactionTurn<Id> {
    fn default() -> Self {
        Self {
            awaited: None,
            after: None,
            backoff: BACKOFF,
        }
    }
}

impl<Id: PartialEq> TransactionTurn<Id> {
    /// Whether a transaction may be sent.
    pub(super) fn is_ours(&self, now: Instant) -> bool {
        self.awaited.is_none() && self.after.is_none_or(|after| after <= now)
    }

    /// Whether a reply is awaited: what changes may be our own doing.
    pub(super) fn is_awaited(&self) -> bool {
        self.awaited.is_some()
    }

    /// When a transaction may be sent that was refused.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.after
    }

    /// A transaction was sent.
    pub(super) fn sent(&mut self, id: Id) {
        (self.awaited, self.after) = (Some(id), None);
    }

    /// A reply came; whether it is the one that was awaited.
    pub(super) fn answered(&mut self, id: Id, confirmed: bool, now: Instant) -> bool {
        if self.awaited != Some(id) {
            return false;
        }
        self.awaited = None;
        if confirmed {
            self.after = None;
            self.backoff.reset();
        } else {
            self.after = Some(now + self.backoff.wait());
        }
        true
    }

    /// The time for the refused transaction has come: it may be sent, or is not wanted any more.
    pub(super) fn due(&mut self, now: Instant) {
        self.after = self.after.filter(|after| *after > now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_refused_is_tried_ever_less_often() {
        let (mut turn, mut now) = (TransactionTurn::default(), Instant::now());
        for (n, wait) in [1, 2, 4, 8, 16, 32, 60, 60].into_iter().enumerate() {
            let id = n;
            assert!(turn.is_ours(now));
            turn.sent(id);
            assert!(!turn.is_ours(now));
            assert!(turn.answered(id, false, now));
            now += Duration::from_secs(wait);
            assert_eq!(turn.deadline(), Some(now));
            assert!(!turn.is_ours(now - Duration::from_millis(1)));
        }
        turn.due(now);
        turn.sent(9);
        assert!(!turn.answered(8, true, now));
        assert!(turn.answered(9, true, now));
        assert!(turn.is_ours(now) && turn.deadline().is_none());
    }
}
