//! What changes of this controller's hypervisors is told to others, through the store.

use crate::state::Owner;
use imbl::ordmap::DiffItem as MapDifference;
use imbl::ordset::DiffItem as SetDifference;
use sextant_model::{Change, Chassis, ChassisId, Fact, Facts, Key, Object, PortId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

impl Owner {
    /// Tells others what has changed of this controller's hypervisors, beyond what is told as it happens.
    pub(in crate::state) fn tell_others(&mut self) {
        if self.stored.is_none() {
            return;
        }
        let before = self.publisher.latest();
        for change in self.active_changes(&before.facts) {
            self.tell_if_news(change);
        }
        for change in self.holder_changes(&before.facts) {
            self.tell_if_news(change);
        }
        // What rests on a claim that the keeper of facts does not know to be made was refused.
        for chassis in std::mem::take(&mut self.unclaimed) {
            self.claim(&chassis);
            self.to_repeat.insert(chassis);
        }
        for chassis in std::mem::take(&mut self.to_repeat) {
            self.repeat(&chassis);
        }
    }

    fn active_changes(&self, before: &Facts) -> Vec<Change> {
        let (before, after) = (before.active(), self.snapshot.facts.active());
        if before.ptr_eq(after) {
            return vec![];
        }
        let changes = before
            .diff(after)
            .filter_map(|difference| match difference {
                SetDifference::Add(port) => {
                    let binding = self.snapshot.facts.binding(*port)?;
                    Some(Change::Put(Object::Active(*port, binding.chassis.clone())))
                }
                SetDifference::Remove(port) => Some(Change::delete(Fact::Active(*port))),
            });
        changes.collect()
    }

    fn holder_changes(&self, before: &Facts) -> Vec<Change> {
        let (before, after) = (before.holders(), self.snapshot.facts.holders());
        if before.ptr_eq(after) {
            return vec![];
        }
        let changes = before.diff(after).map(|difference| match difference {
            MapDifference::Add((network, address), holder)
            | MapDifference::Update {
                new: ((network, address), holder),
                ..
            } => Change::Put(Object::Holder(*network, *address, holder.port, holder.mac)),
            MapDifference::Remove((network, address), _) => {
                Change::delete(Fact::Holder(*network, *address))
            }
        });
        changes.collect()
    }

    /// Sends a change of a fact, if this controller speaks for its hypervisor and the store has something else.
    fn tell_if_news(&mut self, change: Change) {
        let Key::Fact(fact) = change.key() else {
            return;
        };
        let stored = self.stored_fact(&fact);
        let is_known = match &change {
            Change::Put(object) => stored == Some(object),
            Change::Delete(_) => stored.is_none(),
        };
        let of = match &change {
            Change::Put(object) => self.chassis_of_object(object),
            Change::Delete(_) => stored.and_then(|stored| self.chassis_of_object(stored)),
        };
        let of = of.or_else(|| self.chassis_of(&fact));
        let Some(of) = of.filter(|of| self.owns(of)) else {
            return;
        };
        let is_sent = self
            .stored
            .as_ref()
            .is_some_and(|stored| stored.is_sent(&fact));
        if !is_known || is_sent {
            self.remember(change, Some(&of));
        }
    }

    /// The hypervisor of a fact.
    pub(in crate::state) fn chassis_of(&self, fact: &Fact) -> Option<ChassisId> {
        match fact {
            Fact::Chassis(chassis)
            | Fact::Outside(chassis, _)
            | Fact::Ownership(chassis)
            | Fact::Gone(chassis) => Some(chassis.clone()),
            Fact::Location(port) | Fact::Active(port) => self.chassis_of_port(*port),
            Fact::Holder(network, address) => {
                let holder = self.snapshot.facts.holders().get(&(*network, *address))?;
                self.chassis_of_port(holder.port)
            }
            Fact::Delegation(_) => None,
        }
    }

    /// Where a port is, or was by the latest snapshot.
    pub(in crate::state) fn chassis_of_port(&self, port: PortId) -> Option<ChassisId> {
        let published = self.publisher.latest();
        let mut known = [&self.snapshot.facts, &published.facts].into_iter();
        known.find_map(|facts| Some(facts.plugged().get(&port)?.chassis.clone()))
    }

    fn chassis_of_object(&self, object: &Object) -> Option<ChassisId> {
        if let Object::Holder(_, _, port, _) = object {
            return self.chassis_of_port(*port);
        }
        object.chassis().cloned()
    }

    /// Sends all facts of a hypervisor that the store has otherwise, or should not have.
    fn repeat(&mut self, id: &ChassisId) {
        if !self.owns(id) {
            return;
        }
        let Some(stored) = &self.stored else {
            return;
        };
        let is_stored = stored.of(id);
        let known = self.known_objects(id, &is_stored);
        let stale = is_stored.into_iter().filter(|fact| {
            let tells = matches!(
                fact,
                Fact::Location(_) | Fact::Active(_) | Fact::Outside(..)
            );
            tells && !known.contains_key(fact)
        });
        let stale: Vec<Fact> = stale.collect();
        for fact in stale {
            self.remember(Change::Delete(fact.into()), Some(id));
        }
        for (fact, object) in known {
            if self.stored_fact(&fact) != Some(&object) {
                self.remember(Change::Put(object), Some(id));
            }
        }
    }

    /// All that is known of a hypervisor, as it should be stored. Ports that do not exist are among those that are stored.
    fn known_objects(&self, id: &ChassisId, is_stored: &[Fact]) -> BTreeMap<Fact, Object> {
        let facts = &self.snapshot.facts;
        let chassis = facts.chassis().get(id).map(|chassis| chassis.stored());
        let mut all: Vec<Object> = chassis
            .into_iter()
            .map(|chassis: Chassis| Object::Chassis(Arc::new(chassis)))
            .collect();
        let without_port = is_stored.iter().filter_map(Fact::located);
        let ports: BTreeSet<PortId> = facts.ports_on(id).chain(without_port).collect();
        let here = ports.into_iter().filter(|port| {
            let plugged = facts.plugged().get(port);
            plugged.is_some_and(|plugged| plugged.chassis == *id)
        });
        for port in here {
            all.push(Object::Location(port, id.clone()));
            if facts.active().contains(&port) {
                all.push(Object::Active(port, id.clone()));
            }
            all.extend(self.held_objects(port));
        }
        let outside = facts.outside_of(id);
        all.extend(
            outside.map(|(network, known)| Object::Outside(id.clone(), network, known.clone())),
        );
        let keyed = all.into_iter();
        let keyed = keyed.filter_map(|object| Some((object.key().into_fact()?, object)));
        keyed.collect()
    }
    /// The addresses of pairs that a port holds.
    pub(in crate::state) fn held_objects(&self, port: PortId) -> impl Iterator<Item = Object> {
        let facts = &self.snapshot.facts;
        let network = facts.binding(port).map(|binding| binding.network);
        let held = facts.held_by(port);
        held.filter_map(move |(address, mac)| Some(Object::Holder(network?, address, port, mac)))
    }
}
