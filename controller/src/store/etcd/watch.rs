//! A watcher's place in the sequence of commits. A task of its own follows the cluster, so that a waiting watcher can
//! leave at any time.

use crate::store::{Boxed, Committed, Watch, WatchEnded};
use tokio::sync::mpsc;

/// How many commits may wait for the watcher. Then etcd waits.
pub(super) const QUEUE: usize = 256;

#[derive(Debug)]
pub(super) struct EtcdWatch {
    pub(super) commits: mpsc::Receiver<Result<Committed, WatchEnded>>,
}

impl Watch for EtcdWatch {
    fn next(&mut self) -> Boxed<'_, Result<Committed, WatchEnded>> {
        Box::pin(async {
            let next = self.commits.recv().await;
            next.unwrap_or_else(|| Err(WatchEnded("the store is closed".to_owned())))
        })
    }
}
