//! Stores observed facts, so that they survive a restart.
//!
//! Until a hypervisor connects again, others send to it by the facts that were stored about it.
//!
//! Facts are received while others are being stored, also while the store is unavailable. Of each fact only the latest waits.
//! So the owner of state, who sends facts and waits while the queue is full, never waits for the store: waiting facts take
//! bounded memory, and nobody waits in a circle.
//!
//! Where several controllers share the store, a fact of a hypervisor belongs to the tenure in which it was observed. It is dropped
//! once that tenure has ended (`docs/decisions/0028`).

mod commit;
mod fence;
mod unstored;

use crate::cluster::Tenures;
use crate::metrics::Metrics;
use crate::store::{Precondition, Store};
use commit::{FactCommitter, RETRY};
use fence::Fence;
use sextant_model::{Change, ChassisId, Key, Object};
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::time::Instant;
use unstored::UnstoredFacts;

/// How many batches of facts may be on their way.
const QUEUE: usize = 64;

/// A fact to be stored, and on what condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FactToStore {
    /// The fact.
    pub change: Change,
    /// The tenure in which it was observed. None if this controller does not own its hypervisor, or the fact is of none.
    pub tenure: Option<FactTenure>,
    /// What has to be so under the fact's own key. What this controller itself has stored there since does not count.
    pub condition: Option<Precondition>,
}

/// The tenure in which a fact of a hypervisor was observed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FactTenure {
    /// The hypervisor.
    pub chassis: ChassisId,
    /// By which generation this controller owned it.
    pub generation: u64,
    /// What proves that the tenure has not ended.
    pub proof: TenureProof,
}

/// What proves that a tenure has not ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TenureProof {
    /// The lock in the hypervisor's database, and what the store says of its owner.
    Lock,
    /// What the store says of its owner: the hypervisor is gone, or takes no part any more.
    Claim,
}

impl FactToStore {
    /// Stored whatever is there: nobody else stores facts.
    #[must_use]
    pub fn unconditionally(change: Change) -> Self {
        let (tenure, condition) = (None, None);
        Self {
            change,
            tenure,
            condition,
        }
    }

    /// The tenure of which this says that it has begun.
    fn claims(&self) -> Option<&FactTenure> {
        self.tenure.as_ref().filter(|_| self.is_claim())
    }

    /// The tenure of which the store has to say that it has begun.
    fn rests_on(&self) -> Option<&FactTenure> {
        self.tenure.as_ref().filter(|_| !self.is_claim())
    }

    fn is_claim(&self) -> bool {
        matches!(self.change, Change::Put(Object::Ownership(..)))
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

/// Commits what it receives until all senders are gone. What waits is committed at once, but for what waits until its hypervisor's
/// lock was confirmed.
pub async fn keep(
    store: Arc<dyn Store>,
    tenures: Tenures,
    metrics: Metrics,
    mut observed: mpsc::Receiver<Vec<FactToStore>>,
    refused: Refused,
) {
    let fence = Fence::new(store.clone(), tenures);
    let mut waiting = UnstoredFacts::default();
    let mut committer = FactCommitter::new(store, refused, metrics);
    loop {
        while let Ok(told) = observed.try_recv() {
            waiting.add(told);
        }
        let portion = waiting.take(&fence, Instant::now());
        if portion.is_empty() {
            match waiting.has_parked() {
                true => tokio::select! {
                    received = observed.recv() => match received {
                        Some(told) => waiting.add(told),
                        None => return,
                    },
                    () = fence.decided() => waiting.unpark(),
                },
                false => match observed.recv().await {
                    Some(told) => waiting.add(told),
                    None => return,
                },
            }
            continue;
        }
        let committed = async {
            let left = committer.commit(portion).await;
            if !left.is_empty() {
                tokio::time::sleep(RETRY).await;
            }
            left
        };
        tokio::pin!(committed);
        let left = loop {
            tokio::select! {
                left = &mut committed => break left,
                Some(told) = observed.recv() => waiting.add(told),
                () = fence.decided() => waiting.unpark(),
            }
        };
        waiting.put_back(left);
    }
}

#[cfg(test)]
mod tests {
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
        let (metrics, refused) = (Metrics::new().unwrap(), mpsc::unbounded_channel().0);
        let keeper = keep(store.clone(), Tenures::All, metrics, observed, refused);
        let keeper = tokio::spawn(keeper);
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
        assert_eq!(commits, [vec![located(last)]]);
    }
}
