//! The store's version of a fact counts, unless it is of a hypervisor that this controller owns.

use crate::snapshot::Snapshot;
use crate::state::Owner;
use sextant_model::{Change, ChassisId, Fact, NetworkId, Object, Plugged, PortId};
use std::net::IpAddr;
use std::sync::Arc;

impl Owner {
    /// Lets the store's version of a fact count, unless this controller's own observation does.
    pub(in crate::state) fn accept(&mut self, fact: &Fact) {
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
            Fact::Chassis(chassis) => self.repeat_chassis(chassis),
            Fact::Outside(..) => {}
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

    pub(in crate::state) fn stored_fact(&self, fact: &Fact) -> Option<&Object> {
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
        let Some(claimed) = stored else {
            return self.claim(chassis);
        };
        if self.snapshot.facts.owners().get(chassis) == Some(&claimed) {
            return;
        }
        let stored = self.stored.as_mut();
        let insists =
            claimed.generation <= own && stored.is_some_and(|stored| stored.insists(chassis));
        match insists {
            true => self.claim(chassis),
            false => self.disowned(chassis, own),
        }
    }

    /// This controller owns a hypervisor of which others have stored something else.
    fn repeat_chassis(&mut self, id: &ChassisId) {
        let known = self.snapshot.facts.chassis().get(id);
        let Some(known) = known.map(|known| Object::Chassis(Arc::new(known.stored()))) else {
            return;
        };
        if self.stored_fact(&Fact::Chassis(id.clone())) != Some(&known) {
            self.remember(Change::Put(known), Some(id));
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
    pub(in crate::state) fn accept_held(&mut self, port: PortId) {
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
}
