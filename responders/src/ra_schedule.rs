//! When the unsolicited Router Advertisements of one link go out (RFC 4861 §6.2.4).
//!
//! Sans-IO: at [`Schedule::poll_timeout`] the owner calls [`Schedule::handle_timeout`], and sends. After a start or a
//! change the next advertisements ("initial" ones) go out faster, so that hosts learn soon. From then on each interval
//! is random between the two configured bounds, so that routers do not synchronize.

use sextant_model::RaInterval;
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
    pub fn new(interval: RaInterval, now: Instant, random: u32) -> Self {
        let (min_interval, max_interval) = bounds(interval);
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

    /// The advertisement changed, or how often it is sent. Hosts learn as soon as at the start, but the least distance
    /// between two advertisements holds.
    pub fn handle_change(&mut self, interval: RaInterval, now: Instant, random: u32) {
        (self.min_interval, self.max_interval) = bounds(interval);
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

/// The least and the longest time between two advertisements.
fn bounds(interval: RaInterval) -> (Duration, Duration) {
    let RaInterval { min, max } = interval;
    let [min, max] = [min, max].map(|seconds| Duration::from_secs(seconds.into()));
    let max = max.clamp(Duration::from_secs(4), Duration::from_secs(1800));
    (min.clamp(MIN_DELAY_BETWEEN_RAS, max * 3 / 4), max)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::sync::LazyLock;

    #[expect(clippy::disallowed_methods, reason = "an instant has no other origin")]
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    const USUAL: RaInterval = RaInterval { min: 30, max: 100 };
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
        let mut schedule = Schedule::new(USUAL, *START, HIGH);
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
        let mut schedule = Schedule::new(USUAL, *START, HIGH);
        schedule.handle_change(USUAL, *START, HIGH);
        assert_eq!(after(&schedule), seconds(0), "nothing was sent yet");
        schedule.handle_timeout(*START, HIGH);
        schedule.handle_change(USUAL, *START + seconds(1), HIGH);
        assert_eq!(after(&schedule), seconds(3));
        schedule.handle_change(USUAL, *START + seconds(10), HIGH);
        assert_eq!(after(&schedule), seconds(10));
        for expected in [26, 42, 142] {
            schedule.handle_timeout(schedule.poll_timeout(), HIGH);
            assert_eq!(after(&schedule), seconds(expected), "initial again");
        }
    }

    #[test]
    fn bounds_are_held_to_what_the_rfc_allows() {
        let interval = |min, max, random| {
            let mut schedule = Schedule::new(RaInterval { min, max }, *START, random);
            schedule.initial = 0;
            schedule.handle_timeout(*START, random);
            after(&schedule)
        };
        assert_eq!(interval(0, 0, LOW), seconds(3));
        assert_eq!(interval(0, 0, HIGH), seconds(4));
        assert_eq!(interval(100, 100, LOW), seconds(75));
        assert_eq!(interval(9, u16::MAX, HIGH), seconds(1800));
    }

    proptest! {
        #[test]
        fn never_closer_than_three_seconds(
            events in prop::collection::vec((any::<bool>(), any::<u32>(), 0_u64..20_000), 1..60),
            min in 0_u16..2_000,
            max in 0_u16..2_000,
        ) {
            let mut now = *START;
            let interval = RaInterval { min, max };
            let mut schedule = Schedule::new(interval, now, 7);
            let mut last = None;
            for (change, random, wait) in events {
                if change {
                    now += Duration::from_millis(wait);
                    schedule.handle_change(interval, now, random);
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
