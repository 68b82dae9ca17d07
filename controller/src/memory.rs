//! Stores observed facts, so that they survive a restart.
//!
//! Until a hypervisor connects again, others send to it by the facts that were stored about it.
//!
//! Facts are received while others are being stored, also while the store is unavailable. Of each fact only the latest waits.
//! So the owner of state, who sends facts and waits while the queue is full, never waits for the store: waiting facts take
//! bounded memory, and nobody waits in a circle.

mod commit;

use crate::store::{Precondition, Store};
use commit::FactCommitter;
use sextant_model::{Change, ChassisId, Fact, Key, Object};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::mpsc;

/// How many facts are stored at once. etcd takes 128 comparisons in a transaction unless configured: a fact has up to four, and
/// the commit itself two.
const AT_ONCE: usize = 30;
/// How many batches of facts may be on their way.
const QUEUE: usize = 64;

/// A fact to be stored, and on what condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FactToStore {
    /// The fact.
    pub change: Change,
    /// The hypervisor that this controller has to own still. None if it does not own it, or the fact is of none.
    pub owned: Option<ChassisId>,
    /// What has to be so under the fact's own key. What this controller itself has stored there since does not count.
    pub condition: Option<Precondition>,
}

impl FactToStore {
    /// Stored whatever is there: nobody else stores facts.
    #[must_use]
    pub fn unconditionally(change: Change) -> Self {
        let (owned, condition) = (None, None);
        Self {
            change,
            owned,
            condition,
        }
    }

    /// The hypervisor of which this says that this controller owns it.
    fn claims(&self) -> Option<&ChassisId> {
        match &self.change {
            Change::Put(Object::Ownership(chassis, _)) => Some(chassis),
            Change::Put(_) | Change::Delete(_) => None,
        }
    }
}

/// Where facts are sent that must outlive a restart, or that other controllers need.
pub type Facts = mpsc::Sender<Vec<FactToStore>>;

/// The names of facts that were not stored, since others know better. There are no more of them than were sent.
pub type Refused = mpsc::UnboundedSender<Vec<Key>>;

/// A queue of facts for [`keep`].
pub fn facts() -> (Facts, mpsc::Receiver<Vec<FactToStore>>) {
    mpsc::channel(QUEUE)
}

/// Commits what it receives until all senders are gone. What waits is committed at once.
pub async fn keep(
    store: Arc<dyn Store>,
    mut observed: mpsc::Receiver<Vec<FactToStore>>,
    refused: Refused,
) {
    let mut waiting = UnstoredFacts::default();
    let mut committer = FactCommitter::new(store, refused);
    while !waiting.is_empty() || waiting.receive(&mut observed).await {
        while let Ok(told) = observed.try_recv() {
            waiting.add(told);
        }
        let committed = committer.commit(waiting.take());
        tokio::pin!(committed);
        loop {
            tokio::select! {
                () = &mut committed => break,
                Some(told) = observed.recv() => waiting.add(told),
            }
        }
    }
}

/// The latest of each fact that is not stored yet.
#[derive(Debug, Default)]
struct UnstoredFacts {
    /// Others rest on these, so they go first.
    claims: BTreeMap<Key, FactToStore>,
    others: BTreeMap<Key, FactToStore>,
    /// Others rest on what these take away, so they go last.
    renounced: BTreeMap<Key, FactToStore>,
}

impl UnstoredFacts {
    fn is_empty(&self) -> bool {
        self.claims.is_empty() && self.others.is_empty() && self.renounced.is_empty()
    }

    fn add(&mut self, told: Vec<FactToStore>) {
        for told in told {
            let key = told.change.key();
            let is_claim = matches!(key, Key::Fact(Fact::Ownership(_)));
            let to = match (is_claim, told.claims()) {
                (false, _) => &mut self.others,
                (true, Some(_)) => {
                    self.renounced.remove(&key);
                    &mut self.claims
                }
                (true, None) => {
                    self.claims.remove(&key);
                    &mut self.renounced
                }
            };
            to.insert(key, told);
        }
    }

    /// Some of them. The others wait.
    fn take(&mut self) -> Vec<FactToStore> {
        let taken = std::iter::from_fn(|| {
            let first = self.claims.pop_first();
            let next = first.or_else(|| self.others.pop_first());
            next.or_else(|| self.renounced.pop_first())
        });
        taken.map(|(_, told)| told).take(AT_ONCE).collect()
    }

    /// Waits for facts. Returns whether there may be more.
    async fn receive(&mut self, observed: &mut mpsc::Receiver<Vec<FactToStore>>) -> bool {
        let received = observed.recv().await;
        let is_open = received.is_some();
        received.into_iter().for_each(|told| self.add(told));
        is_open
    }
}

#[cfg(test)]
mod tests {
    use super::commit::RETRY;
    use super::*;
    use crate::store::{Boxed, CommitError, Revision, Watch, WatchEnded};
    use sextant_model::PortId;
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

    fn located(n: usize) -> Change {
        let chassis = ChassisId::new(&format!("h{n}"));
        Change::Put(Object::Location(PortId::MIN, chassis))
    }

    fn told(n: usize) -> Vec<FactToStore> {
        vec![FactToStore::unconditionally(located(n))]
    }

    #[tokio::test(start_paused = true)]
    async fn who_tells_facts_does_not_wait_for_a_store_that_is_unavailable_and_the_latest_is_stored()
     {
        let store = Arc::new(Recovering {
            failures: Mutex::new(3),
            commits: Mutex::default(),
        });
        let (facts, observed) = facts();
        let keeper = tokio::spawn(keep(store.clone(), observed, mpsc::unbounded_channel().0));
        facts.send(told(0)).await.unwrap();
        tokio::time::sleep(RETRY / 2).await;
        let last = 3 * QUEUE;
        for n in 1..=last {
            facts.send(told(n)).await.unwrap();
        }
        assert_eq!(*store.commits.lock().unwrap(), Vec::<Vec<Change>>::new());
        drop(facts);
        keeper.await.unwrap();
        let commits = store.commits.lock().unwrap().clone();
        assert_eq!(commits, [vec![located(0)], vec![located(last)]]);
    }
}
