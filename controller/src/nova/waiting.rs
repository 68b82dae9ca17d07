//! The ports of which Nova is to be told something: one step each, however long Nova is away.

use super::plan::{NovaStep, next_step};
use crate::snapshot::Snapshot;
use imbl::OrdMap;
use imbl::ordmap::DiffItem as MapDifference;
use imbl::ordset::DiffItem as SetDifference;
use sextant_model::PortId;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tokio::time::Instant;

/// A port's next step.
#[derive(Clone, Debug)]
pub(super) struct Due {
    pub(super) port: PortId,
    pub(super) step: NovaStep,
    /// Since when it is so.
    pub(super) since: Instant,
}

/// The next step of each port that has one, by the latest snapshot.
pub(super) struct Waiting {
    known: Arc<Snapshot>,
    due: BTreeMap<PortId, Due>,
}

impl Waiting {
    pub(super) fn new(first: Arc<Snapshot>, now: Instant) -> Self {
        let intent = &first.intent;
        let all: BTreeSet<PortId> = intent
            .nova_ports
            .keys()
            .chain(intent.ports.keys())
            .copied()
            .collect();
        let mut waiting = Self {
            known: first,
            due: BTreeMap::new(),
        };
        waiting.look_at(all, now);
        waiting
    }

    /// Looks at what differs from the snapshot before.
    pub(super) fn take(&mut self, latest: Arc<Snapshot>, now: Instant) {
        let changed = changed(&self.known, &latest);
        self.known = latest;
        self.look_at(changed, now);
    }

    fn look_at(&mut self, ports: BTreeSet<PortId>, now: Instant) {
        for port in ports {
            let step = next_step(&self.known.intent, &self.known.facts, port);
            match step {
                Some(step) => {
                    let before = self.due.get(&port);
                    let same = before.filter(|before| before.step.event == step.event);
                    let since = same.map_or(now, |before| before.since);
                    self.due.insert(port, Due { port, step, since });
                }
                None => drop(self.due.remove(&port)),
            }
        }
    }

    /// The snapshot by which these are the next steps.
    pub(super) fn known(&self) -> &Arc<Snapshot> {
        &self.known
    }

    /// All of them.
    pub(super) fn all(&self) -> impl Iterator<Item = &Due> {
        self.due.values()
    }
}

/// The ports of which something differs. Snapshots share what does not, so that this costs little.
fn changed(before: &Snapshot, after: &Snapshot) -> BTreeSet<PortId> {
    let mut changed = BTreeSet::new();
    in_map(&mut changed, &before.intent.ports, &after.intent.ports);
    let (old, new) = (&before.intent.nova_ports, &after.intent.nova_ports);
    in_map(&mut changed, old, new);
    in_map(&mut changed, before.facts.plugged(), after.facts.plugged());
    let (old, new) = (before.facts.active(), after.facts.active());
    if !old.ptr_eq(new) {
        changed.extend(old.diff(new).map(|difference| match difference {
            SetDifference::Add(port) | SetDifference::Remove(port) => *port,
        }));
    }
    changed
}

fn in_map<V: PartialEq>(
    changed: &mut BTreeSet<PortId>,
    before: &OrdMap<PortId, V>,
    after: &OrdMap<PortId, V>,
) {
    if before.ptr_eq(after) {
        return;
    }
    changed.extend(before.diff(after).map(|difference| match difference {
        MapDifference::Add(port, _)
        | MapDifference::Remove(port, _)
        | MapDifference::Update { new: (port, _), .. } => *port,
    }));
}
