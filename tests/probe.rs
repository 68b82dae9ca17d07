//! Probes between hypervisors, over a real underlay that is changed under them: `sextant probe`, and what `sextant why` makes of it.

use serde_json::Value;
use sextant_lab::story::{Failure, Outcome, World};
use sextant_lab::wait_for;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(60);
/// Outer IPv6, UDP and VXLAN, and the inner Ethernet header.
const OVERHEAD: u64 = 40 + 8 + 8 + 14;

/// The two ways between two ports or hypervisors.
fn probe(world: &World, from: &str, to: &str) -> Result<[Value; 2], String> {
    let said = world.controller.ask(&["probe", from, to, "--json"]);
    let said = said.map_err(|error| error.to_string())?.stdout;
    let rows: Result<Vec<Value>, _> = said.lines().map(serde_json::from_str).collect();
    let rows = rows.map_err(|error| error.to_string())?;
    rows.try_into().map_err(|rows| format!("{rows:?}"))
}

/// Waits until both ways are as they should be.
fn await_ways(world: &World, what: &str, right: impl Fn(&Value) -> bool) -> Outcome {
    wait_for(what, SOON, || {
        let ways = probe(world, "h1", "h2")?;
        match ways.iter().all(&right) {
            true => Ok(()),
            false => Err(format!("{ways:#?}")),
        }
    })?;
    Ok(())
}

fn why(world: &World, port: &str, words: &str) -> Outcome {
    wait_for(words, SOON, || {
        let said = world.controller.ask(&["why", port]);
        let said = said.map_err(|error| error.to_string())?.stdout;
        match said.contains(words) {
            true => Ok(()),
            false => Err(said),
        }
    })?;
    Ok(())
}

fn is_good(way: &Value) -> bool {
    way["finding"]["state"] == "good" && way["longest"] == way["mtu"] && way["arrived"] == 10
}

#[test]
fn frames_pass_between_hypervisors_and_what_stops_them_is_named() -> Outcome {
    let mut world = World::start()?;
    world.addressed()?;
    let guests = world.plugged().expect("guests");
    let (here, there) = (
        guests.slaac1.port.id.clone(),
        guests.slaac2.address().to_string(),
    );
    await_ways(&world, "frames that pass", is_good)?;
    let ways = probe(&world, &here, &there).map_err(Failure::Observed)?;
    assert_eq!(
        (&ways[0]["from"], &ways[0]["to"]),
        (&"h1".into(), &"h2".into())
    );
    why(&world, &here, "frames of full length pass to and from h2")?;
    let same = world
        .controller
        .ask(&["probe", &here, "h1"])
        .expect_err("a refusal");
    assert!(
        same.to_string().contains("both are on hypervisor h1"),
        "{same}"
    );
    let unknown = world
        .controller
        .ask(&["probe", "h1", "h9"])
        .expect_err("a refusal");
    assert!(
        unknown.to_string().contains("no port has 'h9'"),
        "{unknown}"
    );

    narrow(&world, &here)?;
    another_endpoint(&world, &here)
}

/// The underlay between the hypervisors takes shorter packets than the configuration says.
fn narrow(world: &World, port: &str) -> Outcome {
    const MTU: u64 = 1400;
    let router = world.lab.router();
    let links = router
        .run(&["ip", "-o", "link", "show", "type", "veth"])?
        .stdout;
    let names = links
        .lines()
        .filter_map(|line| line.split(": ").nth(1)?.split('@').next());
    for name in names.clone() {
        router.run(&["ip", "link", "set", name, "mtu", &MTU.to_string()])?;
    }
    await_ways(world, "a smaller MTU", |way| {
        way["longest"] == MTU - OVERHEAD && way["finding"]["state"] == "bad"
    })?;
    why(world, port, "the underlay's MTU is smaller")?;
    for name in names {
        router.run(&["ip", "link", "set", name, "mtu", "1500"])?;
    }
    // With the kernel's datapath, the hypervisor's kernel remembers a small path MTU for ten minutes.
    for hypervisor in world.lab.hypervisors() {
        hypervisor.run(&["ip", "-6", "route", "flush", "cache"])?;
    }
    await_ways(world, "frames that pass again", is_good)
}

/// A hypervisor says that it is reached at an address that is another's.
fn another_endpoint(world: &World, port: &str) -> Outcome {
    let hypervisor = world.lab.hypervisor(2);
    let key = "external_ids:sextant-encap-ip";
    let own = hypervisor.vsctl(&["get", "open_vswitch", ".", key])?.stdout;
    let own = own.trim().trim_matches('"').to_owned();
    hypervisor.vsctl(&[
        "set",
        "open_vswitch",
        ".",
        &format!("{key}=\"2001:db8:77:1::99\""),
    ])?;
    why(world, port, "None of 3 frames from h1 arrives at h2")?;
    hypervisor.vsctl(&["set", "open_vswitch", ".", &format!("{key}=\"{own}\"")])?;
    await_ways(world, "frames that pass after all", is_good)
}
