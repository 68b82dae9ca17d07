//! `sextant capture` on real switches: what it captures is read by tcpdump and tshark.

use sextant_lab::story::{Failure, Outcome, Plugged, World};
use sextant_lab::{Process, Tools, wait_for};
use std::path::{Path, PathBuf};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(30);

/// Begins to capture a port, and waits until its flows are there.
fn begin(world: &World, words: &[&str]) -> Result<Process, Failure> {
    let (binary, socket) = (world.controller.binary(), world.controller.control_socket());
    let (binary, socket) = (binary.to_string_lossy(), socket.to_string_lossy());
    let words = [&[&*binary, "capture"], words, &["--socket", &socket]].concat();
    let process = world.lab.spawn_in_ctl(&words)?;
    await_flows(world, 5)?;
    Ok(process)
}

/// Waits until so many flows of `h1` send up copies of frames that guests send or get.
fn await_flows(world: &World, count: usize) -> Outcome {
    wait_for("the flows of captures", SOON, || {
        let flows = world.lab.hypervisor(1).dump_flows("br-int");
        let flows = flows.map_err(|error| error.to_string())?;
        let copies = flows.iter().filter(|flow| {
            let captured = ["table=0, ", "table=72, "];
            flow.contains("controller(") && captured.iter().any(|table| flow.contains(table))
        });
        match copies.count() == count {
            true => Ok(()),
            false => Err(flows.join("\n")),
        }
    })?;
    Ok(())
}

fn read(program: &[&str], file: &Path) -> Result<String, Failure> {
    let mut command = std::process::Command::new(program[0]);
    let output = command.args(&program[1..]).arg(file).output();
    let output = output.map_err(|error| Failure::Observed(error.to_string()))?;
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        false => Err(Failure::Observed(error)),
    }
}

/// As tshark reads them: 1 is to the guest, 2 from it.
fn directions(file: &Path) -> Result<Vec<(String, String)>, Failure> {
    let words = [
        "tshark",
        "-n",
        "-T",
        "fields",
        "-e",
        "frame.packet_flags_direction",
        "-e",
        "icmpv6.type",
        "-Y",
        "icmpv6",
        "-r",
    ];
    let said = read(&words, file)?;
    let fields = said.lines().filter_map(|line| line.split_once('\t'));
    Ok(fields
        .map(|(direction, kind)| {
            let direction = direction.trim_start_matches("0x").trim_start_matches('0');
            (direction.to_owned(), kind.to_owned())
        })
        .collect())
}

fn file(world: &World, name: &str) -> PathBuf {
    world.lab.home().join(name)
}

/// A broadcast in VLAN 7, of an EtherType for experiments.
const TAGGED: &str = r#"
import socket
frame = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
frame.bind(("eth0", 0))
mac = open("/sys/class/net/eth0/address").read().strip().replace(":", "")
frame.send(bytes.fromhex("ff" * 6 + mac + "81000007" + "88b5") + bytes(46))
"#;

/// What the guest sends with a tag is captured, though nobody gets it.
fn tagged(from: &Plugged, file: &Path) -> Outcome {
    from.guest.run(&["python3", "-c", TAGGED])?;
    let tagged = ["tshark", "-n", "-Y", "vlan.id == 7", "-r"];
    wait_for("a frame with its tag", SOON, || match read(&tagged, file) {
        Ok(frames) if !frames.is_empty() => Ok(()),
        other => Err(format!("{other:?}")),
    })?;
    Ok(())
}

fn ping(from: &Plugged, words: &[&str]) -> Outcome {
    from.guest.run(&[&["ping", "-6", "-q"], words].concat())?;
    Ok(())
}

#[test]
fn what_a_guest_sends_and_gets_is_captured_and_nothing_is_left_behind() -> Outcome {
    Tools::check(&["tcpdump", "tshark", "rdisc6"])?;
    let mut world = World::start()?;
    let gateway = world.cloud()?.slaac.gateway_address().to_string();
    world.addressed()?;
    let guests = world.plugged().expect("guests");
    let (one, other) = (&guests.slaac1, &guests.slaac1b);
    let port = &one.port.id;
    let both = file(&world, "both.pcapng");
    let path = both.to_string_lossy();
    let mut capture = begin(
        &world,
        &[port, "--file", &path, "--count", "500", "--seconds", "60"],
    )?;
    let no_file = ["capture", &other.port.id, "--file", "/dev/null/no"];
    let refused = world.controller.ask(&no_file).expect_err("a refusal");
    let said = refused.to_string();
    assert!(said.contains("the capture cannot be written: "), "{said}");
    let own = file(&world, "own.pcapng");
    let again = world
        .controller
        .ask(&["capture", port, "--file", &own.to_string_lossy()]);
    let again = again.expect_err("a refusal").to_string();
    assert!(
        again.contains("somebody captures this port already"),
        "{again}"
    );
    assert!(!own.exists(), "it was refused");

    ping(one, &["-c", "2", "-i", "0.2", &other.address().to_string()])?;
    ping(one, &["-c", "1", &gateway])?;
    one.guest.run(&["rdisc6", "-1", "-q", "eth0"])?;
    let wanted = [("2", "133"), ("1", "134"), ("2", "128"), ("1", "129")];
    wait_for("both ways of all", SOON, || {
        let seen = directions(&both).map_err(|error| error.to_string())?;
        let is_seen = |(direction, kind): &(&str, &str)| {
            let mut seen = seen.iter();
            seen.any(|(way, of)| way == direction && of == kind)
        };
        match wanted.iter().all(is_seen) {
            true => Ok(()),
            false => Err(format!("{seen:?}")),
        }
    })?;
    let seen = directions(&both)?;
    let count = |way: &str, kind: &str| {
        let seen = seen.iter().filter(|(of, is)| of == way && is == kind);
        seen.count()
    };
    assert_eq!([count("2", "128"), count("1", "129")], [3, 3], "{seen:?}");
    let text = read(&["tcpdump", "-n", "-r"], &both)?;
    assert!(text.contains("ICMP6, echo request"), "{text}");
    assert!(text.contains("ICMP6, router advertisement"), "{text}");

    tagged(one, &both)?;

    // Who leaves takes the flows along.
    capture.interrupt(SOON)?;
    await_flows(&world, 0)
}

#[test]
fn a_capture_ends_at_its_count_and_a_flood_does_not_hold_up_others() -> Outcome {
    Tools::check(&["tcpdump"])?;
    let mut world = World::start()?;
    world.addressed()?;
    let guests = world.plugged().expect("guests");
    let (one, other) = (&guests.slaac1, &guests.slaac1b);
    let target = other.address().to_string();
    let port = &one.port.id;
    let some = file(&world, "some.pcapng");
    let path = some.to_string_lossy();
    let mut capture = begin(
        &world,
        &[port, "--file", &path, "--count", "2000", "--snaplen", "64"],
    )?;
    ping(one, &["-f", "-c", "20000", &target])?;
    world.controller.ask(&["status"])?;
    guests
        .stateful1
        .guest
        .run(&["rdisc6", "-1", "-q", "eth0"])?;
    ping(one, &["-c", "1", &target])?;
    if capture.is_running() {
        capture.terminate(SOON)?;
    }
    let text = read(&["tcpdump", "-n", "-r"], &some)?;
    let frames = text.lines().count();
    assert!((500..=2000).contains(&frames), "{frames}");
    await_flows(&world, 0)?;

    let few = file(&world, "few.pcapng");
    let path = few.to_string_lossy();
    let mut capture = begin(&world, &[port, "--file", &path, "--count", "3"])?;
    ping(one, &["-c", "4", "-i", "0.2", &target])?;
    assert!(capture.wait(SOON)?.success());
    assert!(
        capture.log_text().contains("3 frames were captured; "),
        "{}",
        capture.log_text()
    );
    assert_eq!(read(&["tcpdump", "-n", "-r"], &few)?.lines().count(), 3);
    await_flows(&world, 0)
}
