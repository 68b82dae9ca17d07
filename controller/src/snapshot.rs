//! Snapshots of all that is known. They are immutable and structurally shared. The one task that owns the state
//! publishes them.

use crate::store::Revision;
use sextant_model::{Facts, Intent};
use std::sync::Arc;
use tokio::sync::watch;

/// One version of all that is known.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// The revision of the store that [`Snapshot::intent`] has reached.
    pub revision: Revision,
    /// What was asked for.
    pub intent: Intent,
    /// What was observed.
    pub facts: Facts,
}

/// Reads snapshots.
#[derive(Clone, Debug)]
pub struct Snapshots(watch::Receiver<Arc<Snapshot>>);

/// The owner of the state has ended: the process is stopping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the process is stopping")]
pub struct Stopping;

impl Snapshots {
    /// A reader of snapshots, and the sender for their owner.
    pub fn new(first: Snapshot) -> (watch::Sender<Arc<Snapshot>>, Self) {
        let (sender, receiver) = watch::channel(Arc::new(first));
        (sender, Self(receiver))
    }

    /// The latest.
    pub fn latest(&self) -> Arc<Snapshot> {
        self.0.borrow().clone()
    }

    /// Waits for the next one and returns the latest.
    ///
    /// # Errors
    /// [`Stopping`] when no more will come.
    pub async fn changed(&mut self) -> Result<Arc<Snapshot>, Stopping> {
        self.0.changed().await.map_err(|_| Stopping)?;
        Ok(self.0.borrow_and_update().clone())
    }

    /// Waits until a snapshot has reached the store's `revision`, so that a writer can read its write.
    ///
    /// # Errors
    /// [`Stopping`] when it will not be reached.
    pub async fn reaching(&self, revision: Revision) -> Result<Arc<Snapshot>, Stopping> {
        let mut receiver = self.0.clone();
        let snapshot = receiver
            .wait_for(|snapshot| snapshot.revision >= revision)
            .await
            .map_err(|_| Stopping)?;
        Ok(snapshot.clone())
    }
}
