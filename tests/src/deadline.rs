//! Deadlines: a wait is given as a duration once, and every step of it asks what is left.

use crate::error::LabError;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline {
    given: Duration,
    end: Instant,
}

impl Deadline {
    pub(crate) fn after(given: Duration) -> Self {
        Self {
            given,
            end: Instant::now() + given,
        }
    }

    pub(crate) fn left(self) -> Duration {
        self.end.saturating_duration_since(Instant::now())
    }

    pub(crate) fn missed(self, what: impl Into<String>, last_seen: impl Into<String>) -> LabError {
        LabError::Timeout {
            what: what.into(),
            waited: self.given,
            last_seen: last_seen.into(),
        }
    }

    /// Sleeps until one of the descriptors is readable; false when the deadline came first.
    pub(crate) fn wait_readable(self, fds: &[BorrowedFd<'_>]) -> Result<bool, LabError> {
        let mut polled: Vec<PollFd<'_>> = fds
            .iter()
            .map(|fd| PollFd::from_borrowed_fd(*fd, PollFlags::IN))
            .collect();
        loop {
            let left = Timespec::try_from(self.left())
                .map_err(|error| LabError::unexpected("a deadline", error))?;
            match poll(&mut polled, Some(&left)) {
                Ok(ready) => return Ok(ready > 0),
                Err(rustix::io::Errno::INTR) => {}
                Err(errno) => return Err(LabError::errno("wait for events")(errno)),
            }
        }
    }
}

/// Asks again and again until there is an answer: only for what gives no event to wait for. The longer there is none, the
/// longer the pauses, since to ask often means to start a program.
///
/// `ask` returns `Ok` with the answer, or `Err` with what it saw instead, which ends up in the
/// error's text.
///
/// # Errors
/// [`LabError::Timeout`] with what was last seen.
pub fn wait_for<T>(
    what: &str,
    timeout: Duration,
    mut ask: impl FnMut() -> Result<T, String>,
) -> Result<T, LabError> {
    const SHORTEST: Duration = Duration::from_millis(20);
    const LONGEST: Duration = Duration::from_millis(200);
    let deadline = Deadline::after(timeout);
    let mut pause = SHORTEST;
    loop {
        let seen = match ask() {
            Ok(answer) => return Ok(answer),
            Err(seen) => seen,
        };
        if deadline.left().is_zero() {
            return Err(deadline.missed(what, seen));
        }
        std::thread::sleep(pause.min(deadline.left()));
        pause = LONGEST.min(pause * 3 / 2);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_that_fails_says_what_was_last_seen() {
        let mut asked = 0;
        let error = wait_for("seven", Duration::from_millis(50), || -> Result<(), _> {
            asked += 1;
            Err(format!("number {asked}"))
        })
        .unwrap_err();
        assert!(asked >= 2);
        assert_eq!(
            error.to_string(),
            format!("seven did not happen within 50ms; last seen: number {asked}")
        );
    }

    #[test]
    fn a_wait_ends_with_the_first_answer() {
        let mut left = 3;
        let answer = wait_for("zero", Duration::from_secs(5), || {
            left -= 1;
            if left == 0 {
                Ok("zero")
            } else {
                Err(left.to_string())
            }
        });
        assert_eq!(answer.unwrap(), "zero");
    }
}
