//! Ports that are bound to a host (`binding:host_id`, which Nova sets) are on no other hypervisor.
//!
//! The host is named by the hypervisor's `system-id`, or by its machine's name (`external_ids:hostname`). An interface
//! with the port's id elsewhere stays dead: somebody may have read the id, or forgotten to unplug.

use super::{Owner, is_observed};
use crate::port_history::INTERFACE_ELSEWHERE;
use sextant_model::{Change, ChassisId, Fact, Key, ObjectKey, Plugged, PortId};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

/// The machines' names, and the interfaces that stay dead.
#[derive(Debug, Default)]
pub(super) struct Hosts {
    names: BTreeMap<ChassisId, String>,
    dead: BTreeSet<(PortId, ChassisId)>,
}

impl Hosts {
    /// How many interfaces stay dead.
    pub(super) fn dead(&self) -> usize {
        self.dead.len()
    }

    /// An interface is gone, or has effect from now on.
    pub(super) fn revived(&mut self, port: PortId, chassis: &ChassisId) {
        self.dead.remove(&(port, chassis.clone()));
    }

    /// All interfaces of a hypervisor except these are gone.
    pub(super) fn retain(&mut self, chassis: &ChassisId, stays: impl Fn(&PortId) -> bool) {
        self.dead
            .retain(|(port, here)| here != chassis || stays(port));
    }

    /// A hypervisor has left.
    pub(super) fn left(&mut self, chassis: &ChassisId) {
        self.names.remove(chassis);
        self.retain(chassis, |_| false);
    }
}

impl Owner {
    /// Whether a port may be on this hypervisor. A port that does not exist yet, or is bound to no host, may be
    /// anywhere. Until a hypervisor is read, its machine's name is not known, so the stored places count.
    pub(super) fn may_be_on(&self, port: PortId, chassis: &ChassisId) -> bool {
        let Some(port) = self.snapshot.intent.ports.get(&port) else {
            return true;
        };
        let names = self.names_of(chassis);
        let mut names = names.iter().copied();
        port.host_id.is_empty()
            || names.any(|name| port.host_id == name || port.is_prepared_on(name))
            || !is_observed(&self.snapshot.facts, chassis)
    }

    /// Whether a port is bound to this hypervisor.
    pub(super) fn is_host(&self, port: PortId, chassis: &ChassisId) -> bool {
        let port = self.snapshot.intent.ports.get(&port);
        port.is_some_and(|port| self.names_of(chassis).contains(&port.host_id.as_str()))
    }

    /// The names by which a port is bound to a hypervisor.
    fn names_of<'a>(&'a self, chassis: &'a ChassisId) -> Vec<&'a str> {
        let machine = self.hosts.names.get(chassis).map(String::as_str);
        std::iter::once(chassis.as_str()).chain(machine).collect()
    }

    /// An interface of a port on a hypervisor where the port may not be.
    pub(super) fn stays_dead(&mut self, port: PortId, plugged: Plugged) {
        let chassis = plugged.chassis.clone();
        let known = self.snapshot.facts.plugged().get(&port);
        if known.is_some_and(|known| known.chassis == chassis) {
            self.snapshot
                .facts
                .unplug(&self.snapshot.intent, port, &chassis);
            self.remember(Change::delete(Fact::Location(port)), Some(&chassis));
        }
        self.elsewhere.keep(port, plugged);
        if !self.hosts.dead.insert((port, chassis.clone())) {
            return;
        }
        let bound = self.snapshot.intent.ports.get(&port);
        let host = bound.map(|port| port.host_id.as_str());
        self.history
            .record(port, INTERFACE_ELSEWHERE, format!("on {chassis}"), 1);
        if let Some(unsaid) = self.words.admit(&chassis, Instant::now()) {
            tracing::warn!(%port, %chassis, host, unsaid, "an interface stays dead: its port is bound to another host (binding:host_id)");
        }
    }

    /// Takes out an interface without effect of a port, where the port may be: rather where it is bound than where it is
    /// prepared.
    pub(super) fn take_elsewhere(&mut self, port: PortId) -> Option<Plugged> {
        let found = self.take_at_host(port);
        found.or_else(|| self.take_where(port, Self::may_be_on))
    }

    /// Takes out an interface without effect of a port, where the port is bound.
    pub(super) fn take_at_host(&mut self, port: PortId) -> Option<Plugged> {
        self.take_where(port, Self::is_host)
    }

    fn take_where(
        &mut self,
        port: PortId,
        suits: impl Fn(&Self, PortId, &ChassisId) -> bool,
    ) -> Option<Plugged> {
        let mut elsewhere = std::mem::take(&mut self.elsewhere);
        let found = elsewhere.take(port, |chassis| suits(self, port, chassis));
        self.elsewhere = elsewhere;
        if let Some(found) = &found {
            self.hosts.revived(port, &found.chassis);
        }
        found
    }

    /// Ports have changed, and with them the hypervisors where they may be.
    pub(super) fn bind_committed(&mut self, changes: &[Change], rebound: &BTreeSet<PortId>) {
        for change in changes {
            if let Key::Object(ObjectKey::Port(port)) = change.key() {
                if rebound.contains(&port) {
                    self.follow_host(port);
                }
                self.bind(port);
                self.elsewhere.touch(port);
            }
        }
    }

    /// A hypervisor's machine has this name.
    pub(super) fn host_named(&mut self, chassis: &ChassisId, name: Option<String>) {
        let before = self.hosts.names.get(chassis);
        if before == name.as_ref() {
            return;
        }
        match name {
            Some(name) => drop(self.hosts.names.insert(chassis.clone(), name)),
            None => drop(self.hosts.names.remove(chassis)),
        }
        let plugged = self.snapshot.facts.plugged().iter();
        let here = plugged.filter(|(_, plugged)| plugged.chassis == *chassis);
        let mut ports: Vec<PortId> = here.map(|(port, _)| *port).collect();
        ports.extend(self.elsewhere.on(chassis));
        ports.into_iter().for_each(|port| self.bind(port));
    }

    /// Moves a port where it may be.
    fn bind(&mut self, port: PortId) {
        let known = self.snapshot.facts.plugged().get(&port).cloned();
        let stays = known.filter(|known| self.may_be_on(port, &known.chassis));
        let bound = self.snapshot.facts.plugged().get(&port).cloned();
        if let Some(wrong) = bound.filter(|bound| Some(bound) != stays.as_ref()) {
            self.stays_dead(port, wrong);
        }
        self.forget_dead(port);
        if stays.is_none()
            && let Some(other) = self.take_elsewhere(port)
        {
            self.plugged(port, other);
        }
    }

    /// Interfaces without effect that may have the port are not dead for being elsewhere.
    fn forget_dead(&mut self, port: PortId) {
        let first = (port, ChassisId::new(""));
        let dead = self.hosts.dead.range(first..);
        let of_port = dead.take_while(|(of, _)| *of == port);
        let revived: Vec<ChassisId> = of_port
            .filter(|(_, chassis)| {
                self.may_be_on(port, chassis) || !self.elsewhere.has(port, chassis)
            })
            .map(|(_, chassis)| chassis.clone())
            .collect();
        for chassis in revived {
            self.hosts.revived(port, &chassis);
        }
    }
}
