//! What a Sextant answers over its control socket about a cloud on real Open vSwitch is what the switches say.

#[path = "operator_door/hostile.rs"]
mod hostile;
#[path = "operator_door/lists.rs"]
mod lists;
#[path = "operator_door/switch.rs"]
mod switch;

use serde_json::Value;
use sextant_lab::story::{Failure, Guests, Plugged, World};
use sextant_lab::{Hypervisor, LabError, wait_for};
use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(30);

/// The rows of an answer.
fn ask(world: &World, words: &[&str]) -> Result<Vec<Value>, LabError> {
    let said = world.controller.ask(&[words, &["--json"]].concat())?;
    let rows = said.stdout.lines();
    Ok(rows
        .map(|row| serde_json::from_str(row).expect("a row is JSON"))
        .collect())
}

fn text<'v>(row: &'v Value, key: &str) -> &'v str {
    row[key].as_str().unwrap_or_default()
}

fn number(cookie: &str) -> u64 {
    let digits = cookie.trim_start_matches("0x");
    u64::from_str_radix(digits, 16).expect("a cookie is hexadecimal")
}

#[test]
fn the_socket_is_for_its_owner_and_group_and_every_verb_answers() -> Result<(), Failure> {
    let mut world = World::start()?;
    world.addressed()?;
    let socket = std::fs::metadata(world.controller.control_socket()).expect("a socket");
    assert_eq!(socket.permissions().mode() & 0o777, 0o660);

    for hypervisor in ask(&world, &["facts", "hypervisors"])? {
        assert_eq!(hypervisor["state"], "here", "{hypervisor}");
        assert_eq!(hypervisor["database"], true, "{hypervisor}");
        assert_eq!(hypervisor["switch"], true, "{hypervisor}");
        assert_eq!(hypervisor["ports"], 3, "{hypervisor}");
        assert_eq!(hypervisor["active"], 3, "{hypervisor}");
    }
    let bindings = ask(&world, &["facts", "bindings", "--chassis", "h1"])?;
    let guests = world.plugged().expect("guests");
    let here = [&guests.slaac1, &guests.slaac1b, &guests.stateful1];
    let here: BTreeSet<&str> = here.map(|plugged| plugged.port.id.as_str()).into();
    let bound: BTreeSet<&str> = bindings.iter().map(|row| text(row, "port_id")).collect();
    assert_eq!(bound, here);
    assert!(bindings.iter().all(|row| row["state"] == "active"));

    assert_eq!(ask(&world, &["neighbors"])?, Vec::<Value>::new());
    let head = world.controller.ask(&["neighbors"])?.stdout;
    assert!(head.starts_with("HYPERVISOR  NETWORK  ADDRESS"), "{head}");
    world.controller.ask(&["neighbors", "flush"])?;
    Ok(())
}

/// A flow as both sides say it: cookie, table, and the rest, as text that `ovs-ofctl` prints.
type Shown = (u64, u8, String);

fn installed(host: &Hypervisor) -> Result<BTreeSet<Shown>, LabError> {
    let flows = host.flows("br-int")?.into_iter();
    Ok(flows
        .map(|flow| {
            // OpenFlow 1.3 has no word for the priority of a tag that is not there: the switch leaves it out.
            let rule = flow
                .rule
                .replace("vlan_tci=0x0000/0x1fff", "vlan_tci=0x0000");
            (flow.cookie, flow.table, rule)
        })
        .collect())
}

fn shown(rows: &[Value]) -> BTreeSet<Shown> {
    let flow = |row: &Value| {
        let table = row["table"]
            .as_u64()
            .and_then(|table| table.try_into().ok());
        // Cookie and table come first; the rest is what the switch prints.
        let rule = text(row, "flow").splitn(3, ", ").nth(2);
        let rule = rule.unwrap_or_default().to_owned();
        (number(text(row, "cookie")), table.expect("a table"), rule)
    };
    rows.iter().map(flow).collect()
}

#[test]
fn the_flows_of_a_hypervisor_are_those_that_its_switch_has() -> Result<(), Failure> {
    let mut world = World::start()?;
    world.addressed()?;
    for host in world.lab.hypervisors() {
        wait_for("the switch to have what is shown", SOON, || {
            let name = host.name();
            let rows = ask(&world, &["flows", "--chassis", &name]);
            let rows = rows.map_err(|error| error.to_string())?;
            let switch = installed(host).map_err(|error| error.to_string())?;
            let shown = shown(&rows);
            match switch == shown {
                true => Ok(()),
                false => Err(format!(
                    "only shown: {:#?}\nonly there: {:#?}",
                    shown.difference(&switch).take(5).collect::<Vec<_>>(),
                    switch.difference(&shown).take(5).collect::<Vec<_>>()
                )),
            }
        })?;
    }
    // What an object wants is part of all, and says for whom it is.
    let guests = world.plugged().expect("guests");
    let port = &guests.slaac1.port.id;
    let object = format!("port/{port}");
    let rows = ask(&world, &["flows", "--chassis", "h1", "--object", &object])?;
    let all = installed(world.lab.hypervisor(1))?;
    assert!(!rows.is_empty() && shown(&rows).is_subset(&all));
    let wanted = format!("port {port}");
    for row in &rows {
        let mut objects = row["wanted_by"].as_array().into_iter().flatten();
        assert!(objects.any(|object| *object == wanted.as_str()), "{row}");
    }
    Ok(())
}

/// A packet from a guest, and where it ends: as Sextant says it.
struct Case {
    what: &'static str,
    from: String,
    packet: String,
    end: &'static str,
}

impl Case {
    fn new(what: &'static str, from: &Plugged, packet: String, end: &'static str) -> Self {
        let from = format!("port/{}", from.port.id);
        Self {
            what,
            from,
            packet,
            end,
        }
    }
}

fn ping(to: &Plugged, mac: &str) -> String {
    let address = to.address();
    format!("icmp6,dl_dst={mac},ipv6_dst={address},icmp_type=128")
}

/// `gateway` is the MAC of the router on the guests' network.
fn cases(gateway: &str, guests: &Guests) -> Vec<Case> {
    let (a1, a2, a3, b1) = (
        &guests.slaac1,
        &guests.slaac1b,
        &guests.slaac2,
        &guests.stateful1,
    );
    vec![
        Case::new("a neighbour here", a1, ping(a2, &a2.port.mac), "delivered"),
        Case::new(
            "a neighbour elsewhere",
            a1,
            ping(a3, &a3.port.mac),
            "delivered",
        ),
        Case::new("through the router", a1, ping(b1, gateway), "delivered"),
        Case::new(
            "a Router Solicitation",
            a1,
            "icmp6,dl_dst=33:33:00:00:00:02,ipv6_dst=ff02::2,nw_ttl=255,icmp_type=133".to_owned(),
            "sent_up",
        ),
        Case::new(
            "to everybody",
            a3,
            "udp6,dl_dst=33:33:00:00:00:01,ipv6_dst=ff02::1,tp_src=5353,tp_dst=5353".to_owned(),
            "delivered",
        ),
        Case::new(
            "from the address of another",
            a1,
            format!("{},ipv6_src={}", ping(a2, &a2.port.mac), a3.address()),
            "dropped",
        ),
        Case::new(
            "a Router Advertisement of a guest",
            a1,
            "icmp6,dl_dst=33:33:00:00:00:01,ipv6_dst=ff02::1,nw_ttl=255,icmp_type=134".to_owned(),
            "dropped",
        ),
        Case::new(
            "no hop left",
            a1,
            format!("{},nw_ttl=1", ping(b1, gateway)),
            "sent_up",
        ),
    ]
}

/// The switch follows copies that come back from the connection tracker last, Sextant at once: their order differs.
fn sorted(mut visits: Vec<(u8, u64)>) -> Vec<(u8, u64)> {
    visits.sort_unstable();
    visits
}

/// `ovs-appctl` wants the names of fields that are only ICMPv6's or UDP's, where `ovs-ofctl` prints common ones.
fn as_one_packet(packet: &str) -> String {
    let packet = packet.replace("icmp_", "icmpv6_");
    packet.replace("tp_", "udp_")
}

/// The flows that a packet meets on a hypervisor, as its switch says it: table and cookie.
fn asked_of_the_switch(
    host: &Hypervisor,
    packet: &str,
) -> Result<(Vec<(u8, u64)>, String), LabError> {
    let packet = as_one_packet(packet);
    let said = host.appctl(&["ofproto/trace", "br-int", &packet])?.stdout;
    let (mut bridge, mut too_long) = ("", None);
    let mut visits = vec![];
    for line in said.lines() {
        if let Some(name) = line.strip_prefix("bridge(\"") {
            bridge = name.trim_end_matches("\")");
        }
        let action = line.trim_start();
        let depth = line.len() - action.len();
        let flow = visited(action);
        // What would become of a longer packet comes first, and deeper than what becomes of this one.
        if action.starts_with("check_pkt_larger") {
            too_long = Some(depth);
        } else if flow.is_some() && too_long.is_some_and(|asked| depth < asked) {
            too_long = None;
        }
        if bridge == "br-int" && too_long.is_none() {
            visits.extend(flow);
        }
    }
    Ok((sorted(visits), said))
}

/// `12. in_port=1,…, priority 100, cookie 0x…`: table and cookie.
fn visited(line: &str) -> Option<(u8, u64)> {
    let (table, flow) = line.split_once(". ")?;
    let (_, cookie) = flow.rsplit_once("cookie ")?;
    Some((table.parse().ok()?, number(cookie)))
}

#[test]
fn a_trace_meets_the_flows_that_the_switch_says() -> Result<(), Failure> {
    let mut world = World::start()?;
    let gateway = world.cloud()?.slaac.gateway.mac.clone();
    world.addressed()?;
    world.lab.wait_settled(SOON)?;
    let guests = world.plugged().expect("guests");
    for case in cases(&gateway, guests) {
        let packet = &case.packet;
        let rows = ask(&world, &["trace", packet, "--from", &case.from])?;
        let context = format!("{}: {packet}", case.what);
        let ends = rows.iter().map(|row| text(row, "step"));
        let ends: BTreeSet<&str> = ends.collect();
        assert!(ends.contains(case.end), "{context}: {rows:#?}");
        let mut steps = rows.as_slice();
        while let [arrived, rest @ ..] = steps {
            let name = text(arrived, "chassis");
            let next = rest.iter().position(|row| row["step"] == "arrived");
            let (here, after) = rest.split_at(next.unwrap_or(rest.len()));
            let looked_up = here.iter().filter(|row| row["step"] == "looked_up");
            let ours: Vec<(u8, u64)> = looked_up
                .filter_map(|row| {
                    let table = row["table"].as_u64()?.try_into().ok()?;
                    Some((table, number(row["cookie"].as_str()?)))
                })
                .collect();
            let mut hosts = world.lab.hypervisors().iter();
            let host = hosts
                .find(|host| host.name() == name)
                .expect("a hypervisor");
            let (theirs, said) = asked_of_the_switch(host, text(arrived, "packet"))?;
            assert_eq!(sorted(ours), theirs, "{context} on {name}: {said}");
            steps = after;
        }
    }
    Ok(())
}
