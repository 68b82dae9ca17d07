//! Which of several remotes to try next, and when: the members of a cluster, or one server that comes and goes.
//!
//! Each remote is tried once in turn without delay. After a whole round in vain, rounds are a growing time apart.

use std::time::Duration;

use thiserror::Error;

use crate::remote::Remote;

const FIRST_DELAY: Duration = Duration::from_millis(100);
const LONGEST_DELAY: Duration = Duration::from_secs(8);

/// Takes turns between remotes.
#[derive(Debug, Clone)]
pub struct Failover {
    remotes: Vec<Remote>,
    /// How many attempts were made since the last success.
    attempts: usize,
    /// The index of the remote that is tried next.
    next: usize,
}

/// There is nothing to choose from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("not one remote was given")]
pub struct NoRemotes;

/// Where to connect, and how long to wait before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// Where.
    pub remote: Remote,
    /// How long to wait before.
    pub delay: Duration,
}

impl Failover {
    /// Takes turns between these, beginning with the first.
    ///
    /// # Errors
    /// [`NoRemotes`].
    pub fn new(remotes: impl IntoIterator<Item = Remote>) -> Result<Self, NoRemotes> {
        let remotes: Vec<Remote> = remotes.into_iter().collect();
        match remotes.is_empty() {
            true => Err(NoRemotes),
            false => Ok(Self {
                remotes,
                attempts: 0,
                next: 0,
            }),
        }
    }

    /// What to try next.
    pub fn attempt(&mut self) -> Attempt {
        let index = self.next;
        let rounds = self.attempts / self.remotes.len();
        let starts_round = self.attempts.is_multiple_of(self.remotes.len());
        self.next = (index + 1) % self.remotes.len();
        self.attempts = self.attempts.saturating_add(1);
        Attempt {
            remote: self.remotes[index].clone(),
            delay: match starts_round {
                true => delay(rounds),
                false => Duration::ZERO,
            },
        }
    }

    /// Notes that the remote of the last attempt was of use: the next attempts are again without delay, and begin after it.
    pub fn succeeded(&mut self) {
        self.attempts = 0;
    }
}

/// How long to wait after this many rounds in vain.
fn delay(rounds: usize) -> Duration {
    match u32::try_from(rounds) {
        Ok(0) => Duration::ZERO,
        Ok(rounds) => {
            let factor = 2_u32.saturating_pow(rounds - 1);
            FIRST_DELAY.saturating_mul(factor).min(LONGEST_DELAY)
        }
        Err(_) => LONGEST_DELAY,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempts(failover: &mut Failover, count: usize) -> Vec<(String, u128)> {
        let attempts = (0..count).map(|_| failover.attempt());
        attempts
            .map(|attempt| (attempt.remote.to_string(), attempt.delay.as_millis()))
            .collect()
    }

    #[test]
    fn rounds_come_further_and_further_apart() {
        let remotes = ["unix:a", "unix:b"].map(|text| text.parse().unwrap());
        let mut failover = Failover::new(remotes).unwrap();
        let a = |delay| (String::from("unix:a"), delay);
        let b = || (String::from("unix:b"), 0);
        assert_eq!(
            attempts(&mut failover, 6),
            [a(0), b(), a(100), b(), a(200), b()]
        );
        assert_eq!(attempts(&mut failover, 40)[38], a(8000));
        failover.succeeded();
        assert_eq!(attempts(&mut failover, 3), [a(0), b(), a(100)]);
    }

    #[test]
    fn after_a_success_it_goes_on_with_the_next() {
        let remotes = ["unix:a", "unix:b"].map(|text| text.parse().unwrap());
        let mut failover = Failover::new(remotes).unwrap();
        failover.attempt();
        failover.succeeded();
        assert_eq!(failover.attempt().remote.to_string(), "unix:b");
    }

    #[test]
    fn nothing_to_choose_from_is_an_error() {
        assert_eq!(Failover::new([]).map(drop), Err(NoRemotes));
    }
}
