//! A write in the making: the cloud after it, the changes that lead there, and their preconditions.
//!
//! A draft starts from a snapshot. Resources read from [`Draft::intent`] and write through the methods. The methods make
//! everything that was read and matters a precondition. An object that is replaced or removed must not have changed since
//! the snapshot. An object that is made must not exist. Several objects can be made in one draft, and each sees those
//! before it. Planning is a pure function of snapshot, time and randomness, so it can be repeated if another writer was
//! faster.

use crate::snapshot::Snapshot;
use crate::store::{Precondition, Revision};
use rand::RngExt;
use rand::rngs::StdRng;
use sextant_model::{
    Change, Claim, Intent, Key, Mark, Meta, NetworkId, Object, ObjectKey, SecurityGroupId,
};
use std::collections::BTreeSet;
use std::sync::Arc;
use uuid::Uuid;

/// How many writers may work at once. Quotas rely on it.
pub(crate) const WRITERS_AT_ONCE: u64 = 128;

pub(crate) struct Draft {
    /// The cloud after the write.
    pub(crate) intent: Intent,
    /// The snapshot that it starts from.
    pub(crate) base: Arc<Snapshot>,
    /// Seconds since 1970.
    pub(crate) now: i64,
    /// The source of randomness.
    pub(crate) dice: StdRng,
    changes: Vec<Change>,
    relied_on: BTreeSet<Key>,
    marked: BTreeSet<Mark>,
}

impl Draft {
    pub(crate) fn new(base: Arc<Snapshot>, now: i64, dice: StdRng) -> Self {
        Self {
            intent: base.intent.clone(),
            base,
            now,
            dice,
            changes: Vec::new(),
            relied_on: BTreeSet::new(),
            marked: BTreeSet::new(),
        }
    }

    /// Makes or replaces an object.
    pub(crate) fn put(&mut self, object: Object) {
        if let Object::Port(port) = &object {
            self.touch_ports_of(port.network_id);
        }
        self.relies_on(object.key());
        self.change(Change::Put(object));
    }

    /// Removes an object, or gives up a claim.
    pub(crate) fn delete(&mut self, key: impl Into<Key>) {
        let key = key.into();
        self.relies_on(key.clone());
        self.change(Change::Delete(key));
    }

    /// Takes a claim, if nobody has it.
    #[must_use]
    pub(crate) fn claim(&mut self, claim: Claim) -> bool {
        if self.intent.is_claimed(&claim) {
            return false;
        }
        self.put(Object::Claim(claim.into()));
        true
    }

    /// Requires that nobody has changed, made or removed the thing of this key since the snapshot.
    pub(crate) fn relies_on(&mut self, key: impl Into<Key>) {
        self.relied_on.insert(key.into());
    }

    /// Notes that ports of this network are made, changed or removed.
    pub(crate) fn touch_ports_of(&mut self, network: NetworkId) {
        self.mark(Mark::PortsOf(network));
    }

    /// Notes that a port is put under this group, or a rule names it. Requires that the group stays.
    pub(crate) fn use_group(&mut self, group: SecurityGroupId) {
        self.relies_on(ObjectKey::SecurityGroup(group));
        self.mark(Mark::UsesOf(group));
    }

    /// Writes a mark, once.
    pub(crate) fn mark(&mut self, mark: Mark) {
        if self.marked.insert(mark.clone()) {
            self.change(Change::Put(Object::Claim(mark.into())));
        }
    }

    fn change(&mut self, change: Change) {
        self.intent.apply(&change);
        self.changes.push(change);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// The keys of what changes.
    pub(crate) fn keys(&self) -> impl Iterator<Item = Key> {
        self.changes.iter().map(Change::key)
    }

    pub(crate) fn changes(&self) -> Vec<Change> {
        self.changes.clone()
    }

    pub(crate) fn preconditions(&self) -> Vec<Precondition> {
        let (base, revision) = (&self.base.intent, self.base.revision);
        self.relied_on
            .iter()
            .map(|key| precondition(base, revision, key))
            .collect()
    }

    /// A new random id.
    pub(crate) fn uuid(&mut self) -> Uuid {
        uuid::Builder::from_random_bytes(self.dice.random()).into_uuid()
    }

    /// The standard attributes of a new object.
    pub(crate) fn meta(
        &self,
        name: String,
        description: String,
        project_id: String,
        revision_number: u64,
    ) -> Meta {
        Meta {
            name,
            description,
            project_id,
            created_at: self.now,
            updated_at: self.now,
            revision_number,
            tags: BTreeSet::new(),
        }
    }

    /// Counts a change of an object.
    pub(crate) fn revise(&self, meta: &mut Meta) {
        meta.revision_number += 1;
        meta.updated_at = self.now;
    }
}

fn precondition(base: &Intent, revision: Revision, key: &Key) -> Precondition {
    if base.has(key) {
        Precondition::Unchanged(key.clone(), revision)
    } else {
        Precondition::Absent(key.clone())
    }
}
