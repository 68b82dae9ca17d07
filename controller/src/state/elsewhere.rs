//! Interfaces with a port's id on hypervisors where the port is not.
//!
//! During a live migration a port has an interface on two hypervisors. The port is where its interface appeared last.
//! If that interface goes, as in an aborted migration, the port is back at the other one. A port that is bound to a
//! host (`binding:host_id`) is nowhere else. Its interfaces on other hypervisors are remembered here as well, until it
//! is bound there.

use sextant_model::{ChassisId, Plugged, PortId};
use std::collections::{BTreeMap, BTreeSet};

/// Interfaces that have no effect while another one of their port has it.
#[derive(Debug, Default)]
pub(super) struct Elsewhere {
    interfaces: BTreeMap<(PortId, ChassisId), Option<u16>>,
    /// The ports of those that have come, changed or gone since they were taken.
    touched: BTreeSet<PortId>,
}

impl Elsewhere {
    /// An interface lost its effect to another one.
    pub(super) fn keep(&mut self, port: PortId, plugged: Plugged) {
        self.touched.insert(port);
        self.interfaces
            .insert((port, plugged.chassis), plugged.ofport);
    }

    /// Updates an interface if it is one of these.
    pub(super) fn update(&mut self, port: PortId, plugged: &Plugged) -> bool {
        let Some(ofport) = self.interfaces.get_mut(&(port, plugged.chassis.clone())) else {
            return false;
        };
        *ofport = plugged.ofport;
        self.touched.insert(port);
        true
    }

    /// An interface is gone. Returns whether it was one of these.
    pub(super) fn forget(&mut self, port: PortId, chassis: &ChassisId) -> bool {
        self.touched.insert(port);
        self.interfaces.remove(&(port, chassis.clone())).is_some()
    }

    /// All interfaces of a hypervisor except these are gone.
    pub(super) fn retain(&mut self, chassis: &ChassisId, stays: impl Fn(&PortId) -> bool) {
        let touched = &mut self.touched;
        self.interfaces.retain(|(port, here), _| {
            let stays = here != chassis || stays(port);
            touched.extend((!stays).then_some(*port));
            stays
        });
    }

    /// Whether this interface is one of these.
    pub(super) fn has(&self, port: PortId, chassis: &ChassisId) -> bool {
        self.interfaces.contains_key(&(port, chassis.clone()))
    }

    /// The ports with such interfaces on a hypervisor.
    pub(super) fn on(&self, chassis: &ChassisId) -> Vec<PortId> {
        let here = self.interfaces.keys().filter(|(_, here)| here == chassis);
        here.map(|(port, _)| *port).collect()
    }

    /// Takes out an interface of a port, on a hypervisor where the port may be.
    pub(super) fn take(
        &mut self,
        port: PortId,
        may_be: impl Fn(&ChassisId) -> bool,
    ) -> Option<Plugged> {
        let mut others = self.of(port).into_iter();
        let found = others.find(|other| may_be(&other.chassis))?;
        self.touched.insert(port);
        self.interfaces.remove(&(port, found.chassis.clone()));
        Some(found)
    }

    /// The interfaces of a port that are among these.
    pub(super) fn of(&self, port: PortId) -> Vec<Plugged> {
        let first = (port, ChassisId::new(""));
        let interfaces = self.interfaces.range(first..);
        let of_port = interfaces.take_while(|((of, _), _)| *of == port);
        of_port
            .map(|((_, chassis), ofport)| Plugged {
                chassis: chassis.clone(),
                ofport: *ofport,
            })
            .collect()
    }

    /// The port itself has changed.
    pub(super) fn touch(&mut self, port: PortId) {
        self.touched.insert(port);
    }

    /// The ports of interfaces that have come, changed or gone since the last call.
    pub(super) fn take_touched(&mut self) -> BTreeSet<PortId> {
        std::mem::take(&mut self.touched)
    }
}
