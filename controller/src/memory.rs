//! Stores observed facts, so that they survive a restart.
//!
//! Until a hypervisor connects again, others send to it by the facts that were stored about it.
//!
//! Facts are received while others are being stored, also while the store is unavailable. Of each fact only the latest waits.
//! So the owner of state, who sends facts and waits while the queue is full, never waits for the store: waiting facts take
//! bounded memory, and nobody waits in a circle.

use crate::store::{CommitError, Store};
use sextant_model::{Change, Key};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// How long to wait before an unavailable store is tried again.
const RETRY: Duration = Duration::from_secs(1);
/// How many facts are stored at once. etcd takes 128 keys in a transaction unless configured, one of them for itself.
const AT_ONCE: usize = 64;
/// How many batches of facts may be on their way.
const QUEUE: usize = 64;

/// Where facts are sent that must outlive a restart.
pub type Facts = mpsc::Sender<Vec<Change>>;

/// A queue of facts for [`keep`].
pub fn facts() -> (Facts, mpsc::Receiver<Vec<Change>>) {
    mpsc::channel(QUEUE)
}

/// Commits what it receives until all senders are gone. What waits is committed at once.
pub async fn keep(store: Arc<dyn Store>, mut observed: mpsc::Receiver<Vec<Change>>) {
    let mut waiting = UnstoredFacts::default();
    while !waiting.0.is_empty() || waiting.receive(&mut observed).await {
        while let Ok(changes) = observed.try_recv() {
            waiting.add(changes);
        }
        let committed = commit(store.as_ref(), waiting.take());
        tokio::pin!(committed);
        loop {
            tokio::select! {
                () = &mut committed => break,
                Some(changes) = observed.recv() => waiting.add(changes),
            }
        }
    }
}

/// The latest of each fact that is not stored yet.
#[derive(Debug, Default)]
struct UnstoredFacts(BTreeMap<Key, Change>);

impl UnstoredFacts {
    fn add(&mut self, changes: Vec<Change>) {
        let keyed = changes.into_iter().map(|change| (change.key(), change));
        self.0.extend(keyed);
    }

    /// Some of them. The others wait.
    fn take(&mut self) -> Vec<Change> {
        let taken = std::iter::from_fn(|| self.0.pop_first());
        taken.map(|(_, change)| change).take(AT_ONCE).collect()
    }

    /// Waits for facts. Returns whether there may be more.
    async fn receive(&mut self, observed: &mut mpsc::Receiver<Vec<Change>>) -> bool {
        let received = observed.recv().await;
        let is_open = received.is_some();
        received.into_iter().for_each(|changes| self.add(changes));
        is_open
    }
}

/// Commits, and tries again for as long as that fails.
async fn commit(store: &dyn Store, changes: Vec<Change>) {
    let mut has_failed = false;
    while let Err(error) = store.commit(changes.clone(), vec![]).await {
        if let CommitError::TooLarge(why) = error {
            let count = changes.len();
            tracing::error!(
                why,
                count,
                "facts are not stored. After a restart they are unknown until their hypervisors have connected"
            );
            return;
        }
        if !std::mem::replace(&mut has_failed, true) {
            tracing::warn!(%error, "facts cannot be stored; trying again");
        }
        tokio::time::sleep(RETRY).await;
    }
    if has_failed {
        tracing::info!("facts are stored again");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Boxed, Precondition, Revision, Watch, WatchEnded};
    use sextant_model::{ChassisId, Object, PortId};
    use std::sync::Mutex;

    /// A store that fails so many times, and then takes everything.
    struct Recovering {
        failures: Mutex<u32>,
        commits: Mutex<Vec<Vec<Change>>>,
    }

    impl Store for Recovering {
        fn commit(
            &self,
            changes: Vec<Change>,
            _: Vec<Precondition>,
        ) -> Boxed<'_, Result<Revision, CommitError>> {
            let mut failures = self.failures.lock().unwrap();
            if *failures > 0 {
                *failures -= 1;
                let error = CommitError::Unavailable("no space".to_owned());
                return Box::pin(std::future::ready(Err(error)));
            }
            self.commits.lock().unwrap().push(changes);
            Box::pin(std::future::ready(Ok(Revision(1))))
        }

        fn watch(&self) -> Boxed<'_, Result<Box<dyn Watch>, WatchEnded>> {
            unreachable!("nobody watches")
        }
    }

    fn located(n: usize) -> Vec<Change> {
        let chassis = ChassisId::new(&format!("h{n}"));
        vec![Change::Put(Object::Location(PortId::MIN, chassis))]
    }

    #[tokio::test(start_paused = true)]
    async fn who_tells_facts_does_not_wait_for_a_store_that_is_unavailable_and_the_latest_is_stored()
     {
        let store = Arc::new(Recovering {
            failures: Mutex::new(3),
            commits: Mutex::default(),
        });
        let (facts, observed) = facts();
        let keeper = tokio::spawn(keep(store.clone(), observed));
        facts.send(located(0)).await.unwrap();
        tokio::time::sleep(RETRY / 2).await;
        let last = 3 * QUEUE;
        for n in 1..=last {
            facts.send(located(n)).await.unwrap();
        }
        assert_eq!(*store.commits.lock().unwrap(), Vec::<Vec<Change>>::new());
        drop(facts);
        keeper.await.unwrap();
        let commits = store.commits.lock().unwrap().clone();
        assert_eq!(commits, [located(0), located(last)]);
    }
}
