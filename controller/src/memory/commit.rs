//! Commits facts, on the conditions under which they are true.
//!
//! A fact of a hypervisor counts only while this controller owns it: its claim is stored first, and each fact is committed on condition
//! that the claim has not changed. A controller that was frozen, and wakes up, overwrites nothing.

use super::{FactToStore, Refused};
use crate::store::{CommitError, Precondition, Revision, Store};
use sextant_model::{ChassisId, Fact, Key};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// How long to wait before an unavailable store is tried again.
pub(super) const RETRY: Duration = Duration::from_secs(1);

/// How long to wait after a claim was refused.
const PAUSE: Duration = Duration::from_millis(50);

pub(super) struct FactCommitter {
    store: Arc<dyn Store>,
    refused: Refused,
    /// The revisions of the claims that were made.
    claims: BTreeMap<ChassisId, Revision>,
    /// The revisions of commits that may be later than what the teller had seen.
    own: BTreeMap<Key, Revision>,
}

impl FactCommitter {
    pub(super) fn new(store: Arc<dyn Store>, refused: Refused) -> Self {
        let (claims, own) = (BTreeMap::new(), BTreeMap::new());
        Self {
            store,
            refused,
            claims,
            own,
        }
    }

    /// Commits what may be, and tries again for as long as the store is unavailable.
    pub(super) async fn commit(&mut self, batch: Vec<FactToStore>) {
        self.forget_seen(&batch);
        let mut has_failed = false;
        let mut waiting = vec![batch];
        while let Some(batch) = waiting.pop() {
            let batch = self.refuse_unowned(batch);
            if batch.is_empty() {
                continue;
            }
            match self.try_commit(&batch).await {
                Ok(revision) => self.made(&batch, revision),
                Err(CommitError::Conflict(broken)) => {
                    waiting.push(self.refuse(batch, &broken).await);
                }
                Err(CommitError::TooLarge(why)) if batch.len() == 1 => tracing::error!(
                    why,
                    "a fact is not stored. Others do not know it, nor does this controller after a restart"
                ),
                Err(CommitError::TooLarge(_)) => {
                    let mut first = batch;
                    let second = first.split_off(first.len() / 2);
                    waiting.extend([second, first]);
                }
                Err(error @ (CommitError::Unavailable(_) | CommitError::Uncertain(_))) => {
                    if !std::mem::replace(&mut has_failed, true) {
                        tracing::warn!(%error, "facts cannot be stored; trying again");
                    }
                    tokio::time::sleep(RETRY).await;
                    waiting.push(batch);
                }
            }
        }
        if has_failed {
            tracing::info!("facts are stored again");
        }
    }

    async fn try_commit(&self, batch: &[FactToStore]) -> Result<Revision, CommitError> {
        let conditions = batch.iter().flat_map(|told| self.conditions(told, batch));
        let changes = batch.iter().map(|told| told.change.clone());
        self.store
            .commit(changes.collect(), distinct(conditions))
            .await
    }

    /// What the teller has seen of what was committed here needs no care any more.
    fn forget_seen(&mut self, batch: &[FactToStore]) {
        let seen = batch.iter().filter_map(|told| match &told.condition {
            Some(Precondition::Unchanged(_, since)) => Some(*since),
            Some(Precondition::Absent(_) | Precondition::Present(_)) | None => None,
        });
        if let Some(seen) = seen.max() {
            self.own.retain(|_, made| *made > seen);
        }
    }

    /// What is to hold for one fact of a batch.
    fn conditions(&self, told: &FactToStore, batch: &[FactToStore]) -> Vec<Precondition> {
        let of_key = told
            .condition
            .as_ref()
            .map(|condition| self.later(condition));
        let owned = told.owned.as_ref();
        let with_it = owned.filter(|chassis| !is_claimed(batch, chassis));
        let of_owner = with_it.and_then(|chassis| {
            let claimed = self.claims.get(chassis)?;
            let key = Fact::Ownership(chassis.clone()).into();
            Some(Precondition::Unchanged(key, *claimed))
        });
        of_key.into_iter().chain(of_owner).collect()
    }

    /// A condition as of the last commit from here.
    fn later(&self, condition: &Precondition) -> Precondition {
        let (Precondition::Unchanged(key, _)
        | Precondition::Absent(key)
        | Precondition::Present(key)) = condition;
        match (self.own.get(key), condition) {
            (Some(own), Precondition::Unchanged(key, since)) => {
                Precondition::Unchanged(key.clone(), *own.max(since))
            }
            (Some(own), Precondition::Absent(key)) => Precondition::Unchanged(key.clone(), *own),
            (Some(_) | None, condition) => condition.clone(),
        }
    }

    /// Facts of hypervisors whose claims were refused.
    fn refuse_unowned(&self, batch: Vec<FactToStore>) -> Vec<FactToStore> {
        let owned = batch.iter().enumerate();
        let owned = owned.filter_map(|(at, told)| Some((at, told.owned.as_ref()?)));
        let unowned = owned.filter(|(_, chassis)| {
            !self.claims.contains_key(*chassis) && !is_claimed(&batch, chassis)
        });
        let places: BTreeSet<usize> = unowned.map(|(at, _)| at).collect();
        self.without(batch, &places)
    }

    /// A condition does not hold: what rests on it is refused. Who owns a hypervisor may not have been heard of yet, so what would
    /// be refused again is not sent again at once.
    async fn refuse(&mut self, batch: Vec<FactToStore>, broken: &Precondition) -> Vec<FactToStore> {
        let all = batch.iter().enumerate();
        let resting = all.filter(|(_, told)| self.conditions(told, &batch).contains(broken));
        let places: BTreeSet<usize> = resting.map(|(at, _)| at).collect();
        if let Precondition::Unchanged(Key::Fact(Fact::Ownership(chassis)), _)
        | Precondition::Absent(Key::Fact(Fact::Ownership(chassis))) = broken
        {
            self.claims.remove(chassis);
            tokio::time::sleep(PAUSE).await;
        }
        self.without(batch, &places)
    }

    /// The batch without those at these places, which are told to be refused.
    fn without(&self, batch: Vec<FactToStore>, places: &BTreeSet<usize>) -> Vec<FactToStore> {
        if places.is_empty() {
            return batch;
        }
        let (refused, kept): (Vec<_>, Vec<_>) = batch
            .into_iter()
            .enumerate()
            .partition(|(at, _)| places.contains(at));
        let refused = refused
            .into_iter()
            .map(|(_, told)| told.change.key())
            .collect();
        // Nobody listens only when the process is stopping.
        let _ = self.refused.send(refused);
        kept.into_iter().map(|(_, told)| told).collect()
    }

    fn made(&mut self, batch: &[FactToStore], revision: Revision) {
        for told in batch {
            if let Some(chassis) = told.claims() {
                self.claims.insert(chassis.clone(), revision);
            }
            if told.condition.is_some() || told.owned.is_some() {
                self.own.insert(told.change.key(), revision);
            }
        }
    }
}

/// Whether a batch itself claims a hypervisor.
fn is_claimed(batch: &[FactToStore], chassis: &ChassisId) -> bool {
    batch.iter().any(|told| told.claims() == Some(chassis))
}

fn distinct(all: impl Iterator<Item = Precondition>) -> Vec<Precondition> {
    let mut distinct: Vec<Precondition> = Vec::new();
    for one in all {
        if !distinct.contains(&one) {
            distinct.push(one);
        }
    }
    distinct
}
