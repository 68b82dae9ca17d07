//! What other controllers know: taken over from the store, and told to them through it.

mod accepting;
mod telling;

use super::stored::{Stored, order};
use super::{Owner, is_observed};
use crate::cluster::Cluster;
use crate::memory::{FactTenure, FactToStore, TenureProof};
use crate::store::Precondition;
use sextant_model::{
    Change, ChassisId, Fact, Key, Object, Ownership, PortId, Shortfall, TunnelWatches,
};
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::sync::mpsc;

impl Owner {
    /// One of several controllers, with facts in a store that they share, and the names of those that are not stored.
    #[must_use]
    pub fn with_cluster(
        mut self,
        cluster: Cluster,
        refused: mpsc::UnboundedReceiver<Vec<Key>>,
    ) -> Self {
        self.stored = Some(Stored::new(cluster));
        self.refused = Some(refused);
        self
    }

    /// Whether this controller speaks for a hypervisor.
    pub(super) fn owns(&self, chassis: &ChassisId) -> bool {
        let stored = self.stored.as_ref();
        stored.is_none_or(|stored| stored.owned(chassis).is_some())
    }

    /// Whether a living controller other than this one owns it.
    pub(super) fn is_anothers(&self, chassis: &ChassisId) -> bool {
        let Some(stored) = &self.stored else {
            return false;
        };
        let owner = self.snapshot.facts.owners().get(chassis);
        stored.cluster.is_anothers(owner)
    }

    /// Whether a port whose interface was found on a hypervisor, as one of all that are there, is elsewhere all the same.
    pub(super) fn is_rather_elsewhere(&self, port: PortId, found_on: &ChassisId) -> bool {
        let known = self.snapshot.facts.plugged().get(&port);
        let elsewhere = known.filter(|known| known.chassis != *found_on);
        self.stored.is_some()
            && elsewhere.is_some_and(|known| {
                is_observed(&self.snapshot.facts, &known.chassis)
                    || self.is_anothers(&known.chassis)
            })
    }

    /// This controller owns a hypervisor.
    pub(super) fn owned(&mut self, chassis: ChassisId, generation: u64) {
        let Some(stored) = &mut self.stored else {
            return;
        };
        if stored.owned(&chassis) == Some(generation) {
            return;
        }
        stored.own(chassis.clone(), generation);
        tracing::info!(%chassis, generation, "hypervisor owned");
        self.metrics.takeovers.inc();
        self.claim(&chassis);
    }

    /// Another controller owns a hypervisor, which this one owned by this generation or an earlier one.
    pub(super) fn disowned(&mut self, chassis: &ChassisId, generation: u64) {
        let Some(stored) = &mut self.stored else {
            return;
        };
        if stored.disown(chassis, generation) {
            stored.cluster.tenures().end(chassis, generation);
            tracing::info!(%chassis, generation, "another controller owns the hypervisor");
        }
    }

    /// Tells the store that this controller owns a hypervisor. Facts of it rest on that.
    pub(super) fn claim(&mut self, chassis: &ChassisId) {
        let Some(stored) = &mut self.stored else {
            return;
        };
        let Some(generation) = stored.owned(chassis) else {
            return;
        };
        let controller = stored.cluster.name().clone();
        let ownership = Ownership {
            controller,
            generation,
        };
        let condition =
            stored.is_as_known(Fact::Ownership(chassis.clone()), self.snapshot.revision);
        let change = Change::Put(Object::Ownership(chassis.clone(), ownership.clone()));
        stored.send(&change, Some(chassis));
        self.snapshot.facts.own(chassis, Some(ownership));
        self.to_remember.push(FactToStore {
            change,
            tenure: Some(FactTenure {
                chassis: chassis.clone(),
                generation,
                proof: TenureProof::Lock,
            }),
            condition: Some(condition),
        });
    }

    /// Sends a fact to the store. It is of this hypervisor, if it is of one.
    pub(super) fn remember(&mut self, change: Change, of: Option<&ChassisId>) {
        self.remember_by(change, of, TenureProof::Lock);
    }

    /// The same, with what has to prove that this controller owns the hypervisor still.
    fn remember_by(&mut self, change: Change, of: Option<&ChassisId>, proof: TenureProof) {
        let Some(stored) = &mut self.stored else {
            return self.to_remember.push(FactToStore::unconditionally(change));
        };
        stored.send(&change, of);
        let tenure = of.and_then(|chassis| {
            Some(FactTenure {
                chassis: chassis.clone(),
                generation: stored.owned(chassis)?,
                proof,
            })
        });
        let revision = self.snapshot.revision;
        let condition = match &change {
            // Its gateway may have moved to another owner's hypervisor: who knows its latest delegation replaces it.
            Change::Put(Object::Delegation(subnet, _)) => {
                Some(stored.is_as_known(Fact::Delegation(*subnet), revision))
            }
            Change::Put(_) => None,
            Change::Delete(key) => Some(Precondition::Unchanged(key.clone(), revision)),
        };
        self.to_remember.push(FactToStore {
            tenure,
            change,
            condition,
        });
    }

    /// Others are to know that a hypervisor is gone, or back.
    pub(super) fn tell_of_absence(&mut self, id: &ChassisId, gone: bool) {
        if self.stored.is_none() {
            return;
        }
        let change = match gone {
            true => Change::Put(Object::Gone(id.clone())),
            false => Change::delete(Fact::Gone(id.clone())),
        };
        // Its database cannot be asked.
        self.remember_by(change, Some(id), TenureProof::Claim);
    }

    /// A hypervisor has left: nobody owns it, and nobody misses it.
    pub(super) fn abandon(&mut self, id: &ChassisId) {
        let stored = self.stored.as_ref();
        let facts = stored.map(|stored| stored.of(id)).unwrap_or_default();
        for fact in facts {
            self.remember_by(Change::Delete(fact.into()), Some(id), TenureProof::Claim);
        }
        if let Some(stored) = &mut self.stored {
            stored.leave(id);
        }
        self.snapshot.facts.own(id, None);
    }

    /// Takes over what was committed.
    pub(super) fn take_stored(&mut self, changes: &[Change]) {
        changes.iter().for_each(|change| self.let_leave(change));
        let Some(stored) = &mut self.stored else {
            return;
        };
        let mut facts: Vec<Fact> = changes
            .iter()
            .filter_map(|change| stored.take(change))
            .collect();
        facts.sort_by_key(order);
        facts.iter().for_each(|fact| self.accept(fact));
    }

    /// Somebody has forgotten a hypervisor that is gone, at another controller: nobody owns it any more.
    fn let_leave(&mut self, change: &Change) {
        let Change::Delete(Key::Fact(Fact::Chassis(id))) = change else {
            return;
        };
        let is_gone = self.snapshot.facts.gone().contains(id);
        if is_gone
            && let Some(stored) = &mut self.stored
            && let Some(own) = stored.owned(id)
        {
            stored.leave(id);
            stored.cluster.tenures().end(id, own);
            self.snapshot.facts.own(id, None);
        }
    }

    /// These facts were not stored: what the store has counts, unless this controller knows better.
    pub(super) fn refused(&mut self, keys: Vec<Key>) {
        let mut facts: Vec<Fact> = keys.into_iter().filter_map(Key::into_fact).collect();
        facts.sort_by_key(order);
        let Some(stored) = &mut self.stored else {
            return;
        };
        facts.iter().for_each(|fact| stored.refused(fact));
        for fact in &facts {
            self.accept(fact);
            let unsaid = self.chassis_of(fact).filter(|chassis| self.owns(chassis));
            self.unclaimed.extend(unsaid);
        }
    }

    /// What is known of hypervisors that this controller has lost is what the store says.
    pub(super) fn return_to_stored(&mut self) {
        let Some(stored) = &mut self.stored else {
            return;
        };
        let lost = std::mem::take(&mut stored.lost);
        if lost.is_empty() {
            return;
        }
        let mut of_lost: Vec<Fact> = lost.iter().flat_map(|id| stored.of(id)).collect();
        of_lost.append(&mut stored.given_up);
        let mut facts: BTreeSet<Fact> = self.known_of(&lost);
        facts.extend(of_lost);
        let mut facts: Vec<Fact> = facts.into_iter().collect();
        facts.sort_by_key(order);
        for chassis in &lost {
            self.unobserve(chassis);
        }
        facts.iter().for_each(|fact| self.accept(fact));
    }

    /// The facts of these hypervisors that are known here, whether or not they are stored. That they exist is not in doubt.
    fn known_of(&self, lost: &BTreeSet<ChassisId>) -> BTreeSet<Fact> {
        let facts = &self.snapshot.facts;
        let mut known = BTreeSet::new();
        for chassis in lost {
            known.insert(Fact::Ownership(chassis.clone()));
            known.insert(Fact::Gone(chassis.clone()));
            let outside = facts.outside_of(chassis);
            known.extend(outside.map(|(network, _)| Fact::Outside(chassis.clone(), network)));
        }
        for (port, plugged) in facts.plugged() {
            if !lost.contains(&plugged.chassis) {
                continue;
            }
            known.extend([Fact::Location(*port), Fact::Active(*port)]);
            let held = self.held_objects(*port).map(|held| held.key());
            known.extend(held.filter_map(Key::into_fact));
        }
        known
    }

    /// What only a hypervisor's own database and switch tell is not known any more.
    fn unobserve(&mut self, id: &ChassisId) {
        self.elsewhere.retain(id, |_| false);
        self.hosts.left(id);
        let facts = &mut self.snapshot.facts;
        facts.watch_tunnels(id, TunnelWatches::new());
        facts.fall_short(id, Arc::new(Shortfall::default()));
        let before = facts.chassis().get(id).cloned();
        if let Some(before) = before {
            facts.put_chassis(before.stored());
            self.place_after(id, Some(&before));
        }
    }
}
