//! Unsolicited advertisements.

use crate::story::world::SOON;
use crate::story::{Narrator, Outcome, Point, World, ensure};
use crate::{ControllerOptions, LabError};
use std::fs;
use std::time::Duration;

pub(super) const POINT: Point = Point {
    number: 7,
    title: "Unsolicited advertisements at intervals, and a last one with lifetime 0 when the router leaves",
    asked: "[ra] min_interval = 3, max_interval = 4; then PUT …/remove_router_interface",
    run,
};

const INTERVALS: &str = "[ra]\nmin_interval = 3\nmax_interval = 4\nlifetime = 12\n";

fn run(world: &mut World, narrator: &mut Narrator) -> Outcome {
    world.ready()?;
    let file = world.lab.home().join("intervals.toml");
    fs::write(&file, INTERVALS).map_err(|source| LabError::Io {
        what: format!("write {}", file.display()),
        source,
    })?;
    world.controller.terminate()?;
    let args = vec!["--config".to_owned(), file.display().to_string()];
    world.controller = world.lab.start_controller(ControllerOptions {
        args,
        ..ControllerOptions::default()
    })?;

    let (lab, _, cloud, guests) = world.parts()?;
    let capture = guests
        .slaac2
        .guest
        .capture("icmp6 and ip6[40] == 134 and dst host ff02::1")?;
    capture.wait_packets(4, SOON)?;
    lab.api()
        .remove_interface(&cloud.router, &cloud.slaac.subnet)?;
    narrator.observe("router interface removed");
    capture.wait_packets(5, SOON)?;
    guests
        .slaac2
        .guest
        .wait_network("the default route to go", SOON, |guest| {
            let routes = guest.default_routes()?;
            Ok(if routes.is_empty() {
                Ok(())
            } else {
                Err(format!("{} default routes", routes.len()))
            })
        })?;
    let rows = capture.stop()?.fields(
        "",
        &[
            "frame.time_delta",
            "icmpv6.nd.ra.router_lifetime",
            "ipv6.hlim",
        ],
    )?;
    cloud.slaac.gateway = lab
        .api()
        .add_interface(&cloud.router, &cloud.slaac.subnet)?;
    guests.slaac2.guest.wait_default_route(SOON)?;

    check(&rows, narrator)
}

fn check(rows: &[Vec<String>], narrator: &mut Narrator) -> Outcome {
    let Some((last, periodic)) = rows.split_last() else {
        return ensure(false, || "no advertisement".to_owned());
    };
    ensure(periodic.iter().all(|row| row[1] == "12"), || {
        format!("router lifetimes: {rows:?}")
    })?;
    ensure(last[1] == "0", || {
        format!("the last advertisement: {last:?}")
    })?;
    let gaps: Vec<Duration> = periodic
        .iter()
        .skip(1)
        .filter_map(|row| row[0].parse().ok())
        .map(Duration::from_secs_f64)
        .collect();
    ensure(
        !gaps.is_empty()
            && gaps.iter().all(|gap| {
                (Duration::from_millis(2900)..Duration::from_millis(4500)).contains(gap)
            }),
        || format!("intervals: {gaps:?}"),
    )?;
    narrator.observe(format_args!(
        "{} advertisements to ff02::1, every {gaps:.1?}; the last with lifetime 0",
        rows.len()
    ));
    narrator.observe("the guest's default route went with it, and came back with the interface");
    Ok(())
}
