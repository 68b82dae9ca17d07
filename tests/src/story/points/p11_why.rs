//! Faults are planted, and an operator asks why.

use crate::story::faults::{self, NO_PORT, OTHER_MAC};
use crate::story::world::SOON;
use crate::story::{Failure, Narrator, Outcome, Plugged, Point, World};
use crate::wait_for;
use serde_json::json;

pub(super) const POINT: Point = Point {
    number: 11,
    title: "Three faults are planted in the cloud: `sextant why` names each, and what to do",
    asked: "another MAC in a guest; a wrong iface-id; a security group without rules; sextant why PORT",
    run,
};

fn run(world: &mut World, narrator: &mut Narrator) -> Outcome {
    world.addressed()?;
    let world = &*world;
    let Some(guests) = world.plugged() else {
        return Err(Failure::Observed("there are no guests".to_owned()));
    };
    other_mac(world, &guests.slaac1b, narrator)?;
    wrong_id(world, &guests.slaac2, narrator)?;
    without_rules(world, &guests.slaac1, narrator)
}

/// A guest has another MAC than its port. The port's flows are made anew, so that their counters begin again.
fn other_mac(world: &World, plugged: &Plugged, narrator: &mut Narrator) -> Outcome {
    give_mac(world, plugged, OTHER_MAC)?;
    tells(world, plugged, "another MAC", narrator)?;

    give_mac(world, plugged, plugged.guest.mac())?;
    world.wait_status(&plugged.port, "ACTIVE")?;
    Ok(())
}

fn give_mac(world: &World, plugged: &Plugged, mac: &str) -> Outcome {
    let (guest, host) = (&plugged.guest, world.lab.hypervisor(1));
    faults::set_mac(guest, mac)?;
    faults::unplug(host, guest)?;
    faults::plug_in(host, guest, &plugged.port.id)?;
    faults::set_link(guest, "up")
}

/// The interface has the id of no port.
fn wrong_id(world: &World, plugged: &Plugged, narrator: &mut Narrator) -> Outcome {
    let (host, id) = (world.lab.hypervisor(2), &plugged.port.id);
    faults::change_port(world, id, &json!({"binding:host_id": "h2"}))?;
    faults::set_iface_id(host, &plugged.guest, NO_PORT)?;
    tells(world, plugged, "iface-id that no port has", narrator)?;

    faults::set_iface_id(host, &plugged.guest, id)?;
    faults::change_port(world, id, &json!({"binding:host_id": ""}))?;
    world.wait_status(&plugged.port, "ACTIVE")?;
    Ok(())
}

fn without_rules(world: &World, plugged: &Plugged, narrator: &mut Narrator) -> Outcome {
    let id = &plugged.port.id;
    let group = faults::create_group(world, "no rules")?;
    faults::delete_rules(world, &group)?;
    faults::change_port(world, id, &json!({"security_groups": [group["id"]]}))?;
    tells(world, plugged, "have no rules", narrator)?;

    let before = &plugged.port.body["security_groups"];
    faults::change_port(world, id, &json!({"security_groups": before}))?;
    let group = group["id"].as_str().unwrap_or_default();
    world.lab.api().delete_object("security-groups", group)?;
    Ok(())
}

/// Waits until the verdict has these words, and shows it.
fn tells(world: &World, plugged: &Plugged, words: &str, narrator: &mut Narrator) -> Outcome {
    let id = &plugged.port.id;
    let verdict = wait_for(&format!("the verdict '{words}'"), SOON, || {
        let said = world.controller.ask(&["why", id]);
        let said = said.map_err(|error| error.to_string())?.stdout;
        match said.find("=> ").and_then(|at| said.get(at..)) {
            Some(verdict) if verdict.contains(words) => Ok(verdict.to_owned()),
            _ => Err(said),
        }
    })?;
    narrator.observe(format_args!("sextant why {id}"));
    verdict.lines().for_each(|line| narrator.observe(line));
    Ok(())
}
