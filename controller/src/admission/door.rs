//! Who of those that connect to a listener is served, who waits, and who has to go.

#[cfg(test)]
mod tests;

use super::{ConnectionLimits, KnownHypervisors, Pass, Words, origin, three_quarters};
use crate::metrics::{Metrics, RefusedConnection};
use sextant_responders::throttle::Throttle;
use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, oneshot};

/// How long a client of a crowded origin keeps its place from others. A hypervisor identifies itself in less.
const CROWDED: Duration = Duration::from_secs(1);
/// How many unidentified connections each known hypervisor has beside all limits: its last, which may not have been noticed
/// to be gone, and its next.
const OF_A_HYPERVISOR: usize = 2;

/// Admits the peers of one listener, whose connections are of this type.
pub(super) struct Door<S> {
    listener: &'static str,
    limits: ConnectionLimits,
    known: KnownHypervisors,
    metrics: Metrics,
    room: Arc<Semaphore>,
    /// The unidentified connections that are served, by age, with some that have identified themselves since.
    served: VecDeque<Served>,
    /// Those of known hypervisors, which are served next.
    expected: VecDeque<Queued<S>>,
    /// All others, by origin and age.
    queue: BTreeMap<IpAddr, VecDeque<Queued<S>>>,
    throttle: Arc<Mutex<Throttle>>,
    moved: Arc<Notify>,
    /// When somebody will have had its time for whose place others wait.
    deadline: Option<Instant>,
}

/// An unidentified connection that is served.
struct Served {
    since: Instant,
    peer: SocketAddr,
    /// `None` for that of a known hypervisor.
    origin: Option<IpAddr>,
    notice: oneshot::Sender<()>,
}

/// A connection that waits.
struct Queued<S> {
    stream: S,
    peer: SocketAddr,
    since: Instant,
    place: OwnedSemaphorePermit,
}

/// Who makes room for the next of the queue, and from when on.
struct Room {
    place: usize,
    from: Instant,
}

impl<S> Door<S> {
    pub(super) fn new(
        listener: &'static str,
        limits: ConnectionLimits,
        known: KnownHypervisors,
        metrics: Metrics,
    ) -> Self {
        Self {
            listener,
            limits,
            known,
            metrics,
            room: Arc::new(Semaphore::new(limits.connections)),
            served: VecDeque::new(),
            expected: VecDeque::new(),
            queue: BTreeMap::new(),
            throttle: Arc::default(),
            moved: Arc::default(),
            deadline: None,
        }
    }

    /// When to ask again for the next connection, if nothing else happens.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Signals that a place may have become free.
    pub(super) fn moved(&self) -> Arc<Notify> {
        self.moved.clone()
    }

    pub(super) fn words(&self) -> Words {
        Words(self.throttle.clone())
    }

    /// Takes in a connection. It waits for its turn, or is refused.
    pub(super) fn arrive(&mut self, stream: S, peer: SocketAddr, now: Instant) {
        self.forget_identified();
        let address = peer.ip().to_canonical();
        let is_expected = self.is_expected(address);
        if !is_expected && !self.may_wait(origin(address), peer, now) {
            return;
        }
        let Some(place) = self.place(peer, is_expected) else {
            return;
        };
        let queued = Queued {
            stream,
            peer,
            since: now,
            place,
        };
        match is_expected {
            true => self.expected.push_back(queued),
            false => self
                .queue
                .entry(origin(address))
                .or_default()
                .push_back(queued),
        }
    }

    /// The next connection that is to be served.
    pub(super) fn next(&mut self, now: Instant) -> Option<(S, SocketAddr, Pass)> {
        self.deadline = None;
        if let Some(queued) = self.expected.pop_front() {
            return Some(self.serve(queued, None, now));
        }
        if self.queue.is_empty() {
            return None;
        }
        self.forget_identified();
        let origin = self.next_origin()?;
        if let Some(Room { place, from }) = self.room_for(origin, now) {
            if from > now {
                self.deadline = Some(from);
                return None;
            }
            self.show_out(place);
        }
        let waiting = self.queue.get_mut(&origin)?;
        let queued = waiting.pop_front()?;
        if waiting.is_empty() {
            self.queue.remove(&origin);
        }
        Some(self.serve(queued, Some(origin), now))
    }

    fn serve(
        &mut self,
        queued: Queued<S>,
        origin: Option<IpAddr>,
        now: Instant,
    ) -> (S, SocketAddr, Pass) {
        let (notice, shown_out) = oneshot::channel();
        self.served.push_back(Served {
            since: now,
            peer: queued.peer,
            origin,
            notice,
        });
        let pass = Pass {
            _place: queued.place,
            shown_out: Some(shown_out),
            throttle: self.throttle.clone(),
            moved: self.moved.clone(),
        };
        (queued.stream, queued.peer, pass)
    }

    fn forget_identified(&mut self) {
        self.served.retain(|served| !served.notice.is_closed());
    }

    /// Whether a known hypervisor is at this address and has not yet as many connections as it may need.
    fn is_expected(&mut self, address: IpAddr) -> bool {
        let allowed = OF_A_HYPERVISOR * self.known.at(address);
        let served = self.served.iter();
        let served = served.filter(|served| served.origin.is_none());
        let peers = served.map(|served| served.peer);
        let peers = peers.chain(self.expected.iter().map(|queued| queued.peer));
        let here = peers.filter(|peer| peer.ip().to_canonical() == address);
        here.count() < allowed
    }

    /// Whether one more of this origin may wait. If need be, another that waits has to go.
    fn may_wait(&mut self, origin: IpAddr, peer: SocketAddr, now: Instant) -> bool {
        let most = self.limits.strangers();
        let queued = self.queued(origin);
        let crowds = queued + self.served_of(origin) >= three_quarters(most);
        if !crowds && (self.waiting() < most || self.drop_newest_of_a_crowd(queued + 1)) {
            return true;
        }
        if queued == 0
            && self
                .room_for(origin, now)
                .is_none_or(|room| room.from <= now)
        {
            return true;
        }
        let reason = match crowds {
            true => RefusedConnection::Origin,
            false => RefusedConnection::Unidentified,
        };
        let what = "too many connections of nobody known: the newest was refused";
        self.refused(reason, peer, most, what);
        false
    }

    /// Ends the newest that waits of the origin with most, if more than so many of it wait.
    fn drop_newest_of_a_crowd(&mut self, usual: usize) -> bool {
        let crowd = self.queue.values_mut().max_by_key(|waiting| waiting.len());
        let crowd = crowd.filter(|waiting| waiting.len() > usual);
        let Some(Queued { peer, .. }) = crowd.and_then(VecDeque::pop_back) else {
            return false;
        };
        self.queue.retain(|_, waiting| !waiting.is_empty());
        let most = self.limits.strangers();
        let what = "too many connections of nobody known: one that waited was ended";
        self.refused(RefusedConnection::Unidentified, peer, most, what);
        true
    }

    /// A place among all connections.
    fn place(&mut self, peer: SocketAddr, is_expected: bool) -> Option<OwnedSemaphorePermit> {
        let room = self.room.clone();
        if let Ok(place) = room.clone().try_acquire_owned() {
            return Some(place);
        }
        if is_expected
            && self.drop_newest_of_a_crowd(0)
            && let Ok(place) = room.try_acquire_owned()
        {
            return Some(place);
        }
        let most = self.limits.connections;
        let what = "too many connections: the newest was refused";
        self.refused(RefusedConnection::Full, peer, most, what);
        // The place becomes free when that connection has ended. Meanwhile the newest is refused, and tries again.
        if let Some(crowd) = self.crowd(origin(peer.ip())) {
            self.show_out(crowd);
        }
        None
    }

    /// The origin that has the fewest who are served: of several, the one that has waited longest.
    fn next_origin(&self) -> Option<IpAddr> {
        let counts = self.counts();
        self.queue
            .iter()
            .min_by_key(|(origin, waiting)| {
                let served = counts.get(*origin).copied().unwrap_or_default();
                (served, waiting.front().map(|queued| queued.since))
            })
            .map(|(origin, _)| *origin)
    }

    /// Who has to make room for one of this origin. `None` while there is room.
    fn room_for(&self, origin: IpAddr, now: Instant) -> Option<Room> {
        let limits = self.limits.for_known(self.known.count());
        if self.served_of(origin) >= limits.of_an_origin {
            let oldest = self.oldest(|served| served.origin == Some(origin));
            return oldest.map(|place| self.room_at(place, limits.time, now));
        }
        if self.strangers() < limits.unidentified {
            return None;
        }
        let crowd = self.crowd(origin);
        let crowd = crowd.map(|place| self.room_at(place, CROWDED.min(limits.time), now));
        let oldest = self.oldest(|served| served.origin.is_some());
        let oldest = oldest.map(|place| self.room_at(place, limits.time, now));
        crowd.into_iter().chain(oldest).min_by_key(|room| room.from)
    }

    /// A place of which whoever has it has this time.
    fn room_at(&self, place: usize, time: Duration, now: Instant) -> Room {
        let since = self.served.get(place).map_or(now, |served| served.since);
        Room {
            place,
            from: since + time,
        }
    }

    /// The oldest of the origin with the most, if that origin keeps at least as many as this one gets.
    fn crowd(&self, origin: IpAddr) -> Option<usize> {
        let counts = self.counts();
        let own = counts.get(&origin).copied().unwrap_or_default();
        let (crowd, most) = counts.into_iter().max_by_key(|(_, count)| *count)?;
        if most <= own + 1 {
            return None;
        }
        self.oldest(|served| served.origin == Some(crowd))
    }

    fn oldest(&self, meant: impl Fn(&Served) -> bool) -> Option<usize> {
        self.served.iter().position(meant)
    }

    /// How many of each origin are served and unidentified.
    fn counts(&self) -> BTreeMap<IpAddr, usize> {
        let mut counts = BTreeMap::new();
        for origin in self.served.iter().filter_map(|served| served.origin) {
            *counts.entry(origin).or_default() += 1;
        }
        counts
    }

    fn served_of(&self, origin: IpAddr) -> usize {
        let served = self.served.iter();
        served
            .filter(|served| served.origin == Some(origin))
            .count()
    }

    /// How many are served and unidentified, and from no known address.
    fn strangers(&self) -> usize {
        let served = self.served.iter();
        served.filter(|served| served.origin.is_some()).count()
    }

    /// How many have not identified themselves, served or in the queue.
    fn waiting(&self) -> usize {
        self.queue.values().map(VecDeque::len).sum::<usize>() + self.strangers()
    }

    fn queued(&self, origin: IpAddr) -> usize {
        self.queue.get(&origin).map_or(0, VecDeque::len)
    }

    /// Ends one of the served.
    fn show_out(&mut self, place: usize) {
        if let Some(Served { notice, peer, .. }) = self.served.remove(place) {
            // A connection that has just ended or identified itself does not hear this.
            let _ = notice.send(());
            let most = self.limits.unidentified;
            let what = "too many connections of nobody known: the oldest was ended";
            self.refused(RefusedConnection::Stale, peer, most, what);
        }
    }

    fn refused(&self, reason: RefusedConnection, peer: SocketAddr, most: usize, what: &str) {
        self.metrics
            .connections_refused
            .with_label_values(&[self.listener, reason.as_str()])
            .inc();
        if let Some(unsaid) = self.words().admit() {
            tracing::warn!(listener = self.listener, %peer, most, unsaid, "{what}");
        }
    }
}
