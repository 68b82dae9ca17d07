//! Lets packets gather while a switch sends many of them, as a network card holds back its interrupts.
//!
//! Open vSwitch writes each packet by itself, so a session that answers at once wakes, reads and writes for two or three of
//! them, and that costs more than the answers do. A short pause then makes fewer and larger batches. One session pauses at
//! a time: where others have work, batches grow without it.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;

/// How long a session pauses. The kernel may take half as long again (prctl(2), `PR_SET_TIMERSLACK`).
const PAUSE: Duration = Duration::from_micros(100);
/// A switch is busy when its batches follow each other as closely as this,
const CLOSELY: Duration = Duration::from_millis(1);
/// and have so many packets each: with fewer there is nothing to save, and more are worth their wake-up.
const PACKETS: RangeInclusive<u32> = 2..=32;

/// After so many pauses other tasks of the thread have their turn: each time would cost more than the pause saves.
const PAUSES: u32 = 8;

/// Whose turn it is to pause, of all sessions.
#[derive(Clone, Debug)]
pub struct GatheringTurn(Arc<Semaphore>);

impl Default for GatheringTurn {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(1)))
    }
}

/// When one session pauses.
#[derive(Debug)]
pub(super) struct Gathering {
    turn: GatheringTurn,
    last: Option<Instant>,
    pauses: u32,
}

impl Gathering {
    pub(super) fn new(turn: GatheringTurn) -> Self {
        let (last, pauses) = (None, 0);
        Self { turn, last, pauses }
    }

    /// Whether to pause after a batch of so many packets, which `begun` then.
    pub(super) fn is_due(&mut self, begun: Instant, packets: u32) -> bool {
        let last = self.last.replace(begun);
        let closely = last.is_some_and(|last| begun.duration_since(last) <= CLOSELY);
        closely && PACKETS.contains(&packets)
    }

    /// Pauses, unless another session does.
    ///
    /// It holds up its thread: a pause so short is below what the runtime's timers measure.
    pub(super) async fn pause(&mut self) {
        if let Ok(_turn) = self.turn.0.try_acquire() {
            std::thread::sleep(PAUSE);
        }
        self.pauses = (self.pauses + 1) % PAUSES;
        if self.pauses == 0 {
            tokio::task::yield_now().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_pauses_between_small_batches_that_follow_closely() {
        let mut gathering = Gathering::new(GatheringTurn::default());
        let start = Instant::now();
        let at = |micros| start + Duration::from_micros(micros);
        assert!(!gathering.is_due(at(0), 3), "the first");
        assert!(gathering.is_due(at(300), 3));
        assert!(!gathering.is_due(at(600), 1), "a packet by itself");
        assert!(!gathering.is_due(at(900), 33), "a large batch");
        assert!(!gathering.is_due(at(2000), 3), "after a while");
        assert!(gathering.is_due(at(2300), 3));
    }
}
