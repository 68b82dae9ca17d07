//! Who may connect: so many peers at once, and among them few that have not said who they are.
//!
//! A connection costs a file and memory, and anybody who reaches the listener can open one. The files that hypervisors need
//! are kept from those who never say who they are: when there are too many of these, a newcomer takes the place of the
//! oldest, but only of one that had its time. Until then newcomers are refused and try again, so that a whole cloud that
//! connects at once is served in turn.

use crate::metrics::Metrics;
use crate::throttle::Throttle;
use std::collections::VecDeque;
use std::future::{Future, pending};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

/// How many may be connected to one listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// All of them.
    pub connections: usize,
    /// Those that have not said who they are.
    pub unidentified: usize,
    /// How long one of these keeps its place from newcomers.
    pub time: Duration,
}

/// Connections whatever the files: more hypervisors than one process programs.
const MOST: u64 = 16_384;
/// Each may hold back a few MiB of what it sent and was sent.
const MOST_UNIDENTIFIED: usize = 512;

impl Limits {
    /// A quarter of the files that the process may open, which leaves half to requests and the store; ten seconds.
    pub fn of_files(files: u64) -> Self {
        let connections = usize::try_from((files / 4).clamp(16, MOST)).unwrap_or(usize::MAX);
        Self {
            connections,
            unidentified: (connections / 2).min(MOST_UNIDENTIFIED),
            time: Duration::from_secs(10),
        }
    }

    /// What fits this process, which may open as many files as the system lets it from here on.
    pub fn of_process() -> Self {
        Self::of_files(raise_files())
    }
}

/// Raises the limit of open files to the highest that is allowed, and returns it.
fn raise_files() -> u64 {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let now = getrlimit(Resource::Nofile);
    let highest = Rlimit {
        current: now.maximum,
        ..now
    };
    let files = match setrlimit(Resource::Nofile, highest) {
        Ok(()) => now.maximum,
        Err(_) => now.current,
    };
    files.unwrap_or(u64::MAX)
}

/// A connection's leave to be there, until this is dropped.
#[derive(Debug)]
pub struct Pass {
    _place: OwnedSemaphorePermit,
    /// Says when it must go; none once the peer has said who it is.
    shown_out: Option<oneshot::Receiver<()>>,
    throttle: Arc<Mutex<Throttle>>,
}

impl Pass {
    /// The peer has said who it is.
    pub fn identified(&mut self) {
        self.shown_out = None;
    }

    /// Waits until the connection must make room for another. Never for a peer that has said who it is.
    pub async fn shown_out(&mut self) {
        let told = match &mut self.shown_out {
            Some(notice) => notice.await.is_ok(),
            None => false,
        };
        if !told {
            // Nobody is left who could tell.
            self.shown_out = None;
            pending().await
        }
    }

    /// Whether the end of this connection is worth a line in the log; if so, how many were not.
    pub fn last_word(&self) -> Option<u64> {
        match self.shown_out {
            None => Some(0),
            Some(_) => admit(&self.throttle),
        }
    }
}

fn admit(throttle: &Mutex<Throttle>) -> Option<u64> {
    let mut throttle = throttle.lock().unwrap_or_else(PoisonError::into_inner);
    throttle.admit(Instant::now())
}

/// Admits the peers of one listener.
struct Door {
    listener: &'static str,
    limits: Limits,
    metrics: Metrics,
    room: Arc<Semaphore>,
    /// The unidentified in the order of their coming, and those that were.
    waiting: VecDeque<(Instant, oneshot::Sender<()>)>,
    throttle: Arc<Mutex<Throttle>>,
}

/// Serves every peer that connects and is admitted. Does not return.
pub async fn listen<F>(
    listener: TcpListener,
    name: &'static str,
    limits: Limits,
    metrics: Metrics,
    serve: impl Fn(TcpStream, SocketAddr, Pass) -> F,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let mut door = Door::new(name, limits, metrics);
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                if let Some(pass) = door.admit(peer, Instant::now()) {
                    tokio::spawn(serve(stream, peer, pass));
                }
            }
            Err(error) => {
                tracing::warn!(listener = name, %error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

impl Door {
    fn new(listener: &'static str, limits: Limits, metrics: Metrics) -> Self {
        Self {
            listener,
            limits,
            metrics,
            room: Arc::new(Semaphore::new(limits.connections)),
            waiting: VecDeque::new(),
            throttle: Arc::default(),
        }
    }

    /// A pass, if there is room or it can be made.
    fn admit(&mut self, peer: SocketAddr, now: Instant) -> Option<Pass> {
        self.waiting.retain(|(_, notice)| !notice.is_closed());
        if self.waiting.len() >= self.limits.unidentified && !self.show_out(peer, now) {
            return None;
        }
        let Ok(place) = self.room.clone().try_acquire_owned() else {
            let most = self.limits.connections;
            self.refused(
                "full",
                peer,
                most,
                "too many connections: the newest was refused",
            );
            return None;
        };
        let (notice, shown_out) = oneshot::channel();
        self.waiting.push_back((now, notice));
        Some(Pass {
            _place: place,
            shown_out: Some(shown_out),
            throttle: self.throttle.clone(),
        })
    }

    /// Makes the oldest of the unidentified go, if it had its time.
    fn show_out(&mut self, peer: SocketAddr, now: Instant) -> bool {
        let most = self.limits.unidentified;
        let (had_its_time, what) = match self.waiting.front() {
            Some((since, _)) if now.saturating_duration_since(*since) < self.limits.time => (
                false,
                "too many connections of nobody known: the newest was refused",
            ),
            _ => (
                true,
                "too many connections of nobody known: the oldest was ended",
            ),
        };
        if had_its_time && let Some((_, notice)) = self.waiting.pop_front() {
            // One that has just ended or said who it is does not hear this.
            let _ = notice.send(());
        }
        let reason = if had_its_time {
            "stale"
        } else {
            "unidentified"
        };
        self.refused(reason, peer, most, what);
        had_its_time
    }

    fn refused(&self, reason: &str, newest: SocketAddr, most: usize, what: &str) {
        self.metrics
            .connections_refused
            .with_label_values(&[self.listener, reason])
            .inc();
        if let Some(unsaid) = admit(&self.throttle) {
            tracing::warn!(listener = self.listener, %newest, most, unsaid, "{what}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    const LIMITS: Limits = Limits {
        connections: 3,
        unidentified: 2,
        time: Duration::from_secs(10),
    };

    struct Story {
        door: Door,
        begun: Instant,
    }

    impl Story {
        fn begin() -> Self {
            let metrics = Metrics::new().unwrap();
            Self {
                door: Door::new("openflow", LIMITS, metrics),
                begun: Instant::now(),
            }
        }

        fn arrives(&mut self, seconds: u64) -> Option<Pass> {
            let peer = SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], 7));
            let now = self.begun + Duration::from_secs(seconds);
            self.door.admit(peer, now)
        }

        fn refused(&self, reason: &str) -> u64 {
            let counter = &self.door.metrics.connections_refused;
            counter.with_label_values(&["openflow", reason]).get()
        }
    }

    fn must_go(pass: &mut Pass) -> bool {
        let mut context = Context::from_waker(Waker::noop());
        pin!(pass.shown_out()).poll(&mut context) == Poll::Ready(())
    }

    #[test]
    fn a_newcomer_waits_for_those_before_it_to_have_had_their_time() {
        let mut story = Story::begin();
        let (mut first, mut second) = (story.arrives(0).unwrap(), story.arrives(1).unwrap());
        assert!(story.arrives(9).is_none());
        assert_eq!(story.refused("unidentified"), 1);
        assert!(!must_go(&mut first));
        let mut third = story.arrives(10).unwrap();
        assert_eq!(story.refused("stale"), 1);
        assert!(must_go(&mut first));
        assert!(!must_go(&mut second) && !must_go(&mut third));
    }

    #[test]
    fn who_has_said_who_it_is_keeps_its_place() {
        let mut story = Story::begin();
        let mut known = story.arrives(0).unwrap();
        known.identified();
        let (second, third) = (story.arrives(1).unwrap(), story.arrives(1).unwrap());
        assert!(story.arrives(2).is_none());
        drop(third);
        assert_eq!(story.refused("unidentified"), 1);
        let mut others = [story.arrives(3).unwrap(), second];
        others.iter_mut().for_each(Pass::identified);
        assert!(story.arrives(4).is_none());
        assert_eq!(story.refused("full"), 1);
        assert!(!must_go(&mut known));
        drop(others);
        assert!(story.arrives(5).is_some());
    }

    #[test]
    fn limits_leave_files_to_others() {
        let few = Limits::of_files(1024);
        assert_eq!((few.connections, few.unidentified), (256, 128));
        let many = Limits::of_files(1 << 20);
        assert_eq!((many.connections, many.unidentified), (16_384, 512));
    }
}
