//! What happened at each port lately, for people who look for a fault.
//!
//! A port keeps its last [`LONGEST`] events. The same event again and again is one, with a count. Nothing is stored: a
//! restart begins anew, and of several controllers the owner of the port's hypervisor knows.

mod following;

pub use following::follow;

use crate::clock;
use dashmap::DashMap;
use sextant_model::PortId;
use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::Arc;
use tokio::sync::Notify;

/// An interface for the port is where the port is not, and may not be.
pub const INTERFACE_ELSEWHERE: &str = "interface without effect";

/// How many events of a port are kept.
pub const LONGEST: usize = 32;

/// How many ports that are gone may be remembered.
const MOST_GONE: usize = 1000;

/// Something that happened at a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortEvent {
    /// Its number among the port's events, from 1. A gap before it says how many are forgotten.
    pub number: u64,
    /// When it happened first, in seconds since 1970.
    pub first: i64,
    /// When it happened last.
    pub last: i64,
    /// How often it happened, with nothing else in between.
    pub times: u64,
    /// What happened: `plugged in`, or the guest's message, as metrics name it (`solicit`).
    pub what: &'static str,
    /// What became of it: the answer, or why there was none.
    pub outcome: Cow<'static, str>,
}

/// The events of all ports.
#[derive(Clone, Debug, Default)]
pub struct PortHistory(Arc<History>);

#[derive(Debug, Default)]
struct History {
    ports: DashMap<PortId, OfPort>,
    /// Wakes those who follow a port.
    recorded: Notify,
}

#[derive(Debug, Default)]
struct OfPort {
    numbered: u64,
    events: VecDeque<PortEvent>,
}

/// What a session has heard of ports and not yet recorded: it hears as much as a million messages a second.
///
/// Events stand in the order in which they came, so the events of a port keep theirs.
#[derive(Debug, Default)]
pub struct Unrecorded {
    events: Vec<UnrecordedEvent>,
    /// Where the newest event of a port stands, by the last octet of its id. A port shares its place with others, so what
    /// stands there may be another's, or gone.
    newest: Vec<u8>,
}

#[derive(Clone, Debug)]
struct UnrecordedEvent {
    port: PortId,
    what: &'static str,
    outcome: &'static str,
    times: u64,
}

/// How many events wait at most.
const MOST_UNRECORDED: usize = 32;

impl PortHistory {
    /// Records an event that happened so often.
    pub fn record(
        &self,
        port: PortId,
        what: &'static str,
        outcome: impl Into<Cow<'static, str>>,
        times: u64,
    ) {
        let (now, outcome) = (clock::now(), outcome.into());
        let mut of_port = self.0.ports.entry(port).or_default();
        // Nobody follows as a rule: then this is a look at a number.
        self.0.recorded.notify_waiters();
        if let Some(newest) = of_port.events.back_mut()
            && newest.what == what
            && newest.outcome == outcome
        {
            newest.last = now;
            newest.times += times;
            return;
        }
        if of_port.events.len() == LONGEST {
            of_port.events.pop_front();
        }
        of_port.numbered += 1;
        let event = PortEvent {
            number: of_port.numbered,
            first: now,
            last: now,
            times,
            what,
            outcome,
        };
        of_port.events.push_back(event);
    }

    /// The events of a port that are known, the oldest first.
    #[must_use]
    pub fn of(&self, port: PortId) -> Vec<PortEvent> {
        let of_port = self.0.ports.get(&port);
        of_port.map_or_else(Vec::new, |of_port| of_port.events.iter().cloned().collect())
    }

    /// Waits until something happens at any port after this call.
    pub fn changed(&self) -> impl Future<Output = ()> + Send + 'static {
        let history = self.0.clone();
        let mut changed = Box::pin(async move { history.recorded.notified().await });
        // Polled once, it waits from here on.
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        let _ = changed.as_mut().poll(&mut context);
        changed
    }

    /// Forgets ports that do not exist, once there are many: a session may record what it heard of a port that was deleted
    /// meanwhile.
    pub fn forget_unless(&self, count: usize, exists: impl Fn(&PortId) -> bool) {
        if self.0.ports.len() > count + MOST_GONE {
            self.0.ports.retain(|port, _| exists(port));
        }
    }

    /// Forgets a port that is gone.
    pub fn forget(&self, port: PortId) {
        self.0.ports.remove(&port);
    }
}

impl Unrecorded {
    /// The guest of a port sent a message.
    pub fn add(
        &mut self,
        history: &PortHistory,
        port: PortId,
        what: &'static str,
        outcome: &'static str,
    ) {
        // A session that hears nothing has no places.
        if self.newest.is_empty() {
            self.newest.resize(256, 0);
        }
        let [.., last] = port.0.into_bytes();
        let Some(place) = self.newest.get_mut(usize::from(last)) else {
            return;
        };
        // Comparing where texts are is enough: the same text at two places is two entries, which become one event.
        if let Some(known) = self.events.get_mut(usize::from(*place))
            && known.port == port
            && std::ptr::eq(known.what, what)
            && std::ptr::eq(known.outcome, outcome)
        {
            known.times += 1;
            return;
        }
        if self.events.len() == MOST_UNRECORDED {
            self.events
                .drain(..)
                .for_each(|event| event.record(history));
        }
        *place = self.events.len() as u8;
        self.events.push(UnrecordedEvent {
            port,
            what,
            outcome,
            times: 1,
        });
    }

    /// Records what was added.
    pub fn record(&mut self, history: &PortHistory) {
        self.events
            .drain(..)
            .for_each(|event| event.record(history));
    }
}

impl UnrecordedEvent {
    fn record(self, history: &PortHistory) {
        history.record(self.port, self.what, self.outcome, self.times);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_again_is_one_event_and_old_ones_are_forgotten() {
        let (history, port) = (PortHistory::default(), PortId::MIN);
        let mut unrecorded = Unrecorded::default();
        for _ in 0..5 {
            unrecorded.add(&history, port, "solicit", "advertise");
        }
        assert_eq!(history.of(port), [], "not recorded yet");
        unrecorded.record(&history);
        history.record(port, "solicit", "advertise", 2);
        let [event] = &history.of(port)[..] else {
            panic!("{:?}", history.of(port));
        };
        assert_eq!((event.number, event.times), (1, 7));

        for number in 0..100 {
            history.record(port, "moved", format!("to h{number}"), 1);
        }
        let known = history.of(port);
        assert_eq!(known.len(), LONGEST);
        let numbers: Vec<u64> = known.iter().map(|event| event.number).collect();
        assert_eq!(numbers, (70..=101).collect::<Vec<_>>());
        assert_eq!(history.of(PortId::MAX), []);
        history.forget(port);
        assert_eq!(history.of(port), []);
    }

    #[test]
    fn ports_that_are_gone_are_forgotten_once_there_are_many() {
        let history = PortHistory::default();
        let port = |n: usize| PortId(uuid::Uuid::from_u128(n as u128));
        for n in 0..=MOST_GONE {
            history.record(port(n), "discover", "offer", 1);
        }
        history.forget_unless(1, |known| *known == port(7));
        assert_eq!(history.of(port(8)).len(), 1, "not many yet");
        history.record(port(MOST_GONE + 1), "discover", "offer", 1);
        history.forget_unless(1, |known| *known == port(7));
        assert_eq!(history.of(port(7)).len(), 1);
        assert_eq!(history.of(port(8)), []);
    }

    #[test]
    fn what_many_ports_send_is_recorded_in_its_order() {
        let history = PortHistory::default();
        let mut unrecorded = Unrecorded::default();
        let ports = (0..1000).map(|n| PortId(uuid::Uuid::from_u128(n)));
        for (what, outcome) in [("discover", "offer"), ("request", "ack")] {
            for port in ports.clone() {
                unrecorded.add(&history, port, what, outcome);
            }
        }
        unrecorded.record(&history);
        for port in ports {
            let events = history.of(port).into_iter();
            let events: Vec<_> = events.map(|event| (event.what, event.times)).collect();
            assert_eq!(events, [("discover", 1), ("request", 1)]);
        }
    }
}
