//! Limits on connections: how many there may be, and how few of them may be unidentified.
//!
//! Clients that never identify themselves must not take the files that hypervisors need. If there are too many of
//! these, a newcomer replaces the oldest client of an origin that has more of them than the newcomer's. Without such an
//! origin it replaces the oldest of all, but only one that has had its time.

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
    /// All connections.
    pub connections: usize,
    /// Connections whose peers have not identified themselves.
    pub unidentified: usize,
    /// Unidentified connections from one IPv4 address, or one /64 of IPv6.
    pub of_an_origin: usize,
    /// How long an unidentified connection keeps its place from newcomers.
    pub time: Duration,
}

/// The most connections, however many files there are: more hypervisors than one process programs.
const MOST: u64 = 16_384;
/// The most unidentified connections. Each may occupy a few MiB of what was sent in either direction.
const MOST_UNIDENTIFIED: usize = 512;

impl Limits {
    /// The limits for this many files. Connections get a quarter of them, which leaves half to requests and the store.
    /// One origin gets three quarters of the unidentified places. A place is kept for ten seconds.
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

    /// The limits for this process, after raising its limit of open files.
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

/// A connection's permission to exist, until this is dropped.
#[derive(Debug)]
pub struct Pass {
    _place: OwnedSemaphorePermit,
    /// Signals that it must go. `None` once the peer has identified itself.
    shown_out: Option<oneshot::Receiver<()>>,
    throttle: Arc<Mutex<Throttle>>,
}

impl Pass {
    /// The peer has identified itself.
    pub fn identified(&mut self) {
        self.shown_out = None;
    }

    /// Waits until the connection has to make room for another. Never ends for a peer that has identified itself.
    pub async fn shown_out(&mut self) {
        let told = match &mut self.shown_out {
            Some(notice) => notice.await.is_ok(),
            None => false,
        };
        if !told {
            // The door is gone, so nobody can signal any more.
            self.shown_out = None;
            pending().await
        }
    }

    /// Limits log lines about unidentified peers.
    pub fn words(&self) -> Words {
        Words(self.throttle.clone())
    }

    /// Whether to log the end of this connection. If so, how many lines were suppressed before.
    pub fn last_word(&self) -> Option<u64> {
        match self.shown_out {
            None => Some(0),
            Some(_) => admit(&self.throttle),
        }
    }
}

/// The limit on log lines about all unidentified peers of a listener.
#[derive(Clone, Debug)]
pub struct Words(Arc<Mutex<Throttle>>);

impl Words {
    /// Whether to log one more line. If so, how many were suppressed before.
    pub fn admit(&self) -> Option<u64> {
        admit(&self.0)
    }
}

fn admit(throttle: &Mutex<Throttle>) -> Option<u64> {
    let mut throttle = throttle.lock().unwrap_or_else(PoisonError::into_inner);
    throttle.admit(Instant::now())
}

/// An unidentified connection.
struct Waiting {
    since: Instant,
    origin: IpAddr,
    notice: oneshot::Sender<()>,
}

/// The origin of a peer, for limits: in IPv6 the /64, since one host has all of it.
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
    /// The unidentified connections by age, with some that have identified themselves since.
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

    /// A pass, if there is room or room can be made.
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
            // The place becomes free when that connection has ended. Meanwhile the newest is refused, and tries again.
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

    /// Whether there is room among the unidentified. If need be, one of them makes room.
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

    /// The oldest of the origin with the most, if that origin keeps at least as many as this one gets.
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

    /// Ends one of the unidentified.
    fn show_out(&mut self, place: usize) {
        if let Some(Waiting { notice, .. }) = self.waiting.remove(place) {
            // A connection that has just ended or identified itself does not hear this.
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
