//! The places for clients' connections, and who has them.
//!
//! A connection without a request costs its client nothing: it is kept open, has sent half a request, or has not shaken
//! hands yet. So if all places are taken, a newcomer replaces one of those. It is the oldest of the address with the
//! most of them. One address never has more places than its limit.

use crate::admission::origin;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Notify, oneshot};

/// All places.
#[derive(Debug)]
pub(super) struct ClientPlaces {
    most: usize,
    most_of_an_address: usize,
    taken: Mutex<TakenPlaces>,
    /// Signals that a place may have become free or idle.
    moved: Notify,
}

#[derive(Debug, Default)]
struct TakenPlaces {
    next: u64,
    /// The connections in order of arrival.
    by_number: BTreeMap<u64, Connected>,
}

#[derive(Debug)]
struct Connected {
    origin: IpAddr,
    /// The order of idle connections, by how long they have been idle. `None` while there is a request.
    idle: Option<u64>,
    /// Whether the whole answer has been handed over to be sent.
    handed_over: bool,
    _show_out: oneshot::Sender<()>,
}

/// The result for a newcomer.
#[derive(Debug)]
pub(super) enum Admission {
    /// It has a place, perhaps that of another.
    Admitted(ClientPlace, Option<Evicted>),
    /// There is no such connection: all of its address have requests.
    Refused,
    /// All places have requests.
    Full,
}

/// The place is needed for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Evicted;

impl ClientPlaces {
    pub(super) fn new(most: usize, most_of_an_address: usize) -> Arc<Self> {
        Arc::new(Self {
            most,
            most_of_an_address,
            taken: Mutex::default(),
            moved: Notify::new(),
        })
    }

    /// Waits for a place for a connection from this address. `None` if its address has too many.
    pub(super) async fn admit(
        self: &Arc<Self>,
        address: IpAddr,
    ) -> Option<(ClientPlace, Option<Evicted>)> {
        loop {
            let moved = self.moved.notified();
            match self.try_admit(address) {
                Admission::Admitted(place, evicted) => return Some((place, evicted)),
                Admission::Refused => return None,
                Admission::Full => moved.await,
            }
        }
    }

    fn try_admit(self: &Arc<Self>, address: IpAddr) -> Admission {
        let origin = origin(address);
        let mut taken = self.taken();
        let of_its_own = taken.count(origin);
        let mut evicted = None;
        if of_its_own >= self.most_of_an_address {
            if !taken.evict(|connected| connected.origin == origin) {
                return Admission::Refused;
            }
            evicted = Some(Evicted);
        } else if taken.by_number.len() >= self.most {
            let Some(crowd) = taken.most_idle() else {
                return Admission::Full;
            };
            taken.evict(|connected| connected.origin == crowd);
            evicted = Some(Evicted);
        }
        Admission::Admitted(self.place(&mut taken, origin), evicted)
    }

    fn place(self: &Arc<Self>, taken: &mut TakenPlaces, origin: IpAddr) -> ClientPlace {
        let (show_out, shown_out) = oneshot::channel();
        let number = taken.number();
        let connected = Connected {
            origin,
            idle: Some(number),
            handed_over: false,
            _show_out: show_out,
        };
        taken.by_number.insert(number, connected);
        ClientPlace {
            seat: ClientPresence {
                number,
                places: self.clone(),
            },
            shown_out,
        }
    }

    fn taken(&self) -> MutexGuard<'_, TakenPlaces> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TakenPlaces {
    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn count(&self, origin: IpAddr) -> usize {
        self.by_number
            .values()
            .filter(|connected| connected.origin == origin)
            .count()
    }

    /// The address with the most idle connections.
    fn most_idle(&self) -> Option<IpAddr> {
        let mut counts = BTreeMap::<IpAddr, usize>::new();
        for connected in self.by_number.values() {
            if connected.idle.is_some() {
                *counts.entry(connected.origin).or_default() += 1;
            }
        }
        let most = counts.into_iter().max_by_key(|(_, count)| *count);
        most.map(|(origin, _)| origin)
    }

    /// Ends the longest idle connection among those that `meant` accepts, if there is one.
    fn evict(&mut self, meant: impl Fn(&Connected) -> bool) -> bool {
        let idle = self
            .by_number
            .iter()
            .filter(|(_, connected)| meant(connected));
        let idle = idle.filter_map(|(number, connected)| Some((connected.idle?, *number)));
        let oldest = idle.min().map(|(_, number)| number);
        oldest.is_some_and(|number| self.by_number.remove(&number).is_some())
    }
}

/// A connection's place, until this is dropped.
#[derive(Debug)]
pub(super) struct ClientPlace {
    pub(super) seat: ClientPresence,
    /// Signals that the place is needed for another.
    pub(super) shown_out: oneshot::Receiver<()>,
}

impl Drop for ClientPlace {
    fn drop(&mut self) {
        let places = &self.seat.places;
        places.taken().by_number.remove(&self.seat.number);
        places.moved.notify_one();
    }
}

/// Reports what happens on a connection.
#[derive(Clone, Debug)]
pub(super) struct ClientPresence {
    number: u64,
    places: Arc<ClientPlaces>,
}

impl ClientPresence {
    /// A complete request has arrived.
    pub(super) fn asked(&self) {
        self.update(|connected, _| {
            connected.idle = None;
            connected.handed_over = false;
        });
    }

    /// The whole answer has been handed over to be sent.
    pub(super) fn handed_over(&self) {
        self.update(|connected, _| connected.handed_over = true);
    }

    /// What was handed over has been sent. If that was everything, the request is answered.
    pub(super) fn flushed(&self) {
        self.update(|connected, now| {
            if connected.handed_over {
                connected.handed_over = false;
                connected.idle = Some(now);
            }
        });
    }

    /// The client has read nothing for long: its connection may be ended like an idle one.
    pub(super) fn takes_nothing(&self) {
        self.update(|connected, now| connected.idle = connected.idle.or(Some(now)));
    }

    /// The client reads again.
    pub(super) fn takes(&self) {
        self.update(|connected, _| connected.idle = None);
    }

    fn update(&self, change: impl FnOnce(&mut Connected, u64)) {
        let mut taken = self.places.taken();
        let now = taken.number();
        let Some(connected) = taken.by_number.get_mut(&self.number) else {
            return;
        };
        let was_idle = connected.idle.is_some();
        change(connected, now);
        let is_idle = connected.idle.is_some();
        drop(taken);
        if is_idle && !was_idle {
            self.places.moved.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrives(places: &Arc<ClientPlaces>, address: &str) -> Option<ClientPlace> {
        match places.try_admit(address.parse().unwrap()) {
            Admission::Admitted(place, _) => Some(place),
            Admission::Refused | Admission::Full => None,
        }
    }

    fn must_go(place: &mut ClientPlace) -> bool {
        place.shown_out.try_recv() == Err(oneshot::error::TryRecvError::Closed)
    }

    #[test]
    fn the_oldest_idle_connection_of_the_address_with_most_makes_room() {
        let places = ClientPlaces::new(4, 3);
        let mut lone = arrives(&places, "2001:db8:1::1").unwrap();
        let mut crowd: Vec<ClientPlace> = ["2001:db8:2::1", "2001:db8:2::2", "2001:db8:2::3"]
            .map(|address| arrives(&places, address).unwrap())
            .into();
        crowd[0].seat.asked();
        let late = arrives(&places, "192.0.2.1").unwrap();
        assert_eq!(
            crowd.iter_mut().map(must_go).collect::<Vec<_>>(),
            [false, true, false]
        );
        assert!(!must_go(&mut lone));
        drop(late);
        crowd[0].seat.flushed();
        crowd[0].seat.handed_over();
        crowd[0].seat.flushed();
        let _another = arrives(&places, "2001:db8:2::4").unwrap();
        let _more = arrives(&places, "2001:db8:2::5").unwrap();
        assert!(must_go(&mut crowd[2]) && !must_go(&mut lone));
    }

    #[test]
    fn who_takes_nothing_of_its_answer_may_have_to_go() {
        let places = ClientPlaces::new(1, 1);
        let mut reader = arrives(&places, "192.0.2.1").unwrap();
        reader.seat.asked();
        reader.seat.takes_nothing();
        reader.seat.takes();
        reader.seat.flushed();
        assert!(arrives(&places, "192.0.2.1").is_none());
        reader.seat.takes_nothing();
        assert!(arrives(&places, "192.0.2.1").is_some() && must_go(&mut reader));
    }

    #[test]
    fn who_is_being_answered_keeps_its_place() {
        let places = ClientPlaces::new(3, 2);
        let mine = [(); 2].map(|()| arrives(&places, "192.0.2.1").unwrap());
        mine.iter().for_each(|place| place.seat.asked());
        assert!(arrives(&places, "::ffff:192.0.2.1").is_none());
        let other = arrives(&places, "192.0.2.2").unwrap();
        other.seat.asked();
        assert!(arrives(&places, "192.0.2.3").is_none());
        drop(mine);
        assert!(arrives(&places, "192.0.2.3").is_some());
    }
}
