//! Hypervisors come, change, move their guests and leave: on real Open vSwitch.

use sextant_lab::story::{Failure, Plugged, World};
use sextant_lab::{Hypervisor, LabOptions, Underlay, wait_for};
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_secs(30);
const INTERVAL: Duration = Duration::from_millis(50);

fn world() -> World {
    World::start().expect("the lab starts")
}

/// What `ovs-vsctl` prints, trimmed.
fn asked(host: &Hypervisor, words: &[&str]) -> String {
    host.vsctl(words)
        .map(|output| output.stdout.trim().to_owned())
        .unwrap_or_else(|error| error.to_string())
}

fn wait_until(what: &str, holds: impl Fn() -> Result<(), String>) {
    if let Err(error) = wait_for(what, SOON, holds) {
        panic!("{error}");
    }
}

/// What `ovs-vsctl list-br` prints before Sextant has made anything: only a userspace tunnel needs a bridge.
fn before_joining(host: &Hypervisor) -> &'static str {
    host.underlay_bridge().unwrap_or_default()
}

fn leave(host: &Hypervisor) {
    host.leave().expect("ovs-vsctl");
}

/// One answer at least.
fn reaches(from: &Plugged, to: &Plugged) -> Result<(), String> {
    let report = from
        .guest
        .ping(to.address(), 2, INTERVAL)
        .map_err(|error| error.to_string())?;
    if report.received > 0 {
        Ok(())
    } else {
        Err(report.to_string())
    }
}

#[test]
fn one_that_leaves_is_left_as_it_was() -> Result<(), Failure> {
    let mut world = world();
    world.join()?;
    let (leaver, stayer) = (world.lab.hypervisor(1), world.lab.hypervisor(2));
    let take_part = |wanted: &str| {
        let page = world.lab.metrics().map_err(|error| error.to_string())?;
        let line = format!("sextant_hypervisors_connected {wanted}");
        let counted = page
            .lines()
            .find(|line| line.starts_with("sextant_hypervisors_connected"));
        match counted {
            Some(counted) if counted == line => Ok(()),
            other => Err(format!("{other:?}")),
        }
    };
    wait_until("both to take part", || take_part("2"));

    leave(leaver);
    wait_until("br-int to go", || match asked(leaver, &["list-br"]) {
        bridges if bridges == before_joining(leaver) => Ok(()),
        bridges => Err(bridges),
    });
    wait_until("the peer to be forgotten", || take_part("1"));

    leaver.join("gre")?;
    leaver.wait_bridge("br-int")?;
    wait_until("the peer's tunnel port for its protocol", || {
        match asked(stayer, &["list-ports", "br-int"]) {
            ports if ports.contains("sextant-gre") => Ok(()),
            ports => Err(ports),
        }
    });
    Ok(())
}

#[test]
fn a_bridge_that_exists_keeps_what_is_not_sextants() -> Result<(), Failure> {
    let world = world();
    let host = world.lab.hypervisor(1);
    host.vsctl(&[
        "add-br",
        "br-int",
        "--",
        "set",
        "bridge",
        "br-int",
        &host.datapath().setting(),
    ])?;
    host.vsctl(&[
        "add-port",
        "br-int",
        "mine",
        "--",
        "set",
        "interface",
        "mine",
        "type=internal",
    ])?;
    let datapath_id = asked(host, &["get", "bridge", "br-int", "datapath_id"]);

    host.join("vxlan")?;
    host.wait_controller("br-int")?;
    wait_until("flows", || match host.dump_flows("br-int") {
        Ok(flows) if flows.len() > 10 => Ok(()),
        other => Err(format!("{other:?}")),
    });
    assert_eq!(
        asked(host, &["get", "bridge", "br-int", "datapath_id"]),
        datapath_id
    );
    assert_eq!(
        asked(host, &["get", "bridge", "br-int", "fail_mode"]),
        "secure"
    );

    leave(host);
    wait_until("sextant's port to go", || {
        match asked(host, &["list-ports", "br-int"]) {
            ports if ports == "mine" => Ok(()),
            ports => Err(ports),
        }
    });
    assert_eq!(asked(host, &["get-controller", "br-int"]), "");
    Ok(())
}

/// What Sextant made goes, what others plugged in stays, and the guests are there as soon as the hypervisor is again.
#[test]
fn guests_of_one_that_leaves_keep_their_ports_and_are_back_with_it() -> Result<(), Failure> {
    let mut world = world();
    let (lab, _, guests) = world.addressed()?;
    let host = lab.hypervisor(1);
    reaches(&guests.slaac1, &guests.slaac1b).map_err(Failure::Observed)?;
    let of_bridge = |what: &'static str| asked(host, &["get", "bridge", "br-int", what]);
    let (bridge, datapath_id) = (of_bridge("_uuid"), of_bridge("datapath_id"));
    let mut taps: Vec<&str> = [&guests.slaac1, &guests.slaac1b, &guests.stateful1]
        .map(|guest| guest.guest.tap())
        .into();
    taps.sort_unstable();

    leave(host);
    wait_until("only guests' ports to be left", || {
        match asked(host, &["list-ports", "br-int"]) {
            ports if ports.lines().eq(taps.iter().copied()) => Ok(()),
            ports => Err(ports),
        }
    });
    wait_until("no flow to be left", || match host.dump_flows("br-int") {
        Ok(flows) if flows.is_empty() => Ok(()),
        other => Err(format!("{other:?}")),
    });
    assert_eq!(asked(host, &["get-controller", "br-int"]), "");
    assert_eq!(of_bridge("_uuid"), bridge);
    assert!(reaches(&guests.slaac1, &guests.slaac1b).is_err());

    let back = Instant::now();
    host.move_endpoint(&host.endpoint().to_string())?;
    wait_until("the guests to reach each other", || {
        reaches(&guests.slaac1, &guests.slaac1b)
    });
    println!("a guest answers {:?} after the key is back", back.elapsed());
    wait_until("those elsewhere to reach them", || {
        let elsewhere = lab.hypervisor(2);
        reaches(&guests.slaac2, &guests.slaac1)
            .map_err(|lost| format!("{lost}\n{}\n{}", host.tunnels(), elsewhere.tunnels()))
    });
    assert_eq!(of_bridge("datapath_id"), datapath_id);

    // What others do not use is Sextant's again.
    for tap in taps {
        host.vsctl(&["del-port", "br-int", tap])?;
    }
    leave(host);
    wait_until("br-int to go", || match asked(host, &["list-br"]) {
        bridges if bridges == before_joining(host) => Ok(()),
        bridges => Err(bridges),
    });
    Ok(())
}

/// What Sextant asks for is told by the database alone: this machine may have no kernel's datapath.
#[test]
fn gre_over_ipv6_has_the_type_that_the_bridges_datapath_knows() -> Result<(), Failure> {
    let world = World::start_in(
        LabOptions {
            hypervisors: 2,
            underlay: Underlay::DualStack,
            ..LabOptions::default()
        },
        "",
    )?;
    for (host, datapath, type_over_ipv6) in [
        (world.lab.hypervisor(1), "system", "ip6gre"),
        (world.lab.hypervisor(2), "netdev", "gre"),
    ] {
        let (ipv6, ipv4) = (host.endpoint(), host.endpoint_v4().expect("both families"));
        host.vsctl(&["--no-wait", "set-manager", "tcp:[fd00:c::1]:6640"])?;
        host.vsctl(&[
            "--no-wait",
            "set",
            "open_vswitch",
            ".",
            &format!("external_ids:system-id={}", host.name()),
            &format!("external_ids:sextant-encap-ip=\"{ipv6},{ipv4}\""),
            "external_ids:sextant-encap-type=gre",
            &format!("external_ids:sextant-bridge-datapath-type={datapath}"),
        ])?;
        for (name, kind, local) in [
            ("sextant-gre6", type_over_ipv6, ipv6.to_string()),
            ("sextant-gre4", "gre", ipv4.to_string()),
        ] {
            wait_until(name, || {
                let get = ["--no-wait", "--if-exists", "get", "interface", name];
                match asked(host, &[&get[..], &["type", "options:local_ip"]].concat()) {
                    found if found == format!("{kind}\n\"{local}\"") => Ok(()),
                    found => Err(found),
                }
            });
        }
    }
    Ok(())
}

#[test]
fn a_wrong_value_is_complained_of_and_mended_while_others_work() -> Result<(), Failure> {
    let mut world = world();
    let host = world.lab.hypervisor(1);
    host.vsctl(&[
        "set",
        "open_vswitch",
        ".",
        "external_ids:system-id=h1",
        "external_ids:sextant-encap-ip=somewhere",
    ])?;
    host.vsctl(&[
        "set",
        "open_vswitch",
        ".",
        &format!(
            "external_ids:sextant-bridge-datapath-type={}",
            host.datapath().bridge_type()
        ),
    ])?;
    host.vsctl(&["set-manager", "tcp:[fd00:c::1]:6640"])?;
    let complaint = world.controller.wait_line("the complaint", SOON, |line| {
        line.contains("sextant-encap-ip=somewhere")
            .then(|| line.to_owned())
    })?;
    assert!(complaint.contains("WARN"), "{complaint}");
    let host = world.lab.hypervisor(1);
    assert_eq!(asked(host, &["list-br"]), before_joining(host));
    world.join()?;
    Ok(())
}

#[test]
fn a_guest_that_moves_is_reached_where_it_is() -> Result<(), Failure> {
    let mut world = world();
    let (lab, _, guests) = world.addressed()?;
    reaches(&guests.slaac1, &guests.slaac1b).map_err(Failure::Observed)?;
    let port = &guests.slaac1b.port;
    // Live migration: the interface appears on the other hypervisor while it is still here, then goes from here.
    let moved = lab.hypervisor(2).add_guest(&port.guest("moved"))?;
    moved.wait_address(guests.slaac1b.address(), SOON)?;
    lab.hypervisor(1)
        .vsctl(&["del-port", "br-int", guests.slaac1b.guest.tap()])?;
    wait_until("the moved guest to answer", || {
        reaches(&guests.slaac1, &guests.slaac1b)
    });
    wait_until("the other hypervisor's guest to reach it", || {
        reaches(&guests.slaac2, &guests.slaac1b)
    });
    Ok(())
}

#[test]
fn an_interface_that_is_named_after_it_appeared_is_bound() -> Result<(), Failure> {
    let mut world = world();
    let (lab, cloud, guests) = world.ready()?;
    let host = lab.hypervisor(1);
    let port = lab
        .api()
        .create_port(&cloud.slaac.network, &sextant_lab::PortSpec::default())?;
    let nameless = sextant_lab::GuestSpec {
        port_id: "5e57a170-0000-4000-8000-000000000001".to_owned(),
        ..port.guest("late")
    };
    let guest = host.add_guest(&nameless)?;
    host.vsctl(&[
        "set",
        "interface",
        guest.tap(),
        &format!("external_ids:iface-id={}", port.id),
    ])?;
    let late = Plugged { guest, port };
    late.guest.wait_address(late.address(), SOON)?;
    wait_until("another to reach it", || reaches(&guests.slaac2, &late));
    Ok(())
}

#[test]
fn a_migration_that_is_given_up_leaves_the_guest_connected() -> Result<(), Failure> {
    let mut world = world();
    let (lab, _, guests) = world.addressed()?;
    let port = &guests.slaac1b.port;
    let copy = lab.hypervisor(2).add_guest(&port.guest("copy"))?;
    copy.wait_address(guests.slaac1b.address(), SOON)?;
    lab.hypervisor(2)
        .vsctl(&["del-port", "br-int", copy.tap()])?;
    wait_until("the guest to be reached where it always was", || {
        reaches(&guests.slaac2, &guests.slaac1b)
    });
    Ok(())
}

#[test]
fn one_that_changes_its_name_keeps_its_guests_and_leaves_no_ghost() -> Result<(), Failure> {
    let mut world = world();
    let (lab, _, guests) = world.addressed()?;
    lab.hypervisor(1).vsctl(&[
        "set",
        "open_vswitch",
        ".",
        "external_ids:system-id=another-name",
    ])?;
    wait_until("the agents to be these", || {
        let hosts = |agents: &serde_json::Value| -> Vec<String> {
            let agents = agents["agents"].as_array().into_iter().flatten();
            agents.map(|agent| agent["host"].to_string()).collect()
        };
        match lab.api().get("/v2.0/agents") {
            Ok((_, agents)) if hosts(&agents).concat() == "\"another-name\"\"h2\"" => Ok(()),
            other => Err(format!("{other:?}")),
        }
    });
    wait_until("guests to reach each other", || {
        reaches(&guests.slaac2, &guests.slaac1b)
    });
    Ok(())
}

#[test]
fn a_second_one_of_a_name_waits_and_the_first_is_left_alone() -> Result<(), Failure> {
    let mut world = world();
    world.join()?;
    let (first, second) = (world.lab.hypervisor(1), world.lab.hypervisor(2));
    let bridge = asked(first, &["get", "bridge", "br-int", "_uuid"]);
    second.vsctl(&["set", "open_vswitch", ".", "external_ids:system-id=h1"])?;
    let complaint = world.controller.wait_line("the complaint", SOON, |line| {
        line.contains("system-id=h1").then(|| line.to_owned())
    })?;
    assert!(complaint.contains("is connected from"), "{complaint}");
    // One that was not asked to take part does not make its namesake leave either.
    leave(world.lab.hypervisor(2));
    let api = world.lab.api();
    api.create_network("something-else")?;
    let (_, agents) = api.get("/v2.0/agents")?;
    assert_eq!(
        agents["agents"].as_array().map(Vec::len),
        Some(1),
        "{agents}"
    );
    let first = world.lab.hypervisor(1);
    assert_eq!(asked(first, &["get", "bridge", "br-int", "_uuid"]), bridge);
    Ok(())
}

#[test]
fn a_change_that_is_refused_is_not_asked_for_in_a_loop() -> Result<(), Failure> {
    let mut world = world();
    let host = world.lab.hypervisor(1);
    // A name that is taken: names of ports are unique in the database.
    host.vsctl(&[
        "add-br",
        "other",
        "--",
        "set",
        "bridge",
        "other",
        &host.datapath().setting(),
        "--",
        "add-port",
        "other",
        "sextant-vxlan6",
        "--",
        "set",
        "interface",
        "sextant-vxlan6",
        "type=internal",
    ])?;
    host.join("vxlan")?;
    world.controller.wait_line("the complaint", SOON, |line| {
        line.contains("refused a change").then_some(())
    })?;
    // Whatever else happens is no reason to ask again.
    for _ in 0..30 {
        world.lab.api().create_network("something-else")?;
    }
    host.vsctl(&["del-port", "other", "sextant-vxlan6"])?;
    wait_until("the tunnel's port", || {
        match asked(host, &["list-ports", "br-int"]) {
            ports if ports.contains("sextant-vxlan6") => Ok(()),
            ports => Err(ports),
        }
    });
    let metrics = world.lab.metrics()?;
    let refused = metrics
        .lines()
        .find_map(|line| {
            line.strip_prefix("sextant_ovsdb_transactions_total{outcome=\"refused\"} ")
        })
        .and_then(|count| count.parse::<u32>().ok());
    assert!(
        refused.is_some_and(|refused| (1..10).contains(&refused)),
        "{refused:?}"
    );
    Ok(())
}

#[test]
fn one_whose_switch_ends_or_falls_silent_is_gone_until_it_is_back() -> Result<(), Failure> {
    let mut world = world();
    world.join()?;
    let World {
        lab, controller, ..
    } = &mut world;
    let host = lab.hypervisor(1);
    let name = format!("chassis={}", host.name());
    let mut wait = |what: &'static str| {
        let says = |line: &str| (line.contains(what) && line.contains(&name)).then_some(());
        controller.wait_line(what, SOON, says)
    };
    host.kill_vswitchd();
    wait("hypervisor is gone")?;
    host.start_vswitchd()?;
    wait("hypervisor is back")?;

    let pid = host.vswitchd_pid().expect("it runs").to_string();
    host.run(&["kill", "-STOP", &pid])?;
    wait("hypervisor is gone")?;
    host.run(&["kill", "-CONT", &pid])?;
    wait("hypervisor is back")?;
    Ok(())
}
