//! The time as protocols need it.

use std::time::{Duration, Instant};

/// A moment on both clocks. Such a pair converts times of one clock to the other, until somebody sets the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Time {
    /// On the clock that is never set.
    pub instant: Instant,
    /// On the clock that people set, in seconds since 1970.
    pub unix: i64,
}

impl Time {
    /// The instant of a time in seconds since 1970. `None` for [`i64::MAX`] and for times that no clock reaches: never.
    #[must_use]
    pub fn instant_at(self, unix: i64) -> Option<Instant> {
        let seconds = unix.saturating_sub(self.unix);
        let distance = Duration::from_secs(seconds.unsigned_abs());
        match (unix, seconds) {
            (i64::MAX, _) => None,
            (_, 0..) => self.instant.checked_add(distance),
            // A time before the clock's first has passed, too.
            _ => Some(self.instant.checked_sub(distance).unwrap_or(self.instant)),
        }
    }

    /// The time of an instant, in seconds since 1970.
    #[must_use]
    pub fn unix_at(self, instant: Option<Instant>) -> i64 {
        let Some(instant) = instant else {
            return i64::MAX;
        };
        let after = instant.saturating_duration_since(self.instant).as_secs();
        let before = self.instant.saturating_duration_since(instant).as_secs();
        self.unix
            .saturating_add_unsigned(after)
            .saturating_sub_unsigned(before)
    }

    /// By how many seconds somebody has set the clock since then.
    #[must_use]
    pub fn set_since(self, base: Self) -> u64 {
        self.unix.abs_diff(base.unix_at(Some(self.instant)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_the_same_there_and_back() {
        #[expect(clippy::disallowed_methods, reason = "an instant has no other origin")]
        let instant = Instant::now();
        let unix = 1_800_000_000;
        let base = Time { instant, unix };
        for time in [unix - 100, unix, unix + 100, i64::MAX] {
            assert_eq!(base.unix_at(base.instant_at(time)), time);
        }
        assert_eq!(
            base.instant_at(i64::MIN).map(|at| at <= instant),
            Some(true)
        );
        assert_eq!(
            base.instant_at(unix - 1),
            instant.checked_sub(Duration::from_secs(1))
        );
    }

    #[test]
    fn who_sets_the_clock_is_noticed_and_time_that_passes_is_not() {
        #[expect(clippy::disallowed_methods, reason = "an instant has no other origin")]
        let instant = Instant::now();
        let base = Time {
            instant,
            unix: 1000,
        };
        for (unix, set_by) in [(1100, 0), (1070, 30), (1131, 31), (-100, 1200)] {
            let instant = instant + Duration::from_secs(100);
            assert_eq!(Time { instant, unix }.set_since(base), set_by);
        }
    }
}
