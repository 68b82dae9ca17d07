//! Faults are planted in a cloud on real Open vSwitch, with real guests: `sextant why` names each of them.

use serde_json::{Value, json};
use sextant_lab::story::faults::{self, NO_PORT, OTHER_MAC, change, change_port};
use sextant_lab::story::{Failure, Outcome, Plugged, World, ensure};
use sextant_lab::{Network, Port, PortSpec, SubnetSpec, wait_for};
use std::time::Duration;

/// A switch that ends is noticed at once, one that falls silent within the probe interval.
const SOON: Duration = Duration::from_secs(60);

/// The rows of an answer about a port.
fn ask(world: &World, port: &str) -> Result<Vec<Value>, String> {
    let said = world.controller.ask(&["why", port, "--json"]);
    let said = said.map_err(|error| error.to_string())?.stdout;
    let rows = said.lines().map(serde_json::from_str);
    rows.collect::<Result<_, _>>()
        .map_err(|error| format!("{error}: {said}"))
}

/// Waits until the verdict about a port has this state and these words.
fn finds(world: &World, port: &str, state: &str, words: &str) -> Result<(), Failure> {
    wait_for(&format!("the verdict '{words}'"), SOON, || {
        let rows = ask(world, port)?;
        let verdict = rows.last().ok_or("no row")?;
        let says = verdict["says"].as_str().unwrap_or_default();
        match verdict["state"] == state && says.contains(words) {
            true => Ok(()),
            false => Err(format!("{rows:#?}")),
        }
    })?;
    Ok(())
}

fn bad(world: &World, port: &str, words: &str) -> Result<(), Failure> {
    finds(world, port, "bad", words)
}

/// One of the findings has these words.
fn among_others(world: &World, port: &str, words: &str) -> Outcome {
    wait_for(&format!("the finding '{words}'"), SOON, || {
        let rows = ask(world, port)?;
        let mut findings = rows.iter().filter_map(|row| row["says"].as_str());
        match findings.any(|says| says.contains(words)) {
            true => Ok(()),
            false => Err(format!("{rows:#?}")),
        }
    })?;
    Ok(())
}

fn good(world: &World, port: &str) -> Result<(), Failure> {
    finds(world, port, "good", "nothing wrong")
}

fn port_of(world: &World, network: &Network, name: &str, more: &Value) -> Result<Port, Failure> {
    let more = more.as_object().cloned().unwrap_or_default();
    Ok(world
        .lab
        .api()
        .create_port(network, &PortSpec { name, more })?)
}

fn plug(world: &World, port: &Port, name: &str, host: usize) -> Result<(), Failure> {
    // It ends with its lab.
    std::mem::forget(
        world
            .lab
            .hypervisor(host)
            .prepare_guest(&port.guest(name))?,
    );
    Ok(())
}

#[test]
fn a_port_is_named_by_id_name_address_or_mac_and_all_is_well() -> Outcome {
    let mut world = World::start()?;
    world.addressed()?;
    let guests = world.plugged().expect("guests");
    for plugged in guests.all() {
        good(&world, &plugged.port.id)?;
    }
    let one = &guests.stateful1;
    let name = one.port.body["name"].as_str().expect("a name").to_owned();
    for named in [name, one.address().to_string(), one.port.mac.clone()] {
        let rows = ask(&world, &named).map_err(Failure::Observed)?;
        let verdict = rows.last().expect("a verdict");
        assert_eq!(verdict["port_id"], one.port.id, "by {named}");
    }
    let told = world.controller.ask(&["events", &one.port.id])?.stdout;
    for event in ["plugged in", "flows confirmed", "solicit", "request"] {
        assert!(told.contains(event), "{event}: {told}");
    }
    let status = world.controller.ask(&["status"])?.stdout;
    assert!(status.contains("All 2 are connected"), "{status}");
    assert!(
        status.contains("All 6 that are plugged in are active"),
        "{status}"
    );
    assert!(!status.contains("BAD"), "{status}");
    let shown = world.controller.ask(&["why", &one.port.id])?.stdout;
    assert!(shown.contains("=> Sextant sees nothing wrong"), "{shown}");
    println!("{shown}\n{told}");
    for unknown in [
        "nobody",
        "2001:db8::9",
        "00000000-0000-4000-8000-000000000000",
    ] {
        let refused = world
            .controller
            .ask(&["why", unknown])
            .expect_err("a refusal");
        assert!(refused.to_string().contains("no port has"), "{refused}");
    }
    Ok(())
}

#[test]
fn what_is_wrong_with_the_port_or_the_guest_is_named() -> Outcome {
    let mut world = World::start()?;
    world.addressed()?;
    let guests = world.plugged().expect("guests");
    wrong_in_the_guest(&world, &guests.slaac1b)?;
    silent(&world, &guests.slaac2)?;
    disabled(&world, &guests.stateful2)?;
    without_rules(&world, &guests.slaac1)
}

/// Another MAC than the port's: nothing that it sends passes.
fn wrong_in_the_guest(world: &World, plugged: &Plugged) -> Outcome {
    let (guest, id) = (&plugged.guest, &plugged.port.id);
    // Its flows are made anew, so that all counters begin again.
    let host = world.lab.hypervisor(1);
    faults::set_mac(guest, OTHER_MAC)?;
    faults::unplug(host, guest)?;
    bad(world, id, "interface for this port")?;
    faults::plug_in(host, guest, id)?;
    bad(world, id, "has sent nothing")?;
    faults::set_link(guest, "up")?;
    bad(world, id, "another MAC or address")?;
    // What was dropped before it was mended is over.
    faults::set_mac(guest, &plugged.port.mac)?;
    faults::set_link(guest, "up")?;
    good(world, id)
}

/// Its interface is down from the start.
fn silent(world: &World, plugged: &Plugged) -> Outcome {
    let (guest, id) = (&plugged.guest, &plugged.port.id);
    let host = world.lab.hypervisor(2);
    faults::set_link(guest, "down")?;
    faults::unplug(host, guest)?;
    bad(world, id, "interface for this port")?;
    // A letter of the id is wrong.
    change_port(world, id, &json!({"binding:host_id": "h2"}))?;
    faults::plug_in(host, guest, NO_PORT)?;
    bad(world, id, &format!("iface-id that no port has: {NO_PORT}"))?;
    change_port(world, id, &json!({"binding:host_id": "h9"}))?;
    bad(world, id, "no hypervisor of that name has joined")?;
    change_port(world, id, &json!({"binding:host_id": "h1"}))?;
    faults::set_iface_id(host, guest, id)?;
    bad(world, id, "but an interface for it is on h2")?;
    change_port(world, id, &json!({"binding:host_id": "h2"}))?;
    bad(world, id, "has sent nothing")
}

fn disabled(world: &World, plugged: &Plugged) -> Outcome {
    let (id, network) = (&plugged.port.id, plugged.port.body["network_id"].as_str());
    let network = network.expect("a network");
    for (path, kind, words) in [
        (format!("ports/{id}"), "port", "is disabled"),
        (format!("networks/{network}"), "network", "Its network"),
    ] {
        change(world, &path, &json!({kind: {"admin_state_up": false}}))?;
        bad(world, id, words)?;
        change(world, &path, &json!({kind: {"admin_state_up": true}}))?;
    }
    world.wait_status(&plugged.port, "ACTIVE")?;
    // The port's flows are new, so only what the guest sends from now on is counted.
    plugged.guest.run(&["rdisc6", "-1", "eth0"])?;
    good(world, id)
}

fn without_rules(world: &World, plugged: &Plugged) -> Outcome {
    let id = &plugged.port.id;
    let group = faults::create_group(world, "empty")?;
    change_port(world, id, &json!({"security_groups": [group["id"]]}))?;
    finds(world, id, "note", "lets anybody reach the guest")?;
    faults::delete_rules(world, &group)?;
    bad(world, id, "have no rules")?;
    change_port(world, id, &json!({"security_groups": []}))?;
    bad(world, id, "in no security group")
}

/// A port on a physical network that only another hypervisor has a bridge to.
fn where_no_bridge_is(world: &World) -> Outcome {
    let api = world.lab.api();
    let host = world.lab.hypervisor(2);
    host.vsctl(&[
        "add-br",
        "br-seven",
        "--",
        "set",
        "bridge",
        "br-seven",
        "datapath_type=netdev",
    ])?;
    let mapping = "external_ids:sextant-bridge-mappings=physnet7:br-seven";
    host.vsctl(&["set", "open_vswitch", ".", mapping])?;
    let provider =
        json!({"provider:network_type": "flat", "provider:physical_network": "physnet7"});
    let provider = wait_for("the physical network to be known", SOON, || {
        let made = api.create_network_with("provider", provider.clone());
        made.map_err(|error| error.to_string())
    })?;
    api.create_subnet(
        &provider,
        &SubnetSpec::with_mode("2001:db8:7::/64", "slaac"),
    )?;
    let port = port_of(world, &provider, "provider", &json!({}))?;
    plug(world, &port, "provider", 1)?;
    among_others(world, &port.id, "no bridge to physnet7")?;
    Ok(())
}

#[test]
fn what_is_wrong_with_networks_subnets_and_routers_is_named() -> Outcome {
    let mut world = World::start()?;
    world.join()?;
    let api = world.lab.api();

    let bare = api.create_network("bare")?;
    let port = port_of(&world, &bare, "bare", &json!({}))?;
    plug(&world, &port, "bare", 1)?;
    bad(&world, &port.id, "has no subnet")?;

    let spec = SubnetSpec {
        cidr: "192.0.2.0/24",
        more: json!({"enable_dhcp": false})
            .as_object()
            .cloned()
            .unwrap_or_default(),
        ..SubnetSpec::default()
    };
    api.create_subnet(&bare, &spec)?;
    let port = port_of(&world, &bare, "told by nobody", &json!({}))?;
    plug(&world, &port, "untold", 1)?;
    among_others(&world, &port.id, "DHCP is off")?;
    let none = port_of(&world, &bare, "none", &json!({"fixed_ips": []}))?;
    plug(&world, &none, "none", 2)?;
    bad(&world, &none.id, "although its network has a subnet")?;

    let lonely = api.create_network("lonely")?;
    let subnet = api.create_subnet(&lonely, &SubnetSpec::with_mode("2001:db8:1::/64", "slaac"))?;
    let port = port_of(&world, &lonely, "lonely", &json!({}))?;
    plug(&world, &port, "lonely", 1)?;
    bad(&world, &port.id, "nobody advertises it")?;
    let router = api.create_router("r1")?;
    api.add_interface(&router, &subnet)?;
    bad(&world, &port.id, "has sent nothing")?;
    let path = format!("routers/{}", router.id);
    change(&world, &path, &json!({"router": {"admin_state_up": false}}))?;
    among_others(&world, &port.id, "Its router")?;

    where_no_bridge_is(&world)?;

    let delegated = api.create_network("delegated")?;
    let body = json!({"subnet": {"network_id": delegated.id, "ip_version": 6, "ipv6_ra_mode": "slaac",
        "ipv6_address_mode": "slaac", "subnetpool_id": "prefix_delegation"}});
    let (status, body) = api.post("/v2.0/subnets", &body)?;
    ensure(status == 201, || body.to_string())?;
    let subnet = api.show_subnet(body["subnet"]["id"].as_str().unwrap_or_default())?;
    let port = port_of(&world, &delegated, "delegated", &json!({}))?;
    plug(&world, &port, "delegated", 2)?;
    bad(&world, &port.id, "is on no router")?;
    api.add_interface(&router, &subnet)?;
    bad(&world, &port.id, "no external gateway to ask through")
}

#[test]
fn what_is_wrong_with_the_hypervisor_is_named() -> Outcome {
    let mut world = World::start()?;
    world.addressed()?;
    let guests = world.plugged().expect("guests");
    let (id, host) = (&guests.slaac2.port.id, world.lab.hypervisor(2));

    // Its device does not exist.
    let api = world.lab.api();
    let network = guests.slaac2.port.body["network_id"]
        .as_str()
        .expect("a network");
    let body = json!({"port": {"network_id": network, "name": "phantom"}});
    let (status, body) = api.post("/v2.0/ports", &body)?;
    ensure(status == 201, || body.to_string())?;
    let phantom = body["port"]["id"].as_str().expect("an id");
    let iface = faults::iface_id(phantom);
    // vsctl would wait for what never comes about.
    let words = [
        "--no-wait",
        "add-port",
        "br-int",
        "phantom0",
        "--",
        "set",
        "interface",
        "phantom0",
        &iface,
    ];
    host.vsctl(&words)?;
    bad(&world, phantom, "no OpenFlow port")?;
    let status = world.controller.ask(&["status"])?.stdout;
    assert!(
        status.contains(&format!("without confirmed flows: {phantom}.")),
        "{status}"
    );

    host.kill_vswitchd();
    bad(&world, id, "switch of h2 is not connected")?;
    let status = world.controller.ask(&["status"])?.stdout;
    assert!(status.starts_with("BAD      hypervisors"), "{status}");
    assert!(
        status.contains("not connected: h2 (its switch)."),
        "{status}"
    );
    host.start_vswitchd()?;
    finds_soon_good(&world, id)?;

    host.kill_ovsdb_server();
    bad(&world, id, "database of h2 is not connected")?;
    host.start_ovsdb_server()?;
    finds_soon_good(&world, id)
}

/// A tenant's name for a port is no command for the operator's terminal, and no line of the answer.
#[test]
fn a_name_of_a_port_forges_nothing() -> Outcome {
    let mut world = World::start()?;
    world.join()?;
    let network = world.lab.api().create_network("blue")?;
    let name = "web\u{1b}[2J\n=> Sextant sees nothing wrong";
    let port = port_of(&world, &network, name, &json!({}))?;
    bad(&world, &port.id, "No hypervisor has an interface")?;
    let shown = world.controller.ask(&["why", &port.id])?.stdout;
    assert!(
        shown.contains(r"web\u{1b}[2J\u{a}=> Sextant sees"),
        "{shown}"
    );
    assert_eq!(
        shown.lines().filter(|line| line.starts_with("=> ")).count(),
        1,
        "{shown}"
    );
    Ok(())
}

/// Counters began again with the switch, so the guest has to send first.
fn finds_soon_good(world: &World, port: &str) -> Outcome {
    let guests = world.plugged().expect("guests");
    let sender = &guests.slaac2;
    let mut ping = sender
        .guest
        .namespace()
        .spawn_ping(guests.slaac1.address(), Duration::from_millis(100))?;
    ping.wait_answers(3, SOON)?;
    good(world, port)?;
    ping.stop()?;
    Ok(())
}
