//! One batch: said in the store, told to Nova, and noted in the store.
//!
//! What somebody else has changed in the store meanwhile is left out, and looked at anew by the next snapshot.

use super::client::{NovaFailure, NovaVerdict};
use super::plan::NovaEvent;
use super::waiting::Due;
use super::{COLLECT, COLLECT_NOTES, NotifierParts};
use crate::metrics::{NovaEventName, NovaOutcome};
use crate::snapshot::Snapshot;
use crate::store::{CommitError, Precondition, Revision};
use sextant_model::{Change, ControllerName, Key, NovaPort, Object, ObjectKey, PortId};
use std::sync::Arc;
use std::time::Duration;

/// How long to wait before an unavailable store is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// What a batch consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BatchKind {
    /// Events for Nova.
    Events,
    /// What is only to be stored.
    Notes,
}

impl BatchKind {
    /// How long they are collected.
    pub(super) fn collected_for(self) -> Duration {
        match self {
            Self::Events => COLLECT,
            Self::Notes => COLLECT_NOTES,
        }
    }
}

/// Steps that are taken together.
pub(super) struct Batch {
    pub(super) kind: BatchKind,
    /// The snapshot that they follow from.
    pub(super) base: Arc<Snapshot>,
    pub(super) due: Vec<Due>,
}

/// What became of a batch.
pub(super) struct BatchEnd {
    pub(super) kind: BatchKind,
    pub(super) ports: Vec<PortId>,
    /// How many events Nova has no use for.
    pub(super) outcome: Result<usize, NovaFailure>,
}

/// Takes the steps. When it ends, snapshots show what it has stored.
pub(super) async fn tell(shared: Arc<NotifierParts>, batch: Batch) -> BatchEnd {
    let (kind, base) = (batch.kind, batch.base);
    let ports = batch.due.iter().map(|due| due.port).collect();
    let steps = batch.due.into_iter().map(|due| Telling::of(due, &base));
    let mut writer = BatchWriter {
        shared: &shared,
        steps: steps.collect(),
        seen: base.revision,
    };
    let outcome = match kind {
        BatchKind::Events => writer.tell_nova(&base).await,
        BatchKind::Notes => {
            writer.note().await;
            Ok(0)
        }
    };
    // The end of the snapshots is the end of the process.
    let _ = shared.snapshots.reaching(writer.seen).await;
    BatchEnd {
        kind,
        ports,
        outcome,
    }
}

/// A step, and the condition under which it is stored: nobody else has changed what is known of the port.
struct Telling {
    due: Due,
    condition: Precondition,
}

impl Telling {
    fn of(due: Due, base: &Snapshot) -> Self {
        let key = Key::from(ObjectKey::NovaPort(due.port));
        let condition = match base.intent.nova_ports.contains_key(&due.port) {
            true => Precondition::Unchanged(key, base.revision),
            false => Precondition::Absent(key),
        };
        Self { due, condition }
    }

    /// What is stored when the step is taken.
    fn taken(&self) -> Change {
        match &self.due.step.after {
            Some(after) => Change::Put(Object::NovaPort(Arc::new(after.clone()))),
            None => Change::delete(ObjectKey::NovaPort(self.due.port)),
        }
    }

    /// What is stored before: that this controller takes it. `None` if that is stored already.
    fn begun(&self, base: &Snapshot, own: &ControllerName) -> Option<Change> {
        let event = self.due.step.event?;
        let told = base.intent.nova_ports.get(&self.due.port);
        if told.is_some_and(|told| told.teller.as_ref() == Some(own)) {
            return None;
        }
        let told = told.filter(|told| told.server == event.server);
        let begun = match (told, &self.due.step.after) {
            (Some(told), _) => NovaPort::clone(told),
            (None, Some(after)) => NovaPort {
                plugged: None,
                ..after.clone()
            },
            (None, None) => return None,
        };
        let teller = Some(own.clone());
        Some(Change::Put(Object::NovaPort(Arc::new(NovaPort {
            teller,
            ..begun
        }))))
    }
}

/// Stores the steps of a batch.
struct BatchWriter<'a> {
    shared: &'a NotifierParts,
    steps: Vec<Telling>,
    /// The revision that snapshots have to reach before these ports are looked at again.
    seen: Revision,
}

impl BatchWriter<'_> {
    async fn tell_nova(&mut self, base: &Snapshot) -> Result<usize, NovaFailure> {
        if let Some(cluster) = &self.shared.cluster {
            let own = cluster.name().clone();
            if let Err(error) = self.commit(|step| step.begun(base, &own)).await {
                tracing::debug!(%error, "what Nova is to be told could not be stored");
                return Err(NovaFailure::Answer(error.to_string()));
            }
        }
        let events = self.steps.iter().filter_map(|step| step.due.step.event);
        let events: Vec<NovaEvent> = events.collect();
        if events.is_empty() {
            return Ok(0);
        }
        let sent = self.shared.client.send(&events).await;
        self.count(&events, sent.as_deref().ok());
        let verdicts = sent?;
        self.note().await;
        let dismissed = verdicts
            .iter()
            .filter(|one| **one == NovaVerdict::Dismissed);
        Ok(dismissed.count())
    }

    fn count(&self, events: &[NovaEvent], verdicts: Option<&[NovaVerdict]>) {
        let metrics = &self.shared.metrics;
        for (at, (event, step)) in events.iter().zip(&self.steps).enumerate() {
            let outcome = match verdicts.and_then(|verdicts| verdicts.get(at)) {
                Some(NovaVerdict::Taken) => NovaOutcome::Taken,
                Some(NovaVerdict::Dismissed) => NovaOutcome::Dismissed,
                None => NovaOutcome::Failed,
            };
            let labels = [event.name.as_str(), outcome.as_str()];
            metrics.nova_events.with_label_values(&labels).inc();
            if event.name == NovaEventName::VifPlugged && verdicts.is_some() {
                let took = step.due.since.elapsed().as_secs_f64();
                metrics.nova_plug_seconds.observe(took);
            }
            tracing::debug!(event = event.name.as_str(), server = %event.server, port = %event.port, outcome = outcome.as_str(), "told Nova");
        }
    }

    /// Stores what Nova knows now, and tries for as long as the store is unavailable: it is not to be told again.
    async fn note(&mut self) {
        loop {
            match self.commit(|step| Some(step.taken())).await {
                Ok(()) => return,
                Err(CommitError::TooLarge(_)) if self.steps.len() > 1 => {
                    for step in std::mem::take(&mut self.steps) {
                        self.steps = vec![step];
                        Box::pin(self.note()).await;
                    }
                    return;
                }
                Err(error) => {
                    tracing::debug!(%error, "what Nova knows could not be stored; trying again");
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
    }

    /// Makes the changes of all steps, without those that others were faster with.
    async fn commit(
        &mut self,
        change: impl Fn(&Telling) -> Option<Change>,
    ) -> Result<(), CommitError> {
        let base = self.seen;
        loop {
            let changing = self.steps.iter();
            let changing = changing.filter_map(|step| Some((change(step)?, &step.condition)));
            let (changes, conditions): (Vec<Change>, Vec<Precondition>) = changing
                .map(|(change, condition)| (change, condition.clone()))
                .unzip();
            if changes.is_empty() {
                return Ok(());
            }
            let changed = conditions.clone();
            match self.shared.store.commit(changes, conditions).await {
                Ok(revision) => {
                    self.seen = self.seen.max(revision);
                    let mut steps = self.steps.iter_mut();
                    steps.by_ref().for_each(|step| {
                        if changed.contains(&step.condition) {
                            let key = ObjectKey::NovaPort(step.due.port).into();
                            step.condition = Precondition::Unchanged(key, revision);
                        }
                    });
                    return Ok(());
                }
                Err(CommitError::Conflict(broken)) => {
                    let before = self.steps.len();
                    self.steps.retain(|step| step.condition != broken);
                    if self.steps.len() == before {
                        return Err(CommitError::Conflict(broken));
                    }
                    self.seen = self.seen.max(Revision(base.0 + 1));
                }
                Err(error) => return Err(error),
            }
        }
    }
}
