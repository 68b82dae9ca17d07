//! Guests ask for metadata: who they are is known by their port, whatever addresses they share and whatever they claim.

#[path = "metadata/cloud_init.rs"]
mod cloud_init;

use ring::hmac;
use serde_json::json;
use sextant_lab::story::{Failure, Outcome, World, ensure};
use sextant_lab::{
    Guest, Hypervisor, LabError, METADATA, METADATA_IPV6, Network, NovaRequest, PlayedNova, Port,
    PortSpec, Process, SECRET, SubnetSpec, ask_metadata, start_metadata, wait_for,
};
use std::net::IpAddr;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(30);
const CONFIG: &str = "[metadata]\nenabled = true\n";
const GET: &str = "GET /latest/meta-data/ HTTP/1.1\r\nHost: metadata\r\nConnection: close\r\n\r\n";

/// Two hypervisors with a port for metadata.
fn start() -> Result<World, Failure> {
    let mut world = World::start_configured(CONFIG)?;
    world.join()?;
    for host in world.lab.hypervisors() {
        wait_metadata_port(host)?;
    }
    Ok(world)
}

fn wait_metadata_port(host: &Hypervisor) -> Result<(), LabError> {
    let words = ["--timeout=30", "wait-until", "interface", "sextant-md"];
    host.vsctl(&[&words[..], &["ofport>0"]].concat()).map(drop)
}

/// Says who asked, as Nova is told.
fn who(request: &NovaRequest) -> Option<String> {
    Some(format!(
        "{} of {} from {}\n",
        request.header("x-instance-id"),
        request.header("x-tenant-id"),
        request.header("x-forwarded-for")
    ))
}

fn network(world: &World, name: &str, more: serde_json::Value) -> Result<Network, LabError> {
    let network = world.lab.api().create_network(name)?;
    let spec = SubnetSpec {
        cidr: "192.0.2.0/24",
        more: more.as_object().cloned().unwrap_or_default(),
        ..SubnetSpec::default()
    };
    world.lab.api().create_subnet(&network, &spec)?;
    Ok(network)
}

/// A guest of an instance, and its port.
fn boot(
    world: &World,
    network: &Network,
    name: &str,
    more: serde_json::Value,
) -> Result<(Guest, Port), LabError> {
    let mut attributes = more.as_object().cloned().unwrap_or_default();
    attributes.insert("device_id".to_owned(), format!("instance-{name}").into());
    attributes.insert("device_owner".to_owned(), "compute:nova".into());
    attributes.insert("project_id".to_owned(), format!("project-{name}").into());
    let spec = PortSpec {
        name,
        more: attributes,
    };
    let port = world.lab.api().create_port(network, &spec)?;
    let guest = world.lab.hypervisor(1).add_guest(&port.guest(name))?;
    world.wait_status(&port, "ACTIVE")?;
    Ok((guest, port))
}

fn address(port: &Port) -> String {
    port.addresses
        .first()
        .map_or_else(String::new, ToString::to_string)
}

/// A network without a router.
fn isolated(world: &World, name: &str) -> Result<Network, LabError> {
    network(world, name, json!({"gateway_ip": null}))
}

/// A guest that has its address and knows the way.
fn configured(
    world: &World,
    network: &Network,
    name: &str,
    more: serde_json::Value,
) -> Result<(Guest, Port), LabError> {
    let (guest, port) = boot(world, network, name, more)?;
    configure(&guest, &port)?;
    Ok((guest, port))
}

/// Gives a guest its IPv4 address, and the way to metadata on the link.
fn configure(guest: &Guest, port: &Port) -> Result<(), LabError> {
    let own = format!("{}/24", address(port));
    let namespace = guest.namespace();
    namespace.ip(&["address", "add", &own, "dev", "eth0"])?;
    let to = format!("{METADATA}/32");
    namespace.ip(&["route", "add", &to, "dev", "eth0"])?;
    Ok(())
}

fn ask(guest: &Guest, to: IpAddr) -> Result<String, LabError> {
    ask_metadata(guest.namespace(), to, GET)
}

/// A guest gets the answer for its own instance.
fn gets_its_own(guest: &Guest, to: IpAddr, from: &str) -> Outcome {
    let name = guest.name();
    let answer = ask(guest, to)?;
    let expected = format!("instance-{name} of project-{name} from {from}\n");
    ensure(
        answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with(&expected),
        || format!("{name} got {answer:?}, not {expected:?}"),
    )
}

fn is_signed(request: &NovaRequest) -> bool {
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    let tag = hmac::sign(&key, request.header("x-instance-id").as_bytes());
    let expected: String = tag
        .as_ref()
        .iter()
        .map(|octet| format!("{octet:02x}"))
        .collect();
    request.header("x-instance-id-signature") == expected
}

#[test]
fn guests_with_the_same_address_get_their_own() -> Outcome {
    let world = start()?;
    let host = world.lab.hypervisor(1);
    let nova = PlayedNova::start(host, who)?;
    let _service = start_metadata(host)?;
    let fixed = json!({"fixed_ips": [{"ip_address": "192.0.2.10"}]});
    let mut guests = vec![];
    for name in ["a", "b"] {
        let network = isolated(&world, name)?;
        let (guest, port) = configured(&world, &network, name, fixed.clone())?;
        guests.push((guest, port));
    }
    for (guest, port) in guests.iter().chain(&guests) {
        gets_its_own(guest, METADATA.into(), "192.0.2.10")?;
        let link_local = guest.wait_link_local(SOON)?.to_string();
        gets_its_own(guest, METADATA_IPV6.into(), &link_local)?;
        ensure(address(port) == "192.0.2.10", || format!("{port:?}"))?;
    }
    let requests = nova.requests();
    ensure(
        requests.len() == 8 && requests.iter().all(is_signed),
        || format!("{requests:?}"),
    )
}

#[test]
fn what_a_guest_forges_gets_it_nothing() -> Outcome {
    let world = start()?;
    let host = world.lab.hypervisor(1);
    let nova = PlayedNova::start(host, who)?;
    let _service = start_metadata(host)?;
    let network = isolated(&world, "red")?;
    let (mallory, port) = configured(&world, &network, "mallory", json!({}))?;
    let (victim, other) = configured(&world, &network, "victim", json!({}))?;
    let forged = "GET http://nova/latest HTTP/1.1\r\nHost: nova\r\nX-Instance-ID: instance-victim\r\n\
        X-Tenant-ID: project-victim\r\nX-Forwarded-For: 192.0.2.9\r\nX-Instance-ID-Signature: 00\r\n\
        x-instance-id: instance-victim\r\nX-Metadata-Provider: p\r\nConnection: close\r\n\r\n";
    let answer = ask_metadata(mallory.namespace(), METADATA.into(), forged)?;
    let expected = format!(
        "instance-mallory of project-mallory from {}\n",
        address(&port)
    );
    ensure(answer.ends_with(&expected), || answer.clone())?;
    let last = nova.requests().pop();
    ensure(
        last.is_some_and(|last| {
            last.line == "GET /latest HTTP/1.1"
                && is_signed(&last)
                && last.header("x-metadata-provider").is_empty()
        }),
        || format!("{:?}", nova.requests()),
    )?;
    // From the victim's address, or one that carries its port, nothing gets through.
    let before = nova.requests().len();
    let carried = "241.1.0.2".to_owned();
    for source in [address(&other), carried] {
        let namespace = mallory.namespace();
        let own = format!("{}/24", address(&port));
        namespace.ip(&["address", "del", &own, "dev", "eth0"])?;
        let taken = format!("{source}/32");
        namespace.ip(&["address", "add", &taken, "dev", "eth0"])?;
        let to = format!("{METADATA}/32");
        namespace.ip(&["route", "replace", &to, "dev", "eth0", "src", &source])?;
        let answer = namespace.run(&[
            "timeout",
            "3",
            "bash",
            "-c",
            "exec 3<>/dev/tcp/169.254.169.254/80",
        ]);
        ensure(answer.is_err(), || format!("a connection from {source}"))?;
        namespace.ip(&["address", "del", &taken, "dev", "eth0"])?;
        namespace.ip(&["address", "add", &own, "dev", "eth0"])?;
    }
    ensure(nova.requests().len() == before, || {
        format!("{:?}", nova.requests())
    })?;
    gets_its_own(&victim, METADATA.into(), &address(&other))
}

/// Something of the host that listens at all its addresses, once the host itself reaches it at those that guests ask.
fn listen_everywhere(host: &Hypervisor) -> Result<Process, LabError> {
    let listener = host
        .namespace()
        .spawn(&["busybox", "nc", "-ll", "-p", "8080", "-e", "cat"])?;
    for to in ["241.255.255.254", "fe80::a9fe:a9fe%sextant-md"] {
        let connect = format!("exec 3<>/dev/tcp/{to}/8080");
        wait_for(&format!("the host to reach {to}"), SOON, || {
            let connected = host.run(&["timeout", "2", "bash", "-c", &connect]);
            connected.map_err(|error| error.to_string())
        })?;
    }
    Ok(listener)
}

#[test]
fn a_guest_reaches_nothing_else_of_the_host() -> Outcome {
    let world = start()?;
    let host = world.lab.hypervisor(1);
    let _nova = PlayedNova::start(host, who)?;
    let _service = start_metadata(host)?;
    let network = isolated(&world, "red")?;
    let (guest, port) = configured(&world, &network, "a", json!({}))?;
    let listener = listen_everywhere(host)?;
    guest.wait_link_local(SOON)?;
    for to in [
        "169.254.169.254/8080",
        "169.254.169.254/16980",
        "fe80::a9fe:a9fe%eth0/8080",
        "241.255.255.254/16980",
    ] {
        let connect = format!("exec 3<>/dev/tcp/{to}");
        let connected = guest.run(&["timeout", "2", "bash", "-c", &connect]);
        ensure(connected.is_err(), || format!("a connection to {to}"))?;
    }
    let ping = guest.run(&["ping", "-c", "1", "-W", "1", "169.254.169.254"]);
    ensure(ping.is_err(), || "the host answers a ping".to_owned())?;
    drop(listener);
    gets_its_own(&guest, METADATA.into(), &address(&port))
}

#[test]
fn clients_learn_the_way_and_need_no_controller() -> Outcome {
    let mut world = start()?;
    let nova = PlayedNova::start(world.lab.hypervisor(1), who)?;
    let mut service = start_metadata(world.lab.hypervisor(1))?;
    let alone = isolated(&world, "isolated")?;
    let routed = network(&world, "routed", json!({}))?;
    let router = world.lab.api().create_router("router")?;
    let subnets = world
        .lab
        .api()
        .get(&format!("/v2.0/subnets?network_id={}", routed.id))?
        .1;
    let subnet = subnets["subnets"][0]["id"].as_str().unwrap_or_default();
    let subnet = world.lab.api().show_subnet(subnet)?;
    world.lab.api().add_interface(&router, &subnet)?;
    let mut guests = vec![];
    for (network, name) in [(&alone, "a"), (&routed, "b")] {
        let (guest, port) = boot(&world, network, name, json!({}))?;
        let client = guest.dhcpcd4(SOON)?;
        guests.push((guest, port, client));
    }
    for (guest, port, _) in &guests {
        gets_its_own(guest, METADATA.into(), &address(port))?;
    }
    let routes = |guest: &Guest| guest.run(&["ip", "route", "get", "169.254.169.254"]);
    let (direct, by_router) = (routes(&guests[0].0)?.stdout, routes(&guests[1].0)?.stdout);
    ensure(
        !direct.contains("via") && by_router.contains("via 192.0.2.1"),
        || format!("{direct}{by_router}"),
    )?;
    world.controller.kill();
    for (guest, port, _) in &guests {
        gets_its_own(guest, METADATA.into(), &address(port))?;
    }
    // The service starts without a controller, too.
    service.terminate(SOON)?;
    let _again = start_metadata(world.lab.hypervisor(1))?;
    for (guest, port, _) in &guests {
        gets_its_own(guest, METADATA.into(), &address(port))?;
    }
    ensure(nova.requests().len() == 6, || {
        format!("{:?}", nova.requests())
    })
}

#[test]
fn a_port_that_changes_hands_asks_in_its_new_instances_name() -> Outcome {
    let mut world = start()?;
    let host = world.lab.hypervisor(1);
    let _nova = PlayedNova::start(host, who)?;
    let _service = start_metadata(host)?;
    let network = isolated(&world, "red")?;
    let (guest, port) = configured(&world, &network, "a", json!({}))?;
    gets_its_own(&guest, METADATA.into(), &address(&port))?;
    let path = format!("/v2.0/ports/{}", port.id);
    let new = json!({"port": {"device_id": "instance-new"}});
    world.lab.api().put(&path, &new)?;
    wait_for("the new instance", SOON, || {
        let answer = ask(&guest, METADATA.into()).map_err(|error| error.to_string())?;
        match answer.contains("instance-new of project-a") {
            true => Ok(()),
            false => Err(answer),
        }
    })?;
    // Where metadata is switched off, nothing of it is left.
    world.reconfigure("")?;
    let host = world.lab.hypervisor(1);
    wait_for("no trace of metadata", SOON, || {
        let left = host.vsctl(&["list", "interface"]);
        let left = left.map_err(|error| error.to_string())?.stdout;
        match left.contains("sextant-md") || left.contains("sextant-device") {
            true => Err(left),
            false => Ok(()),
        }
    })?;
    let flows = host.dump_flows("br-int")?;
    ensure(
        !flows.iter().any(|flow| flow.contains("169.254.169.254")),
        || flows.join("\n"),
    )
}

#[test]
fn a_switch_or_a_port_that_comes_back_is_served_again() -> Outcome {
    let world = start()?;
    let host = world.lab.hypervisor(1);
    let _nova = PlayedNova::start(host, who)?;
    let mut service = start_metadata(host)?;
    let network = isolated(&world, "red")?;
    let (guest, port) = configured(&world, &network, "a", json!({}))?;
    gets_its_own(&guest, METADATA.into(), &address(&port))?;
    host.kill_vswitchd();
    host.start_vswitchd()?;
    wait_answer(&guest)?;
    // Somebody removes the port. Sextant makes it again, and the host's device is another one.
    host.vsctl(&["del-port", "br-int", "sextant-md"])?;
    let ready = |line: &str| line.contains("ready").then_some(());
    service.wait_line("its second ready line", SOON, ready)?;
    wait_answer(&guest)?;
    Ok(())
}

fn wait_answer(guest: &Guest) -> Result<(), LabError> {
    wait_for("an answer", SOON, || {
        let answer = ask(guest, METADATA.into()).map_err(|error| error.to_string())?;
        match answer.contains("instance-a of project-a") {
            true => Ok(()),
            false => Err(answer),
        }
    })
}

#[test]
fn many_guests_ask_at_once() -> Outcome {
    let world = start()?;
    let host = world.lab.hypervisor(1);
    let nova = PlayedNova::start(host, who)?;
    let _service = start_metadata(host)?;
    let network = isolated(&world, "red")?;
    let count = 200;
    let mut guests = vec![];
    for number in 0..count {
        let (guest, port) = configured(&world, &network, &format!("g{number}"), json!({}))?;
        guests.push((guest, port));
    }
    let answered: Vec<Outcome> = std::thread::scope(|scope| {
        let asking: Vec<_> = guests
            .iter()
            .map(|(guest, port)| {
                scope.spawn(|| gets_its_own(guest, METADATA.into(), &address(port)))
            })
            .collect();
        let joined = asking.into_iter().map(std::thread::ScopedJoinHandle::join);
        joined.filter_map(Result::ok).collect()
    });
    ensure(answered.len() == count, || {
        "a guest's thread ended".to_owned()
    })?;
    answered.into_iter().collect::<Result<Vec<()>, Failure>>()?;
    ensure(nova.requests().len() == count, || {
        format!("{:?}", nova.requests().len())
    })
}
