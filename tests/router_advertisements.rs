//! What `[ra]`, and tags of networks and subnets, say is what routers advertise, and guests go by it.

use serde_json::{Value, json};
use sextant_lab::story::{Outcome, Plugged, World, ensure};
use sextant_lab::{Capture, ControllerOptions, Guest, LabError};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(30);
const ADVERTISEMENTS: &str = "icmp6 and ip6[40] == 134";
/// Where a host route leads.
const DESTINATION: &str = "2001:db8:fd::/48";

const CONFIGURATION: &str = "[ra]
min_interval = 3
max_interval = 600
lifetime = 1800
hop_limit = 32
preference = 'high'
reachable_time = 45000
retransmission_timer = 1500
valid_lifetime = 7200
preferred_lifetime = 3600
pref64 = '2001:db8:64::/96'
captive_portal = 'https://portal.example/api'
";

/// What tshark reads of an advertisement, and what is expected.
const ADVERTISED: &[(&str, &str)] = &[
    ("icmpv6.nd.ra.cur_hop_limit", "32"),
    ("icmpv6.nd.ra.flag.prf", "1"),
    ("icmpv6.nd.ra.router_lifetime", "1800"),
    ("icmpv6.nd.ra.reachable_time", "45000"),
    ("icmpv6.nd.ra.retrans_timer", "1500"),
    ("icmpv6.opt.prefix.valid_lifetime", "7200"),
    ("icmpv6.opt.prefix.preferred_lifetime", "3600"),
    // In units of 8 seconds, 1800 seconds.
    ("icmpv6.opt.pref64.scaled_lifetime", "225"),
    ("icmpv6.opt.pref64.prefix", "2001:db8:64::"),
    ("icmpv6.opt.captive_portal", "https://portal.example/api"),
];

/// What a guest's kernel makes of it.
const TAKEN: &[(&str, &str)] = &[
    ("conf/eth0/hop_limit", "32"),
    ("neigh/eth0/retrans_time_ms", "1500"),
];

#[test]
fn routers_advertise_what_the_configuration_says() -> Outcome {
    let mut world = World::start()?;
    world.addressed()?;
    let file = world.lab.home().join("ra.toml");
    std::fs::write(&file, CONFIGURATION).map_err(|source| LabError::Io {
        what: format!("write {}", file.display()),
        source,
    })?;
    world.controller.terminate()?;
    world.controller = world.lab.start_controller(ControllerOptions {
        args: vec!["--config".to_owned(), file.display().to_string()],
        ..ControllerOptions::default()
    })?;
    let (_, _, guests) = world.addressed()?;
    let plugged = &guests.slaac1;
    advertised(plugged)?;
    for (key, expected) in TAKEN {
        let path = format!("/proc/sys/net/ipv6/{key}");
        plugged
            .guest
            .wait_network("the kernel to take it", SOON, |guest| {
                let value = text_of(guest, &path)?;
                Ok(match value == *expected {
                    true => Ok(()),
                    false => Err(format!("{key} is {value}, not {expected}")),
                })
            })?;
    }
    Ok(())
}

/// What tags of the network and of the subnet say.
const NETWORK_TAGS: [&str; 4] = [
    "blue",
    "sextant:ra:hop_limit=48",
    "sextant:ra:lifetime=0",
    "sextant:ra:pref64=64:ff9b::/96",
];
const SUBNET_TAG: &str = "sextant:ra:preferred_lifetime=120";

/// What tshark reads of an advertisement then.
const TAGGED: &[(&str, &str)] = &[
    ("icmpv6.nd.ra.cur_hop_limit", "48"),
    ("icmpv6.nd.ra.router_lifetime", "0"),
    ("icmpv6.opt.prefix.preferred_lifetime", "120"),
    ("icmpv6.opt.pref64.prefix", "64:ff9b::"),
    ("icmpv6.opt.route_info.flag.route_preference", "0"),
    ("icmpv6.opt.route_lifetime", "300"),
];

/// What it reads once the tags are gone, and the route with them: the least that is gone is told.
const UNTAGGED: &[(&str, &str)] = &[
    ("icmpv6.nd.ra.cur_hop_limit", "64"),
    ("icmpv6.nd.ra.router_lifetime", "300"),
    ("icmpv6.opt.pref64.scaled_lifetime", "0"),
    ("icmpv6.opt.route_lifetime", "0"),
];

#[test]
fn tags_and_host_routes_are_advertised_and_withdrawn() -> Outcome {
    let mut world = World::start()?;
    let (lab, cloud, guests) = world.addressed()?;
    let (api, plugged) = (lab.api(), &guests.slaac1);
    let network = format!("/v2.0/networks/{}", cloud.slaac.network.id);
    let subnet = format!("/v2.0/subnets/{}", cloud.slaac.subnet.id);
    let accept = "/proc/sys/net/ipv6/conf/eth0/accept_ra_rt_info_max_plen";
    let accept = format!("echo 64 > {accept}");
    plugged.guest.run(&["sh", "-c", &accept])?;

    for (path, tag, reason) in [
        (
            &network,
            "sextant:ra:lifetime=50",
            "0, or from max_interval to 9000",
        ),
        (&subnet, "sextant:ra:hop_limit=48", "belongs on the network"),
    ] {
        let (status, answer) = api.put(&format!("{path}/tags"), &json!({"tags": [tag]}))?;
        ensure(status == 400 && answer.to_string().contains(reason), || {
            format!("{tag} is answered {status} {answer}, without {reason:?}")
        })?;
    }
    let route = json!({"destination": DESTINATION, "nexthop": cloud.slaac.gateway_address()});
    let routes = |routes: &[Value]| json!({"subnet": {"host_routes": routes}});
    expect(api.put(&subnet, &routes(&[route]))?)?;
    expect(api.put(&format!("{subnet}/tags"), &json!({"tags": [SUBNET_TAG]}))?)?;
    let capture = plugged.guest.capture(ADVERTISEMENTS)?;
    expect(api.put(&format!("{network}/tags"), &json!({"tags": NETWORK_TAGS}))?)?;
    heard(plugged, capture, TAGGED)?;
    route_in_kernel(plugged, true)?;
    // Without a lifetime the router is no default router any more.
    let routes_now = plugged
        .guest
        .run(&["ip", "-6", "route", "show", "default"])?;
    ensure(routes_now.stdout.trim().is_empty(), || {
        format!("there is a default route: {}", routes_now.stdout)
    })?;

    expect(api.put(&subnet, &routes(&[]))?)?;
    let capture = plugged.guest.capture(ADVERTISEMENTS)?;
    expect(api.put(&format!("{network}/tags"), &json!({"tags": []}))?)?;
    heard(plugged, capture, UNTAGGED)?;
    route_in_kernel(plugged, false)
}

fn expect((status, answer): (u16, Value)) -> Outcome {
    ensure(status == 200, || format!("{status} {answer}"))
}

/// Waits until an advertisement has all of it. They go out by themselves when something changes, three times.
fn heard(plugged: &Plugged, mut capture: Capture, expected: &[(&str, &str)]) -> Outcome {
    let names: Vec<&str> = expected.iter().map(|(name, _)| *name).collect();
    let values: Vec<&str> = expected.iter().map(|(_, value)| *value).collect();
    let mut all = vec![];
    while all.len() < 4 {
        capture.wait_packets(1, SOON)?;
        let rows = capture.stop()?.fields("icmpv6.type == 134", &names)?;
        if rows.iter().any(|row| *row == values) {
            return Ok(());
        }
        all.push(rows);
        capture = plugged.guest.capture(ADVERTISEMENTS)?;
    }
    ensure(false, || {
        format!("{all:?} is advertised, and nowhere {values:?}")
    })
}

/// Waits until the guest's kernel has the advertised route, or has it no more.
fn route_in_kernel(plugged: &Plugged, there: bool) -> Outcome {
    let what = "the kernel to go by the advertised route";
    plugged.guest.wait_network(what, SOON, |guest| {
        let shown = guest.run(&["ip", "-6", "route", "show", DESTINATION])?;
        Ok(match shown.stdout.trim().is_empty() != there {
            true => Ok(()),
            false => Err(format!("it has {:?}", shown.stdout)),
        })
    })?;
    Ok(())
}

/// One more solicitation brings an advertisement with all of it.
fn advertised(plugged: &Plugged) -> Outcome {
    let capture = plugged.guest.capture(ADVERTISEMENTS)?;
    plugged
        .guest
        .run(&["rdisc6", "-1", "-r", "3", "-w", "5000", "eth0"])?;
    capture.wait_packets(1, SOON)?;
    let names: Vec<&str> = ADVERTISED.iter().map(|(name, _)| *name).collect();
    let rows = capture.stop()?.fields("icmpv6.type == 134", &names)?;
    let row = rows.last().cloned().unwrap_or_default();
    let expected: Vec<&str> = ADVERTISED.iter().map(|(_, value)| *value).collect();
    ensure(row == expected, || {
        format!("{row:?} is advertised, not {expected:?}")
    })
}

fn text_of(guest: &Guest, path: &str) -> Result<String, LabError> {
    let output = guest.run(&["cat", path])?;
    Ok(output.stdout.trim().to_owned())
}
