//! What a guest sends at a steady pace, and when it was answered. Unlike ping, which does not sleep between requests that are
//! few milliseconds apart, a stream leaves the processors to those whose work it measures.

mod echo;
mod solicitation;

use crate::deadline::Deadline;
use crate::error::LabError;
use crate::namespace::Namespace;
use std::io::{self, ErrorKind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How long an answer may take before a request counts as lost.
const ANSWER: Duration = Duration::from_secs(2);
/// How often a thread that nothing comes to looks whether it is over.
const LOOK: Duration = Duration::from_millis(50);
/// For answers that come while their reader waits for a processor.
const BUFFER: usize = 1 << 22;

/// Sends the request of this number.
type Send = Box<dyn FnMut(u32) -> io::Result<()> + std::marker::Send>;
/// Waits, not for long, for the number of a request that is answered.
type Receive = Box<dyn FnMut() -> io::Result<Option<u32>> + std::marker::Send>;

/// Requests that go out at a steady pace until they are stopped.
#[derive(Debug)]
pub struct Stream {
    seen: Arc<Seen>,
    sender: Option<JoinHandle<io::Result<u32>>>,
    receiver: Option<JoinHandle<io::Result<()>>>,
}

/// What its threads have seen.
#[derive(Debug, Default)]
struct Seen {
    /// The number of each answered request, and when that was.
    answers: Mutex<Vec<(u32, Instant)>>,
    more: Condvar,
    sent_enough: AtomicBool,
    heard_enough: AtomicBool,
}

impl Seen {
    fn answers(&self) -> MutexGuard<'_, Vec<(u32, Instant)>> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What became of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamReport {
    /// Requests sent.
    pub sent: u32,
    /// The numbers, from 0, of the requests that got no answer.
    pub lost: Vec<u32>,
    /// When each answer came, in order.
    pub answered: Vec<Instant>,
}

impl StreamReport {
    /// Between which two answers the longest time passed.
    #[must_use]
    pub fn longest_silence(&self) -> Option<(Instant, Instant)> {
        let pairs = self.answered.windows(2);
        let longest = pairs.max_by_key(|pair| pair[1] - pair[0])?;
        Some((longest[0], longest[1]))
    }

    /// The end of the longest silence that began after this moment or lasted at it.
    #[must_use]
    pub fn silent_until(&self, from: Instant) -> Option<Instant> {
        let pairs = self.answered.windows(2);
        let ending_later = pairs.filter(|pair| pair[1] > from);
        let longest = ending_later.max_by_key(|pair| pair[1] - pair[0].max(from))?;
        Some(longest[1])
    }
}

impl std::fmt::Display for StreamReport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let silence = self.longest_silence().map(|(from, to)| to - from);
        write!(
            f,
            "{} sent, {} lost, at most {:.0?} between answers",
            self.sent,
            self.lost.len(),
            silence.unwrap_or_default()
        )
    }
}

impl Stream {
    /// `open` makes sockets in the namespace, and the two ways to use them.
    fn start(
        namespace: &Namespace,
        interval: Duration,
        open: impl FnOnce() -> io::Result<(Send, Receive)> + std::marker::Send,
    ) -> Result<Self, LabError> {
        let opened = namespace.enter(open)?;
        let (send, receive) = opened.map_err(LabError::io("open a guest's sockets"))?;
        let seen = Arc::new(Seen::default());
        let (for_sender, for_receiver) = (seen.clone(), seen.clone());
        Ok(Self {
            sender: Some(thread::spawn(move || pace(&for_sender, interval, send))),
            receiver: Some(thread::spawn(move || hear(&for_receiver, receive))),
            seen,
        })
    }

    /// Waits for `count` answers that come after this moment.
    ///
    /// # Errors
    /// [`LabError::Timeout`].
    pub fn wait_answers(
        &self,
        count: usize,
        after: Instant,
        timeout: Duration,
    ) -> Result<(), LabError> {
        let deadline = Deadline::after(timeout);
        let mut answers = self.seen.answers();
        loop {
            let later = answers.iter().rev().take_while(|(_, at)| *at > after);
            let later = later.count();
            if later >= count {
                return Ok(());
            }
            if deadline.left().is_zero() {
                return Err(deadline.missed(format!("{count} answers"), format!("{later}")));
            }
            let waited = self.seen.more.wait_timeout(answers, deadline.left());
            answers = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Ends it when the last request is answered, or two seconds have passed.
    ///
    /// # Errors
    /// [`LabError::Io`] when something could not be sent.
    pub fn stop(mut self) -> Result<StreamReport, LabError> {
        self.seen.sent_enough.store(true, Ordering::Relaxed);
        let sent = joined(self.sender.take())?.unwrap_or_default();
        let deadline = Deadline::after(ANSWER);
        let mut lost = self.unanswered(sent);
        while !lost.is_empty() && !deadline.left().is_zero() {
            let answers = self.seen.answers();
            drop(self.seen.more.wait_timeout(answers, LOOK));
            lost = self.unanswered(sent);
        }
        self.seen.heard_enough.store(true, Ordering::Relaxed);
        joined(self.receiver.take())?;
        let answered = self.seen.answers().iter().map(|(_, at)| *at).collect();
        Ok(StreamReport {
            sent,
            lost,
            answered,
        })
    }

    fn unanswered(&self, sent: u32) -> Vec<u32> {
        let mut answered = vec![false; sent as usize];
        for (number, _) in self.seen.answers().iter() {
            if let Some(answered) = answered.get_mut(*number as usize) {
                *answered = true;
            }
        }
        let numbers = (0..sent).zip(answered);
        numbers
            .filter_map(|(number, answered)| (!answered).then_some(number))
            .collect()
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.seen.sent_enough.store(true, Ordering::Relaxed);
        self.seen.heard_enough.store(true, Ordering::Relaxed);
        // Why one ended early is told by `stop`.
        let _ = joined(self.sender.take());
        let _ = joined(self.receiver.take());
    }
}

fn joined<T>(thread: Option<JoinHandle<io::Result<T>>>) -> Result<Option<T>, LabError> {
    let Some(thread) = thread else {
        return Ok(None);
    };
    let ended = thread
        .join()
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    ended.map(Some).map_err(LabError::io("go on with a stream"))
}

/// Returns how many were sent.
fn pace(seen: &Seen, interval: Duration, mut send: Send) -> io::Result<u32> {
    let mut next = Instant::now();
    let mut number = 0;
    while !seen.sent_enough.load(Ordering::Relaxed) {
        send(number)?;
        number += 1;
        next += interval;
        thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    Ok(number)
}

fn hear(seen: &Seen, mut receive: Receive) -> io::Result<()> {
    while !seen.heard_enough.load(Ordering::Relaxed) {
        match receive() {
            Ok(Some(number)) => {
                seen.answers().push((number, Instant::now()));
                seen.more.notify_all();
            }
            Ok(None) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_silence_after_a_failure_ends_with_its_first_answer() {
        let begin = Instant::now();
        let at = |milliseconds| begin + Duration::from_millis(milliseconds);
        let report = StreamReport {
            sent: 5,
            lost: vec![],
            answered: vec![at(0), at(900), at(920), at(1200), at(1300)],
        };
        assert_eq!(report.silent_until(at(915)), Some(at(1200)));
        assert_eq!(report.silent_until(at(100)), Some(at(900)));
        assert_eq!(report.silent_until(at(1300)), None);
    }
}
