//! The events about a hypervisor for the owner of state: everything at first, then what has changed.

use super::observe::Observation;
use crate::state::Event;
use sextant_model::Plugged;

/// The events that lead from one observation of a hypervisor to the next.
pub(super) fn news(before: Option<&Observation>, now: &Observation) -> Vec<Event> {
    let id = &now.chassis.id;
    let named = Event::HostNamed(id.clone(), hostname(now));
    let Some(before) = before else {
        let read = Event::HypervisorRead {
            chassis: now.chassis.clone(),
            interfaces: now.interfaces.clone(),
        };
        return vec![named, read];
    };
    let renamed = (hostname(before) != hostname(now)).then_some(named);
    let changed = (before.chassis != now.chassis).then(|| now.chassis.clone());
    let gone = before
        .interfaces
        .keys()
        .filter(|port| !now.interfaces.contains_key(port));
    let new = now
        .interfaces
        .iter()
        .filter(|(port, ofport)| before.interfaces.get(port) != Some(*ofport));
    let plugged = new.map(|(port, ofport)| {
        let plugged = Plugged {
            chassis: id.clone(),
            ofport: *ofport,
        };
        Event::Plugged(*port, plugged)
    });
    renamed
        .into_iter()
        .chain(changed.map(Event::HypervisorChanged))
        .chain(gone.map(|port| Event::Unplugged(*port, id.clone())))
        .chain(plugged)
        .collect()
}

/// By which Nova may know it.
fn hostname(of: &Observation) -> Option<String> {
    let machine = of.chassis.machine.as_ref()?;
    machine.name.clone()
}
