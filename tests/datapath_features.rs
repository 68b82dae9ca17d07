//! Datapaths that lack what the userspace one has: each feature that some kernel or hardware does not have is taken away
//! from Open vSwitch in turn (`ovs-appctl dpif/set-dp-features`), and the hypervisors are programmed anew. Then all works,
//! or what is missing is told (metric, agent, a line of the log) and all that does not need it works.

use serde_json::{Value, json};
use sextant_lab::story::{Failure, Plugged, World, ensure};
use sextant_lab::{Guest, Hypervisor, Lab, LabError, PortSpec, SubnetSpec, wait_for};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::Ipv6Addr;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(30);
const INTERVAL: Duration = Duration::from_millis(50);
/// One datapath has all bridges.
const BRIDGE: &str = "br-phy";
/// Less than the other networks have, and what is between the two.
const NARROW: u16 = 1300;
const LONG: &str = "1350";

/// A feature, what it is set to, and what of [`Works`] does not without it.
struct Feature {
    name: &'static str,
    value: &'static str,
    missing: &'static [&'static str],
    fails: &'static [&'static str],
}

const fn harmless(name: &'static str, value: &'static str) -> Feature {
    Feature {
        name,
        value,
        missing: &[],
        fails: &[],
    }
}

/// What guests under security groups cannot do where connections are not tracked.
const TRACKED: &[&str] = &[
    "on a network across hypervisors",
    "on a network here",
    "through a router",
    "path MTU",
];

/// Every name that Open vSwitch 3.1 shows (`DPIF_SUPPORT_FIELDS`, `ODP_SUPPORT_FIELDS`), but for two. `tnl_push_pop` is
/// how the userspace datapath has tunnels at all. Without `recirc` Open vSwitch takes all flows and loses what is tracked,
/// which no message of OpenFlow tells; every kernel since 3.19 has it.
const FEATURES: &[Feature] = &[
    Feature {
        name: "ct_orig_tuple,ct_orig_tuple6",
        value: "false",
        missing: &["ct_orig_tuple"],
        fails: &[],
    },
    Feature {
        name: "ct_state_nat",
        value: "false",
        missing: &["ct_nat"],
        fails: &[],
    },
    Feature {
        name: "ct_mark",
        value: "false",
        missing: &["ct_mark"],
        fails: TRACKED,
    },
    Feature {
        name: "ct_zone",
        value: "false",
        missing: &["ct_zone"],
        fails: TRACKED,
    },
    Feature {
        name: "ct_state",
        value: "false",
        missing: &["ct"],
        fails: TRACKED,
    },
    // Several at a time: each time costs a new start of both hypervisors.
    harmless("nd_ext,masked_set_action,ufid,trunc,clone", "false"),
    harmless("ct_eventmask,ct_clear,check_pkt_len,ct_timeout", "false"),
    harmless(
        "explicit_drop_action,lb_output_action,ct_zero_snat,add_mpls,ct_label",
        "false",
    ),
    harmless(
        "sample_nesting,max_hash_alg,max_vlan_headers,max_mpls_depth",
        "0",
    ),
    harmless("ct_orig_tuple6", "false"),
    harmless("ct_orig_tuple", "false"),
];

#[test]
fn whatever_a_datapath_lacks_all_else_works_and_it_is_told() {
    let mut world = World::start().expect("the lab starts");
    if let Err(failure) = story(&mut world) {
        panic!("{failure}\n{}", world.lab.logs());
    }
}

/// Guests that no rules are for, on both hypervisors.
struct Open {
    near: Plugged,
    far: Plugged,
}

fn story(world: &mut World) -> Result<(), Failure> {
    world.addressed()?;
    let open = Open {
        near: open_guest(world, "o1", 1)?,
        far: open_guest(world, "o2", 2)?,
    };
    narrow(world)?;
    translate(world)?;
    allow_a_service(world)?;
    let works = probe(world, &open)?;
    assert_eq!(works.failing(), BTreeSet::new(), "with all features");
    let mut table = vec![];
    for feature in FEATURES {
        let begun = program_without(world, feature)?;
        let told = Told::by(world, begun)?;
        let failing = probe(world, &open)?.failing();
        table.push(format!(
            "{:22} {:40} {failing:?}",
            feature.name,
            format!("{:?}", told.missing)
        ));
        eprintln!("{}", table[table.len() - 1]);
        judge(feature, &told, &failing);
        restore(world, feature)?;
    }
    Ok(())
}

/// Nothing fails that is not said to, and whatever fails is told.
fn judge(feature: &Feature, told: &Told, failing: &BTreeSet<&'static str>) {
    let name = feature.name;
    let missing: BTreeSet<String> = feature.missing.iter().map(ToString::to_string).collect();
    assert_eq!(told.missing, missing, "{name}");
    assert_eq!(told.shown, missing, "what the agents show without {name}");
    assert_eq!(*failing, feature.fails.iter().copied().collect(), "{name}");
    // One a hypervisor and reason, however many flows.
    let reasons = missing.len()..=8 * missing.len();
    assert!(
        reasons.contains(&told.lines.len()),
        "{name}: {:#?}",
        told.lines
    );
    let named = |line: &String| line.contains("table=") && line.contains("actions=");
    assert!(told.lines.iter().all(named), "{name}: {:#?}", told.lines);
}

/// What is told of all hypervisors.
struct Told {
    missing: BTreeSet<String>,
    shown: BTreeSet<String>,
    lines: Vec<String>,
}

impl Told {
    /// Since the log was that long.
    fn by(world: &World, begun: usize) -> Result<Self, Failure> {
        let metrics = world.lab.metrics()?;
        let series = metrics
            .lines()
            .filter(|line| line.starts_with("sextant_flows_refused{"));
        let missing = series.filter_map(|line| line.split("missing=\"").nth(1)?.split('"').next());
        let log = fs::read_to_string(world.controller.log_path()).unwrap_or_default();
        let lines = log[begun..]
            .lines()
            .filter(|line| line.contains("switch refused"));
        Ok(Self {
            missing: missing.map(str::to_owned).collect(),
            shown: shown(&world.lab)?,
            lines: lines.map(str::to_owned).collect(),
        })
    }
}

fn agents(lab: &Lab) -> Result<Vec<Value>, LabError> {
    let (_, body) = lab.api().get("/v2.0/agents")?;
    Ok(body["agents"].as_array().cloned().unwrap_or_default())
}

fn shown(lab: &Lab) -> Result<BTreeSet<String>, LabError> {
    let agents = agents(lab)?;
    let missing = agents
        .iter()
        .filter_map(|agent| agent["configurations"]["missing"].as_array());
    let names = missing.flatten().filter_map(Value::as_str);
    Ok(names.map(str::to_owned).collect())
}

fn open_guest(world: &mut World, name: &str, host: usize) -> Result<Plugged, Failure> {
    let (lab, cloud, _) = world.ready()?;
    let more = json!({"port_security_enabled": false, "security_groups": []});
    let spec = PortSpec {
        name,
        more: more.as_object().cloned().unwrap_or_default(),
    };
    let port = lab.api().create_port(&cloud.slaac.network, &spec)?;
    let guest = lab.hypervisor(host).add_guest(&port.guest(name))?;
    let plugged = Plugged { guest, port };
    plugged.guest.wait_address(plugged.address(), SOON)?;
    Ok(plugged)
}

/// One network takes less than the others.
fn narrow(world: &mut World) -> Result<(), Failure> {
    let (lab, cloud, _) = world.ready()?;
    let path = format!("/v2.0/networks/{}", cloud.stateful.network.id);
    lab.api().put(&path, &json!({"network": {"mtu": NARROW}}))?;
    Ok(())
}

/// The router has a gateway, behind whose address its IPv4 guests are.
fn translate(world: &mut World) -> Result<(), Failure> {
    let (lab, cloud, _) = world.ready()?;
    for host in lab.hypervisors() {
        host.vsctl(&[
            "add-br",
            "br-ex",
            "--",
            "set",
            "bridge",
            "br-ex",
            &host.datapath().setting(),
        ])?;
        host.vsctl(&[
            "set",
            "open_vswitch",
            ".",
            "external_ids:sextant-bridge-mappings=physnet1:br-ex",
        ])?;
    }
    let api = lab.api();
    let provider = json!({"router:external": true, "provider:network_type": "flat",
        "provider:physical_network": "physnet1"});
    let outside = api.create_network_with("outside", provider)?;
    api.create_subnet(&outside, &of("203.0.113.0/24"))?;
    let inside = api.create_subnet(&cloud.slaac.network, &of("10.0.0.0/24"))?;
    api.add_interface(&cloud.router, &inside)?;
    let gateway = json!({"router": {"external_gateway_info": {"network_id": outside.id}}});
    let (status, answer) = api.put(&format!("/v2.0/routers/{}", cloud.router.id), &gateway)?;
    ensure(status == 200, || answer.to_string())
}

fn of(cidr: &str) -> SubnetSpec<'_> {
    SubnetSpec {
        cidr,
        ..SubnetSpec::default()
    }
}

/// A rule of the guests' security group is about a port of a protocol.
fn allow_a_service(world: &mut World) -> Result<(), Failure> {
    let (lab, _, guests) = world.ready()?;
    let group = &guests.slaac1.port.body["security_groups"][0];
    let rule = json!({"security_group_rule": {"security_group_id": group, "direction": "ingress",
        "ethertype": "IPv6", "protocol": "tcp", "port_range_min": 80, "port_range_max": 80}});
    let (status, answer) = lab.api().post("/v2.0/security-group-rules", &rule)?;
    ensure(status == 201, || answer.to_string())
}

/// Takes a feature away and has everything programmed anew: Open vSwitch checks flows when they are added. Returns how long
/// the log was before.
fn program_without(world: &mut World, feature: &Feature) -> Result<usize, Failure> {
    world.controller.terminate()?;
    for host in world.lab.hypervisors() {
        for name in feature.name.split(',') {
            set(host, name, feature.value)?;
        }
        host.ofctl(&["del-flows", "br-int"])?;
    }
    let log = fs::read(world.controller.log_path()).unwrap_or_default();
    world.controller.start_again()?;
    settled(&world.lab)?;
    Ok(log.len())
}

fn restore(world: &World, feature: &Feature) -> Result<(), Failure> {
    for host in world.lab.hypervisors() {
        for name in feature.name.split(',') {
            give_back(host, name);
        }
    }
    Ok(())
}

/// What the datapath never had cannot be given back.
fn give_back(host: &Hypervisor, name: &str) {
    let full = match name {
        "sample_nesting" => "10",
        "max_hash_alg" | "max_vlan_headers" => "1",
        "max_mpls_depth" => "3",
        // Labs begin without.
        "nd_ext" => "false",
        _ => "true",
    };
    let _ = set(host, name, full);
}

fn set(host: &Hypervisor, name: &str, value: &str) -> Result<(), Failure> {
    let said = host.appctl(&["dpif/set-dp-features", BRIDGE, name, value])?;
    match said.stdout.trim() {
        "" => Ok(()),
        refused => Err(Failure::Observed(format!("{name}: {refused}"))),
    }
}

/// Waits until both switches have confirmed their flows and each bound port is active or told to be down.
fn settled(lab: &Lab) -> Result<(), Failure> {
    wait_for("switches programmed", SOON, || {
        let page = lab.metrics().map_err(|error| error.to_string())?;
        let metrics = numbers(&page);
        let value = |name: &str| metrics.get(name).copied().unwrap_or_default();
        let agents = agents(lab).map_err(|error| error.to_string())?;
        let down: u64 = agents
            .iter()
            .filter_map(|agent| agent["configurations"]["ports_down"].as_u64())
            .sum();
        let bound = value("sextant_ports_bound");
        let known = value("sextant_ports_active") + down == bound && bound > 0;
        let all = value("sextant_switches_connected") == 2
            && value("sextant_reconcile_duration_seconds_count") >= 2;
        (known && all).then_some(()).ok_or(page)
    })?;
    Ok(())
}

/// The metrics without labels.
fn numbers(page: &str) -> BTreeMap<&str, u64> {
    let lines = page.lines().filter_map(|line| line.split_once(' '));
    let whole = lines.filter_map(|(name, value)| Some((name, value.parse().ok()?)));
    whole.collect()
}

/// What works of what guests do.
struct Works(BTreeMap<&'static str, Result<(), String>>);

impl Works {
    fn failing(&self) -> BTreeSet<&'static str> {
        let failing = self.0.iter().filter(|(_, works)| works.is_err());
        failing.map(|(name, _)| *name).collect()
    }
}

fn probe(world: &mut World, open: &Open) -> Result<Works, Failure> {
    let (_, cloud, guests) = world.ready()?;
    let (near, here, far) = (&guests.slaac1, &guests.slaac1b, &guests.slaac2);
    let elsewhere = &guests.stateful2;
    let mut works = BTreeMap::new();
    let mut note = |name, result: Result<(), String>| {
        if let Err(error) = &result {
            eprintln!("  {name}: {error}");
        }
        works.insert(name, result);
    };
    note("SLAAC", advertised(&near.guest));
    note("DHCPv6", leased(&guests.stateful1.guest));
    note(
        "router's address by a flow",
        resolved(&near.guest, cloud.slaac.gateway_address()),
    );
    note(
        "on a network across hypervisors",
        pinged(&near.guest, far.address()),
    );
    note("on a network here", pinged(&near.guest, here.address()));
    note("through a router", pinged(&near.guest, elsewhere.address()));
    note("path MTU", fitted(&near.guest, elsewhere.address()));
    note("hop limit", spent(&open.near.guest, elsewhere.address()));
    note(
        "without rules across hypervisors",
        pinged(&open.near.guest, open.far.address()),
    );
    note(
        "without rules through a router",
        pinged(&open.near.guest, cloud.stateful.gateway_address()),
    );
    Ok(Works(works))
}

fn said(guest: &Guest, command: &str) -> Result<String, String> {
    let script = format!("{command} 2>&1 || true");
    let output = guest.run(&["sh", "-c", &script]);
    output
        .map(|output| output.stdout)
        .map_err(|error| error.to_string())
}

fn has(text: String, what: &str) -> Result<(), String> {
    if text.contains(what) {
        Ok(())
    } else {
        Err(text)
    }
}

/// A Router Solicitation is answered.
fn advertised(guest: &Guest) -> Result<(), String> {
    has(said(guest, "rdisc6 -1 -r 3 -w 2000 eth0")?, "Prefix")
}

fn leased(guest: &Guest) -> Result<(), String> {
    let leased = guest.dhclient(Duration::from_secs(10));
    leased.map(drop).map_err(|error| error.to_string())
}

/// A Neighbor Solicitation is answered.
fn resolved(guest: &Guest, target: Ipv6Addr) -> Result<(), String> {
    let text = said(guest, &format!("ndisc6 -1 -r 3 -w 2000 {target} eth0"))?;
    has(text, "Target link-layer address")
}

fn pinged(guest: &Guest, target: Ipv6Addr) -> Result<(), String> {
    guest.flush_neighbors().map_err(|error| error.to_string())?;
    let report = guest
        .ping(target, 3, INTERVAL)
        .map_err(|error| error.to_string())?;
    if report.received > 0 {
        Ok(())
    } else {
        Err(report.to_string())
    }
}

/// What is too long for the next network is told of, by the router and not by what the guest remembers.
fn fitted(guest: &Guest, target: Ipv6Addr) -> Result<(), String> {
    said(guest, "ip -6 route flush cache")?;
    let ping = format!("ping -6 -n -M do -c 2 -i 0.2 -W 2 -s {LONG} {target}");
    has(
        said(guest, &ping)?,
        &format!("Packet too big: mtu={NARROW}"),
    )
}

/// A packet whose hop limit ends at the router is told of.
fn spent(guest: &Guest, target: Ipv6Addr) -> Result<(), String> {
    has(
        said(guest, &format!("ping -6 -n -t 1 -c 2 -i 0.2 -W 2 {target}"))?,
        "Time exceeded",
    )
}
