//! Which hypervisors this controller owns: said by the sessions with their databases, heard by those with their switches.

use dashmap::DashMap;
use sextant_model::ChassisId;
use std::sync::Arc;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

/// What is known of the ownership of one hypervisor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// The latest generation that its database has shown.
    pub seen: u64,
    /// Whether this controller has the lock in its database.
    pub is_locked: bool,
    /// The generation with which this controller owns it.
    pub own: Option<u64>,
    /// When its database confirmed last that this controller has the lock, and under which generation.
    pub confirmed: Option<Confirmed>,
    /// Whether that was too long ago for somebody: the session with its database asks again.
    pub is_doubted: bool,
}

/// A hypervisor's database has confirmed that this controller has its lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Confirmed {
    /// The generation that the database showed.
    pub generation: u64,
    /// When it was asked.
    pub asked: Instant,
}

/// The hypervisors that this controller owns.
#[derive(Clone, Debug)]
pub enum Tenures {
    /// There is no other controller: all of them.
    All,
    /// Those of which it is said.
    Shared(Arc<SharedTenures>),
}

/// What sessions say to each other of the hypervisors that this controller may own.
#[derive(Debug, Default)]
pub struct SharedTenures {
    all: DashMap<ChassisId, watch::Sender<Held>>,
    /// A lock was confirmed, or a tenure has ended. One waits for that: the keeper of facts.
    decided: Notify,
}

/// The ownership of one hypervisor.
#[derive(Debug)]
pub enum Tenure {
    /// It is this controller's, always.
    Certain,
    /// It may end, and begin again.
    Shared(watch::Receiver<Held>),
}

impl Tenures {
    /// None, at first.
    #[must_use]
    pub fn shared() -> Self {
        Self::Shared(Arc::default())
    }

    /// Whether other controllers may own hypervisors.
    #[must_use]
    pub fn are_shared(&self) -> bool {
        matches!(self, Self::Shared(_))
    }

    /// The ownership of a hypervisor.
    #[must_use]
    pub fn of(&self, chassis: &ChassisId) -> Tenure {
        match self {
            Self::All => Tenure::Certain,
            Self::Shared(shared) => {
                let known = shared.all.entry(chassis.clone()).or_default();
                Tenure::Shared(known.subscribe())
            }
        }
    }

    /// What is known of a hypervisor.
    #[must_use]
    pub fn held(&self, chassis: &ChassisId) -> Held {
        match self {
            Self::All => Held::default(),
            Self::Shared(shared) => {
                let known = shared.all.get(chassis);
                known.map_or_else(Held::default, |known| *known.borrow())
            }
        }
    }

    /// A hypervisor's database shows this generation, and whether this controller has the lock there.
    pub fn see(&self, chassis: &ChassisId, generation: u64, is_locked: bool) {
        self.change(chassis, |held| {
            held.seen = held.seen.max(generation);
            held.is_locked = is_locked;
        });
    }

    /// The connection to its database has ended, and with it the lock. Forgets the hypervisor if nobody is interested.
    pub fn unlock(&self, chassis: &ChassisId) {
        self.change(chassis, |held| held.is_locked = false);
        if let Self::Shared(shared) = self {
            shared.all.remove_if(chassis, |_, known| {
                known.borrow().own.is_none() && known.receiver_count() == 0
            });
        }
    }

    /// This controller owns a hypervisor from now on.
    pub fn begin(&self, chassis: &ChassisId, generation: u64) {
        self.change(chassis, |held| {
            held.seen = held.seen.max(generation);
            held.own = Some(generation);
        });
    }

    /// It does not own it any more, by this generation or an earlier one. Returns whether it did.
    pub fn end(&self, chassis: &ChassisId, generation: u64) -> bool {
        let mut ended = false;
        self.change(chassis, |held| {
            let confirmed = held.confirmed;
            held.confirmed = confirmed.filter(|confirmed| confirmed.generation > generation);
            if held.own.is_some_and(|own| own <= generation) {
                held.own = None;
                ended = true;
            }
        });
        self.decide();
        ended
    }

    /// A hypervisor's database, asked at this time, has confirmed that this controller has the lock, and showed this generation.
    pub fn confirm(&self, chassis: &ChassisId, generation: u64, asked: Instant) {
        self.change(chassis, |held| {
            held.confirmed = Some(Confirmed { generation, asked });
            held.is_doubted = false;
        });
        self.decide();
    }

    /// Asks the session with a hypervisor's database to have the lock confirmed again.
    pub fn doubt(&self, chassis: &ChassisId) {
        self.change(chassis, |held| held.is_doubted = true);
    }

    /// Waits until a lock was confirmed, or a tenure has ended, since this was called last. Cancel-safe.
    pub async fn decided(&self) {
        match self {
            Self::All => std::future::pending().await,
            Self::Shared(shared) => shared.decided.notified().await,
        }
    }

    fn decide(&self) {
        if let Self::Shared(shared) = self {
            shared.decided.notify_one();
        }
    }

    fn change(&self, chassis: &ChassisId, change: impl FnOnce(&mut Held)) {
        let Self::Shared(shared) = self else { return };
        let known = shared.all.entry(chassis.clone()).or_default();
        known.send_if_modified(|held| {
            let before = *held;
            change(held);
            *held != before
        });
    }
}

impl Tenure {
    /// What is known now. `None`: there is no other controller.
    pub fn now(&mut self) -> Option<Held> {
        match self {
            Self::Certain => None,
            Self::Shared(held) => Some(*held.borrow_and_update()),
        }
    }

    /// Waits until something else is known. Cancel-safe.
    pub async fn changed(&mut self) {
        match self {
            Self::Certain => std::future::pending().await,
            // Its sender is dropped only with the process's last session.
            Self::Shared(held) => {
                if held.changed().await.is_err() {
                    std::future::pending().await
                }
            }
        }
    }

    /// Waits until this controller does not own the hypervisor by this generation any more.
    pub async fn ended(&mut self, generation: Option<u64>) {
        match (self, generation) {
            (Self::Shared(held), Some(generation)) => {
                let other = held.wait_for(|held| held.own != Some(generation));
                if other.await.is_err() {
                    std::future::pending().await
                }
            }
            (Self::Certain | Self::Shared(_), _) => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    fn is_ready(future: impl Future<Output = ()>) -> bool {
        pin!(future).poll(&mut Context::from_waker(Waker::noop())) == Poll::Ready(())
    }

    #[test]
    fn a_tenure_begins_ends_and_is_not_ended_by_an_earlier_one() {
        let (tenures, chassis) = (Tenures::shared(), ChassisId::new("h1"));
        let mut tenure = tenures.of(&chassis);
        assert_eq!(tenure.now(), Some(Held::default()));
        tenures.begin(&chassis, 3);
        assert!(is_ready(tenure.changed()) && !is_ready(tenure.ended(Some(3))));
        assert!(!tenures.end(&chassis, 2) && !is_ready(tenure.ended(Some(3))));
        assert!(tenures.end(&chassis, 3) && is_ready(tenure.ended(Some(3))));
        let held = tenures.held(&chassis);
        assert_eq!((held.seen, held.own), (3, None));
        drop(tenure);
        tenures.unlock(&chassis);
        assert_eq!(
            tenures.held(&chassis),
            Held::default(),
            "nobody is interested"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_lock_is_confirmed_for_a_tenure_until_that_ends() {
        let (tenures, chassis) = (Tenures::shared(), ChassisId::new("h1"));
        let confirmed = Confirmed {
            generation: 3,
            asked: Instant::now(),
        };
        tenures.doubt(&chassis);
        assert!(!is_ready(tenures.decided()));
        tenures.confirm(&chassis, 3, confirmed.asked);
        let held = tenures.held(&chassis);
        assert_eq!((held.confirmed, held.is_doubted), (Some(confirmed), false));
        assert!(is_ready(tenures.decided()) && !is_ready(tenures.decided()));
        tenures.end(&chassis, 2);
        assert_eq!(tenures.held(&chassis).confirmed, Some(confirmed));
        tenures.end(&chassis, 3);
        assert_eq!(tenures.held(&chassis).confirmed, None);
        assert!(is_ready(tenures.decided()));
    }

    #[test]
    fn who_is_alone_owns_everything() {
        let mut tenure = Tenures::All.of(&ChassisId::new("h1"));
        assert!(tenure.now().is_none());
        assert!(!is_ready(tenure.ended(None)) && !is_ready(tenure.changed()));
    }
}
