//! The hypervisors by the names of their machines: `binding:host_id` names either.

use super::Facts;
use crate::{Chassis, ChassisId};
use imbl::{OrdMap, OrdSet};
use std::sync::Arc;

/// Which hypervisors have a name, and of which that is not known.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Machines {
    named: OrdMap<String, OrdSet<ChassisId>>,
    unknown: OrdSet<ChassisId>,
}

impl Machines {
    pub(super) fn insert(&mut self, chassis: &Chassis) {
        if chassis.machine.is_none() {
            self.unknown.insert(chassis.id.clone());
        } else if let Some(name) = name(chassis) {
            let named = self.named.entry(name.clone()).or_default();
            named.insert(chassis.id.clone());
        }
    }

    pub(super) fn remove(&mut self, chassis: &Chassis) {
        self.unknown.remove(&chassis.id);
        let Some(name) = name(chassis) else {
            return;
        };
        let mut others = self.named.remove(name).unwrap_or_default();
        others.remove(&chassis.id);
        if !others.is_empty() {
            self.named.insert(name.clone(), others);
        }
    }
}

fn name(chassis: &Chassis) -> Option<&String> {
    let machine = chassis.machine.as_ref()?;
    machine.name.as_ref()
}

impl Facts {
    /// The hypervisors that a host's name may mean: the one of this `system-id`, then those whose machines have the name.
    pub fn chassis_named(&self, host: &str) -> impl Iterator<Item = &Arc<Chassis>> {
        let id = ChassisId::new(host);
        let first = self.chassis.get(&id);
        let machines = self.machines.named.get(host).into_iter().flatten();
        let others = machines.filter(move |machine| **machine != id);
        let others = others.filter_map(|machine| self.chassis.get(machine));
        first.into_iter().chain(others)
    }

    /// Whether a hypervisor that is not gone has not told the name of its machine. Then any name may be its own.
    #[must_use]
    pub fn has_unnamed_chassis(&self) -> bool {
        let mut unknown = self.machines.unknown.iter();
        unknown.any(|chassis| !self.gone().contains(chassis))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Encap, EncapKind, Intent, Machine};

    fn chassis(id: &str, machine: Option<Machine>) -> Chassis {
        let encap = Encap {
            endpoints: "2001:db8::1".parse().unwrap(),
            kind: EncapKind::Vxlan,
        };
        Chassis {
            machine,
            ..Chassis::new(ChassisId::new(id), encap)
        }
    }

    fn called(name: &str) -> Option<Machine> {
        Some(Machine {
            name: Some(name.to_owned()),
            ..Machine::default()
        })
    }

    fn named(facts: &Facts, host: &str) -> Vec<String> {
        let named = facts.chassis_named(host);
        named.map(|chassis| chassis.id.to_string()).collect()
    }

    #[test]
    fn a_host_is_named_by_its_system_id_or_its_machines_name() {
        let mut facts = Facts::default();
        facts.put_chassis(chassis("h1", called("one")));
        facts.put_chassis(chassis("h2", called("one")));
        facts.put_chassis(chassis("one", called("one")));
        assert_eq!(named(&facts, "one"), ["one", "h1", "h2"]);
        assert_eq!(named(&facts, "h2"), ["h2"]);
        facts.put_chassis(chassis("h1", called("two")));
        facts.remove_chassis(&ChassisId::new("one"));
        assert_eq!(named(&facts, "one"), ["h2"]);
        assert_eq!(named(&facts, "two"), ["h1"]);
        facts.remove_chassis(&ChassisId::new("h2"));
        assert_eq!(named(&facts, "one"), [""; 0]);
        facts.remove_chassis(&ChassisId::new("h1"));
        assert_eq!(facts, Facts::default());
    }

    #[test]
    fn a_hypervisor_that_was_not_read_may_have_any_name_unless_it_is_gone() {
        let mut facts = Facts::default();
        facts.put_chassis(chassis("h1", called("one")));
        facts.put_chassis(chassis("h2", Some(Machine::default())));
        assert!(!facts.has_unnamed_chassis());
        facts.put_chassis(chassis("h3", None));
        assert!(facts.has_unnamed_chassis());
        facts.mark_gone(&Intent::default(), &ChassisId::new("h3"), true);
        assert!(!facts.has_unnamed_chassis());
        facts.mark_gone(&Intent::default(), &ChassisId::new("h3"), false);
        facts.put_chassis(chassis("h3", called("three")));
        assert!(!facts.has_unnamed_chassis());
    }
}
