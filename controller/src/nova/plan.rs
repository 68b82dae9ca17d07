//! What Nova is to be told of a port: the difference between what it was told last and what is so.

use crate::metrics::NovaEventName;
use sextant_model::{Facts, Intent, KnownPlug, NovaPort, Port, PortId};
use uuid::Uuid;

/// An event of a port, as Nova takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NovaEvent {
    pub(super) name: NovaEventName,
    pub(super) server: Uuid,
    pub(super) port: PortId,
}

/// What is to be done for a port next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NovaStep {
    /// What Nova is told. `None`: there is only something to note.
    pub(super) event: Option<NovaEvent>,
    /// What Nova knows then. `None`: nothing any more.
    pub(super) after: Option<NovaPort>,
}

impl NovaStep {
    fn tell(name: NovaEventName, server: Uuid, port: PortId, after: Option<NovaPort>) -> Self {
        let event = NovaEvent { name, server, port };
        Self {
            event: Some(event),
            after,
        }
    }

    fn note(after: Option<NovaPort>) -> Self {
        let event = None;
        Self { event, after }
    }
}

/// The next step for a port, if there is one. Each leads to the next, until Nova knows what is so.
pub(super) fn next_step(intent: &Intent, facts: &Facts, id: PortId) -> Option<NovaStep> {
    let told = intent.nova_ports.get(&id).map(|told| &**told);
    let port = intent.ports.get(&id);
    match (told, port.and_then(|port| Some((port, port.server()?)))) {
        (None, None) => None,
        (Some(told), None) if port.is_none() => {
            let name = NovaEventName::VifDeleted;
            Some(NovaStep::tell(name, told.server, id, None))
        }
        // Nova itself, or an operator, took the port from the guest.
        (Some(_), None) => Some(NovaStep::note(None)),
        (told, Some((port, server))) => {
            let told = told.filter(|told| told.server == server);
            of_guest(facts, port, server, told)
        }
    }
}

/// The next step for a guest's port of which Nova was told this.
fn of_guest(facts: &Facts, port: &Port, server: Uuid, told: Option<&NovaPort>) -> Option<NovaStep> {
    let id = port.id;
    let known = NovaPort {
        teller: None,
        ..told.cloned().unwrap_or_else(|| NovaPort {
            port: id,
            server,
            plugged: None,
            fixed_ips: port.fixed_ips.clone(),
            teller: None,
        })
    };
    if let Some(plug) = active_plug(facts, id)
        && !known.plugged.as_ref().is_some_and(|one| one.is_same(&plug))
    {
        let plugged = Some(plug);
        let after = NovaPort { plugged, ..known };
        return Some(NovaStep::tell(
            NovaEventName::VifPlugged,
            server,
            id,
            Some(after),
        ));
    }
    if known.plugged.is_some() && !facts.plugged().contains_key(&id) {
        let plugged = None;
        let after = NovaPort { plugged, ..known };
        let name = NovaEventName::VifUnplugged;
        return Some(NovaStep::tell(name, server, id, Some(after)));
    }
    if known.fixed_ips != port.fixed_ips {
        let fixed_ips = port.fixed_ips.clone();
        let after = NovaPort { fixed_ips, ..known };
        return Some(NovaStep::tell(
            NovaEventName::Changed,
            server,
            id,
            Some(after),
        ));
    }
    (told != Some(&known)).then(|| NovaStep::note(Some(known)))
}

/// The interface of a port whose flows are confirmed.
fn active_plug(facts: &Facts, port: PortId) -> Option<KnownPlug> {
    let binding = facts.binding(port)?;
    facts.active().contains(&port).then(|| KnownPlug {
        chassis: binding.chassis.clone(),
        ofport: binding.ofport,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use NovaEventName::{Changed, VifDeleted, VifPlugged, VifUnplugged};
    use sextant_model::{
        Change, ChassisId, FixedIp, MacAddr, NetworkId, Object, ObjectKey, Plugged, SubnetId,
    };
    use std::sync::Arc;

    const PORT: PortId = PortId(Uuid::from_u128(5));

    #[derive(Default)]
    struct World {
        intent: Intent,
        facts: Facts,
    }

    impl World {
        /// A port of this guest, with so many addresses.
        fn port(&mut self, server: u128, addresses: u8) {
            let mut port = Port::new(PORT, NetworkId::MIN, MacAddr([2; 6]));
            port.device_owner = "compute:nova".to_owned();
            port.device_id = Uuid::from_u128(server).to_string();
            let address = |last| FixedIp {
                subnet_id: SubnetId::MIN,
                ip_address: [192, 0, 2, last].into(),
            };
            port.fixed_ips = (1..=addresses).map(address).collect();
            self.change(Change::Put(Object::Port(Arc::new(port))));
        }

        fn change(&mut self, change: Change) {
            self.intent.apply(&change);
            self.facts.rebind(&self.intent, PORT);
        }

        fn plug(&mut self, chassis: &str, ofport: u16) {
            let chassis = ChassisId::new(chassis);
            let ofport = Some(ofport);
            let plugged = Plugged { chassis, ofport };
            self.facts.plug(&self.intent, PORT, plugged);
        }

        fn confirm(&mut self, chassis: &str) {
            self.facts.confirm(PORT, &ChassisId::new(chassis));
        }

        /// Takes all steps, and returns the events on the way.
        fn settle(&mut self) -> Vec<NovaEventName> {
            let mut told = Vec::new();
            while let Some(step) = next_step(&self.intent, &self.facts, PORT) {
                told.extend(step.event.map(|event| event.name));
                self.change(match step.after {
                    Some(after) => Change::Put(Object::NovaPort(Arc::new(after))),
                    None => Change::delete(ObjectKey::NovaPort(PORT)),
                });
                assert!(told.len() < 9, "{told:?}");
            }
            told
        }
    }

    #[test]
    fn a_guest_that_boots_moves_stops_and_goes() {
        let mut world = World::default();
        world.port(1, 1);
        assert_eq!(world.settle(), []);
        world.plug("h1", 7);
        assert_eq!(world.settle(), [], "its flows are not confirmed");
        world.confirm("h1");
        assert_eq!(world.settle(), [VifPlugged]);
        world.plug("h2", 7);
        assert_eq!(world.settle(), [], "the new flows are not confirmed");
        world.confirm("h2");
        assert_eq!(world.settle(), [VifPlugged]);
        world.plug("h2", 8);
        world.confirm("h2");
        assert_eq!(world.settle(), [VifPlugged], "another interface");
        world
            .facts
            .unplug(&world.intent, PORT, &ChassisId::new("h2"));
        assert_eq!(world.settle(), [VifUnplugged]);
        world.port(1, 2);
        assert_eq!(world.settle(), [Changed], "also of a guest that is stopped");
        world.change(Change::delete(ObjectKey::Port(PORT)));
        assert_eq!(world.settle(), [VifDeleted]);
        assert!(world.intent.nova_ports.is_empty());
    }

    #[test]
    fn a_restart_tells_nothing_again_and_loses_nothing() {
        let mut world = World::default();
        world.port(1, 1);
        world.plug("h1", 7);
        world.confirm("h1");
        world.settle();
        let stored = ChassisId::new("h1");
        let plugged = Plugged {
            chassis: stored,
            ofport: None,
        };
        world.facts = Facts::default();
        world.facts.plug(&world.intent, PORT, plugged);
        assert_eq!(world.settle(), [], "it is not known yet to be active");
        world.plug("h1", 7);
        world.confirm("h1");
        assert_eq!(world.settle(), []);
        world.plug("h1", 9);
        world.confirm("h1");
        assert_eq!(world.settle(), [VifPlugged], "it changed meanwhile");
    }

    #[test]
    fn a_port_that_changes_hands_is_told_to_whoever_has_it() {
        let mut world = World::default();
        world.port(1, 1);
        world.plug("h1", 7);
        world.confirm("h1");
        world.settle();
        world.port(2, 1);
        let step = next_step(&world.intent, &world.facts, PORT).unwrap();
        let event = step.event.unwrap();
        assert_eq!((event.name, event.server), (VifPlugged, Uuid::from_u128(2)));
        world.settle();
        let plain = Port::new(PORT, NetworkId::MIN, MacAddr([2; 6]));
        world.change(Change::Put(Object::Port(Arc::new(plain))));
        assert_eq!(world.settle(), [], "it is nobody's");
        assert!(world.intent.nova_ports.is_empty());
    }

    #[test]
    fn who_has_begun_to_tell_is_forgotten_where_nothing_is_left_to_tell() {
        let mut world = World::default();
        world.port(1, 1);
        world.settle();
        let known = NovaPort::clone(&world.intent.nova_ports[&PORT]);
        let teller = Some(sextant_model::ControllerName::new("c1"));
        let begun = NovaPort { teller, ..known };
        world.change(Change::Put(Object::NovaPort(Arc::new(begun))));
        assert_eq!(world.settle(), []);
        assert_eq!(world.intent.nova_ports[&PORT].teller, None);
    }
}
