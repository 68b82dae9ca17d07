//! Interfaces with a port's id on hypervisors where the port is not.
//!
//! During a live migration a port has an interface on two hypervisors. The port is where its interface appeared last.
//! If that interface goes, as in an aborted migration, the port is back at the other one. A port that is bound to a
//! host (`binding:host_id`) is nowhere else. Its interfaces on other hypervisors are remembered here as well, until it
//! is bound there.

use sextant_model::{ChassisId, Plugged, PortId};
use std::collections::BTreeMap;

/// Interfaces that have no effect while another one of their port has it.
#[derive(Debug, Default)]
pub(super) struct Elsewhere(BTreeMap<(PortId, ChassisId), Option<u16>>);

impl Elsewhere {
    /// An interface lost its effect to another one.
    pub(super) fn keep(&mut self, port: PortId, plugged: Plugged) {
        self.0.insert((port, plugged.chassis), plugged.ofport);
    }

    /// Updates an interface if it is one of these.
    pub(super) fn update(&mut self, port: PortId, plugged: &Plugged) -> bool {
        let known = self.0.get_mut(&(port, plugged.chassis.clone()));
        known.map(|ofport| *ofport = plugged.ofport).is_some()
    }

    /// An interface is gone. Returns whether it was one of these.
    pub(super) fn forget(&mut self, port: PortId, chassis: &ChassisId) -> bool {
        self.0.remove(&(port, chassis.clone())).is_some()
    }

    /// All interfaces of a hypervisor except these are gone.
    pub(super) fn retain(&mut self, chassis: &ChassisId, stays: impl Fn(&PortId) -> bool) {
        self.0
            .retain(|(port, here), _| here != chassis || stays(port));
    }

    /// Whether this interface is one of these.
    pub(super) fn has(&self, port: PortId, chassis: &ChassisId) -> bool {
        self.0.contains_key(&(port, chassis.clone()))
    }

    /// The ports with such interfaces on a hypervisor.
    pub(super) fn on(&self, chassis: &ChassisId) -> Vec<PortId> {
        let here = self.0.keys().filter(|(_, here)| here == chassis);
        here.map(|(port, _)| *port).collect()
    }

    /// Takes out an interface of a port, on a hypervisor where the port may be.
    pub(super) fn take(
        &mut self,
        port: PortId,
        may_be: impl Fn(&ChassisId) -> bool,
    ) -> Option<Plugged> {
        let first = (port, ChassisId::new(""));
        let of_port = self.0.range(first..).take_while(|((of, _), _)| *of == port);
        let mut hosts = of_port.map(|((_, chassis), _)| chassis);
        let chassis = hosts.find(|chassis| may_be(chassis))?.clone();
        let ofport = self.0.remove(&(port, chassis.clone()))?;
        Some(Plugged { chassis, ofport })
    }
}
