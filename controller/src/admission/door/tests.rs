//! Who is served, who waits and who goes.

use super::*;
use crate::seat::Seats;
use crate::snapshot::{Snapshot, Snapshots};
use sextant_model::ChassisId;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

const LIMITS: ConnectionLimits = ConnectionLimits {
    connections: 3,
    unidentified: 2,
    of_an_origin: 2,
    time: Duration::from_secs(10),
};

struct TestedDoor {
    door: Door<()>,
    /// Who speaks for known hypervisors.
    seats: Seats<ChassisId>,
    begun: Instant,
}

impl TestedDoor {
    fn begin() -> Self {
        Self::with(LIMITS)
    }

    fn with(limits: ConnectionLimits) -> Self {
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
    let mut story = TestedDoor::begin();
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
    let mut story = TestedDoor::begin();
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
    let mut story = TestedDoor::with(ConnectionLimits {
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
    let mut story = TestedDoor::with(ConnectionLimits::of_files(1 << 14));
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
    let mut story = TestedDoor::with(ConnectionLimits {
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
    let mut story = TestedDoor::with(ConnectionLimits {
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
    let mut story = TestedDoor::with(ConnectionLimits {
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
    let mut story = TestedDoor::begin();
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
    let mut story = TestedDoor::with(ConnectionLimits {
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
    let mut story = TestedDoor::with(ConnectionLimits {
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
