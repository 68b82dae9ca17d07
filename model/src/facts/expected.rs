//! Interfaces where a guest is expected: one of its port's, on a hypervisor that a live migration takes it to, or from.

use super::Facts;
use crate::{ChassisId, PortId};
use imbl::OrdMap;

impl Facts {
    /// The interfaces where guests are expected, each with its OpenFlow port. Only the controller that owns their
    /// hypervisor knows them.
    #[must_use]
    pub fn expected(&self) -> &OrdMap<(ChassisId, PortId), u16> {
        &self.expected
    }

    /// A guest is expected at this interface of its port, or not any more.
    pub fn expect(&mut self, port: PortId, chassis: &ChassisId, ofport: Option<u16>) {
        let key = (chassis.clone(), port);
        match ofport {
            Some(ofport) => drop(self.expected.insert(key, ofport)),
            None => drop(self.expected.remove(&key)),
        }
    }

    /// The ports whose guests are expected on a hypervisor, by id.
    pub fn expected_on(&self, chassis: &ChassisId) -> impl Iterator<Item = PortId> {
        let range = (chassis.clone(), PortId::MIN)..=(chassis.clone(), PortId::MAX);
        self.expected.range(range).map(|((_, port), _)| *port)
    }

    /// The hypervisors where the guest of a port is expected.
    pub fn expecting(&self, port: PortId) -> impl Iterator<Item = &ChassisId> {
        let of_port = self.expected.keys().filter(move |(_, of)| *of == port);
        of_port.map(|(chassis, _)| chassis)
    }
}
