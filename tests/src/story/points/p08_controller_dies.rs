//! The controller dies and comes back.

use crate::flow_dump::{FlowDump, KnownFlow as Flow};
use crate::story::world::{Plugged, SOON};
use crate::story::{Failure, Narrator, Outcome, Point, World, ensure};
use crate::wait_for;
use std::time::Duration;

pub(super) const POINT: Point = Point {
    number: 8,
    title: "The controller is killed: nothing is lost; it comes back: nothing is touched that did not change",
    asked: "kill -9 during a ping of 200 packets/s; start again; kill -9, delete a port, start again",
    run,
};

/// 200 packets a second.
const INTERVAL: Duration = Duration::from_millis(5);
const SECOND: Duration = Duration::from_secs(1);

fn run(world: &mut World, narrator: &mut Narrator) -> Outcome {
    world.ready()?;
    killed(world, narrator)?;
    changed_while_down(world, narrator)
}

fn killed(world: &mut World, narrator: &mut Narrator) -> Outcome {
    let (lab, controller, _, guests) = world.parts()?;
    for plugged in [&guests.slaac1, &guests.slaac2] {
        plugged.guest.wait_address(plugged.address(), SOON)?;
    }
    guests
        .slaac1
        .guest
        .ping(guests.slaac2.address(), 3, SECOND / 10)?;
    let before = FlowDump::read(lab.hypervisors())?;
    let mut ping = guests
        .slaac1
        .guest
        .spawn_ping(guests.slaac2.address(), INTERVAL)?;
    ping.wait_answers(100, SOON)?;
    controller.kill();
    narrator.observe("controller killed");
    ping.wait_answers(300, SOON)?;
    controller.start_again()?;
    lab.wait_settled(SOON)?;
    ping.wait_answers(200, SOON)?;
    let report = ping.stop()?;
    ensure(report.is_complete(), || {
        format!("the ping lost packets: {report}")
    })?;
    narrator.observe(format_args!(
        "controller back; 200 packets/s across hypervisors all the while: {report}"
    ));
    let after = FlowDump::read(lab.hypervisors())?;
    let touched = after.came_or_went_since(&before);
    ensure(touched == 0, || format!("{touched} flows came or went"))?;
    let younger = after.installed_anew_since(&before);
    ensure(younger == 0, || {
        format!("{younger} flows were installed anew")
    })?;
    narrator.observe(format_args!(
        "of {} flows none was touched: same cookies, durations went on",
        before.flows.len()
    ));
    Ok(())
}

fn changed_while_down(world: &mut World, narrator: &mut Narrator) -> Outcome {
    world.ready()?;
    let doomed = world.plug_into_slaac("doomed", 1)?;
    let (lab, controller, _, _) = world.parts()?;
    let before = FlowDump::read(lab.hypervisors())?;
    let ofport = lab
        .hypervisor(1)
        .vsctl(&["get", "interface", doomed.guest.tap(), "ofport"])?
        .stdout
        .trim()
        .to_owned();
    controller.kill();
    let names = traces(&doomed, &ofport);
    doomed.guest.unplug(lab.hypervisor(1))?;
    controller.start_again()?;
    lab.wait_settled(SOON)?;
    let after = wait_for("the deleted port's flows to go", SOON, || {
        let after = FlowDump::read(lab.hypervisors()).map_err(|error| error.to_string())?;
        if after.flows.len() < before.flows.len() {
            Ok(after)
        } else {
            Err(format!("{} flows", after.flows.len()))
        }
    })?;
    let (removed, added) = only_its_flows_went(&before, &after, &names)?;
    let left: Vec<&Flow> = after
        .flows
        .keys()
        .filter(|flow| names_address(flow, &names))
        .collect();
    ensure(left.is_empty(), || {
        format!("flows of the deleted port stay: {left:?}")
    })?;
    let younger = after.installed_anew_since(&before);
    ensure(younger == 0, || {
        format!("{younger} other flows were installed anew")
    })?;
    narrator.observe(format_args!(
        "a port deleted while down: exactly its flows went ({} removed, {} member lists rewritten, {} untouched)",
        removed - added,
        added,
        after.flows.len() - added
    ));
    Ok(())
}

/// No flows went but those with these names, and lists of members. Returns how many went and came.
fn only_its_flows_went(
    before: &FlowDump,
    after: &FlowDump,
    names: &[String],
) -> Result<(usize, usize), Failure> {
    let removed: Vec<&Flow> = before
        .flows
        .keys()
        .filter(|flow| !after.flows.contains_key(*flow))
        .collect();
    let foreign: Vec<&&Flow> = removed
        .iter()
        .filter(|flow| {
            !names.iter().any(|name| flow.text.contains(name.as_str())) && !is_multicast(flow)
        })
        .collect();
    ensure(foreign.is_empty(), || {
        format!("flows of others went: {foreign:?}")
    })?;
    let added: Vec<&Flow> = after
        .flows
        .keys()
        .filter(|flow| !before.flows.contains_key(*flow))
        .collect();
    ensure(added.iter().all(|flow| is_multicast(flow)), || {
        format!("flows came: {added:?}")
    })?;
    Ok((removed.len(), added.len()))
}

/// What names a port in flows: its MAC, its addresses, its OpenFlow port.
fn traces(plugged: &Plugged, ofport: &str) -> Vec<String> {
    let link_local = crate::story::world::link_local(&plugged.port.mac);
    let tap = plugged.guest.tap();
    let output = ofport.parse::<u16>().unwrap_or_default();
    vec![
        plugged.port.mac.clone(),
        plugged.address().to_string(),
        link_local.to_string(),
        format!("{:#x}", plugged.address().to_bits()),
        format!("in_port={ofport},"),
        format!("in_port={ofport} "),
        format!("reg3={output:#x},"),
        format!("reg3={output:#x} "),
        format!("in_port={tap}"),
        format!("in_port=\"{tap}\""),
    ]
}

fn is_multicast(flow: &Flow) -> bool {
    flow.text
        .contains("dl_dst=01:00:00:00:00:00/01:00:00:00:00:00")
}

/// Names an address for somebody to be reached by: the port itself still exists, and is a member of its groups.
fn names_address(flow: &Flow, names: &[String]) -> bool {
    let is_member = flow.text.contains("actions=conjunction(");
    let names = &mut names[..3].iter();
    !is_member && names.any(|name| flow.text.contains(name.as_str()))
}
