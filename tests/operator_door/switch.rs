//! `sextant trace --switch`: what real switches do with a packet, against what Sextant's flows say.

use super::{SOON, ask, text};
use serde_json::Value;
use sextant_lab::story::{Failure, World};
use sextant_lab::{CONTROLLER, wait_for};

/// Runs `ovs-appctl` for the hypervisor whose name stands for `{}`.
fn command(world: &World) -> String {
    let own = world.lab.hypervisor(1).run_folder();
    let all = own.parent().expect("the lab's folder");
    format!("env OVS_RUNDIR={}/{{}} ovs-appctl", all.display())
}

/// The rows of a trace with `--switch`.
fn compared(world: &World, port: &str, packet: &str) -> Result<Vec<Value>, Failure> {
    let command = command(world);
    Ok(ask(world, &["trace", port, packet, "--switch", &command])?)
}

fn switched(rows: &[Value]) -> Vec<&Value> {
    let rows = rows.iter();
    rows.filter(|row| row["step"] == "switched").collect()
}

fn differences(row: &Value) -> &[Value] {
    row["differences"].as_array().map_or(&[], Vec::as_slice)
}

#[test]
fn real_switches_do_what_the_trace_says() -> Result<(), Failure> {
    let mut world = World::start()?;
    world.addressed()?;
    world.lab.wait_settled(SOON)?;
    let guests = world.plugged().expect("guests");
    let [near, far, routed] =
        [&guests.slaac1b, &guests.slaac2, &guests.stateful1].map(|guest| guest.address());
    let port = &guests.slaac1.port.id;
    for (packet, ends, switches) in [
        (format!("icmp6 to {near}"), "delivered", 1),
        (format!("icmp6 to {far}"), "delivered", 2),
        (format!("tcp to {routed} port 22"), "delivered", 1),
        (format!("icmp6,icmp_type=129 to {near}"), "dropped", 1),
        (format!("udp from {far} to {near} port 53"), "dropped", 1),
        (
            "icmp6,icmp_type=133,nw_ttl=255 to ff02::2".to_owned(),
            "sent_up",
            1,
        ),
        (format!("icmp6,nw_ttl=1 to {routed}"), "sent_up", 1),
        ("udp to ff02::fb port 5353".to_owned(), "delivered", 2),
    ] {
        let rows = compared(&world, port, &packet)?;
        let context = format!("{packet}: {rows:#?}");
        assert!(rows.iter().any(|row| row["step"] == ends), "{context}");
        let asked = switched(&rows);
        assert_eq!(asked.len(), switches, "{context}");
        for row in asked {
            assert!(
                row["unasked"].is_null() && differences(row).is_empty(),
                "{context}"
            );
        }
        let last = rows.last().expect("rows");
        assert!(
            !text(last, "sentence").contains("does otherwise"),
            "{context}"
        );
    }
    let folder = world.lab.hypervisor(1).run_folder().display();
    let first_only = format!("env OVS_RUNDIR={folder} ovs-appctl");
    let words = [
        "trace",
        port,
        &format!("icmp6 to {far}"),
        "--switch",
        &first_only,
    ];
    let rows = ask(&world, &words)?;
    let unasked: Vec<bool> = switched(&rows)
        .iter()
        .map(|row| !row["unasked"].is_null())
        .collect();
    assert_eq!(unasked, [false, true], "{rows:#?}");
    commands_that_do_not_do(&world, port)
}

/// What is wrong of a command is said in words, and the packet is no command.
fn commands_that_do_not_do(world: &World, port: &str) -> Result<(), Failure> {
    for (command, why) in [
        (
            "/nonexistent/ovs-appctl",
            "there is no command '/nonexistent/ovs-appctl' on this machine",
        ),
        (
            "env OVS_RUNDIR=/nonexistent ovs-appctl",
            "failed (exit status: 1): ",
        ),
        (
            "echo",
            "did not answer with a trace of br-int, but with: ofproto/trace br-int icmp6,",
        ),
    ] {
        let words = ["trace", port, "icmp6 to ff02::1", "--switch", command];
        let refused = world
            .controller
            .ask(&words)
            .expect_err("a refusal")
            .to_string();
        assert!(refused.contains(why), "{command}: {refused}");
    }
    Ok(())
}

/// While Sextant does not reach the hypervisor, nobody mends what is changed there.
#[test]
fn what_was_changed_on_a_switch_is_marked() -> Result<(), Failure> {
    let mut world = World::start()?;
    world.addressed()?;
    world.lab.wait_settled(SOON)?;
    let guests = world.plugged().expect("guests");
    let (port, near) = (&guests.slaac1.port.id, guests.slaac1b.address());
    let packet = format!("icmp6 to {near}");
    let host = world.lab.hypervisor(1);
    let controller = format!("{CONTROLLER}/128");

    host.run(&["ip", "-6", "route", "add", "blackhole", &controller])?;
    a_foreign_flow(&world, port, &packet)?;
    a_missing_flow(&world, port, &packet)?;
    host.run(&["ip", "-6", "route", "del", "blackhole", &controller])?;
    wait_for("the switch to do as the trace again", SOON, || {
        let rows = compared(&world, port, &packet).map_err(|error| error.to_string())?;
        let mut asked = switched(&rows).into_iter();
        let same = asked.all(|row| differences(row).is_empty());
        same.then_some(()).ok_or_else(|| format!("{rows:#?}"))
    })?;
    Ok(())
}

fn a_foreign_flow(world: &World, port: &str, packet: &str) -> Result<(), Failure> {
    let host = world.lab.hypervisor(1);
    let foreign = "cookie=0x777,table=60,priority=40000,icmp6,actions=drop";
    host.ofctl(&["add-flow", "br-int", foreign])?;
    let rows = compared(world, port, packet)?;
    let row = switched(&rows)[0];
    let mut found = differences(row).iter();
    let met = found.find(|one| one["difference"] == "only_switch");
    let met = met.expect("a flow of the switch alone");
    let place = (&met["table"], text(met, "cookie"));
    assert_eq!(place, (&60.into(), "0x777"), "{row:#}");
    let end = differences(row).last().expect("an end");
    let end = (text(end, "difference"), text(end, "switch"));
    assert_eq!(end, ("end", "nowhere"), "{row:#}");
    let sentence = text(rows.last().expect("rows"), "sentence");
    let marked = "But the switch of h1 does otherwise, as marked above.";
    assert!(sentence.ends_with(marked), "{sentence}");
    let same = "table=60,priority=40000,icmp6";
    host.ofctl(&["--strict", "del-flows", "br-int", same])?;
    Ok(())
}

fn a_missing_flow(world: &World, port: &str, packet: &str) -> Result<(), Failure> {
    let rows = compared(world, port, packet)?;
    assert!(differences(switched(&rows)[0]).is_empty(), "{rows:#?}");
    let mut steps = rows.iter();
    let allowed = steps.find(|row| row["stage"] == "egress rules");
    let allowed = text(allowed.expect("a step"), "cookie");
    let own = format!("cookie={allowed}/-1");
    world
        .lab
        .hypervisor(1)
        .ofctl(&["del-flows", "br-int", &own])?;
    let words = ["trace", port, packet, "--switch", &command(world)];
    let shown = world.controller.ask(&words)?.stdout;
    for line in [
        format!("   only by Sextant:  36 egress rules      {allowed}\n"),
        "   only the switch:  36 egress rules      no flow\n".to_owned(),
    ] {
        assert!(shown.contains(&line), "{line}{shown}");
    }
    Ok(())
}
