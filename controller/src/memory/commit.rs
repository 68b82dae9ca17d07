//! Commits facts, on the conditions under which they are true.
//!
//! A fact of a hypervisor counts only in the tenure in which it was observed: that is claimed in the store first, and each fact is
//! committed on condition that this claim has not changed. A controller that was frozen, and wakes up, overwrites nothing.

use super::unstored::Portion;
use super::{FactTenure, FactToStore, Refused};
use crate::metrics::Metrics;
use crate::store::{CommitError, Precondition, Revision, Store};
use sextant_model::{ChassisId, Fact, Key};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// How long to wait before an unavailable store is tried again.
pub(super) const RETRY: Duration = Duration::from_secs(1);

/// How long to wait after a claim was refused.
const PAUSE: Duration = Duration::from_millis(50);

pub(super) struct FactCommitter {
    store: Arc<dyn Store>,
    refused: Refused,
    metrics: Metrics,
    /// The claims that were made.
    claims: BTreeMap<ChassisId, MadeClaim>,
    /// The revisions of commits that may be later than what the teller had seen.
    own: BTreeMap<Key, Revision>,
    /// Whether the store could not be reached last.
    has_failed: bool,
}

/// The store says that this controller owns a hypervisor.
struct MadeClaim {
    generation: u64,
    at: Revision,
}

impl FactCommitter {
    pub(super) fn new(store: Arc<dyn Store>, refused: Refused, metrics: Metrics) -> Self {
        let (claims, own) = (BTreeMap::new(), BTreeMap::new());
        Self {
            store,
            refused,
            metrics,
            claims,
            own,
            has_failed: false,
        }
    }

    /// Commits what may be. Returns what the store could not be reached for.
    pub(super) async fn commit(&mut self, portion: Portion) -> Vec<FactToStore> {
        let Portion {
            facts,
            until,
            ended,
        } = portion;
        self.drop_ended(ended);
        self.forget_seen(&facts);
        let mut waiting = vec![facts];
        while let Some(batch) = waiting.pop() {
            let batch = self.refuse_unowned(batch);
            if batch.is_empty() {
                continue;
            }
            match self.try_commit(&batch, until).await {
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
                    if !std::mem::replace(&mut self.has_failed, true) {
                        tracing::warn!(%error, "facts cannot be stored; trying again");
                    }
                    waiting.push(batch);
                    return waiting.into_iter().flatten().collect();
                }
            }
        }
        if std::mem::take(&mut self.has_failed) {
            tracing::info!("facts are stored again");
        }
        vec![]
    }

    async fn try_commit(
        &self,
        batch: &[FactToStore],
        until: Option<Instant>,
    ) -> Result<Revision, CommitError> {
        let conditions = batch.iter().flat_map(|told| self.conditions(told, batch));
        let conditions = distinct(conditions);
        let changes = batch.iter().map(|told| told.change.clone()).collect();
        let commit = match until {
            Some(until) => self.store.commit_until(changes, conditions, until),
            None => self.store.commit(changes, conditions),
        };
        commit.await
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
        let tenure = told.rests_on();
        let made = tenure.filter(|tenure| !is_claimed(batch, tenure));
        let of_owner = made.and_then(|tenure| {
            let claim = self.claims.get(&tenure.chassis)?;
            let key = Fact::Ownership(tenure.chassis.clone()).into();
            Some(Precondition::Unchanged(key, claim.at))
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

    /// Facts of tenures whose claims were refused, or that have ended.
    fn refuse_unowned(&self, batch: Vec<FactToStore>) -> Vec<FactToStore> {
        let resting = batch.iter().enumerate();
        let resting = resting.filter_map(|(at, told)| Some((at, told.rests_on()?)));
        let unowned =
            resting.filter(|(_, tenure)| !is_claimed(&batch, tenure) && !self.has_claimed(tenure));
        let places: BTreeSet<usize> = unowned.map(|(at, _)| at).collect();
        self.without(batch, &places)
    }

    fn has_claimed(&self, tenure: &FactTenure) -> bool {
        let claim = self.claims.get(&tenure.chassis);
        claim.is_some_and(|claim| claim.generation == tenure.generation)
    }

    /// Drops facts that were observed in tenures that have ended.
    fn drop_ended(&self, ended: Vec<FactToStore>) {
        let mut of_each: BTreeMap<(&ChassisId, u64), usize> = BTreeMap::new();
        for tenure in ended.iter().filter_map(|told| told.tenure.as_ref()) {
            let FactTenure {
                chassis,
                generation,
                ..
            } = tenure;
            *of_each.entry((chassis, *generation)).or_default() += 1;
        }
        for ((chassis, generation), facts) in of_each {
            tracing::warn!(%chassis, generation, facts, "facts are not stored: another controller came to own the hypervisor before they were");
            self.metrics
                .facts_dropped
                .inc_by(u64::try_from(facts).unwrap_or(u64::MAX));
        }
        self.say_refused(ended);
    }

    fn say_refused(&self, facts: Vec<FactToStore>) {
        if facts.is_empty() {
            return;
        }
        let refused = facts.into_iter().map(|told| told.change.key());
        // Nobody listens only when the process is stopping.
        let _ = self.refused.send(refused.collect());
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
        self.say_refused(refused.into_iter().map(|(_, told)| told).collect());
        kept.into_iter().map(|(_, told)| told).collect()
    }

    fn made(&mut self, batch: &[FactToStore], revision: Revision) {
        for told in batch {
            if let Some(tenure) = told.claims() {
                let (generation, at) = (tenure.generation, revision);
                let claim = MadeClaim { generation, at };
                self.claims.insert(tenure.chassis.clone(), claim);
            }
            if told.condition.is_some() || told.tenure.is_some() {
                self.own.insert(told.change.key(), revision);
            }
        }
    }
}

/// Whether a batch itself claims the hypervisor for a tenure.
fn is_claimed(batch: &[FactToStore], tenure: &FactTenure) -> bool {
    let mut claims = batch.iter().filter_map(FactToStore::claims);
    claims.any(|claim| claim.chassis == tenure.chassis && claim.generation == tenure.generation)
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
