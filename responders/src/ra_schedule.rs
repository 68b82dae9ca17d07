//! When the unsolicited Router Advertisements of one link go out (RFC 4861 §6.2.4).
//!
//! Sans-IO: at [`Schedule::poll_timeout`] the owner calls [`Schedule::handle_timeout`], and sends. After a start or a
//! change the next advertisements ("initial" ones) go out faster, so that hosts learn soon. From then on each interval
//! is random between the two configured bounds, so that routers do not synchronize.

use std::time::{Duration, Instant};

/// MAX_INITIAL_RTR_ADVERT_INTERVAL (RFC 4861 §10).
pub const MAX_INITIAL_INTERVAL: Duration = Duration::from_secs(16);
/// MAX_INITIAL_RTR_ADVERTISEMENTS (RFC 4861 §10).
pub const MAX_INITIAL_ADVERTISEMENTS: u8 = 3;
/// MIN_DELAY_BETWEEN_RAS: the least time between two advertisements to all nodes (RFC 4861 §10).
pub const MIN_DELAY_BETWEEN_RAS: Duration = Duration::from_secs(3);

/// The timing of one link's unsolicited advertisements. Random numbers come with each event; any `u32` will do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    min_interval: Duration,
    max_interval: Duration,
    /// Initial advertisements still to be sent, the next one included.
    initial: u8,
    /// When the latest was sent to all nodes.
    last: Option<Instant>,
    deadline: Instant,
    /// Determines the interval after the next advertisement.
    random: u32,
}

impl Schedule {
    /// A link that begins to advertise. Its first advertisement is due at once.
    ///
    /// Bounds that RFC 4861 §6.2.1 forbids are moved to the nearest allowed. The maximum is 4 to 1800 s, the minimum 3
    /// s to three quarters of the maximum.
    #[must_use]
    pub fn new(min_interval: Duration, max_interval: Duration, now: Instant, random: u32) -> Self {
        let max_interval = max_interval.clamp(Duration::from_secs(4), Duration::from_secs(1800));
        let min_interval = min_interval.clamp(MIN_DELAY_BETWEEN_RAS, max_interval * 3 / 4);
        Self {
            min_interval,
            max_interval,
            initial: MAX_INITIAL_ADVERTISEMENTS,
            last: None,
            deadline: now,
            random,
        }
    }

    /// When the next advertisement is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Instant {
        self.deadline
    }

    /// Whether it is due.
    #[must_use]
    pub fn is_due(&self, now: Instant) -> bool {
        self.deadline <= now
    }

    /// Notes that the due advertisement is sent to all nodes. Does nothing before it is due.
    pub fn handle_timeout(&mut self, now: Instant, random: u32) {
        if !self.is_due(now) {
            return;
        }
        self.initial = self.initial.saturating_sub(1);
        self.deadline = now + self.interval();
        self.last = Some(now);
        self.random = random;
    }

    /// The advertisement changed. Hosts learn as soon as at the start, but the least distance between two
    /// advertisements holds.
    pub fn handle_change(&mut self, now: Instant, random: u32) {
        self.initial = MAX_INITIAL_ADVERTISEMENTS;
        self.deadline = self
            .last
            .map_or(now, |last| now.max(last + MIN_DELAY_BETWEEN_RAS));
        self.random = random;
    }

    fn interval(&self) -> Duration {
        let span = self.max_interval - self.min_interval;
        let share = f64::from(self.random) / f64::from(u32::MAX);
        let interval = self.min_interval + span.mul_f64(share);
        if self.initial > 0 {
            interval.min(MAX_INITIAL_INTERVAL)
        } else {
            interval
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::sync::LazyLock;

    #[expect(clippy::disallowed_methods, reason = "an instant has no other origin")]
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    const LOW: u32 = 0;
    const HIGH: u32 = u32::MAX;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn after(schedule: &Schedule) -> Duration {
        schedule.poll_timeout() - *START
    }

    #[test]
    fn three_go_out_fast_and_the_rest_between_the_bounds() {
        let mut schedule = Schedule::new(seconds(30), seconds(100), *START, HIGH);
        let mut sent_at = vec![after(&schedule)];
        for random in [LOW, LOW, HIGH, HIGH] {
            schedule.handle_timeout(schedule.poll_timeout(), random);
            sent_at.push(after(&schedule));
        }
        assert_eq!(
            sent_at,
            [0, 16, 32, 62, 162].map(seconds),
            "first at once, two after at most 16 s, then 30 s and 100 s as drawn"
        );
    }

    #[test]
    fn a_change_goes_out_at_once_but_three_seconds_after_the_latest() {
        let mut schedule = Schedule::new(seconds(30), seconds(100), *START, HIGH);
        schedule.handle_change(*START, HIGH);
        assert_eq!(after(&schedule), seconds(0), "nothing was sent yet");
        schedule.handle_timeout(*START, HIGH);
        schedule.handle_change(*START + seconds(1), HIGH);
        assert_eq!(after(&schedule), seconds(3));
        schedule.handle_change(*START + seconds(10), HIGH);
        assert_eq!(after(&schedule), seconds(10));
        for expected in [26, 42, 142] {
            schedule.handle_timeout(schedule.poll_timeout(), HIGH);
            assert_eq!(after(&schedule), seconds(expected), "initial again");
        }
    }

    #[test]
    fn bounds_are_held_to_what_the_rfc_allows() {
        let interval = |min, max, random| {
            let mut schedule = Schedule::new(min, max, *START, random);
            schedule.initial = 0;
            schedule.handle_timeout(*START, random);
            after(&schedule)
        };
        assert_eq!(interval(seconds(0), seconds(0), LOW), seconds(3));
        assert_eq!(interval(seconds(0), seconds(0), HIGH), seconds(4));
        assert_eq!(interval(seconds(100), seconds(100), LOW), seconds(75));
        assert_eq!(interval(seconds(9), Duration::MAX, HIGH), seconds(1800));
    }

    proptest! {
        #[test]
        fn never_closer_than_three_seconds(
            events in prop::collection::vec((any::<bool>(), any::<u32>(), 0_u64..20_000), 1..60),
            min in 0_u64..2_000,
            max in 0_u64..2_000,
        ) {
            let mut now = *START;
            let mut schedule = Schedule::new(seconds(min), seconds(max), now, 7);
            let mut last = None;
            for (change, random, wait) in events {
                if change {
                    now += Duration::from_millis(wait);
                    schedule.handle_change(now, random);
                } else {
                    now = now.max(schedule.poll_timeout());
                    prop_assert!(last.is_none_or(|last| now - last >= MIN_DELAY_BETWEEN_RAS));
                    schedule.handle_timeout(now, random);
                    prop_assert!(schedule.poll_timeout() - now <= seconds(1800));
                    last = Some(now);
                }
            }
        }
    }
}
