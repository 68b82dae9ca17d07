//! The facts as the store has them, where several controllers share it.
//!
//! Of a hypervisor that this controller owns, its own observation counts. Of all others, what their owners stored does. The copy
//! here is what counts once a hypervisor is lost, or a fact was refused.

use crate::cluster::Cluster;
use crate::store::{Precondition, Revision};
use sextant_model::{Change, ChassisId, Fact, Key, NetworkId, Object, PortId};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// How often a controller insists on owning a hypervisor that another claims, too. Then its database says the same to both.
const MOST_CONTESTS: u32 = 3;

/// What the store has, and what of this controller's own it does not have yet.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) cluster: Cluster,
    /// What the store has.
    facts: BTreeMap<Fact, Object>,
    /// Those that name a hypervisor, by its name.
    by_chassis: BTreeSet<(ChassisId, Fact)>,
    /// The addresses that each port holds by it.
    held: BTreeSet<(PortId, NetworkId, IpAddr)>,
    /// What was sent and not seen there, with the hypervisor that it rests on.
    sent: BTreeMap<Fact, (Change, Option<ChassisId>)>,
    /// The hypervisors that this controller owns, each with its generation.
    owned: BTreeMap<ChassisId, u64>,
    /// How often others have claimed these, too.
    contests: BTreeMap<ChassisId, u32>,
    /// Those that it has lost since the last snapshot.
    pub(super) lost: BTreeSet<ChassisId>,
    /// What was sent of these, and is not waited for any more.
    pub(super) given_up: Vec<Fact>,
}

impl Stored {
    pub(super) fn new(cluster: Cluster) -> Self {
        Self {
            cluster,
            facts: BTreeMap::new(),
            by_chassis: BTreeSet::new(),
            held: BTreeSet::new(),
            contests: BTreeMap::new(),
            sent: BTreeMap::new(),
            owned: BTreeMap::new(),
            lost: BTreeSet::new(),
            given_up: vec![],
        }
    }

    /// What the store has of a fact.
    pub(super) fn get(&self, fact: &Fact) -> Option<&Object> {
        self.facts.get(fact)
    }

    /// The condition that a fact is as the store had it at this revision, which is the latest that was taken in.
    pub(super) fn is_as_known(&self, fact: Fact, revision: Revision) -> Precondition {
        match self.facts.contains_key(&fact) {
            true => Precondition::Unchanged(fact.into(), revision),
            false => Precondition::Absent(fact.into()),
        }
    }

    /// The generation with which this controller owns a hypervisor.
    pub(super) fn owned(&self, chassis: &ChassisId) -> Option<u64> {
        self.owned.get(chassis).copied()
    }

    /// This controller owns a hypervisor now.
    pub(super) fn own(&mut self, chassis: ChassisId, generation: u64) {
        self.lost.remove(&chassis);
        self.contests.remove(&chassis);
        self.owned.insert(chassis, generation);
    }

    /// Another controller claims a hypervisor that this one owns, by a generation that is not later. Returns whether this one insists.
    pub(super) fn insists(&mut self, chassis: &ChassisId) -> bool {
        let contests = self.contests.entry(chassis.clone()).or_default();
        *contests += 1;
        *contests <= MOST_CONTESTS && self.cluster.tenures().held(chassis).is_locked
    }

    /// It does not, if it did by this generation or an earlier one. Returns whether that is so.
    pub(super) fn disown(&mut self, chassis: &ChassisId, generation: u64) -> bool {
        let owned = self.owned(chassis).is_some_and(|own| own <= generation);
        if owned {
            self.owned.remove(chassis);
            self.lost.insert(chassis.clone());
            let given_up = &mut self.given_up;
            self.sent.retain(|fact, (_, of)| {
                let is_lost = of.as_ref() == Some(chassis);
                given_up.extend(is_lost.then(|| fact.clone()));
                !is_lost
            });
        }
        owned
    }

    /// A hypervisor has left, so nobody owns it.
    pub(super) fn leave(&mut self, chassis: &ChassisId) {
        self.owned.remove(chassis);
        self.lost.remove(chassis);
        self.contests.remove(chassis);
    }

    /// A fact is on its way to the store.
    pub(super) fn send(&mut self, change: &Change, of: Option<&ChassisId>) {
        if let Key::Fact(fact) = change.key() {
            self.sent.insert(fact, (change.clone(), of.cloned()));
        }
    }

    /// Takes in what was committed. Returns whether others' version of the fact counts now: nothing of this controller's own is on
    /// its way that will replace it.
    pub(super) fn take(&mut self, change: &Change) -> Option<Fact> {
        let Key::Fact(fact) = change.key() else {
            return None;
        };
        let before = match change {
            Change::Put(object) => self.facts.insert(fact.clone(), object.clone()),
            Change::Delete(_) => self.facts.remove(&fact),
        };
        if let Some(before) = before {
            self.index(&before, &fact, false);
        }
        if let Change::Put(object) = change {
            self.index(object, &fact, true);
        }
        match self.sent.get(&fact) {
            Some((sent, _)) if sent == change => {
                self.sent.remove(&fact);
                // Another may have written in between, and this one again: then it is no news.
                Some(fact)
            }
            Some(_) => None,
            None => Some(fact),
        }
    }

    fn index(&mut self, object: &Object, fact: &Fact, is_there: bool) {
        if let Object::Holder(network, address, port, _) = object {
            let held = (*port, *network, *address);
            match is_there {
                true => drop(self.held.insert(held)),
                false => drop(self.held.remove(&held)),
            }
        }
        if let Some(chassis) = object.chassis() {
            let named = (chassis.clone(), fact.clone());
            match is_there {
                true => drop(self.by_chassis.insert(named)),
                false => drop(self.by_chassis.remove(&named)),
            }
        }
    }

    /// The addresses that a port holds, as far as the store says.
    pub(super) fn held_by(&self, port: PortId) -> Vec<(NetworkId, IpAddr)> {
        let first = (port, NetworkId::MIN, IpAddr::from([0; 4]));
        let held = self.held.range(first..);
        let held = held.take_while(|(holder, ..)| *holder == port);
        held.map(|(_, network, address)| (*network, *address))
            .collect()
    }

    /// Whether something of this controller's own is on its way.
    pub(super) fn is_sent(&self, fact: &Fact) -> bool {
        self.sent.contains_key(fact)
    }

    /// A fact was not stored: others know better.
    pub(super) fn refused(&mut self, fact: &Fact) {
        self.sent.remove(fact);
    }

    /// The facts of a hypervisor: those that name it, and what its ports hold.
    pub(super) fn of(&self, chassis: &ChassisId) -> Vec<Fact> {
        let first = (chassis.clone(), Fact::Chassis(ChassisId::new("")));
        let named = self.by_chassis.range(first..);
        let named = named.take_while(|(name, _)| name == chassis);
        let mut facts: Vec<Fact> = named.map(|(_, fact)| fact.clone()).collect();
        let ports = facts.iter().filter_map(Fact::located);
        let held: Vec<Fact> = ports
            .flat_map(|port| self.held_by(port))
            .map(|(network, address)| Fact::Holder(network, address))
            .collect();
        facts.extend(held);
        facts
    }
}

/// The order in which facts are taken over: none rests on a later one.
pub(super) fn order(fact: &Fact) -> u8 {
    match fact {
        Fact::Ownership(_) => 0,
        Fact::Chassis(_) => 1,
        Fact::Location(_) => 2,
        Fact::Outside(..) | Fact::Delegation(_) => 3,
        Fact::Holder(..) | Fact::Active(_) => 4,
        Fact::Gone(_) => 5,
    }
}
