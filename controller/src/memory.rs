//! Stores observed facts, so that they survive a restart.
//!
//! Until a hypervisor connects again, others send to it by the facts that were stored about it.

use crate::store::Store;
use sextant_model::Change;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// How long to wait before an unavailable store is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// Commits the changes that it receives, in order, until all senders are gone. All waiting changes are committed
/// together.
pub async fn keep(store: Arc<dyn Store>, mut observed: mpsc::UnboundedReceiver<Vec<Change>>) {
    let mut waiting = Vec::new();
    while observed.recv_many(&mut waiting, usize::MAX).await > 0 {
        let changes: Vec<Change> = waiting.drain(..).flatten().collect();
        let mut told = false;
        while let Err(error) = store.commit(changes.clone(), vec![]).await {
            if !std::mem::replace(&mut told, true) {
                tracing::warn!(%error, "facts cannot be stored. Trying again");
            }
            tokio::time::sleep(RETRY).await;
        }
        if told {
            tracing::info!("facts are stored again");
        }
    }
}
