//! Watchers of the embedded store.
//!
//! Its queue contains pointers to objects that the store shares, and stays short by itself. A writer of the API waits
//! until the owner of the state has applied the write. The owner is the only watcher.

use super::file::Contents;
use crate::store::{Boxed, Committed, Watch, WatchEnded};
use sextant_model::Change;
use tokio::sync::mpsc;

#[derive(Debug)]
pub(super) struct EmbeddedWatch {
    first: Option<Contents>,
    commits: mpsc::UnboundedReceiver<Committed>,
}

impl EmbeddedWatch {
    pub(super) fn new(first: Contents) -> (mpsc::UnboundedSender<Committed>, Self) {
        let (sender, commits) = mpsc::unbounded_channel();
        let first = Some(first);
        (sender, Self { first, commits })
    }
}

impl Watch for EmbeddedWatch {
    fn next(&mut self) -> Boxed<'_, Result<Committed, WatchEnded>> {
        Box::pin(async {
            if let Some(contents) = self.first.take() {
                return Ok(everything(&contents));
            }
            let next = self.commits.recv().await;
            next.ok_or_else(|| WatchEnded("the store is closed".to_owned()))
        })
    }
}

fn everything(contents: &Contents) -> Committed {
    let changes = contents
        .objects
        .values()
        .map(|(_, object)| Change::Put(object.clone()))
        .collect();
    Committed {
        revision: contents.revision,
        changes,
    }
}
