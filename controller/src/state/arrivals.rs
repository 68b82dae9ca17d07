//! Guests that a live migration takes from one hypervisor to another.
//!
//! The port has an interface on both for a while, long before the guest itself moves. It stays where it is until the guest
//! sends from the other interface, until it is bound there (`binding:host_id`, or the activation of the binding there), or
//! until its interface goes. So a migration that is given up moves nothing, and neither does a tap that was left behind.

use super::Owner;
use sextant_model::{ChassisId, Plugged, PortId};
use std::collections::BTreeMap;
use std::time::Instant;

impl Owner {
    /// Whether an interface that appears leaves its port where it is, since the guest may come to it, and may not.
    pub(super) fn waits_for_guest(&self, port: PortId, chassis: &ChassisId) -> bool {
        let known = self.snapshot.facts.plugged().get(&port);
        let elsewhere = known.filter(|known| known.chassis != *chassis);
        elsewhere.is_some_and(|known| self.is_moving(port) && self.may_be_on(port, &known.chassis))
    }

    /// A guest has sent from its interface on a hypervisor where it was expected. Five times a minute it is followed.
    pub(super) fn appeared(&mut self, port: PortId, chassis: &ChassisId) {
        let expected = self.snapshot.facts.expected();
        if !expected.contains_key(&(chassis.clone(), port))
            || self.moves.admit(&port, Instant::now()).is_none()
        {
            return;
        }
        if let Some(here) = self.elsewhere.take(port, |other| other == chassis) {
            tracing::info!(%port, %chassis, "the guest sends from here: its live migration is done");
            self.move_to(port, here);
        }
    }

    /// A port is bound to another host than before: it is there, if it has an interface there.
    pub(super) fn follow_host(&mut self, port: PortId) {
        let known = self.snapshot.facts.plugged().get(&port);
        // One that may not stay moves anyway.
        let may_stay = known.filter(|known| self.may_be_on(port, &known.chassis));
        if may_stay.is_none_or(|known| self.is_host(port, &known.chassis)) {
            return;
        }
        if let Some(there) = self.take_at_host(port) {
            self.move_to(port, there);
        }
    }

    /// Tells the switches at which interfaces guests are expected, after what decides on that has changed.
    pub(super) fn expect_guests(&mut self) {
        for port in self.elsewhere.take_touched() {
            let wanted = self.expected_at(port);
            let facts = &mut self.snapshot.facts;
            let known: Vec<ChassisId> = facts.expecting(port).cloned().collect();
            for chassis in known.iter().filter(|chassis| !wanted.contains_key(chassis)) {
                facts.expect(port, chassis, None);
            }
            for (chassis, ofport) in wanted {
                facts.expect(port, &chassis, Some(ofport));
            }
        }
    }

    fn expected_at(&self, port: PortId) -> BTreeMap<ChassisId, u16> {
        if !self.is_moving(port) {
            return BTreeMap::new();
        }
        let others = self.elsewhere.of(port).into_iter();
        let others = others.filter(|other| self.may_be_on(port, &other.chassis));
        others
            .filter_map(|Plugged { chassis, ofport }| Some((chassis, ofport?)))
            .collect()
    }

    /// Whether a port is bound to one host, and prepared on another.
    fn is_moving(&self, port: PortId) -> bool {
        let port = self.snapshot.intent.ports.get(&port);
        port.is_some_and(|port| !port.host_id.is_empty() && port.is_prepared_elsewhere())
    }
}
