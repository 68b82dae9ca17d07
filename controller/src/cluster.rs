//! Several controllers of one cloud: which of them live, which should own a hypervisor, and which hypervisors this one owns.
//!
//! Whoever has the lock `sextant` in a hypervisor's own database owns it (`docs/decisions/0021`). Controllers that live only decide
//! who should ask for it first.

mod order;
mod pace;
mod tenure;

pub use tenure::{Confirmed, Held, SharedTenures, Tenure, Tenures};

use sextant_model::{ChassisId, ControllerName, Ownership};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// How much later than the one before it each controller in a hypervisor's order asks for the lock.
const STAGGER: Duration = Duration::from_millis(250);
/// How long an owner may be missing in the store before it is taken for dead: some looks at who lives, so that one that
/// registers anew is there again.
const GRACE: Duration = Duration::from_secs(3);
/// The time between two hypervisors that one controller takes from others that live: each has changed hands by then.
const BETWEEN_TAKINGS: Duration = Duration::from_millis(100);
/// The same from one that lives no more: nobody serves them.
const BETWEEN_RESCUES: Duration = Duration::from_millis(10);

/// The controllers that live, as far as is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Live {
    /// Their names, with this one's.
    pub controllers: BTreeSet<ControllerName>,
    /// Since when these live, and the store has said so without a pause.
    pub since: Instant,
    /// Whether the store says so now. Otherwise it is out of reach, and said so last.
    pub is_current: bool,
}

/// Whether the owner of a hypervisor lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnerLiveness {
    /// It does.
    Lives,
    /// The store says that it does not.
    Dead,
}

/// How a controller is one of several.
#[derive(Clone, Debug)]
pub struct ClusterSettings {
    /// Its name.
    pub name: ControllerName,
    /// How long a hypervisor is silent before it asks whether its owner lives.
    pub probe_interval: Duration,
    /// How long controllers live before they take their share of hypervisors.
    pub settle_after: Duration,
}

/// This controller's place among several.
#[derive(Clone, Debug)]
pub struct Cluster(Arc<OwnPlace>);

#[derive(Debug)]
struct OwnPlace {
    settings: ClusterSettings,
    tenures: Tenures,
    live: watch::Receiver<Live>,
    /// Whether this process is late with what it has to do.
    is_busy: watch::Sender<bool>,
    /// When the next hypervisor may be taken from another controller.
    next_taking: Mutex<Option<Instant>>,
}

impl Cluster {
    /// A place among those that live.
    #[must_use]
    pub fn new(settings: ClusterSettings, live: watch::Receiver<Live>) -> Self {
        Self(Arc::new(OwnPlace {
            settings,
            tenures: Tenures::shared(),
            live,
            is_busy: watch::Sender::new(true),
            next_taking: Mutex::default(),
        }))
    }

    /// This controller's name.
    #[must_use]
    pub fn name(&self) -> &ControllerName {
        &self.0.settings.name
    }

    /// How long a hypervisor is silent before it asks whether its owner lives.
    #[must_use]
    pub fn probe_interval(&self) -> Duration {
        self.0.settings.probe_interval
    }

    /// The hypervisors that this controller owns.
    #[must_use]
    pub fn tenures(&self) -> &Tenures {
        &self.0.tenures
    }

    /// The controllers that live, and what changes of them from now on.
    #[must_use]
    pub fn live(&self) -> watch::Receiver<Live> {
        self.0.live.clone()
    }

    /// Looks for ever whether this process is busy.
    pub async fn keep_pace(&self) {
        pace::keep(self.0.settings.probe_interval, &self.0.is_busy).await
    }

    /// Whether this process is late with what it has to do, and what changes of that. It counts as late when it starts.
    #[must_use]
    pub fn is_busy(&self) -> watch::Receiver<bool> {
        self.0.is_busy.subscribe()
    }

    /// Whether a controller lives, as far as is known.
    #[must_use]
    pub fn lives(&self, controller: &ControllerName) -> bool {
        self.0.live.borrow().controllers.contains(controller)
    }

    /// Whether another controller owns a hypervisor and lives.
    #[must_use]
    pub fn is_anothers(&self, owner: Option<&Ownership>) -> bool {
        owner.is_some_and(|owner| owner.controller != *self.name() && self.lives(&owner.controller))
    }

    /// How many controllers come before this one in a hypervisor's order.
    #[must_use]
    pub fn rank(&self, chassis: &ChassisId) -> u32 {
        order::rank(self.name(), &self.0.live.borrow().controllers, chassis)
    }

    /// How long this controller waits before it asks for a hypervisor's lock.
    #[must_use]
    pub fn delay(&self, chassis: &ChassisId) -> Duration {
        STAGGER * self.rank(chassis)
    }

    /// When this controller may take a hypervisor, to which it has been `connected` since then, from whoever has its lock: if it is
    /// the first in the hypervisor's order.
    ///
    /// An owner that lives loses it once all have lived for `settle_after`. One that lives no more loses it soon, though not before a
    /// hypervisor would give it up: either the hypervisor has not noticed its end, or the lock has passed to another one that is dead.
    #[must_use]
    pub fn may_take_at(
        &self,
        chassis: &ChassisId,
        connected: Instant,
        owner: OwnerLiveness,
    ) -> Option<Instant> {
        let live = self.0.live.borrow();
        let is_first = order::rank(self.name(), &live.controllers, chassis) == 0;
        let pause = match owner {
            OwnerLiveness::Lives => self.0.settings.settle_after,
            OwnerLiveness::Dead => GRACE.max(2 * self.0.settings.probe_interval),
        };
        (is_first && live.is_current).then_some(connected.max(live.since) + pause)
    }

    /// Whether the owner of a hypervisor lives, as far as is known. One that has never said that it owns it does.
    #[must_use]
    pub fn owner_liveness(&self, owner: Option<&Ownership>) -> OwnerLiveness {
        match owner {
            Some(owner) if !self.lives(&owner.controller) => OwnerLiveness::Dead,
            Some(_) | None => OwnerLiveness::Lives,
        }
    }

    /// The turn to take one hypervisor: now, or the time when to ask again.
    ///
    /// # Errors
    /// The time when it is the next one's turn.
    pub fn take_turn(&self, now: Instant, owner: OwnerLiveness) -> Result<(), Instant> {
        let pause = match owner {
            OwnerLiveness::Lives => BETWEEN_TAKINGS,
            OwnerLiveness::Dead => BETWEEN_RESCUES,
        };
        let next = &mut *self
            .0
            .next_taking
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        match *next {
            Some(at) if at > now => Err(at),
            Some(_) | None => {
                *next = Some(now + pause);
                Ok(())
            }
        }
    }

    /// Whether this controller says whether a hypervisor is gone: its owner does, or where that lives no more, the first in the
    /// hypervisor's order.
    #[must_use]
    pub fn is_responsible(&self, chassis: &ChassisId, owner: Option<&ControllerName>) -> bool {
        match owner.filter(|owner| self.lives(owner)) {
            Some(owner) => owner == self.name(),
            None => self.rank(chassis) == 0,
        }
    }
}

/// Waits until other controllers live than before. Forever once nobody says who lives any more. Cancel-safe.
pub async fn others_live(live: &mut watch::Receiver<Live>) {
    if live.changed().await.is_err() {
        std::future::pending().await
    }
}
