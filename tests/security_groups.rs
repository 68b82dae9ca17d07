//! Security groups on real Open vSwitch: who reaches whom, and what becomes of connections when rules change.

use serde_json::{Value, json};
use sextant_lab::story::{Failure, Plugged, World};
use sextant_lab::{Lab, LabError, Process, wait_for};
use std::path::Path;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(30);
const INTERVAL: Duration = Duration::from_millis(50);
const PORT: &str = "8080";
/// In more than one fragment, on every network of the lab.
const LARGE: &str = "3000";

#[test]
fn connections_are_held_to_the_rules() {
    let mut world = World::start().expect("the lab starts");
    if let Err(failure) = story(&mut world) {
        panic!("{failure}\n{}", world.lab.logs());
    }
}

fn story(world: &mut World) -> Result<(), Failure> {
    world.guests()?;
    let (lab, _, guests) = world.ready()?;
    let (near, neighbor, far) = (&guests.slaac1, &guests.slaac1b, &guests.slaac2);
    for plugged in [near, neighbor, far] {
        plugged.guest.wait_address(plugged.address(), SOON)?;
    }
    the_default_group_lets_its_members_talk(near, neighbor, far)?;
    let web = nothing_comes_in_without_a_rule(lab, near, far)?;
    let ping = json!({"protocol": "ipv6-icmp", "port_range_min": 128, "port_range_max": 0});
    a_rule_lets_pings_in(lab, &web, &ping, near, far)?;
    a_connection_lasts_as_long_as_its_rule(lab, &web, near, far)?;
    a_rule_about_a_group_is_for_its_members(lab, &web, (near, neighbor, far))?;
    without_port_security_nothing_is_filtered(lab, near, far)
}

fn the_default_group_lets_its_members_talk(
    near: &Plugged,
    neighbor: &Plugged,
    far: &Plugged,
) -> Result<(), Failure> {
    reached("a member on this hypervisor", near, neighbor)?;
    reached("a member on the other hypervisor", near, far)?;
    reached("and back", far, near)
}

fn nothing_comes_in_without_a_rule(
    lab: &Lab,
    near: &Plugged,
    far: &Plugged,
) -> Result<String, Failure> {
    let group = json!({"security_group": {"name": "web"}});
    let web = created(lab, "security-group", &group)?;
    change(lab, far, &json!({"security_groups": [web]}))?;
    lost("a guest under another group", near, far)?;
    lost("who is no member any more", far, near)?;
    Ok(web)
}

fn a_rule_lets_pings_in(
    lab: &Lab,
    web: &str,
    ping: &Value,
    near: &Plugged,
    far: &Plugged,
) -> Result<(), Failure> {
    let rule = allow(lab, web, ping)?;
    reached("what a rule allows", near, far)?;
    let target = far.address().to_string();
    let large = ["ping", "-n", "-c", "3", "-i", "0.2", "-W", "2", "-s", LARGE];
    let report = near.guest.run(&[&large[..], &[&target]].concat())?;
    let whole = report.stdout.contains(" 0% packet loss");
    assert!(whole, "in fragments: {}", report.stdout);
    let mut refused = talk(near, far)?;
    refused.wait_line("no connection", SOON, |line| {
        line.starts_with("refused").then_some(())
    })?;
    forbid(lab, &rule)?;
    lost("what the rule had allowed", near, far)
}

fn a_connection_lasts_as_long_as_its_rule(
    lab: &Lab,
    web: &str,
    near: &Plugged,
    far: &Plugged,
) -> Result<(), Failure> {
    let tcp = json!({"protocol": "tcp", "port_range_min": 8000, "port_range_max": 8100});
    let rule = allow(lab, web, &tcp)?;
    let mut server = peer(far, &["serve", PORT])?;
    server.wait_line("a server", SOON, |line| (line == "listening").then_some(()))?;
    let mut client = connected(near, far)?;

    let other = allow(lab, web, &json!({"protocol": "udp"}))?;
    forbid(lab, &other)?;
    heard(&mut client, "while other rules come and go")?;

    forbid(lab, &rule)?;
    client.wait_line("the end of it", SOON, |line| {
        (line == "silence").then_some(())
    })?;
    allow(lab, web, &tcp)?;
    heard(&mut client, "once the rule is back")
}

fn a_rule_about_a_group_is_for_its_members(
    lab: &Lab,
    web: &str,
    (near, neighbor, far): (&Plugged, &Plugged, &Plugged),
) -> Result<(), Failure> {
    let group = json!({"security_group": {"name": "clients"}});
    let clients = created(lab, "security-group", &group)?;
    change(lab, near, &json!({"security_groups": [clients]}))?;
    let from_clients = json!({"protocol": "ipv6-icmp", "remote_group_id": clients});
    allow(lab, web, &from_clients)?;
    reached("from a member on the other hypervisor", near, far)?;
    lost("from who is none", neighbor, far)?;
    change(lab, neighbor, &json!({"security_groups": [clients]}))?;
    reached("from a new member", neighbor, far)?;
    change(lab, neighbor, &json!({"security_groups": []}))?;
    lost("from nobody", neighbor, far)
}

fn without_port_security_nothing_is_filtered(
    lab: &Lab,
    near: &Plugged,
    far: &Plugged,
) -> Result<(), Failure> {
    lost("what no rule allows", far, near)?;
    let off = json!({"port_security_enabled": false, "security_groups": []});
    change(lab, near, &off)?;
    reached("a port without port security", far, near)
}

/// Every ping is answered, once the flows are there.
fn reached(what: &str, from: &Plugged, to: &Plugged) -> Result<(), Failure> {
    pinged(what, from, to, |received| received == 3)
}

/// No ping is answered, once the flows are there.
fn lost(what: &str, from: &Plugged, to: &Plugged) -> Result<(), Failure> {
    pinged(what, from, to, |received| received == 0)
}

fn pinged(
    what: &str,
    from: &Plugged,
    to: &Plugged,
    wanted: impl Fn(u32) -> bool,
) -> Result<(), Failure> {
    Ok(wait_for(what, SOON, || {
        let report = from.guest.ping(to.address(), 3, INTERVAL);
        let report = report.map_err(|error| error.to_string())?;
        wanted(report.received)
            .then_some(())
            .ok_or_else(|| report.to_string())
    })?)
}

fn peer(at: &Plugged, words: &[&str]) -> Result<Process, LabError> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("security_groups/peer.py");
    let program = ["/usr/bin/python3", &script.to_string_lossy()].map(str::to_owned);
    let words = words.iter().map(|&word| word.to_owned());
    let line: Vec<String> = program.into_iter().chain(words).collect();
    at.guest
        .spawn(&line.iter().map(String::as_str).collect::<Vec<_>>())
}

fn talk(from: &Plugged, to: &Plugged) -> Result<Process, LabError> {
    peer(from, &["talk", &to.address().to_string(), PORT])
}

/// A connection that carries something.
fn connected(from: &Plugged, to: &Plugged) -> Result<Process, Failure> {
    let client = wait_for("a connection", SOON, || {
        let mut client = talk(from, to).map_err(|error| error.to_string())?;
        let connected = |line: &str| match line {
            "connected" => Some(true),
            line => line.starts_with("refused").then_some(false),
        };
        let outcome = client.wait_line("a connection", SOON, connected);
        match outcome.map_err(|error| error.to_string())? {
            true => Ok(client),
            false => Err(client.log_text()),
        }
    });
    let mut client = client?;
    heard(&mut client, "at first")?;
    Ok(client)
}

/// Whatever it said until now, ten answers more come.
fn heard(client: &mut Process, when: &str) -> Result<(), Failure> {
    let numbers = |text: &str| text.lines().filter_map(number).max().unwrap_or_default();
    let before = numbers(&client.log_text());
    Ok(client.wait_line(when, SOON, |line| {
        number(line).filter(|said| *said > before + 10).map(drop)
    })?)
}

fn number(line: &str) -> Option<u64> {
    line.strip_prefix("heard ")?.parse().ok()
}

fn allow(lab: &Lab, group: &str, rule: &Value) -> Result<String, Failure> {
    let mut rule = rule.clone();
    for (key, value) in [
        ("security_group_id", group),
        ("direction", "ingress"),
        ("ethertype", "IPv6"),
    ] {
        rule[key] = value.into();
    }
    created(
        lab,
        "security-group-rule",
        &json!({"security_group_rule": rule}),
    )
}

fn forbid(lab: &Lab, rule: &str) -> Result<(), Failure> {
    let (status, body) = lab
        .api()
        .delete(&format!("/v2.0/security-group-rules/{rule}"))?;
    assert_eq!(status, 204, "{body}");
    Ok(())
}

/// Makes something, and returns its id.
fn created(lab: &Lab, kind: &str, body: &Value) -> Result<String, Failure> {
    let (status, answer) = lab.api().post(&format!("/v2.0/{kind}s"), body)?;
    assert_eq!(status, 201, "{answer}");
    let made = &answer[kind.replace('-', "_")]["id"];
    Ok(made.as_str().unwrap_or_default().to_owned())
}

fn change(lab: &Lab, plugged: &Plugged, port: &Value) -> Result<(), Failure> {
    let path = format!("/v2.0/ports/{}", plugged.port.id);
    let (status, body) = lab.api().put(&path, &json!({"port": port}))?;
    assert_eq!(status, 200, "{body}");
    Ok(())
}
