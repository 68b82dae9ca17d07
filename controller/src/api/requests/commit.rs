//! How the API writes: plan on the latest snapshot, commit, and wait until all can read the write.
//!
//! A write that keeps losing takes its turn alone. So a writer whose decision rests on much gets through as well, such
//! as one for a subnet of a network where ports come and go.

use crate::api::contract::draft::Draft;
use crate::api::contract::error::ApiError;
use crate::api::requests::abandon;
use crate::api::requests::api::Api;
use crate::api::requests::withdrawals;
use crate::clock;
use crate::snapshot::Snapshot;
use crate::store::{CommitError, OUT_OF_REACH, Revision};
use sextant_model::{Facts, Intent};
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{RwLockReadGuard, RwLockWriteGuard};
use tokio::task::{JoinError, spawn_blocking};

/// How often a writer tries beside others before it tries alone.
const TOGETHER: usize = 6;
/// How often it tries in all. Alone it can lose only to other processes.
const ATTEMPTS: usize = 32;

/// How often a writer looks whether the store is still in reach.
const LOOK: Duration = Duration::from_secs(1);

/// The cloud after a write.
pub(crate) struct Written {
    pub(crate) intent: Intent,
    pub(crate) facts: Facts,
}

/// A writer's turn, kept until its write can be read.
enum WriterTurn<'a> {
    Together { _guard: RwLockReadGuard<'a, ()> },
    Alone { _guard: RwLockWriteGuard<'a, ()> },
}

impl Api {
    /// Plans on the latest snapshot and commits. Returns the plan's result, and the cloud after it.
    pub(crate) async fn write<T>(
        &self,
        plan: impl Fn(&mut Draft) -> Result<T, ApiError>,
    ) -> Result<(T, Written), ApiError> {
        // At most `WRITERS_AT_ONCE` writers, since quotas rely on that number.
        let _place = self.writers.take().await;
        let (api, plan) = (self, &plan);
        self.write_by(move || api.gate.pass(move || api.plan(plan)), TOGETHER)
            .await
    }

    /// The same for a write that no request asks for. It waits for no request, except for its turn alone if it keeps
    /// losing. A separate thread plans it.
    pub(crate) async fn write_apart<T: Send + 'static>(
        &self,
        plan: impl Fn(&mut Draft) -> Result<T, ApiError> + Clone + Send + 'static,
    ) -> Result<(T, Written), ApiError> {
        self.write_by(|| self.plan_apart(plan.clone()), 0).await
    }

    /// Plans and commits until it succeeds. Before attempt `together` it takes a turn beside others, from [`TOGETHER`] on
    /// a turn alone, and in between none.
    async fn write_by<T, P: Future<Output = Result<(T, Draft), ApiError>>>(
        &self,
        planned: impl Fn() -> P,
        together: usize,
    ) -> Result<(T, Written), ApiError> {
        for attempt in 0..ATTEMPTS {
            let _turn = match attempt {
                _ if attempt < together => Some(self.together().await),
                _ if attempt < TOGETHER => None,
                _ => Some(self.alone().await),
            };
            let (result, draft) = planned().await?;
            // Kept as long as the turn, so that a caller that leaves cannot give the turn back early.
            let changing = abandon::begin_change()?;
            match self.commit(&draft).await? {
                Some(revision) => {
                    let facts = self.read_back(&draft, revision).await?.facts.clone();
                    return Ok((
                        result,
                        Written {
                            intent: draft.intent,
                            facts,
                        },
                    ));
                }
                None => {
                    // The caller may leave while this waits. On the same snapshot the plan would conflict again.
                    drop(changing);
                    let newer = Revision(draft.base.revision.0 + 1);
                    self.reaching(newer).await?;
                }
            }
        }
        Err(ApiError::unavailable(
            "Others keep changing what this request rests on; try again.",
        ))
    }

    async fn plan_apart<T: Send + 'static>(
        &self,
        plan: impl Fn(&mut Draft) -> Result<T, ApiError> + Send + 'static,
    ) -> Result<(T, Draft), ApiError> {
        let api = self.clone();
        let planned = spawn_blocking(move || api.plan(plan)).await;
        planned.unwrap_or_else(|error| Err(ended(&error)))
    }

    fn plan<T>(
        &self,
        plan: impl Fn(&mut Draft) -> Result<T, ApiError>,
    ) -> Result<(T, Draft), ApiError> {
        let mut draft = Draft::new(self.snapshots.latest(), clock::now(), rand::make_rng());
        let result = plan(&mut draft)?;
        withdrawals::note(&mut draft);
        Ok((result, draft))
    }

    /// The revision of the commit. `None` if another writer was faster.
    async fn commit(&self, draft: &Draft) -> Result<Option<Revision>, ApiError> {
        if draft.is_empty() {
            return Ok(Some(draft.base.revision));
        }
        let committed = self.store.commit(draft.changes(), draft.preconditions());
        match committed.await {
            Ok(revision) => Ok(Some(revision)),
            Err(CommitError::Conflict(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The cloud with a commit that was made. Measures how long that takes.
    async fn read_back(
        &self,
        draft: &Draft,
        revision: Revision,
    ) -> Result<Arc<Snapshot>, ApiError> {
        let made = Instant::now();
        let snapshot = self.reaching(revision).await?;
        if !draft.is_empty() {
            let lag = made.elapsed().as_secs_f64();
            self.metrics.store_watch_lag.observe(lag);
        }
        Ok(snapshot)
    }

    /// The cloud when it has this revision of the store, which is there already. Waits while the store is in reach.
    async fn reaching(&self, revision: Revision) -> Result<Arc<Snapshot>, ApiError> {
        let mut reached = pin!(self.snapshots.reaching(revision));
        loop {
            tokio::select! {
                reached = &mut reached => return Ok(reached?),
                () = tokio::time::sleep(LOOK) => {}
            }
            if self.store.age() >= OUT_OF_REACH {
                return Err(ApiError::unavailable(format!(
                    "The store is out of reach: its revision {revision}, which may have this change, cannot be shown yet."
                )));
            }
        }
    }

    async fn together(&self) -> WriterTurn<'_> {
        WriterTurn::Together {
            _guard: self.turns.read().await,
        }
    }

    async fn alone(&self) -> WriterTurn<'_> {
        WriterTurn::Alone {
            _guard: self.turns.write().await,
        }
    }
}

fn ended(error: &JoinError) -> ApiError {
    ApiError::unavailable(format!(
        "what was to be written could not be planned: {error}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::requests::gate::Gate;
    use crate::fair::FairPlaces;
    use crate::metrics::Metrics;
    use crate::snapshot::{Snapshot, Snapshots};
    use crate::store::{Boxed, Precondition, Store, Watch, WatchEnded};
    use sextant_model::Change;

    struct NoStore;

    impl Store for NoStore {
        fn commit(
            &self,
            _: Vec<Change>,
            _: Vec<Precondition>,
        ) -> Boxed<'_, Result<Revision, CommitError>> {
            Box::pin(async { Err(CommitError::Unavailable("there is none".to_owned())) })
        }

        fn watch(&self) -> Boxed<'_, Result<Box<dyn Watch>, WatchEnded>> {
            Box::pin(async { Err(WatchEnded("there is none".to_owned())) })
        }
    }

    /// A store that takes everything, and shows nothing of it any more.
    struct CutOff;

    impl Store for CutOff {
        fn commit(
            &self,
            _: Vec<Change>,
            _: Vec<Precondition>,
        ) -> Boxed<'_, Result<Revision, CommitError>> {
            Box::pin(async { Ok(Revision(1)) })
        }

        fn watch(&self) -> Boxed<'_, Result<Box<dyn Watch>, WatchEnded>> {
            Box::pin(async { Err(WatchEnded("it is cut off".to_owned())) })
        }

        fn age(&self) -> Duration {
            OUT_OF_REACH
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_write_that_cannot_be_read_is_answered_when_the_store_is_out_of_reach() {
        let (_publisher, snapshots) = Snapshots::new(Snapshot::default());
        let api = Api::new(Arc::new(CutOff), snapshots, Metrics::new().unwrap());
        let write = api.write(|draft| {
            draft.mark(sextant_model::Mark::PortsOf(sextant_model::NetworkId::MIN));
            Ok(())
        });
        let error = write.await.err().unwrap();
        assert_eq!(error.status, 503);
        assert!(error.message.contains("revision 1"), "{}", error.message);
    }

    #[tokio::test]
    async fn what_no_request_asks_for_waits_behind_none() {
        let (_publisher, snapshots) = Snapshots::new(Snapshot::default());
        let api = Api {
            writers: FairPlaces::new(0),
            gate: Gate::of(0),
            ..Api::new(Arc::new(NoStore), snapshots, Metrics::new().unwrap())
        };
        let _all_write = api.turns.write().await;
        let (answer, _) = api.write_apart(|_| Ok(5)).await.ok().unwrap();
        assert_eq!(answer, 5);
    }
}
