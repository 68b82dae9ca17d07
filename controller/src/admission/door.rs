//! Who of those that connect to a listener is served, who waits, and who has to go.

use super::{KnownHypervisors, Limits, Pass, Words, origin, three_quarters};
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
    limits: Limits,
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
        limits: Limits,
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
        let rank = |(origin, waiting): &(&IpAddr, &VecDeque<Queued<S>>)| {
            let served = counts.get(*origin).copied().unwrap_or_default();
            (served, waiting.front().map(|queued| queued.since))
        };
        self.queue
            .iter()
            .min_by_key(rank)
            .map(|(origin, _)| *origin)
    }

    /// Who has to make room for one of this origin. `None` while there is room.
    fn room_for(&self, origin: IpAddr, now: Instant) -> Option<Room> {
        let limits = self.limits.for_known(self.known.count());
        let after = |place: usize, time: Duration| {
            let since = self.served.get(place).map_or(now, |served| served.since);
            Room {
                place,
                from: since + time,
            }
        };
        if self.served_of(origin) >= limits.of_an_origin {
            let oldest = self.oldest(|served| served.origin == Some(origin));
            return oldest.map(|place| after(place, limits.time));
        }
        if self.strangers() < limits.unidentified {
            return None;
        }
        let crowd = self.crowd(origin);
        let crowd = crowd.map(|place| after(place, CROWDED.min(limits.time)));
        let oldest = self.oldest(|served| served.origin.is_some());
        let oldest = oldest.map(|place| after(place, limits.time));
        crowd.into_iter().chain(oldest).min_by_key(|room| room.from)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seat::Seats;
    use crate::snapshot::{Snapshot, Snapshots};
    use sextant_model::ChassisId;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    const LIMITS: Limits = Limits {
        connections: 3,
        unidentified: 2,
        of_an_origin: 2,
        time: Duration::from_secs(10),
    };

    struct Story {
        door: Door<()>,
        /// Who speaks for known hypervisors.
        seats: Seats<ChassisId>,
        begun: Instant,
    }

    impl Story {
        fn begin() -> Self {
            Self::with(LIMITS)
        }

        fn with(limits: Limits) -> Self {
            let (metrics, seats) = (Metrics::new().unwrap(), Seats::default());
            let (_, snapshots) = Snapshots::new(Snapshot::default());
            let known = KnownHypervisors::new(snapshots, vec![seats.clone()]);
            Self {
                door: Door::new("openflow", limits, known, metrics),
                seats,
                begun: Instant::now(),
            }
        }

        fn arrives(&mut self, seconds: u64) -> Option<Pass> {
            self.arrives_from("::1", seconds)
        }

        fn arrives_from(&mut self, address: &str, seconds: u64) -> Option<Pass> {
            let peer = SocketAddr::new(address.parse().unwrap(), 7);
            let now = self.begun + Duration::from_secs(seconds);
            self.door.arrive((), peer, now);
            self.next(seconds)
        }

        fn next(&mut self, seconds: u64) -> Option<Pass> {
            let now = self.begun + Duration::from_secs(seconds);
            let (_, _, pass) = self.door.next(now)?;
            Some(pass)
        }

        /// A hypervisor has connected from this address before.
        fn knows(&self, chassis: &str, address: &str) {
            let address: IpAddr = address.parse().unwrap();
            drop(self.seats.take(&ChassisId::new(chassis), address).unwrap());
        }

        /// How many places are left.
        fn room(&self) -> usize {
            self.door.room.available_permits()
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

    /// As many as come when all hypervisors of a cloud lose their connections.
    const MANY: usize = 1000;

    #[test]
    fn of_a_storm_from_one_origin_nobody_is_refused() {
        let mut story = Story::with(Limits::of_files(1 << 14));
        let mut served: VecDeque<Pass> = (0..MANY).filter_map(|_| story.arrives(0)).collect();
        assert_eq!(served.len(), story.door.limits.of_an_origin);
        let mut all = served.len();
        while let Some(mut first) = served.pop_front() {
            assert!(!must_go(&mut first));
            first.identified();
            served.extend(story.next(0).inspect(|_| all += 1));
        }
        assert_eq!(all, MANY);
        for reason in ["origin", "stale", "unidentified", "full"] {
            assert_eq!(story.refused(reason), 0, "{reason}");
        }
    }

    #[test]
    fn who_waits_is_served_when_one_before_it_has_gone_or_had_its_time() {
        let mut story = Story::with(Limits {
            connections: 8,
            ..LIMITS
        });
        let (mut first, second) = (story.arrives(0).unwrap(), story.arrives(1).unwrap());
        assert!(story.arrives(2).is_none() && story.arrives(2).is_none());
        assert_eq!(
            story.door.deadline(),
            Some(story.begun + Duration::from_secs(10))
        );
        drop(second);
        let third = story.next(3).unwrap();
        assert!(!must_go(&mut first));
        drop(third);
        assert_eq!((story.refused("origin"), story.refused("stale")), (1, 0));
    }

    #[test]
    fn who_waits_takes_the_place_of_who_has_had_its_time() {
        let mut story = Story::with(Limits {
            connections: 8,
            ..LIMITS
        });
        let (mut first, mut second) = (story.arrives(0).unwrap(), story.arrives(1).unwrap());
        assert!(story.arrives(2).is_none() && story.next(9).is_none());
        let _third = story.next(10).unwrap();
        assert!(must_go(&mut first) && !must_go(&mut second));
        assert!(story.next(11).is_none() && story.door.deadline().is_none());
    }

    #[test]
    fn strangers_never_take_more_than_half_and_a_crowd_waits_behind_others() {
        let mut story = Story::with(Limits {
            connections: 16,
            of_an_origin: 1,
            ..LIMITS
        });
        let mut crowd = story.arrives_from("2001:db8::1", 0).unwrap();
        for _ in 1..100 {
            assert!(story.arrives_from("2001:db8::1", 0).is_none());
        }
        // Three quarters of the half are one origin's: one of them is served.
        assert_eq!(story.refused("origin"), 94);
        let _other = story.arrives_from("192.0.2.1", 0).unwrap();
        for last in 2..10 {
            assert!(story.arrives_from(&format!("192.0.2.{last}"), 0).is_none());
        }
        // Each of these took the place of one of the crowd while that had more than they.
        assert_eq!(story.room(), 8);
        crowd.identified();
        let next = story.door.next(story.begun).unwrap();
        assert!(next.1.is_ipv4());
    }

    #[test]
    fn a_known_hypervisor_is_served_at_once_and_makes_room_for_nobody() {
        let mut story = Story::begin();
        story.knows("h1", "192.0.2.1");
        let mut strangers = [story.arrives(0).unwrap(), story.arrives(0).unwrap()];
        let mut hypervisor = story.arrives_from("::ffff:192.0.2.1", 1).unwrap();
        assert!(strangers.iter_mut().all(|stranger| !must_go(stranger)));
        drop(strangers);
        let _others = [story.arrives(20).unwrap(), story.arrives(20).unwrap()];
        assert!(story.arrives(29).is_none() && !must_go(&mut hypervisor));
    }

    #[test]
    fn a_known_address_has_no_more_than_its_hypervisors_need() {
        let mut story = Story::with(Limits {
            connections: 100,
            ..LIMITS
        });
        story.knows("h1", "192.0.2.1");
        let of_it = (0..10).filter_map(|_| story.arrives_from("192.0.2.1", 0));
        let passes: Vec<Pass> = of_it.collect();
        assert_eq!(passes.len(), OF_A_HYPERVISOR + LIMITS.of_an_origin);
    }

    #[test]
    fn who_waits_goes_for_a_known_hypervisor_when_all_places_are_taken() {
        let mut story = Story::with(Limits {
            connections: 8,
            ..LIMITS
        });
        story.knows("h1", "192.0.2.1");
        let mut identified = vec![];
        for last in 2..6 {
            let mut pass = story.arrives_from(&format!("192.0.2.{last}"), 0).unwrap();
            pass.identified();
            identified.push(pass);
        }
        let strangers = [
            "2001:db8:1::",
            "2001:db8:2::",
            "2001:db8:3::",
            "2001:db8:4::",
        ];
        let served = strangers.map(|address| story.arrives_from(address, 0));
        assert_eq!((served.iter().flatten().count(), story.room()), (2, 0));
        assert!(story.arrives_from("192.0.2.1", 0).is_some());
        assert_eq!(story.refused("unidentified"), 1);
    }
}
