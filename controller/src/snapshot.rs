//! Snapshots of all that is known. They are immutable and structurally shared. The one task that owns the state
//! publishes them.
//!
//! Most changes concern few hypervisors. So the sessions with switches do not wait for the next snapshot: each listens for
//! those that concern its hypervisor.

mod listening;

pub use listening::{News, NewsListener};

use crate::store::Revision;
use listening::Listeners;
use sextant_flows::Concerned;
use sextant_model::{ChassisId, Facts, Intent};
use std::sync::Arc;
use tokio::sync::watch;

/// One version of all that is known.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// How many were published before it.
    pub serial: u64,
    /// The revision of the store that [`Snapshot::intent`] has reached.
    pub revision: Revision,
    /// What was asked for.
    pub intent: Intent,
    /// What was observed.
    pub facts: Facts,
}

/// Publishes snapshots.
#[derive(Debug)]
pub struct Publisher {
    latest: watch::Sender<Arc<Snapshot>>,
    hypervisors: watch::Sender<Arc<Snapshot>>,
    listeners: Listeners,
}

/// Reads snapshots.
#[derive(Clone, Debug)]
pub struct Snapshots {
    latest: watch::Receiver<Arc<Snapshot>>,
    hypervisors: watch::Receiver<Arc<Snapshot>>,
    listeners: Listeners,
}

/// The owner of the state has ended: the process is stopping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the process is stopping")]
pub struct Stopping;

impl Publisher {
    /// The latest that was published.
    pub fn latest(&self) -> Arc<Snapshot> {
        self.latest.borrow().clone()
    }

    /// Publishes one, and tells those that it concerns. Returns how many sessions these are.
    pub fn publish(&self, mut snapshot: Snapshot) -> usize {
        let before = self.latest();
        snapshot.serial = before.serial + 1;
        let snapshot = Arc::new(snapshot);
        let concerned = Concerned::by_change(
            (&before.intent, &before.facts),
            (&snapshot.intent, &snapshot.facts),
        );
        let told = self.listeners.tell(&concerned, &before, &snapshot, || {
            self.latest.send_replace(snapshot.clone());
        });
        if !before.facts.chassis().ptr_eq(snapshot.facts.chassis()) {
            self.hypervisors.send_replace(snapshot);
        }
        told
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.listeners.end();
    }
}

impl Snapshots {
    /// A reader of snapshots, and the publisher for their owner.
    pub fn new(first: Snapshot) -> (Publisher, Self) {
        let first = Arc::new(first);
        let (latest, latest_receiver) = watch::channel(first.clone());
        let (hypervisors, hypervisors_receiver) = watch::channel(first);
        let listeners = Listeners::default();
        let publisher = Publisher {
            latest,
            hypervisors,
            listeners: listeners.clone(),
        };
        let snapshots = Self {
            latest: latest_receiver,
            hypervisors: hypervisors_receiver,
            listeners,
        };
        (publisher, snapshots)
    }

    /// The latest.
    pub fn latest(&self) -> Arc<Snapshot> {
        self.latest.borrow().clone()
    }

    /// The store's revision in the latest.
    pub fn revision(&self) -> Revision {
        self.latest.borrow().revision
    }

    /// Waits for the next one and returns the latest.
    ///
    /// # Errors
    /// [`Stopping`] when no more will come.
    pub async fn changed(&mut self) -> Result<Arc<Snapshot>, Stopping> {
        self.latest.changed().await.map_err(|_| Stopping)?;
        Ok(self.latest.borrow_and_update().clone())
    }

    /// Waits for the next one in which something else is known of hypervisors, and returns the latest.
    ///
    /// # Errors
    /// [`Stopping`] when no more will come.
    pub async fn hypervisors_changed(&mut self) -> Result<Arc<Snapshot>, Stopping> {
        self.hypervisors.changed().await.map_err(|_| Stopping)?;
        self.hypervisors.mark_unchanged();
        Ok(self.latest())
    }

    /// The latest, and what concerns a hypervisor from then on.
    pub fn listen(&self, chassis: &ChassisId) -> (Arc<Snapshot>, NewsListener) {
        self.listeners.listen(chassis, || self.latest())
    }

    /// Waits until a snapshot has reached the store's `revision`, so that a writer can read its write.
    ///
    /// # Errors
    /// [`Stopping`] when it will not be reached.
    pub async fn reaching(&self, revision: Revision) -> Result<Arc<Snapshot>, Stopping> {
        let mut receiver = self.latest.clone();
        let snapshot = receiver
            .wait_for(|snapshot| snapshot.revision >= revision)
            .await
            .map_err(|_| Stopping)?;
        Ok(snapshot.clone())
    }
}
