//! The verbs that list, that explain flows and compare them, and those that go on.

use super::{SOON, ask, text};
use serde_json::{Value, json};
use sextant_lab::story::{Failure, World};
use sextant_lab::{LabError, Process, wait_for};
use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;

/// A verb that goes on until it is ended.
fn going_on(world: &World, words: &[&str]) -> Result<Process, Failure> {
    let (binary, socket) = (world.controller.binary(), world.controller.control_socket());
    let (binary, socket) = (binary.to_string_lossy(), socket.to_string_lossy());
    let words = [&[&*binary], words, &["--socket", &socket]].concat();
    Ok(world.lab.spawn_in_ctl(&words)?)
}

fn values<'v>(rows: &'v [Value], key: &str) -> Vec<&'v str> {
    rows.iter().map(|row| text(row, key)).collect()
}

/// The rows of ports without what changes with each second: the ages of their leases.
fn ageless(mut rows: Vec<Value>) -> Vec<Value> {
    for row in &mut rows {
        for lease in row["leases"].as_array_mut().into_iter().flatten() {
            (lease["renewed_ago"], lease["valid_for"]) = (Value::Null, Value::Null);
        }
    }
    rows
}

#[test]
fn lists_say_what_is_there_and_search_finds_it() -> Result<(), Failure> {
    let mut world = World::start()?;
    world.addressed()?;
    let hypervisors = ask(&world, &["hypervisors"])?;
    assert_eq!(values(&hypervisors, "chassis"), ["h1", "h2"]);
    for row in &hypervisors {
        assert_eq!(row["connected"], "both", "{row}");
        assert_eq!(
            (&row["ports"], &row["active"]),
            (&3.into(), &3.into()),
            "{row}"
        );
    }
    let networks = ask(&world, &["networks"])?;
    let names: BTreeSet<&str> = values(&networks, "name").into_iter().collect();
    assert_eq!(names, ["slaac", "stateful", "stateless"].into());
    let routers = ask(&world, &["routers"])?;
    assert_eq!(values(&routers, "name"), ["router1"]);
    assert_eq!(ask(&world, &["prefixes"])?, Vec::<Value>::new());

    let all = ask(&world, &["ports"])?;
    assert_eq!(ask(&world, &["ports", "--chassis", "h1"])?.len(), 3);
    assert_eq!(ask(&world, &["ports", "--waiting"])?, Vec::<Value>::new());
    let mut paged: Vec<Value> = Vec::new();
    loop {
        let last = paged.last().map(|row| text(row, "port_id").to_owned());
        let mut words = vec!["ports", "--limit", "2"];
        if let Some(last) = &last {
            words.extend(["--after", last]);
        }
        match ask(&world, &words)? {
            page if page.is_empty() => break,
            page => paged.extend(page),
        }
    }
    assert_eq!(ageless(paged), ageless(all));

    let port = &world.plugged().expect("guests").stateful1.port;
    for (meant, kind) in [
        (&port.id[..9], "port"),
        (&port.mac, "port"),
        ("statef", "network"),
        ("router1", "router"),
        ("2001:db8:b::/64", "subnet"),
        ("h1", "hypervisor"),
        ("default", "security group"),
    ] {
        let found = ask(&world, &["search", meant])?;
        assert!(values(&found, "kind").contains(&kind), "{meant}: {found:?}");
    }
    assert_eq!(
        ask(&world, &["search", "no such thing"])?,
        Vec::<Value>::new()
    );
    Ok(())
}

#[test]
fn a_part_of_a_list_is_what_was_asked_for() -> Result<(), Failure> {
    let mut world = World::start()?;
    world.addressed()?;
    let nothing = Vec::<Value>::new();
    let one = ask(&world, &["hypervisors", "--chassis", "h2"])?;
    assert_eq!(values(&one, "chassis"), ["h2"]);
    let rest = ask(&world, &["hypervisors", "--limit", "1", "--after", "h1"])?;
    assert_eq!(rest, one);
    assert_eq!(ask(&world, &["hypervisors", "--wrong"])?, nothing);
    let routers = ask(&world, &["routers"])?;
    let id = text(&routers[0], "router_id");
    assert_eq!(ask(&world, &["routers", "--router", id])?, routers);
    assert_eq!(ask(&world, &["routers", "--gateway"])?, nothing);
    let busiest = ask(&world, &["networks", "--busiest", "--external", "false"])?;
    let ports: Vec<u64> = busiest
        .iter()
        .filter_map(|row| row["ports"].as_u64())
        .collect();
    assert_eq!(ports, [4, 3, 2], "each with its router's port");
    let id = text(&busiest[0], "network_id");
    assert_eq!(ask(&world, &["networks", "--network", id])?, busiest[..1]);
    assert_eq!(ask(&world, &["networks", "--external", "true"])?, nothing);
    Ok(())
}

#[test]
fn a_flow_is_explained_and_switches_have_what_they_should() -> Result<(), Failure> {
    let mut world = World::start()?;
    world.addressed()?;
    let port = &world.plugged().expect("guests").slaac1.port;
    let object = format!("port/{}", port.id);
    let flows = ask(
        &world,
        &[
            "flows",
            "--chassis",
            "h1",
            "--object",
            &object,
            "--table",
            "0",
        ],
    )?;
    // One is for tagged frames, which this guest does not send.
    let mut taken = None;
    for flow in &flows {
        let explained = ask(
            &world,
            &["explain", "--chassis", "h1", text(flow, "cookie")],
        )?;
        assert_eq!(explained.len(), 1, "{explained:?}");
        let packets = explained[0]["packets"].as_u64().unwrap_or_default();
        taken = taken.or(explained.into_iter().next().filter(|_| packets > 0));
    }
    let flow = taken.expect("a flow that took packets");
    assert_eq!(flow["chassis"], "h1");
    let name = port.body["name"].as_str().expect("a name");
    assert!(
        flow["wanted_by"].to_string().contains(&format!("'{name}'")),
        "{flow}"
    );
    let refused = world
        .controller
        .ask(&["explain", "0x1"])
        .expect_err("a refusal");
    assert!(
        refused.to_string().contains("no hypervisor should have"),
        "{refused}"
    );

    let summaries = ask(&world, &["plan"])?;
    assert_eq!(values(&summaries, "chassis"), ["h1", "h2"], "{summaries:?}");
    for summary in &summaries {
        assert_eq!(summary["differences"], 0, "{summary}");
        assert_eq!(summary["wanted"], summary["there"], "{summary}");
    }
    world.lab.hypervisor(2).kill_vswitchd();
    wait_for("a switch that is not read", SOON, || {
        let rows = ask(&world, &["plan", "--chassis", "h2"]).map_err(|error| error.to_string())?;
        match text(&rows[0], "unread").contains("not connected") {
            true => Ok(()),
            false => Err(format!("{rows:?}")),
        }
    })?;
    Ok(())
}

#[test]
fn drops_are_counted_by_table() -> Result<(), Failure> {
    let mut world = World::start()?;
    world.addressed()?;
    let guest = &world.plugged().expect("guests").slaac1.guest;
    // Another's address does not pass guard.
    guest.run(&[
        "ip",
        "address",
        "add",
        "2001:db8:a::bad/64",
        "dev",
        "eth0",
        "nodad",
    ])?;
    let lost = guest.run(&[
        "ping",
        "-c",
        "3",
        "-i",
        "0.2",
        "-W",
        "1",
        "-I",
        "2001:db8:a::bad",
        "2001:db8:a::",
    ]);
    assert!(lost.is_err(), "{lost:?}");
    wait_for("drops in guard", SOON, || {
        let rows = ask(&world, &["drops", "--chassis", "h1"]).map_err(|error| error.to_string())?;
        let guard = rows.iter().find(|row| row["stage"] == "guard");
        match guard.and_then(|row| row["packets"].as_u64()) {
            Some(packets) if packets > 0 => Ok(()),
            _ => Err(format!("{rows:?}")),
        }
    })?;
    Ok(())
}

#[test]
fn what_goes_on_is_followed_and_asked_again() -> Result<(), Failure> {
    let mut world = World::start()?;
    world.addressed()?;
    let port = world.plugged().expect("guests").slaac2.port.clone();
    let mut events = going_on(&world, &["events", &port.id, "--follow"])?;
    let contains = |words: &'static str| move |line: &str| line.contains(words).then_some(());
    events.wait_line("the past", SOON, contains("plugged in"))?;
    events.wait_line("the past", SOON, contains("flows confirmed"))?;
    let hypervisor = world.lab.hypervisor(2);
    let tap = world
        .plugged()
        .expect("guests")
        .slaac2
        .guest
        .tap()
        .to_owned();
    hypervisor.vsctl(&["del-port", "br-int", &tap])?;
    events.wait_line("an event as it happens", SOON, contains("unplugged"))?;

    let mut status = going_on(&world, &["status", "--watch", "1"])?;
    for _ in 0..3 {
        status.wait_line("the status again", SOON, contains("objects"))?;
    }
    let mut flush = going_on(&world, &["neighbors", "--watch", "1", "flush"])?;
    flush.wait_line(
        "a refusal",
        SOON,
        contains("--watch is for verbs that only read"),
    )?;
    Ok(())
}

#[test]
fn a_bundle_has_everything_in_a_file_of_its_own() -> Result<(), Failure> {
    let mut world = World::start()?;
    world.addressed()?;
    let file = world.lab.home().join("bundle.jsonl");
    let name = file.to_string_lossy();
    let said = world.controller.ask(&["support-bundle", &name])?.stdout;
    assert!(said.contains("0 verbs refused"), "{said}");
    let mode = std::fs::metadata(&file)
        .expect("a file")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    let written = std::fs::read_to_string(&file).expect("a text");
    let lines = written.lines().map(serde_json::from_str);
    let lines: Vec<Value> = lines.collect::<Result<_, _>>().expect("JSON lines");
    let of: BTreeSet<&str> = values(&lines, "of").into_iter().collect();
    for verb in [
        "version",
        "status",
        "hypervisors",
        "networks",
        "routers",
        "ports",
        "facts",
        "metrics",
    ] {
        assert!(of.contains(verb), "{verb}: {of:?}");
    }
    let refused = world
        .controller
        .ask(&["support-bundle", &name])
        .expect_err("a refusal");
    assert!(refused.to_string().contains("File exists"), "{refused}");
    Ok(())
}

#[test]
fn what_is_nearly_used_up_is_named() -> Result<(), Failure> {
    let world = World::start()?;
    let api = world.lab.api();
    let made = |path: &str, body: Value| -> Result<Value, LabError> {
        let (status, body) = api.post(path, &body)?;
        assert_eq!(status, 201, "{path}: {body}");
        Ok(body)
    };
    let network = json!({"network": {"name": "small"}});
    let network = made("/v2.0/networks", network)?["network"].clone();
    let pool = json!([{"start": "192.0.2.10", "end": "192.0.2.19"}]);
    let subnet = json!({"subnet": {"name": "tiny", "network_id": network["id"], "ip_version": 4, "cidr": "192.0.2.0/24", "allocation_pools": pool}});
    let subnet = made("/v2.0/subnets", subnet)?["subnet"].clone();
    let port = json!({"port": {"network_id": network["id"]}});
    for _ in 0..8 {
        made("/v2.0/ports", port.clone())?;
    }
    let status = world.controller.ask(&["status"])?.stdout;
    assert!(!status.contains("Nearly"), "{status}");

    made("/v2.0/ports", port)?;
    let project = text(&network, "project_id");
    let limit = json!({"quota": {"port": 10}});
    let (answer, body) = api.put(&format!("/v2.0/quotas/{project}"), &limit)?;
    assert_eq!(answer, 200, "{body}");
    let status = world.controller.ask(&["status"])?.stdout;
    let (id, name) = (text(&subnet, "id"), "tiny");
    for said in [
        format!("Nearly all are used: 9 of 10 in subnet {id} '{name}'."),
        format!("Nearly used up: 9 of 10 ports of project {project}."),
    ] {
        assert!(status.contains(&said), "{said}: {status}");
    }
    world.wait_metric("sextant_subnets_nearly_used_up 1")?;
    world.wait_metric("sextant_quotas_nearly_used_up 1")
}
