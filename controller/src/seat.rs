//! One session a peer.
//!
//! A peer that lost its connection may be back before the old one is found dead: from the same address, the newer session
//! has the seat. Two that claim one name from different addresses are two machines, of which one is misconfigured or
//! lies: the first keeps its seat for as long as it lives, and the other waits.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use tokio::sync::watch;

/// Who has which seat.
#[derive(Clone, Debug)]
pub struct Seats<K>(Arc<watch::Sender<Plan<K>>>);

#[derive(Debug)]
struct Plan<K> {
    sessions: u64,
    holders: BTreeMap<K, Holder>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Holder {
    session: u64,
    address: IpAddr,
}

/// A seat, until this is dropped or a newer session of the same peer takes it.
#[derive(Debug)]
pub struct Seat<K: Ord> {
    seats: Seats<K>,
    key: K,
    holder: Holder,
}

/// Waits for seats to be taken and left.
#[derive(Debug)]
pub struct Changes<K>(watch::Receiver<Plan<K>>);

/// Another peer has the seat.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("one of this name is connected from {0}")]
pub struct Taken(pub IpAddr);

impl<K> Default for Seats<K> {
    fn default() -> Self {
        let (sessions, holders) = (0, BTreeMap::new());
        Self(Arc::new(watch::Sender::new(Plan { sessions, holders })))
    }
}

impl<K: Ord + Clone> Seats<K> {
    /// Takes a seat for a peer at this address.
    ///
    /// # Errors
    /// [`Taken`] while a peer of another address has it.
    pub fn take(&self, key: &K, address: IpAddr) -> Result<Seat<K>, Taken> {
        let address = address.to_canonical();
        let mut outcome = Err(Taken(address));
        self.0.send_if_modified(|plan| {
            outcome = plan.seat(key, address);
            outcome.is_ok()
        });
        outcome.map(|holder| Seat {
            seats: self.clone(),
            key: key.clone(),
            holder,
        })
    }

    /// Whether a peer has the seat.
    pub fn is_taken(&self, key: &K) -> bool {
        self.0.borrow().holders.contains_key(key)
    }

    /// What happens to seats from now on.
    pub fn changes(&self) -> Changes<K> {
        Changes(self.0.subscribe())
    }

    /// Waits until a peer at this address can take the seat.
    pub async fn vacancy(&self, key: &K, address: IpAddr) {
        let address = address.to_canonical();
        let free = |plan: &Plan<K>| plan.rival(key, address).is_none();
        // The sender lives as long as `self`.
        let _ = self.0.subscribe().wait_for(free).await;
    }
}

impl<K> Changes<K> {
    /// Waits until any seat has been taken or left since this was last called; for ever once there are no seats. Cancel-safe.
    pub async fn next(&mut self) {
        if self.0.changed().await.is_err() {
            std::future::pending().await
        }
    }
}

impl<K: Ord + Clone> Plan<K> {
    fn rival(&self, key: &K, address: IpAddr) -> Option<&Holder> {
        let holder = self.holders.get(key);
        holder.filter(|holder| holder.address != address)
    }

    fn seat(&mut self, key: &K, address: IpAddr) -> Result<Holder, Taken> {
        if let Some(rival) = self.rival(key, address) {
            return Err(Taken(rival.address));
        }
        self.sessions += 1;
        let session = self.sessions;
        let holder = Holder { session, address };
        self.holders.insert(key.clone(), holder);
        Ok(holder)
    }
}

impl<K: Ord> Seat<K> {
    /// Whose it is.
    pub fn key(&self) -> &K {
        &self.key
    }

    /// Waits until a newer session has taken the seat.
    pub async fn lost(&self) {
        let lost = |plan: &Plan<K>| plan.holders.get(&self.key) != Some(&self.holder);
        // The sender lives as long as `self`.
        let _ = self.seats.0.subscribe().wait_for(lost).await;
    }
}

impl<K: Ord> Drop for Seat<K> {
    fn drop(&mut self) {
        self.seats.0.send_if_modified(|plan| {
            let held = plan.holders.get(&self.key) == Some(&self.holder);
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
            seats.take(&"h1", address(1)).unwrap_err(),
            Taken(address(2))
        );
    }
}
