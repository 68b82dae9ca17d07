//! Keeps observed facts in the store, so that they outlive a restart.
//!
//! Until a hypervisor has connected again, what others send to it rests on what was last known of it.

use crate::store::Store;
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
        let mut told = false;
        while let Err(error) = store.commit(changes.clone(), vec![]).await {
            if !std::mem::replace(&mut told, true) {
                tracing::warn!(%error, "facts cannot be stored; trying again");
            }
            tokio::time::sleep(RETRY).await;
        }
        if told {
            tracing::info!("facts are stored again");
        }
    }
}
