//! Controllers and members of etcd are killed, halted and cut off at random, while clients of all controllers create and delete
//! ports. Guests lose no packet and are always answered. In the end nothing acknowledged is lost, and no address was given twice.
//!
//! `SEXTANT_TEST_SEED` repeats the choice of disturbances; `SEXTANT_TEST_SECONDS` says how long it goes on.

#[path = "chaos/disturbance.rs"]
mod disturbance;
#[path = "chaos/writer.rs"]
mod writer;

use crate::stage::{Stage, none};
use disturbance::Disturbance;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::json;
use sextant_lab::story::{Failure, Outcome, SOON, ensure};
use sextant_lab::{Network, Stream, SubnetSpec};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use writer::{Known, Writer};

/// Networks that tell of writes, and ports.
const UNLIMITED: &str = "[quotas]\nquota_network = -1\nquota_port = -1\n";
const SECONDS: u64 = 180;
const WRITERS: usize = 3;
/// Longer than a hypervisor takes to notice, and than `settle_after`.
const LONGEST: Duration = Duration::from_secs(8);
const ENOUGH: usize = 20;

#[test]
fn whatever_fails_guests_do_not_notice_and_nothing_acknowledged_is_lost() -> Outcome {
    let seed = number("SEXTANT_TEST_SEED").unwrap_or_else(rand::random);
    let seconds = number("SEXTANT_TEST_SECONDS").unwrap_or(SECONDS);
    println!("SEXTANT_TEST_SEED={seed} SEXTANT_TEST_SECONDS={seconds}");
    let dice = StdRng::seed_from_u64(seed);
    Stage::tell_configured(UNLIMITED, |stage| {
        chaos(stage, dice, Duration::from_secs(seconds))
    })
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

fn chaos(stage: &mut Stage, mut dice: StdRng, time: Duration) -> Outcome {
    let network = pool(stage)?;
    let known = Known::default();
    let stop = AtomicBool::new(false);
    let writers = (0..WRITERS).map(|number| Writer::new(number, stage, &network, dice.random()));
    let mut writers = writers.collect::<Result<Vec<_>, _>>()?;
    let packets = stage.guests[0]
        .guest
        .spawn_echo(stage.guests[1].address(), Duration::from_millis(5))?;
    let solicitations = stage.guests.iter().map(|plugged| {
        let interval = Duration::from_millis(20);
        plugged.guest.spawn_solicitations(interval)
    });
    let solicitations = solicitations.collect::<Result<Vec<_>, _>>()?;
    thread::scope(|scope| {
        let writing = writers
            .iter_mut()
            .map(|writer| scope.spawn(|| writer.write_until(&stop, &known)));
        let writing: Vec<_> = writing.collect();
        let disturbed = disturb(stage, &mut dice, time, &solicitations);
        stop.store(true, Ordering::Relaxed);
        writing.into_iter().for_each(|thread| {
            let ended = thread.join();
            ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        });
        disturbed
    })?;
    stage.has_one_owner_each()?;
    stage.all_write()?;
    report(packets, solicitations)?;
    known.compare(&stage.listed("ports")?)
}

/// A network where addresses are given again soon after they were given back.
fn pool(stage: &Stage) -> Result<Network, Failure> {
    let api = stage.cluster.controllers()[0].api()?;
    let network = api.create_network("pool")?;
    let pool = json!([{"start": "2001:db8:1::1000", "end": "2001:db8:1::1fff"}]);
    let spec = SubnetSpec {
        more: [("allocation_pools".to_owned(), pool)]
            .into_iter()
            .collect(),
        ..SubnetSpec::with_mode("2001:db8:1::/64", "dhcpv6-stateful")
    };
    api.create_subnet(&network, &spec)?;
    Ok(network)
}

/// One disturbance after the other. While one lasts, and after it, guests are answered.
fn disturb(
    stage: &mut Stage,
    dice: &mut StdRng,
    time: Duration,
    solicitations: &[Stream],
) -> Outcome {
    let begin = Instant::now();
    while begin.elapsed() < time {
        let disturbance = Disturbance::any(dice);
        println!("{:>7.1} s  {disturbance}", begin.elapsed().as_secs_f64());
        disturbance.begin(stage)?;
        answered(solicitations)?;
        // What is awaited is no event but a moment that nothing chose.
        thread::sleep(LONGEST.mul_f64(dice.random()));
        answered(solicitations)?;
        disturbance.end(stage)?;
        match dice.random_bool(0.5) {
            true => stage.has_one_owner_each()?,
            false => answered(solicitations)?,
        }
    }
    Ok(())
}

fn answered(solicitations: &[Stream]) -> Outcome {
    let now = Instant::now();
    for stream in solicitations {
        stream.wait_answers(ENOUGH, now, SOON)?;
    }
    Ok(())
}

fn report(packets: Stream, solicitations: Vec<Stream>) -> Outcome {
    for stream in solicitations {
        println!("solicitations: {}", stream.stop()?);
    }
    let packets = packets.stop()?;
    println!("packets: {packets}");
    ensure(packets.sent > 1000, || "there were packets".to_owned())?;
    none(packets.lost.len(), "packets lost")
}
