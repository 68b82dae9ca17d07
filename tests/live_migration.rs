//! Nova moves running guests between hypervisors: on real Open vSwitch, by the requests that Nova makes.

use serde_json::json;
use sextant_lab::story::{Failure, Plugged, World, ensure};
use sextant_lab::{Guest, Hypervisor, Lab, wait_for};
use std::ops::RangeInclusive;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(30);
/// 200 packets a second.
const INTERVAL: Duration = Duration::from_millis(5);

fn asks(lab: &Lab, method: &str, path: &str, body: &serde_json::Value) -> Result<(), Failure> {
    let path = format!("/v2.0/ports/{path}");
    let (status, answer) = match method {
        "POST" => lab.api().post(&path, body)?,
        "PUT" => lab.api().put(&path, body)?,
        _ => lab.api().delete(&path)?,
    };
    match status {
        200..300 => Ok(()),
        _ => Err(Failure::Observed(format!(
            "{method} {path}: {status} {answer}"
        ))),
    }
}

/// As Nova does: the port is a guest's, on the first hypervisor, and bound to the second for when it comes.
fn bind_to_both(lab: &Lab, port: &str) -> Result<(), Failure> {
    let guests = json!({"port": {"binding:host_id": "h1", "device_owner": "compute:nova",
        "device_id": "5e57a170-0000-4000-8000-000000000001"}});
    asks(lab, "PUT", port, &guests)?;
    let binding = json!({"binding": {"host": "h2", "vnic_type": "normal"}});
    asks(lab, "POST", &format!("{port}/bindings"), &binding)
}

fn wait_shown(lab: &Lab, port: &str, status: &str, host: &str) -> Result<(), Failure> {
    wait_for(&format!("the port to be {status} on {host}"), SOON, || {
        let shown = lab.api().get(&format!("/v2.0/ports/{port}"));
        let (_, shown) = shown.map_err(|error| error.to_string())?;
        let shown = &shown["port"];
        match shown["status"] == status && shown["binding:host_id"] == host {
            true => Ok(()),
            false => Err(shown.to_string()),
        }
    })?;
    Ok(())
}

/// The guest's interface at the destination, once the switch there expects the guest at it.
fn prepare(host: &Hypervisor, moving: &Plugged) -> Result<Guest, Failure> {
    let asleep = host.prepare_guest(&moving.port.guest("moved"))?;
    wait_for("the switch to expect the guest", SOON, || {
        let expects = |flow: &&String| flow.contains(&format!("dl_src={}", asleep.mac()));
        let flows = host
            .dump_flows("br-int")
            .map_err(|error| error.to_string())?;
        let mut first = flows.iter().filter(|flow| flow.contains("table=0,"));
        match first.find(expects) {
            Some(_) => Ok(()),
            None => Err(format!("{flows:#?}")),
        }
    })?;
    Ok(asleep)
}

#[test]
fn a_guest_is_reached_where_it_runs_while_it_moves() -> Result<(), Failure> {
    let mut world = World::start()?;
    let (lab, _, guests) = world.addressed()?;
    let (source, destination) = (lab.hypervisor(1), lab.hypervisor(2));
    let moving = &guests.slaac1b;
    let port = &moving.port.id;
    let mut pings = [&guests.slaac1, &guests.slaac2]
        .map(|from| {
            from.guest
                .namespace()
                .spawn_ping(moving.address(), INTERVAL)
        })
        .into_iter()
        .collect::<Result<Vec<_>, _>>()?;
    let mut answered = |count: u32| -> Result<(), Failure> {
        pings
            .iter_mut()
            .try_for_each(|ping| Ok(ping.wait_answers(count, SOON)?))
    };
    answered(200)?;
    bind_to_both(lab, port)?;
    let asleep = prepare(destination, moving)?;
    answered(200)?;
    wait_shown(lab, port, "ACTIVE", "h1")?;

    // What the move itself loses is printed. Nothing else may lose any.
    moving.guest.stop()?;
    asleep.resume(moving.address())?;
    answered(200)?;
    asks(
        lab,
        "PUT",
        &format!("{port}/bindings/h2/activate"),
        &json!({}),
    )?;
    asks(lab, "DELETE", &format!("{port}/bindings/h1"), &json!({}))?;
    source.vsctl(&["del-port", "br-int", moving.guest.tap()])?;
    wait_shown(lab, port, "ACTIVE", "h2")?;
    answered(200)?;
    for (ping, from) in pings.into_iter().zip(["the source", "the destination"]) {
        let report = ping.stop()?;
        println!("from a guest on {from}: {report}");
        let gaps = gaps(&report.lost);
        let after = gaps.iter().filter(|gap| *gap.start() > 400);
        let moved = after.max_by_key(|gap| packets(gap));
        let others = gaps.iter().filter(|gap| Some(*gap) != moved);
        let short = others.map(packets).all(|lost| lost <= BY_THE_SWITCH);
        ensure(short, || format!("lost beside the move: {report}"))?;
    }
    Ok(())
}

/// As long as this, packets that go through a tunnel are lost now and then when a port is added to a switch or removed
/// from it: the userspace datapath of Open vSwitch 3.1 takes its tunnels away for a moment, with no controller at all.
const BY_THE_SWITCH: u32 = 2;

/// The packets that were lost one after the other.
fn gaps(lost: &[u32]) -> Vec<RangeInclusive<u32>> {
    lost.chunk_by(|one, next| one + 1 == *next)
        .filter_map(|gap| Some(*gap.first()?..=*gap.last()?))
        .collect()
}

fn packets(gap: &RangeInclusive<u32>) -> u32 {
    gap.end() - gap.start() + 1
}

#[test]
fn a_migration_that_nova_rolls_back_takes_nothing_away() -> Result<(), Failure> {
    let mut world = World::start()?;
    let (lab, _, guests) = world.addressed()?;
    let moving = &guests.slaac1b;
    let port = &moving.port.id;
    bind_to_both(lab, port)?;
    let asleep = prepare(lab.hypervisor(2), moving)?;
    let mut ping = guests
        .slaac2
        .guest
        .namespace()
        .spawn_ping(moving.address(), INTERVAL)?;
    ping.wait_answers(100, SOON)?;
    asks(lab, "DELETE", &format!("{port}/bindings/h2"), &json!({}))?;
    // The tap was left behind, and something sends from it.
    asleep.resume(moving.address())?;
    ping.wait_answers(200, SOON)?;
    wait_shown(lab, port, "ACTIVE", "h1")?;
    let report = ping.stop()?;
    assert_eq!(report.lost, Vec::<u32>::new(), "{report}");
    Ok(())
}
