//! How long to wait before something is tried again.

use std::time::Duration;

/// Waits that double from the first to the longest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    next: Duration,
}

impl Backoff {
    /// Waits from `first` to `longest`.
    #[must_use]
    pub const fn new(first: Duration, longest: Duration) -> Self {
        let next = first;
        Self {
            first,
            longest,
            next,
        }
    }

    /// How long to wait this time. The next wait is twice as long.
    pub fn wait(&mut self) -> Duration {
        let wait = self.next;
        self.next = (wait * 2).min(self.longest);
        wait
    }

    /// It has succeeded: the next wait is the first again.
    pub fn reset(&mut self) {
        self.next = self.first;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_until_it_succeeds() {
        let mut backoff = Backoff::new(Duration::from_secs(2), Duration::from_secs(10));
        for seconds in [2, 4, 8, 10, 10] {
            assert_eq!(backoff.wait(), Duration::from_secs(seconds));
        }
        backoff.reset();
        assert_eq!(backoff.wait(), Duration::from_secs(2));
    }
}
