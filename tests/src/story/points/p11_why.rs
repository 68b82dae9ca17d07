//! Faults are planted, and an operator asks why.

use crate::story::world::SOON;
use crate::story::{Failure, Narrator, Outcome, Plugged, Point, World, ensure};
use crate::wait_for;
use serde_json::{Value, json};

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
    let (guest, host) = (&plugged.guest, world.lab.hypervisor(1));
    let (tap, iface) = (guest.tap(), iface_id(&plugged.port.id));
    let plug = [
        "add-port",
        "br-int",
        tap,
        "--",
        "set",
        "interface",
        tap,
        &iface,
    ];
    guest.run(&[
        "ip",
        "link",
        "set",
        "eth0",
        "down",
        "address",
        "02:00:00:00:00:99",
    ])?;
    host.vsctl(&["del-port", "br-int", tap])?;
    host.vsctl(&plug)?;
    guest.run(&["ip", "link", "set", "eth0", "up"])?;
    tells(world, plugged, "another MAC", narrator)?;

    guest.run(&["ip", "link", "set", "eth0", "down", "address", guest.mac()])?;
    host.vsctl(&["del-port", "br-int", tap])?;
    host.vsctl(&plug)?;
    guest.run(&["ip", "link", "set", "eth0", "up"])?;
    world.wait_status(&plugged.port, "ACTIVE")?;
    Ok(())
}

/// The interface has the id of no port.
fn wrong_id(world: &World, plugged: &Plugged, narrator: &mut Narrator) -> Outcome {
    let (host, tap) = (world.lab.hypervisor(2), plugged.guest.tap());
    put(world, &plugged.port.id, &json!({"binding:host_id": "h2"}))?;
    let wrong = iface_id("00000000-0000-4000-8000-00000000000f");
    host.vsctl(&["set", "interface", tap, &wrong])?;
    tells(world, plugged, "iface-id that no port has", narrator)?;

    host.vsctl(&["set", "interface", tap, &iface_id(&plugged.port.id)])?;
    put(world, &plugged.port.id, &json!({"binding:host_id": ""}))?;
    world.wait_status(&plugged.port, "ACTIVE")?;
    Ok(())
}

fn without_rules(world: &World, plugged: &Plugged, narrator: &mut Narrator) -> Outcome {
    let api = world.lab.api();
    let group = json!({"security_group": {"name": "no rules"}});
    let (status, group) = api.post("/v2.0/security-groups", &group)?;
    ensure(status == 201, || group.to_string())?;
    let group = &group["security_group"];
    for rule in group["security_group_rules"]
        .as_array()
        .into_iter()
        .flatten()
    {
        api.delete_object(
            "security-group-rules",
            rule["id"].as_str().unwrap_or_default(),
        )?;
    }
    put(
        world,
        &plugged.port.id,
        &json!({"security_groups": [group["id"]]}),
    )?;
    tells(world, plugged, "have no rules", narrator)?;

    let before = &plugged.port.body["security_groups"];
    put(world, &plugged.port.id, &json!({"security_groups": before}))?;
    api.delete_object("security-groups", group["id"].as_str().unwrap_or_default())?;
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

fn iface_id(port: &str) -> String {
    format!("external_ids:iface-id={port}")
}

fn put(world: &World, port: &str, changes: &Value) -> Outcome {
    let body = json!({"port": changes});
    let (status, answer) = world.lab.api().put(&format!("/v2.0/ports/{port}"), &body)?;
    ensure(status == 200, || answer.to_string())
}
