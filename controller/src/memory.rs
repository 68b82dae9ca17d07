//! Keeps observed facts in the store, so that they outlive a restart.
//!
//! Until a hypervisor has connected again, what others send to it rests on what was last known of it.

use crate::store::{CommitError, Store};
use sextant_model::Change;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// How long a store that is unavailable is left alone.
const RETRY: Duration = Duration::from_secs(1);

/// Commits what it receives, in order, until all senders are gone. What waits is committed at once.
pub async fn keep(store: Arc<dyn Store>, mut observed: mpsc::UnboundedReceiver<Vec<Change>>) {
    let mut waiting = Vec::new();
    while observed.recv_many(&mut waiting, usize::MAX).await > 0 {
        let changes: Vec<Change> = waiting.drain(..).flatten().collect();
        while let Err(error) = store.commit(changes.clone(), vec![]).await {
            match error {
                CommitError::Unavailable(reason) => {
                    tracing::warn!(reason, "facts cannot be stored; trying again")
                }
                CommitError::Conflict(precondition) => {
                    tracing::warn!(?precondition, "facts were refused")
                }
            }
            tokio::time::sleep(RETRY).await;
        }
    }
}
