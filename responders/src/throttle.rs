//! Limits what others cause, such as log lines and changes of flows.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Lets a number of lines pass in a period, and counts the others.
#[derive(Debug)]
pub struct Throttle {
    burst: u32,
    stretch: Duration,
    begun: Option<Instant>,
    passed: u32,
    unsaid: u64,
}

impl Default for Throttle {
    /// Five a minute.
    fn default() -> Self {
        Self::new(5, Duration::from_secs(60))
    }
}

impl Throttle {
    /// Lets `burst` lines pass in each `stretch`. A stretch begins with its first line.
    #[must_use]
    pub fn new(burst: u32, stretch: Duration) -> Self {
        Self {
            burst,
            stretch,
            begun: None,
            passed: 0,
            unsaid: 0,
        }
    }

    /// Whether one more may pass. If so, how many were held back since the last one.
    pub fn admit(&mut self, now: Instant) -> Option<u64> {
        if self
            .begun
            .is_none_or(|begun| now.saturating_duration_since(begun) >= self.stretch)
        {
            (self.begun, self.passed) = (Some(now), 0);
        }
        if self.passed == self.burst {
            self.unsaid += 1;
            return None;
        }
        self.passed += 1;
        Some(self.take_unsaid())
    }

    /// When one more may pass, if none may before.
    #[must_use]
    pub fn opens_at(&self) -> Option<Instant> {
        let is_full = self.passed == self.burst;
        let begun = if is_full { self.begun } else { None };
        begun.map(|begun| begun + self.stretch)
    }

    /// How many lines were suppressed since the last one, for a final line.
    pub fn take_unsaid(&mut self) -> u64 {
        std::mem::take(&mut self.unsaid)
    }
}

/// A throttle for each origin, so that a loud one does not silence others.
#[derive(Debug)]
pub struct Throttles<K> {
    burst: u32,
    stretch: Duration,
    by: BTreeMap<K, Throttle>,
}

/// How many origins are kept apart.
const MOST: usize = 4096;

impl<K: Clone + Ord> Default for Throttles<K> {
    /// Five a minute for each origin.
    fn default() -> Self {
        Self::new(5, Duration::from_secs(60))
    }
}

impl<K: Clone + Ord> Throttles<K> {
    /// Lets `burst` of each origin pass in each `stretch`.
    #[must_use]
    pub fn new(burst: u32, stretch: Duration) -> Self {
        Self {
            burst,
            stretch,
            by: BTreeMap::new(),
        }
    }

    /// Whether one more of this origin may pass. If so, how many were held back since the last one.
    pub fn admit(&mut self, who: &K, now: Instant) -> Option<u64> {
        if let Some(throttle) = self.by.get_mut(who) {
            return throttle.admit(now);
        }
        if self.by.len() >= MOST {
            self.by.clear();
        }
        let throttle = Throttle::new(self.burst, self.stretch);
        self.by.entry(who.clone()).or_insert(throttle).admit(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::disallowed_methods, reason = "an instant has no other origin")]
    fn now() -> Instant {
        Instant::now()
    }

    #[test]
    fn a_burst_passes_and_the_rest_is_counted() {
        let (begun, minute) = (now(), Duration::from_secs(60));
        let mut throttle = Throttle::new(2, minute);
        let mut said = |after: Duration| throttle.admit(begun + after);
        assert_eq!([said(Duration::ZERO), said(minute / 2)], [Some(0); 2]);
        assert_eq!(
            [said(minute / 2), said(minute / 2), said(minute * 2 / 3)],
            [None; 3]
        );
        assert_eq!(throttle.opens_at(), Some(begun + minute));
        let mut said = |after: Duration| throttle.admit(begun + after);
        assert_eq!(said(minute), Some(3));
        assert_eq!(throttle.opens_at(), None);
        let mut said = |after: Duration| throttle.admit(begun + after);
        assert_eq!(said(minute), Some(0));
        assert_eq!(said(minute), None);
        assert_eq!(throttle.take_unsaid(), 1);
        assert_eq!(throttle.take_unsaid(), 0);
    }

    #[test]
    fn each_has_a_burst_of_its_own_and_there_is_an_end_to_them() {
        let now = now();
        let mut throttles = Throttles::new(2, Duration::from_secs(60));
        let loud = (0..1000).filter(|_| throttles.admit(&0, now).is_some());
        assert_eq!(loud.count(), 2);
        assert_eq!(throttles.admit(&1, now), Some(0));
        for who in 0..2 * MOST {
            throttles.admit(&who, now);
        }
        assert!(throttles.by.len() <= MOST);
    }
}
