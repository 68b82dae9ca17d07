//! Any store, with its commits counted and measured.

use super::{Boxed, CommitError, Contact, Precondition, Revision, Store, Watch, WatchEnded};
use crate::metrics::{CommitOutcome, Metrics};
use sextant_model::Change;
use std::io::{self, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A store that shows in the metrics what it is asked for.
pub struct Measured {
    store: Arc<dyn Store>,
    metrics: Metrics,
}

impl Measured {
    /// The same store, measured.
    pub fn new(store: Arc<dyn Store>, metrics: Metrics) -> Self {
        Self { store, metrics }
    }

    async fn measure<'a>(
        &'a self,
        changes: Vec<Change>,
        commit: impl FnOnce(&'a dyn Store, Vec<Change>) -> Boxed<'a, Result<Revision, CommitError>>,
    ) -> Result<Revision, CommitError> {
        let (keys, octets) = (changes.len(), octets(&changes));
        self.metrics.store_commit_keys.observe(keys as f64);
        self.metrics.store_commit_octets.observe(octets as f64);
        let started = Instant::now();
        let committed = commit(&*self.store, changes).await;
        let outcome = [outcome(&committed).as_str()];
        let took = self
            .metrics
            .store_commit_seconds
            .with_label_values(&outcome);
        took.observe(started.elapsed().as_secs_f64());
        self.metrics.store_commits.with_label_values(&outcome).inc();
        committed
    }
}

impl Store for Measured {
    fn commit(
        &self,
        changes: Vec<Change>,
        preconditions: Vec<Precondition>,
    ) -> Boxed<'_, Result<Revision, CommitError>> {
        Box::pin(self.measure(changes, |store, changes| {
            store.commit(changes, preconditions)
        }))
    }

    fn commit_until(
        &self,
        changes: Vec<Change>,
        preconditions: Vec<Precondition>,
        latest: tokio::time::Instant,
    ) -> Boxed<'_, Result<Revision, CommitError>> {
        Box::pin(self.measure(changes, move |store, changes| {
            store.commit_until(changes, preconditions, latest)
        }))
    }

    fn contact(&self) -> Contact {
        self.store.contact()
    }

    fn watch(&self) -> Boxed<'_, Result<Box<dyn Watch>, WatchEnded>> {
        self.store.watch()
    }

    fn age(&self) -> Duration {
        self.store.age()
    }

    fn last_commit(&self, reached: Revision) -> Revision {
        self.store.last_commit(reached)
    }
}

fn outcome(committed: &Result<Revision, CommitError>) -> CommitOutcome {
    match committed {
        Ok(_) => CommitOutcome::Committed,
        Err(CommitError::Conflict(_)) => CommitOutcome::Conflict,
        Err(CommitError::Unavailable(_)) => CommitOutcome::Unavailable,
        Err(CommitError::TooLarge(_)) => CommitOutcome::TooLarge,
        Err(CommitError::Uncertain(_)) => CommitOutcome::Uncertain,
    }
}

/// The octets of all keys and objects as JSON, which is how all stores keep them.
fn octets(changes: &[Change]) -> usize {
    let mut counter = OctetCounter(0);
    for change in changes {
        // Counting cannot fail. What cannot be written as JSON is refused by the store.
        let _ = serde_json::to_writer(&mut counter, &change.key());
        if let Change::Put(object) = change {
            let _ = serde_json::to_writer(&mut counter, object);
        }
    }
    counter.0
}

/// Counts what is written, and keeps nothing.
struct OctetCounter(usize);

impl Write for OctetCounter {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.0 += octets.len();
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
