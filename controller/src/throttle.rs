//! Says something now and then, however often there is reason to: what others cause must not fill the log.

use std::time::{Duration, Instant};

/// Lets so many through a stretch of time, and counts the others.
#[derive(Debug)]
pub struct Throttle {
    burst: u32,
    stretch: Duration,
    begun: Option<Instant>,
    passed: u32,
    unsaid: u64,
}

impl Default for Throttle {
    /// Five in a minute.
    fn default() -> Self {
        Self::new(5, Duration::from_secs(60))
    }
}

impl Throttle {
    /// Lets `burst` through each `stretch`, which begins with the first of them.
    pub fn new(burst: u32, stretch: Duration) -> Self {
        Self {
            burst,
            stretch,
            begun: None,
            passed: 0,
            unsaid: 0,
        }
    }

    /// Whether this may be said; if so, how many were not since the last that was.
    pub fn admit(&mut self, now: Instant) -> Option<u64> {
        let over = |begun: Instant| now.saturating_duration_since(begun) >= self.stretch;
        if self.begun.is_none_or(over) {
            (self.begun, self.passed) = (Some(now), 0);
        }
        if self.passed == self.burst {
            self.unsaid += 1;
            return None;
        }
        self.passed += 1;
        Some(self.take_unsaid())
    }

    /// How many were not said since the last that was, for the last word.
    pub fn take_unsaid(&mut self) -> u64 {
        std::mem::take(&mut self.unsaid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_the_rest_is_counted() {
        let (begun, minute) = (Instant::now(), Duration::from_secs(60));
        let mut throttle = Throttle::new(2, minute);
        let mut said = |after: Duration| throttle.admit(begun + after);
        assert_eq!([said(Duration::ZERO), said(minute / 2)], [Some(0); 2]);
        assert_eq!(
            [said(minute / 2), said(minute / 2), said(minute * 2 / 3)],
            [None; 3]
        );
        assert_eq!([said(minute), said(minute)], [Some(3), Some(0)]);
        assert_eq!(said(minute), None);
        assert_eq!(throttle.take_unsaid(), 1);
        assert_eq!(throttle.take_unsaid(), 0);
    }
}
