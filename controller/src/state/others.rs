//! What other controllers know: taken over from the store, and told to them through it.

use super::stored::{Stored, order};
use super::{Owner, is_observed};
use crate::cluster::Cluster;
use crate::memory::Told;
use crate::snapshot::Snapshot;
use crate::store::Precondition;
use imbl::ordmap::DiffItem as MapDifference;
use imbl::ordset::DiffItem as SetDifference;
use sextant_model::{
    AddressHolder, Change, Chassis, ChassisId, Fact, Facts, Key, NetworkId, Object, Ownership,
    Plugged, PortId, Shortfall, TunnelWatches,
};
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use tokio::sync::mpsc;

impl Owner {
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
        owner.is_some_and(|owner| {
            owner.controller != *stored.cluster.name() && stored.cluster.lives(&owner.controller)
        })
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
    fn claim(&mut self, chassis: &ChassisId) {
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
        let fact = Fact::Ownership(chassis.clone());
        let condition = match stored.get(&fact) {
            Some(_) => Precondition::Unchanged(fact.into(), self.snapshot.revision),
            None => Precondition::Absent(fact.into()),
        };
        let change = Change::Put(Object::Ownership(chassis.clone(), ownership.clone()));
        stored.send(&change, Some(chassis));
        self.snapshot.facts.own(chassis, Some(ownership));
        self.to_remember.push(Told {
            change,
            owned: None,
            condition: Some(condition),
        });
    }

    /// Sends a fact to the store. It is of this hypervisor, if it is of one.
    pub(super) fn remember(&mut self, change: Change, of: Option<&ChassisId>) {
        let Some(stored) = &mut self.stored else {
            return self.to_remember.push(Told::unconditionally(change));
        };
        stored.send(&change, of);
        let owned = of.filter(|chassis| stored.owned(chassis).is_some());
        let condition = match &change {
            Change::Put(_) => None,
            Change::Delete(key) => {
                Some(Precondition::Unchanged(key.clone(), self.snapshot.revision))
            }
        };
        self.to_remember.push(Told {
            owned: owned.cloned(),
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
        self.remember(change, Some(id));
    }

    /// A hypervisor has left: nobody owns it, and nobody misses it.
    pub(super) fn abandon(&mut self, id: &ChassisId) {
        for fact in [Fact::Gone(id.clone()), Fact::Ownership(id.clone())] {
            if self.stored_fact(&fact).is_some() {
                self.remember(Change::Delete(fact.into()), Some(id));
            }
        }
        if let Some(stored) = &mut self.stored {
            stored.leave(id);
        }
        self.snapshot.facts.own(id, None);
    }

    /// Takes over what was committed.
    pub(super) fn take_stored(&mut self, changes: &[Change]) {
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

    /// These facts were not stored: what the store has counts, unless this controller knows better.
    pub(super) fn refused(&mut self, keys: Vec<Key>) {
        let mut facts: Vec<Fact> = keys
            .into_iter()
            .filter_map(|key| match key {
                Key::Fact(fact) => Some(fact),
                Key::Object(_) | Key::Claim(_) | Key::Mark(_) => None,
            })
            .collect();
        facts.sort_by_key(order);
        let Some(stored) = &mut self.stored else {
            return;
        };
        facts.iter().for_each(|fact| stored.refused(fact));
        for fact in &facts {
            self.accept(fact);
            let unsaid = self.chassis_of(fact).filter(|chassis| self.owns(chassis));
            self.to_repeat.extend(unsaid);
        }
    }

    /// Lets the store's version of a fact count, unless this controller's own observation does.
    fn accept(&mut self, fact: &Fact) {
        match fact {
            Fact::Ownership(chassis) => self.accept_ownership(chassis),
            Fact::Chassis(chassis) if !self.owns(chassis) => self.accept_chassis(chassis),
            Fact::Outside(chassis, network) if !self.owns(chassis) => {
                let known = match self.stored_fact(fact) {
                    Some(Object::Outside(_, _, known)) => Some(known.clone()),
                    Some(_) | None => None,
                };
                let facts = &mut self.snapshot.facts;
                facts.learn_outside(chassis, *network, known);
            }
            Fact::Gone(chassis) => self.accept_absence(chassis),
            Fact::Chassis(_) | Fact::Outside(..) => {}
            Fact::Location(port) => self.accept_location(*port),
            Fact::Active(port) => self.accept_active(*port),
            Fact::Holder(network, address) => self.accept_holder(*network, *address),
            Fact::Delegation(subnet) => {
                let delegation = match self.stored_fact(fact) {
                    Some(Object::Delegation(_, delegation)) => Some(delegation.clone()),
                    Some(_) | None => None,
                };
                self.snapshot.facts.delegate(*subnet, delegation);
            }
        }
    }

    fn stored_fact(&self, fact: &Fact) -> Option<&Object> {
        self.stored.as_ref()?.get(fact)
    }

    /// Its owner knows best. Before it was owned, another may have said so.
    fn accept_absence(&mut self, chassis: &ChassisId) {
        let stored = self.stored_fact(&Fact::Gone(chassis.clone())).is_some();
        let known = self.snapshot.facts.gone().contains(chassis);
        match self.owns(chassis) {
            true if stored != known => self.tell_of_absence(chassis, known),
            true => {}
            false => drop(self.mark_gone(chassis, stored)),
        }
    }

    fn accept_ownership(&mut self, chassis: &ChassisId) {
        let stored = match self.stored_fact(&Fact::Ownership(chassis.clone())) {
            Some(Object::Ownership(_, ownership)) => Some(ownership.clone()),
            Some(_) | None => None,
        };
        let own = self.stored.as_ref().and_then(|known| known.owned(chassis));
        let Some(own) = own else {
            return self.snapshot.facts.own(chassis, stored);
        };
        let known = self.snapshot.facts.owners().get(chassis);
        match &stored {
            Some(stored) if known == Some(stored) => {}
            Some(stored) if stored.generation > own => self.disowned(chassis, own),
            Some(_) | None => self.claim(chassis),
        }
    }

    fn accept_chassis(&mut self, id: &ChassisId) {
        let known = match self.stored_fact(&Fact::Chassis(id.clone())) {
            Some(Object::Chassis(chassis)) => chassis.stored(),
            Some(_) | None => return self.remove(id),
        };
        let before = self.snapshot.facts.chassis().get(id).cloned();
        if before.as_deref() != Some(&known) {
            let endpoints = before.as_ref().map(|before| before.encap.endpoints);
            let moved = endpoints != Some(known.encap.endpoints);
            self.snapshot.facts.put_chassis(known);
            if moved {
                self.count_shared_endpoints();
            }
            self.place_after(id, before.as_deref());
        }
    }

    /// A port that is plugged in on two hypervisors is where the store says: their owners write there in turn.
    fn accept_location(&mut self, port: PortId) {
        let stored = match self.stored_fact(&Fact::Location(port)) {
            Some(Object::Location(_, chassis)) => Some(chassis.clone()),
            Some(_) | None => None,
        };
        let known = self.snapshot.facts.plugged().get(&port).cloned();
        let own = known.clone().filter(|known| self.owns(&known.chassis));
        match stored {
            Some(chassis) if self.owns(&chassis) => match own {
                Some(own) if own.chassis == chassis => {}
                // This controller knows in which order its own hypervisors got it.
                Some(own) => self.tell_location(port, &own.chassis),
                None if self.elsewhere.has(port, &chassis) => self.return_to(port, &chassis),
                None => {
                    let change = Change::delete(Fact::Location(port));
                    self.remember(change, Some(&chassis));
                }
            },
            Some(chassis) => {
                if let Some(own) = own {
                    self.elsewhere.keep(port, own);
                }
                self.put_elsewhere(port, chassis);
            }
            None => match (own, known) {
                (Some(own), _) => self.tell_location(port, &own.chassis),
                (None, Some(known)) => {
                    let Snapshot { intent, facts, .. } = &mut self.snapshot;
                    facts.unplug(intent, port, &known.chassis);
                    if let Some(other) = self.take_elsewhere(port) {
                        self.plugged(port, other);
                    }
                }
                (None, None) => {}
            },
        }
    }

    fn tell_location(&mut self, port: PortId, chassis: &ChassisId) {
        let change = Change::Put(Object::Location(port, chassis.clone()));
        self.remember(change, Some(chassis));
    }

    /// The store says that a port is on this controller's hypervisor, where it has an interface, and not where another has put it
    /// meanwhile.
    fn return_to(&mut self, port: PortId, chassis: &ChassisId) {
        if self.may_be_on(port, chassis)
            && let Some(back) = self.elsewhere.take(port, |other| other == chassis)
        {
            let Snapshot { intent, facts, .. } = &mut self.snapshot;
            facts.plug(intent, port, back);
            self.accept_held(port);
        }
    }

    /// Addresses of pairs that a port holds, wherever it is now.
    pub(super) fn accept_held(&mut self, port: PortId) {
        let stored = self.stored.as_ref();
        let held = stored
            .map(|stored| stored.held_by(port))
            .unwrap_or_default();
        for (network, address) in held {
            self.accept_holder(network, address);
        }
    }

    /// A port is on another controller's hypervisor.
    fn put_elsewhere(&mut self, port: PortId, chassis: ChassisId) {
        // The OpenFlow port is a number of that hypervisor's own.
        let ofport = None;
        let plugged = Plugged { chassis, ofport };
        let Snapshot { intent, facts, .. } = &mut self.snapshot;
        if facts.plugged().get(&port) != Some(&plugged) {
            facts.plug(intent, port, plugged);
            self.accept_active(port);
            self.accept_held(port);
        }
    }

    fn accept_active(&mut self, port: PortId) {
        let stored = match self.stored_fact(&Fact::Active(port)) {
            Some(Object::Active(_, chassis)) => Some(chassis.clone()),
            Some(_) | None => None,
        };
        let binding = self.snapshot.facts.binding(port);
        let Some(chassis) = binding.map(|binding| binding.chassis.clone()) else {
            return;
        };
        let (is_active, is_stored) = (
            self.snapshot.facts.active().contains(&port),
            stored.as_ref() == Some(&chassis),
        );
        match (self.owns(&chassis), is_active) {
            (true, true) if !is_stored => {
                let object = Object::Active(port, chassis.clone());
                self.remember(Change::Put(object), Some(&chassis));
            }
            (true, false) if is_stored => {
                self.remember(Change::delete(Fact::Active(port)), Some(&chassis));
            }
            (true, _) => {}
            (false, _) if is_stored => self.snapshot.facts.confirm(port, &chassis),
            (false, _) => self.snapshot.facts.deactivate(port),
        }
    }

    /// Who announced an address last has it, in the order of the store.
    fn accept_holder(&mut self, network: NetworkId, address: IpAddr) {
        let stored = match self.stored_fact(&Fact::Holder(network, address)) {
            Some(Object::Holder(_, _, port, mac)) => Some((*port, *mac)),
            Some(_) | None => None,
        };
        let known = self
            .snapshot
            .facts
            .holders()
            .get(&(network, address))
            .copied();
        if let Some((port, mac)) = stored {
            let Snapshot { intent, facts, .. } = &mut self.snapshot;
            let binding = facts.binding(port);
            match binding.map(|binding| binding.chassis.clone()) {
                Some(chassis) => drop(facts.hold(intent, &chassis, (port, address, mac))),
                None => facts.let_go_of(network, address),
            }
        } else if let Some(known) = known {
            let chassis = self.chassis_of_port(known.port);
            match chassis.filter(|chassis| self.owns(chassis)) {
                Some(chassis) => {
                    let object = Object::Holder(network, address, known.port, known.mac);
                    self.remember(Change::Put(object), Some(&chassis));
                }
                None => self.snapshot.facts.let_go_of(network, address),
            }
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
        let stored: Vec<Fact> = stored.of(&lost).cloned().collect();
        let mut facts: BTreeSet<Fact> = self.known_of(&lost);
        facts.extend(stored);
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
            let of_it = (chassis.clone(), NetworkId::MIN)..=(chassis.clone(), NetworkId::MAX);
            let outside = facts.outside().range(of_it);
            known.extend(outside.map(|((id, network), _)| Fact::Outside(id.clone(), *network)));
        }
        for (port, plugged) in facts.plugged() {
            if !lost.contains(&plugged.chassis) {
                continue;
            }
            known.extend([Fact::Location(*port), Fact::Active(*port)]);
            let network = facts.binding(*port).map(|binding| binding.network);
            let held = facts.held_by(*port);
            known.extend(held.filter_map(|(address, _)| Some(Fact::Holder(network?, address))));
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

    /// Tells others what has changed of this controller's hypervisors, beyond what is told as it happens.
    pub(super) fn tell_others(&mut self) {
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
        let put = |(network, address): &(NetworkId, IpAddr), holder: &AddressHolder| {
            Change::Put(Object::Holder(*network, *address, holder.port, holder.mac))
        };
        let changes = before.diff(after).map(|difference| match difference {
            MapDifference::Add(key, holder)
            | MapDifference::Update {
                new: (key, holder), ..
            } => put(key, holder),
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
    fn chassis_of(&self, fact: &Fact) -> Option<ChassisId> {
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
    fn chassis_of_port(&self, port: PortId) -> Option<ChassisId> {
        let chassis = |facts: &Facts| Some(facts.plugged().get(&port)?.chassis.clone());
        chassis(&self.snapshot.facts).or_else(|| chassis(&self.publisher.latest().facts))
    }

    fn chassis_of_object(&self, object: &Object) -> Option<ChassisId> {
        if let Object::Holder(_, _, port, _) = object {
            return self.chassis_of_port(*port);
        }
        object.chassis().cloned()
    }

    /// Sends all facts of a hypervisor that the store has otherwise.
    fn repeat(&mut self, id: &ChassisId) {
        let facts = &self.snapshot.facts;
        let chassis = facts.chassis().get(id).map(|chassis| chassis.stored());
        let mut all: Vec<Object> = chassis
            .into_iter()
            .map(|chassis: Chassis| Object::Chassis(Arc::new(chassis)))
            .collect();
        let plugged = facts.plugged().iter();
        for (port, _) in plugged.filter(|(_, plugged)| plugged.chassis == *id) {
            all.push(Object::Location(*port, id.clone()));
            if facts.active().contains(port) {
                all.push(Object::Active(*port, id.clone()));
            }
            let network = facts.binding(*port).map(|binding| binding.network);
            let held = facts.held_by(*port);
            all.extend(
                held.filter_map(|(address, mac)| {
                    Some(Object::Holder(network?, address, *port, mac))
                }),
            );
        }
        let of_it = (id.clone(), NetworkId::MIN)..=(id.clone(), NetworkId::MAX);
        let outside = facts.outside().range(of_it);
        all.extend(
            outside
                .map(|((_, network), known)| Object::Outside(id.clone(), *network, known.clone())),
        );
        for object in all {
            let Key::Fact(fact) = object.key() else {
                continue;
            };
            if self.stored_fact(&fact) != Some(&object) {
                self.remember(Change::Put(object), Some(id));
            }
        }
    }
}

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
}
