//! Watchers of the embedded store.
//!
//! Each has a queue of its own without a bound, so that a slow one loses nothing and never holds up the writer. What
//! waits in it are pointers to objects that the store shares, and it stays short by itself: whoever writes through the
//! API waits until the owner of the state, the one watcher there is, has applied the write.

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
