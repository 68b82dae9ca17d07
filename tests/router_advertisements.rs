//! What `[ra]` says is what routers advertise, and guests go by it.

use sextant_lab::story::{Outcome, Plugged, World, ensure};
use sextant_lab::{ControllerOptions, Guest, LabError};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(30);

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

/// One more solicitation brings an advertisement with all of it.
fn advertised(plugged: &Plugged) -> Outcome {
    let capture = plugged.guest.capture("icmp6 and ip6[40] == 134")?;
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
