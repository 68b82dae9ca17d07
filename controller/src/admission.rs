//! Who may connect: so many peers at once, and among them few that have not said who they are.
//!
//! A connection costs a file and memory, and anybody who reaches the listener can open one. The files that hypervisors need
//! are kept from those who never say who they are: when there are too many of these, a newcomer takes the place of the
//! oldest of whoever has more of them than it has itself, else of the oldest of all, but only of one that had its time.
//! Until then newcomers are refused and try again, so that a whole cloud that connects at once is served in turn.

use crate::metrics::{Metrics, RefusedConnection};
use crate::stream::{Incoming, Listener};
use sextant_responders::throttle::Throttle;
use std::collections::{BTreeMap, VecDeque};
use std::future::{Future, pending};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

/// How many may be connected to one listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// All of them.
    pub connections: usize,
    /// Those that have not said who they are.
    pub unidentified: usize,
    /// Of these, those from one IPv4 address, or one /64 of IPv6.
    pub of_an_origin: usize,
    /// How long one of these keeps its place from newcomers.
    pub time: Duration,
}

/// Connections whatever the files: more hypervisors than one process programs.
const MOST: u64 = 16_384;
/// Each may hold back a few MiB of what it sent and was sent.
const MOST_UNIDENTIFIED: usize = 512;

impl Limits {
    /// A quarter of the files that the process may open, which leaves half to requests and the store; three quarters of the
    /// unidentified for one origin; ten seconds.
    pub fn of_files(files: u64) -> Self {
        let connections = usize::try_from((files / 4).clamp(16, MOST)).unwrap_or(usize::MAX);
        let unidentified = (connections / 2).min(MOST_UNIDENTIFIED);
        Self {
            connections,
            unidentified,
            of_an_origin: unidentified - unidentified / 4,
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

    /// Says whether a line about a peer that has not said who it is may be logged.
    pub fn words(&self) -> Words {
        Words(self.throttle.clone())
    }

    /// Whether the end of this connection is worth a line in the log; if so, how many were not.
    pub fn last_word(&self) -> Option<u64> {
        match self.shown_out {
            None => Some(0),
            Some(_) => admit(&self.throttle),
        }
    }
}

/// The few lines about all those on a listener that have not said who they are.
#[derive(Clone, Debug)]
pub struct Words(Arc<Mutex<Throttle>>);

impl Words {
    /// Whether one more may be logged; if so, how many were not.
    pub fn admit(&self) -> Option<u64> {
        admit(&self.0)
    }
}

fn admit(throttle: &Mutex<Throttle>) -> Option<u64> {
    let mut throttle = throttle.lock().unwrap_or_else(PoisonError::into_inner);
    throttle.admit(Instant::now())
}

/// A connection whose peer has not said who it is.
struct Waiting {
    since: Instant,
    origin: IpAddr,
    notice: oneshot::Sender<()>,
}

/// What a peer is one of many of: whoever has an address of IPv6 has its /64.
pub(crate) fn origin(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
    }
}

/// Admits the peers of one listener.
struct Door {
    listener: &'static str,
    limits: Limits,
    metrics: Metrics,
    room: Arc<Semaphore>,
    /// The unidentified in the order of their coming, and those that were.
    waiting: VecDeque<Waiting>,
    throttle: Arc<Mutex<Throttle>>,
}

/// Serves every peer that connects and is admitted. Does not return.
pub async fn listen<F>(
    listener: Listener,
    name: &'static str,
    limits: Limits,
    metrics: Metrics,
    serve: impl Fn(Incoming, SocketAddr, Pass) -> F,
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
                if let Some(unsaid) = admit(&door.throttle) {
                    tracing::warn!(listener = name, %error, unsaid, "a connection could not be accepted");
                }
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
        self.waiting.retain(|waiting| !waiting.notice.is_closed());
        let origin = origin(peer.ip());
        if !self.has_room(origin, peer, now) {
            return None;
        }
        let Ok(place) = self.room.clone().try_acquire_owned() else {
            let most = self.limits.connections;
            self.refused(
                RefusedConnection::Full,
                peer,
                most,
                "too many connections: the newest was refused",
            );
            // Its place is free once it has ended, and the newest tries again.
            if let Some(crowd) = self.crowd(origin) {
                self.show_out(crowd);
            }
            return None;
        };
        let (notice, shown_out) = oneshot::channel();
        self.waiting.push_back(Waiting {
            since: now,
            origin,
            notice,
        });
        Some(Pass {
            _place: place,
            shown_out: Some(shown_out),
            throttle: self.throttle.clone(),
        })
    }

    /// Whether there is room among the unidentified, made at the cost of one of them if need be.
    fn has_room(&mut self, origin: IpAddr, peer: SocketAddr, now: Instant) -> bool {
        let limits = self.limits;
        let of_it = |waiting: &&Waiting| waiting.origin == origin;
        let (victim, reason) = if self.waiting.iter().filter(of_it).count() >= limits.of_an_origin {
            let oldest = self
                .waiting
                .iter()
                .position(|waiting| waiting.origin == origin);
            (self.had_its_time(oldest, now), RefusedConnection::Origin)
        } else if self.waiting.len() < limits.unidentified {
            return true;
        } else {
            let crowd = self.crowd(origin);
            let oldest = crowd.or_else(|| self.had_its_time(Some(0), now));
            (oldest, RefusedConnection::Unidentified)
        };
        let most = limits.unidentified;
        match victim {
            Some(victim) => {
                self.show_out(victim);
                let what = "too many connections of nobody known: the oldest was ended";
                self.refused(RefusedConnection::Stale, peer, most, what);
            }
            None => {
                let what = "too many connections of nobody known: the newest was refused";
                self.refused(reason, peer, most, what);
            }
        }
        victim.is_some()
    }

    fn had_its_time(&self, oldest: Option<usize>, now: Instant) -> Option<usize> {
        oldest.filter(|place| {
            let waiting = self.waiting.get(*place);
            waiting.is_none_or(|waiting| {
                now.saturating_duration_since(waiting.since) >= self.limits.time
            })
        })
    }

    /// The oldest of the origin with most, if that will still have as many as this one with one more.
    fn crowd(&self, origin: IpAddr) -> Option<usize> {
        let mut counts = BTreeMap::<IpAddr, usize>::new();
        for waiting in &self.waiting {
            *counts.entry(waiting.origin).or_default() += 1;
        }
        let own = counts.get(&origin).copied().unwrap_or_default();
        let (crowd, most) = counts.into_iter().max_by_key(|(_, count)| *count)?;
        let oldest = || {
            self.waiting
                .iter()
                .position(|waiting| waiting.origin == crowd)
        };
        (most > own + 1).then(oldest)?
    }

    /// Makes one of the unidentified go.
    fn show_out(&mut self, place: usize) {
        if let Some(Waiting { notice, .. }) = self.waiting.remove(place) {
            // One that has just ended or said who it is does not hear this.
            let _ = notice.send(());
        }
    }

    fn refused(&self, reason: RefusedConnection, newest: SocketAddr, most: usize, what: &str) {
        self.metrics
            .connections_refused
            .with_label_values(&[self.listener, reason.as_str()])
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
        of_an_origin: 2,
        time: Duration::from_secs(10),
    };

    struct Story {
        door: Door,
        begun: Instant,
    }

    impl Story {
        fn begin() -> Self {
            Self::with(LIMITS)
        }

        fn with(limits: Limits) -> Self {
            let metrics = Metrics::new().unwrap();
            Self {
                door: Door::new("openflow", limits, metrics),
                begun: Instant::now(),
            }
        }

        fn arrives(&mut self, seconds: u64) -> Option<Pass> {
            self.arrives_from("::1", seconds)
        }

        fn arrives_from(&mut self, address: &str, seconds: u64) -> Option<Pass> {
            let peer = SocketAddr::new(address.parse().unwrap(), 7);
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
        assert_eq!(story.refused("origin"), 1);
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
        assert_eq!(story.refused("origin"), 1);
        let mut others = [story.arrives(3).unwrap(), second];
        others.iter_mut().for_each(Pass::identified);
        assert!(story.arrives(4).is_none());
        assert_eq!(story.refused("full"), 1);
        assert!(!must_go(&mut known));
        drop(others);
        assert!(story.arrives(5).is_some());
    }

    #[test]
    fn who_crowds_the_door_makes_room_for_others_at_once() {
        let mut story = Story::with(Limits {
            connections: 9,
            unidentified: 4,
            of_an_origin: 3,
            ..LIMITS
        });
        let mut crowd = ["2001:db8::1", "2001:db8::2", "2001:db8::3"]
            .map(|address| story.arrives_from(address, 0).unwrap());
        assert!(story.arrives_from("2001:db8::4", 1).is_none());
        let mut other = story.arrives_from("192.0.2.1", 2).unwrap();
        let mut third = story.arrives_from("192.0.2.2", 2).unwrap();
        assert_eq!(crowd.each_mut().map(must_go), [true, false, false]);
        assert!(story.arrives_from("2001:db8::5", 3).is_none());
        assert!(!must_go(&mut other) && !must_go(&mut third));
    }

    #[test]
    fn limits_leave_files_to_others() {
        let few = Limits::of_files(1024);
        assert_eq!(
            (few.connections, few.unidentified, few.of_an_origin),
            (256, 128, 96)
        );
        let many = Limits::of_files(1 << 20);
        assert_eq!((many.connections, many.unidentified), (16_384, 512));
    }
}
