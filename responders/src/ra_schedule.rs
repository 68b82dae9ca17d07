//! When the unsolicited Router Advertisements of one link go out (RFC 4861 §6.2.4).
//!
//! Sans-IO: the owner waits until [`Schedule::deadline`], sends, and says so with [`Schedule::sent`]. After a start
//! and after a change the next advertisements go out faster ("initial" ones), so that hosts learn soon; from then on
//! each interval is random between the two configured bounds, so that routers do not fall into step.

use std::time::{Duration, Instant};

/// MAX_INITIAL_RTR_ADVERT_INTERVAL (RFC 4861 §10).
pub const MAX_INITIAL_INTERVAL: Duration = Duration::from_secs(16);
/// MAX_INITIAL_RTR_ADVERTISEMENTS (RFC 4861 §10).
pub const MAX_INITIAL_ADVERTISEMENTS: u8 = 3;
/// MIN_DELAY_BETWEEN_RAS: between two advertisements to all nodes (RFC 4861 §10).
pub const MIN_DELAY_BETWEEN_RAS: Duration = Duration::from_secs(3);

/// The timing of one link's unsolicited advertisements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    min_interval: Duration,
    max_interval: Duration,
    /// Initial advertisements still to be sent, the next one included.
    initial: u8,
    last: Option<Instant>,
    deadline: Instant,
}

impl Schedule {
    /// A link that begins to advertise: the first one is due at once. `random` is any number.
    ///
    /// Bounds that RFC 4861 §6.2.1 forbids are moved to the nearest that it allows: the maximum is 4 to 1800 s, the
    /// minimum 3 s to three quarters of the maximum.
    pub fn new(min_interval: Duration, max_interval: Duration, now: Instant, random: u32) -> Self {
        let max_interval = max_interval.clamp(Duration::from_secs(4), Duration::from_secs(1800));
        let min_interval = min_interval.clamp(MIN_DELAY_BETWEEN_RAS, max_interval * 3 / 4);
        let _ = random;
        Self {
            min_interval,
            max_interval,
            initial: MAX_INITIAL_ADVERTISEMENTS,
            last: None,
            deadline: now,
        }
    }

    /// When the next advertisement is due.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// One was sent to all nodes.
    pub fn sent(&mut self, now: Instant, random: u32) {
        self.initial = self.initial.saturating_sub(1);
        let interval = self.interval(random);
        self.last = Some(now);
        self.deadline = now + interval;
    }

    /// What is advertised changed: hosts are to learn soon, as at the start. `random` is any number.
    pub fn changed(&mut self, now: Instant, random: u32) {
        let _ = random;
        self.initial = MAX_INITIAL_ADVERTISEMENTS;
        self.deadline = self
            .last
            .map_or(now, |last| now.max(last + MIN_DELAY_BETWEEN_RAS));
    }

    fn interval(&self, random: u32) -> Duration {
        let span = self.max_interval - self.min_interval;
        let interval = self.min_interval + span.mul_f64(f64::from(random) / f64::from(u32::MAX));
        if self.initial > 0 {
            interval.min(MAX_INITIAL_INTERVAL)
        } else {
            interval
        }
    }
}
