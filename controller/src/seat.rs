//! One session for each peer.
//!
//! Two sessions with one name may come from different addresses, or have certificates that share no name. Then they are
//! two machines, and one is misconfigured or lies. The first keeps its seat while it lives, and the other waits.

use crate::tls::Names;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use tokio::sync::watch;

/// Who has which seat.
#[derive(Clone, Debug)]
pub struct Seats<K>(Arc<watch::Sender<Seating<K>>>);

/// Who claims a seat: the address, and the certificate if there is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claimant {
    address: IpAddr,
    names: Option<Names>,
}

impl Claimant {
    /// A peer at this address. `None`: it showed no certificate.
    pub fn new(address: IpAddr, names: Option<Names>) -> Self {
        let address = address.to_canonical();
        Self { address, names }
    }

    /// Where it is.
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// The names of its certificate.
    pub fn names(&self) -> Option<&Names> {
        self.names.as_ref()
    }

    /// Whether both are the same machine. Its certificate may have been renewed in between.
    pub fn is_same_machine(&self, other: &Self) -> bool {
        let one_holder = match (&self.names, &other.names) {
            (Some(own), Some(others)) => own.are_of_one_holder(others),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        one_holder && self.address == other.address
    }
}

impl From<IpAddr> for Claimant {
    fn from(address: IpAddr) -> Self {
        Self::new(address, None)
    }
}

/// More seats than one process has hypervisors. Beyond this number, peers without a session lose their claims.
const MOST_OWNERS: usize = 32_768;

#[derive(Debug)]
struct Seating<K> {
    sessions: u64,
    holders: BTreeMap<K, (SeatHolder, Tenure)>,
    /// The first claimant of each seat.
    owners: BTreeMap<K, Claimant>,
    /// How many of them are at each address.
    by_address: BTreeMap<IpAddr, usize>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct SeatHolder {
    session: u64,
    peer: Claimant,
}

/// Lasts as long as a session has its seat. The session waits for its end, so no other is woken by that.
type Tenure = watch::Sender<()>;

/// A seat, until this is dropped or a newer session of the same peer takes it.
#[derive(Debug)]
pub struct Seat<K: Ord> {
    seats: Seats<K>,
    key: K,
    holder: SeatHolder,
    tenure: watch::Receiver<()>,
}

/// Waits for changes of seats.
#[derive(Debug)]
pub struct Changes<K>(watch::Receiver<Seating<K>>);

/// Another peer has the seat.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("another one with this name is connected from {0}")]
pub struct Taken(pub IpAddr);

impl<K> Default for Seats<K> {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(Seating {
            sessions: 0,
            holders: BTreeMap::new(),
            owners: BTreeMap::new(),
            by_address: BTreeMap::new(),
        })))
    }
}

impl<K: Ord + Clone> Seats<K> {
    /// Takes a seat for a peer.
    ///
    /// # Errors
    /// [`Taken`] while another peer has it, and did not have it before this one.
    pub fn take(&self, key: &K, peer: impl Into<Claimant>) -> Result<Seat<K>, Taken> {
        let peer = peer.into();
        let mut outcome = Err(Taken(peer.address));
        // A claim that fails wakes nobody.
        self.0.send_if_modified(|plan| {
            outcome = plan.seat(key, &peer);
            outcome.is_ok()
        });
        outcome.map(|(holder, tenure)| Seat {
            seats: self.clone(),
            key: key.clone(),
            holder,
            tenure,
        })
    }

    /// Whether a peer has the seat.
    pub fn is_taken(&self, key: &K) -> bool {
        self.0.borrow().holders.contains_key(key)
    }

    /// The peer that has the seat, or had it first.
    pub fn known(&self, key: &K) -> Option<Claimant> {
        let plan = self.0.borrow();
        let holder = plan.holders.get(key).map(|(holder, _)| &holder.peer);
        holder.or(plan.owners.get(key)).cloned()
    }

    /// The seat that a peer at this address has, or had first.
    pub fn at(&self, address: IpAddr) -> Option<K> {
        let plan = self.0.borrow();
        let holders = plan.holders.iter();
        let holders = holders.map(|(key, (holder, _))| (key, &holder.peer));
        let mut all = holders.chain(&plan.owners);
        let (key, _) = all.find(|(_, peer)| peer.address == address)?;
        Some(key.clone())
    }

    /// How many seats a peer at this address had first.
    pub fn count_at(&self, address: IpAddr) -> usize {
        self.0.borrow().count_at(address)
    }

    /// Ends all claims to the seat from having had it before.
    pub fn forget(&self, key: &K) {
        // No waiter can take a seat because of this, so none is woken.
        self.0.send_if_modified(|plan| {
            plan.disown(key);
            false
        });
    }

    /// What happens to seats from now on.
    pub fn changes(&self) -> Changes<K> {
        Changes(self.0.subscribe())
    }

    /// Waits until a peer can take the seat.
    pub async fn vacancy(&self, key: &K, peer: impl Into<Claimant>) {
        let peer = peer.into();
        // The sender lives as long as `self`.
        let mut plans = self.0.subscribe();
        let free = plans.wait_for(|plan| plan.rival(key, &peer).is_none());
        let _ = free.await;
    }
}

impl<K> Changes<K> {
    /// Waits until any seat was taken or left since the last call. Waits forever once there are no seats. Cancel-safe.
    pub async fn next(&mut self) {
        if self.0.changed().await.is_err() {
            std::future::pending().await
        }
    }
}

impl<K: Ord + Clone> Seating<K> {
    fn rival(&self, key: &K, peer: &Claimant) -> Option<&SeatHolder> {
        // The first owner may always come back, even if another machine took the seat meanwhile.
        let owner = self.owners.get(key);
        if owner.is_some_and(|owner| owner.is_same_machine(peer)) {
            return None;
        }
        let holder = self.holders.get(key).map(|(holder, _)| holder);
        holder.filter(|holder| !holder.peer.is_same_machine(peer))
    }

    fn seat(
        &mut self,
        key: &K,
        peer: &Claimant,
    ) -> Result<(SeatHolder, watch::Receiver<()>), Taken> {
        if let Some(rival) = self.rival(key, peer) {
            return Err(Taken(rival.peer.address));
        }
        self.sessions += 1;
        let (session, peer) = (self.sessions, peer.clone());
        self.own(key, &peer);
        let holder = SeatHolder { session, peer };
        let (begun, tenure) = watch::channel(());
        // That of an older session of this machine ends here.
        self.holders.insert(key.clone(), (holder.clone(), begun));
        Ok((holder, tenure))
    }

    fn own(&mut self, key: &K, peer: &Claimant) {
        if self.owners.contains_key(key) {
            return;
        }
        if self.owners.len() >= MOST_OWNERS {
            let holders = &self.holders;
            self.owners.retain(|key, _| holders.contains_key(key));
            self.by_address.clear();
            for owner in self.owners.values() {
                *self.by_address.entry(owner.address).or_default() += 1;
            }
        }
        self.owners.insert(key.clone(), peer.clone());
        *self.by_address.entry(peer.address).or_default() += 1;
    }

    fn disown(&mut self, key: &K) {
        let Some(owner) = self.owners.remove(key) else {
            return;
        };
        if let Some(count) = self.by_address.get_mut(&owner.address) {
            *count -= 1;
            if *count == 0 {
                self.by_address.remove(&owner.address);
            }
        }
    }

    fn count_at(&self, address: IpAddr) -> usize {
        self.by_address.get(&address).copied().unwrap_or_default()
    }
}

impl<K: Ord> Seat<K> {
    /// The key of the seat.
    pub fn key(&self) -> &K {
        &self.key
    }

    /// Waits until a newer session has taken the seat.
    pub async fn lost(&self) {
        // Nothing is sent: it ends.
        let _ = self.tenure.clone().changed().await;
    }

    /// Whether a newer session has taken the seat.
    pub fn is_lost(&self) -> bool {
        !self.is_held(&self.seats.0.borrow())
    }

    fn is_held(&self, plan: &Seating<K>) -> bool {
        let holder = plan.holders.get(&self.key);
        holder.is_some_and(|(holder, _)| *holder == self.holder)
    }
}

impl<K: Ord> Drop for Seat<K> {
    fn drop(&mut self) {
        self.seats.0.send_if_modified(|plan| {
            let held = self.is_held(plan);
            if held {
                plan.holders.remove(&self.key);
            }
            held
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    fn address(last: u16) -> IpAddr {
        std::net::Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last).into()
    }

    fn is_ready(future: std::pin::Pin<&mut impl Future<Output = ()>>) -> bool {
        future.poll(&mut Context::from_waker(Waker::noop())) == Poll::Ready(())
    }

    #[test]
    fn the_newer_session_of_a_peer_has_the_seat() {
        let seats = Seats::default();
        let old = seats.take(&"h1", address(1)).unwrap();
        assert!(!is_ready(pin!(old.lost())));
        let new = seats.take(&"h1", address(1)).unwrap();
        assert!(is_ready(pin!(old.lost())));
        drop(old);
        assert!(!is_ready(pin!(new.lost())));
        assert_eq!(
            seats.take(&"h1", address(2)).unwrap_err(),
            Taken(address(1))
        );
    }

    #[test]
    fn who_waits_for_changes_is_woken_by_each_taking_and_leaving() {
        let seats = Seats::default();
        let mut changes = seats.changes();
        assert!(!is_ready(pin!(changes.next())));
        let first = seats.take(&"h1", address(1)).unwrap();
        assert!(is_ready(pin!(changes.next())));
        seats.take(&"h1", address(2)).unwrap_err();
        assert!(!is_ready(pin!(changes.next())));
        drop(first);
        assert!(is_ready(pin!(changes.next())));
        assert!(!is_ready(pin!(changes.next())));
    }

    #[test]
    fn who_had_it_first_gets_it_back_from_who_sat_down_meanwhile() {
        let seats = Seats::default();
        drop(seats.take(&"h1", address(1)).unwrap());
        let intruder = seats.take(&"h1", address(2)).unwrap();
        assert!(is_ready(pin!(seats.vacancy(&"h1", address(1)))));
        let owner = seats.take(&"h1", address(1)).unwrap();
        assert!(is_ready(pin!(intruder.lost())));
        assert_eq!(
            seats.take(&"h1", address(2)).unwrap_err(),
            Taken(address(1))
        );
        drop((intruder, owner));
        let counts = || [1, 2].map(|last| seats.count_at(address(last)));
        assert_eq!(counts(), [1, 0]);
        seats.forget(&"h1");
        assert_eq!(counts(), [0, 0]);
        let _new = seats.take(&"h1", address(2)).unwrap();
        seats.take(&"h1", address(1)).unwrap_err();
    }

    #[test]
    fn one_address_with_another_certificate_is_another_peer() {
        let seats = Seats::default();
        let named = |name: &str| Claimant::new(address(1), Some(Names::of([name])));
        let first = seats.take(&"h1", named("h1")).unwrap();
        seats.take(&"h1", named("h2")).unwrap_err();
        seats.take(&"h1", address(1)).unwrap_err();
        seats.take(&"h1", named("h1")).unwrap();
        assert!(is_ready(pin!(first.lost())));
    }

    #[test]
    fn who_renewed_its_certificate_is_the_same_peer() {
        let seats = Seats::default();
        let renewed = |id: &str| Claimant::new(address(1), Some(Names::of(["h1", id])));
        let first = seats.take(&"h1", renewed("h1 id:1")).unwrap();
        let second = seats.take(&"h1", renewed("h1 id:2")).unwrap();
        assert!(is_ready(pin!(first.lost())));
        drop((first, second));
        let elsewhere = Claimant::new(address(2), Some(Names::of(["h1", "h1 id:3"])));
        let intruder = seats.take(&"h1", elsewhere).unwrap();
        let _back = seats.take(&"h1", renewed("h1 id:2")).unwrap();
        assert!(is_ready(pin!(intruder.lost())));
    }

    #[test]
    fn another_peer_of_the_name_waits_for_the_first_to_go() {
        let seats = Seats::default();
        let first = seats.take(&"h1", address(1)).unwrap();
        seats.take(&"h2", address(2)).unwrap();
        let mut vacancy = pin!(seats.vacancy(&"h1", address(2)));
        assert!(!is_ready(vacancy.as_mut()));
        drop(first);
        assert!(is_ready(vacancy));
        let second = seats.take(&"h1", address(2)).unwrap();
        assert_eq!(second.key(), &"h1");
        assert_eq!(
            seats.take(&"h1", address(3)).unwrap_err(),
            Taken(address(2))
        );
    }
}
