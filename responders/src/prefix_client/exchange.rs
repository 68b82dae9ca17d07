//! When a message is sent, and sent again until an answer comes (RFC 9915 §15, with the constants of §7.6).

use std::time::{Duration, Instant};

/// SOL_MAX_DELAY and CNF_MAX_DELAY.
const MAX_DELAY: Duration = Duration::from_secs(1);

/// How often a message is sent again. Zero means no limit, as in the RFC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Retransmission {
    /// IRT: the time between the first and the second.
    initial: Duration,
    /// MRT: the longest time between two.
    longest: Duration,
    /// MRC: how many at most.
    most: u32,
    /// MRD: for how long at most.
    duration: Duration,
    /// Whether the first wait is longer than IRT, never shorter, so that all offers can come (§18.2.1).
    collects: bool,
}

impl Retransmission {
    /// Solicit, with this SOL_MAX_RT.
    pub(super) fn solicit(longest: Duration) -> Self {
        Self {
            collects: true,
            ..Self::new(1, longest)
        }
    }

    /// Request.
    pub(super) fn request() -> Self {
        Self {
            most: 10,
            ..Self::new(1, Duration::from_secs(30))
        }
    }

    /// Renew, and Rebind of a lease that nears its end.
    pub(super) fn extend() -> Self {
        Self::new(10, Duration::from_secs(600))
    }

    /// Rebind of a lease that may not fit the link any more, timed like Confirm (§18.2.12).
    pub(super) fn confirm() -> Self {
        Self {
            duration: Duration::from_secs(10),
            ..Self::new(1, Duration::from_secs(4))
        }
    }

    /// Release.
    pub(super) fn release() -> Self {
        Self {
            most: 4,
            ..Self::new(1, Duration::ZERO)
        }
    }

    fn new(initial: u64, longest: Duration) -> Self {
        Self {
            initial: Duration::from_secs(initial),
            longest,
            most: 0,
            duration: Duration::ZERO,
            collects: false,
        }
    }

    /// RT after the first message, or after a wait of `last`.
    fn wait(&self, last: Option<Duration>, random: u64) -> Duration {
        let wait = match last {
            Some(last) => last.mul_f64(2.0 + spread(random)),
            None if self.collects => {
                let more = self.initial.mul_f64(0.1 * share(random));
                self.initial + more.max(Duration::from_nanos(1))
            }
            None => self.initial.mul_f64(1.0 + spread(random)),
        };
        match self.longest {
            Duration::ZERO => wait,
            longest if wait > longest => longest.mul_f64(1.0 + spread(random)),
            _ => wait,
        }
    }
}

/// A message and the wait for its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PrefixExchange {
    timing: Retransmission,
    transaction: [u8; 3],
    /// When to send next or to give up. `None`: never.
    due: Option<Instant>,
    /// When it was sent first.
    began: Option<Instant>,
    /// The current wait.
    wait: Option<Duration>,
    sent: u32,
}

impl PrefixExchange {
    /// Starts at once.
    pub(super) fn new(timing: Retransmission, now: Instant, random: u64) -> Self {
        let [.., a, b, c] = random.to_be_bytes();
        Self {
            timing,
            transaction: [a, b, c],
            due: Some(now),
            began: None,
            wait: None,
            sent: 0,
        }
    }

    /// Starts after a random part of a second, so that clients that start together do not all send at once.
    pub(super) fn delayed(timing: Retransmission, now: Instant, random: u64) -> Self {
        Self {
            due: now.checked_add(MAX_DELAY.mul_f64(share(random))),
            ..Self::new(timing, now, random)
        }
    }

    /// Starts as late as after this many unanswered messages.
    pub(super) fn after(
        unanswered: u32,
        timing: Retransmission,
        now: Instant,
        random: u64,
    ) -> Self {
        let doubled = timing.initial * 2_u32.pow(unanswered.min(16));
        let wait = doubled.min(timing.longest).mul_f64(1.0 + spread(random));
        Self {
            due: now.checked_add(wait),
            ..Self::new(timing, now, random)
        }
    }

    /// The transaction id, which answers repeat.
    pub(super) fn transaction(&self) -> [u8; 3] {
        self.transaction
    }

    /// How often it was sent.
    pub(super) fn sent(&self) -> u32 {
        self.sent
    }

    /// When there is something to do.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.due
    }

    /// Whether the time to do something has come.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.due.is_some_and(|due| due <= now)
    }

    /// Whether its retransmissions are used up without an answer.
    pub(super) fn has_failed(&self, now: Instant) -> bool {
        let often = self.timing.most > 0 && self.sent >= self.timing.most && self.is_due(now);
        often || self.end().is_some_and(|end| end <= now)
    }

    /// Notes that it is sent, if it is due. Returns for how long it has been tried, in hundredths of a second (§21.9).
    pub(super) fn send(&mut self, now: Instant, random: u64) -> Option<u16> {
        if !self.is_due(now) {
            return None;
        }
        let began = *self.began.get_or_insert(now);
        let wait = self.timing.wait(self.wait, random);
        self.wait = Some(wait);
        self.sent = self.sent.saturating_add(1);
        let again = now.checked_add(wait);
        self.due = again.into_iter().chain(self.end()).min();
        let elapsed = now.saturating_duration_since(began).as_millis() / 10;
        Some(u16::try_from(elapsed).unwrap_or(u16::MAX))
    }

    /// Sets the longest wait, from the next one on.
    pub(super) fn set_longest(&mut self, longest: Duration) {
        self.timing.longest = longest;
    }

    fn end(&self) -> Option<Instant> {
        let duration = Some(self.timing.duration).filter(|duration| !duration.is_zero());
        self.began?.checked_add(duration?)
    }
}

/// An evenly spread fraction. The lowest bits are left to transaction ids.
fn share(random: u64) -> f64 {
    (random >> 24) as f64 / (u64::MAX >> 24) as f64
}

/// RAND.
fn spread(random: u64) -> f64 {
    0.2 * share(random) - 0.1
}
