//! ovs-vswitchd dies and comes back.

use crate::story::world::SOON;
use crate::story::{Narrator, Outcome, Point, World, ensure};
use crate::wait_for;
use std::time::{Duration, Instant};

pub(super) const POINT: Point = Point {
    number: 9,
    title: "A hypervisor's ovs-vswitchd is killed and comes back: reprogrammed without anyone's help",
    asked: "kill -9 of ovs-vswitchd; start it again",
    run,
};

fn run(world: &mut World, narrator: &mut Narrator) -> Outcome {
    let (lab, _, guests) = world.ready()?;
    let (from, to) = (&guests.slaac1, &guests.slaac1b);
    for plugged in [from, to] {
        plugged.guest.wait_address(plugged.address(), SOON)?;
    }
    let host = lab.hypervisor(1);
    let before = host.dump_flows("br-int")?.len();
    host.kill_vswitchd();
    narrator.observe("ovs-vswitchd killed, its flows with it");
    host.start_vswitchd()?;
    let started = Instant::now();
    let flows = wait_for("all flows back", SOON, || {
        let count = host
            .dump_flows("br-int")
            .map_err(|error| error.to_string())?
            .len();
        if count == before {
            Ok(count)
        } else {
            Err(format!("{count} of {before}"))
        }
    })?;
    let programmed = started.elapsed();
    let report = wait_for("guests reach each other", SOON, || {
        let report = from
            .guest
            .ping(to.address(), 1, Duration::from_millis(100))
            .map_err(|error| error.to_string())?;
        if report.received == 1 {
            Ok(report)
        } else {
            Err(report.to_string())
        }
    })?;
    ensure(report.is_complete(), || {
        format!("after the restart: {report}")
    })?;
    narrator.observe(format_args!(
        "{flows} flows back {:.2} s after it was up; guests reach each other after {:.2} s",
        programmed.as_secs_f64(),
        started.elapsed().as_secs_f64()
    ));
    Ok(())
}
