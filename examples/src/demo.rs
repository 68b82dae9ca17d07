//! The main job of Sextant on a lab of this machine, narrated.
//!
//! `demo [--keep] [POINT …]` tells all points, or those given, and ends with a table; its exit status is 0 only if every
//! one held. With `--keep`, or `KEEP=1` in the environment, the lab goes on running, and what to look at is printed.
//! `demo remove [LAB …]` removes labs that were left so: those named, or all.

#![allow(clippy::print_stdout, reason = "telling is what it is for")]

use sextant_lab::Datapath;
use sextant_lab::story::{Failure, Guests, Narrator, POINTS, Plugged, Point, World};
use std::process::ExitCode;
use std::time::Instant;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let Some(("remove", names)) = words
        .split_first()
        .map(|(first, names)| (first.as_str(), names))
    {
        return remove(names);
    }
    let asked = std::env::var("KEEP").is_ok_and(|keep| !["", "0"].contains(&keep.as_str()));
    let keep = asked || words.iter().any(|word| word == "--keep");
    let numbers: Vec<u8> = words.iter().filter_map(|word| word.parse().ok()).collect();
    let points: Vec<Point> = POINTS
        .iter()
        .copied()
        .filter(|point| numbers.is_empty() || numbers.contains(&point.number))
        .collect();
    match tell(&points, keep) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) => {
            println!("\nThe lab could not be made: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn remove(names: &[String]) -> ExitCode {
    match sextant_lab::remove_kept(names) {
        Ok(removed) if removed.is_empty() => {
            println!(
                "No lab {}was left running.",
                if names.is_empty() {
                    ""
                } else {
                    "of that name "
                }
            );
            ExitCode::from(u8::from(!names.is_empty()))
        }
        Ok(removed) => {
            println!("Removed {}.", removed.join(", "));
            ExitCode::SUCCESS
        }
        Err(error) => {
            println!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn tell(points: &[Point], keep: bool) -> Result<bool, Failure> {
    println!("Sextant: IPv6 for the guests of two hypervisors, over an IPv6-only underlay.\n");
    println!("   ctl: sextant ──── management ────┬──────────────┐");
    println!("                                 ┌──┴──┐        ┌──┴──┐");
    println!(
        "   guests a1 a2 b1 ── br-int ──  │ h1  │        │ h2  │  ── br-int ── a3 b2 c1 guests"
    );
    println!("                                 └──┬──┘        └──┬──┘");
    println!("          2001:db8:77:1::/64        └──── r ───────┘        2001:db8:77:2::/64\n");
    let began = Instant::now();
    let mut world = World::start()?;
    println!(
        "Lab up in {:.2} s: each box is a network namespace, each hypervisor runs its own ovsdb-server and ovs-vswitchd,",
        began.elapsed().as_secs_f64()
    );
    println!("sextant was told nothing but where to listen.");
    println!("Datapath of the switches: {}.", named(world.lab.datapath()));
    let mut narrator = Narrator::new(|line| println!("{line}"));
    for point in points {
        if narrator.tell(*point, &mut world).is_err() {
            println!("{}", world.lab.logs());
            break;
        }
    }
    let held = summarize(&narrator, points);
    if keep {
        look_around(&world);
        world.keep()?;
    }
    Ok(held)
}

fn named(datapath: Datapath) -> &'static str {
    match datapath {
        Datapath::Userspace => "userspace",
        Datapath::System => "the kernel's",
    }
}

/// The table at the end. Returns whether every point held.
fn summarize(narrator: &Narrator, points: &[Point]) -> bool {
    println!("\n{:>3}  {:<6}  {:>7}  point", "", "holds", "took");
    for point in points {
        let row = narrator
            .rows()
            .iter()
            .find(|row| row.point.number == point.number);
        let (holds, took) = match row {
            Some(row) if row.failure.is_none() => {
                ("yes", format!("{:.1} s", row.took.as_secs_f64()))
            }
            Some(row) => ("NO", format!("{:.1} s", row.took.as_secs_f64())),
            None => ("-", String::new()),
        };
        println!(
            "{:>3}  {holds:<6}  {took:>7}  {}",
            point.number, point.title
        );
    }
    let held = narrator
        .rows()
        .iter()
        .filter(|row| row.failure.is_none())
        .count();
    println!("\n{held} of {} points held.", points.len());
    held == points.len()
}

/// The `openstack` command that `make setup` installs.
const OPENSTACK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../.venv/bin/openstack");

/// What to try in a lab that goes on running, as root.
fn look_around(world: &World) {
    let lab = &world.lab;
    let control = lab.control().name();
    let host = lab.hypervisor(1);
    let client = std::fs::canonicalize(OPENSTACK).unwrap_or_else(|_| "openstack".into());
    println!(
        "\nThe lab goes on running as `{}`. Look around:",
        lab.name()
    );
    println!("  API      ip netns exec {control} curl -s 'http://[::1]:9696/v2.0/ports'");
    println!(
        "  CLI      ip netns exec {control} {} --os-auth-type none --os-endpoint 'http://[::1]:9696' port list",
        client.display()
    );
    println!("  metrics  ip netns exec {control} curl -s 'http://[::1]:9697/metrics'");
    if world.prometheus.is_some() {
        println!("  alerts   ip netns exec {control} curl -s 'http://[::1]:9090/api/v1/rules'");
        println!("  page     ip netns exec {control} chromium --no-sandbox 'http://[::1]:9699'");
    }
    println!(
        "  log      tail -f {}",
        world.controller.log_path().display()
    );
    println!(
        "  flows    OVS_RUNDIR={} ovs-ofctl -O OpenFlow13 dump-flows br-int",
        host.run_folder().display()
    );
    println!(
        "  ask      sextant facts --socket {}",
        world.controller.control_socket().display()
    );
    println!("  OVSDB    ovs-vsctl --db={} show", host.database());
    for (from, to) in world.plugged().map(pings).unwrap_or_default() {
        println!(
            "  guests   ip netns exec {} ping -c 3 {}",
            from.guest.namespace().name(),
            to.address()
        );
    }
    println!("Remove it with `make clean-labs NAME={}`.", lab.name());
}

/// From whom to whom: on one network, and through the router.
fn pings(guests: &Guests) -> Vec<(&Plugged, &Plugged)> {
    vec![
        (&guests.slaac1, &guests.slaac2),
        (&guests.slaac2, &guests.stateful1),
    ]
}
