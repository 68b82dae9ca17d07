//! Somebody outside speaks for routers that there are, and for some that there are not.

use sextant_lab::story::site::{QUICK, Site, reaches};
use sextant_lab::story::{Outcome, SOON, ensure, link_local};
use sextant_lab::wait_for;
use std::net::Ipv6Addr;
use std::path::Path;
use std::time::Duration;

const FAR: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0xfa, 0, 0, 0, 0, 1);
const PREFIX: &str = "2001:db8:a::/64";
const REFUSED: &str = "sextant_packet_ins_refused_total{punt=\"heard\"";

#[test]
fn a_router_that_answers_is_the_next_hop_whatever_others_say() -> Outcome {
    Site::tell("", forged)
}

fn forged(site: &mut Site) -> Outcome {
    let external = site.external(None)?;
    let gateway = site.gateway(&external)?;
    let inside = site.segment(&gateway, &[PREFIX])?;
    let guests = site.guests(&inside, [("near", 1), ("away", 3)])?;
    let edge = site.upstream.router("edge", None)?;
    edge.far(FAR.into())?;
    edge.route(PREFIX, Some(gateway.link_local().into()))?;
    let _advertiser = edge.advertise("low")?;
    for guest in &guests {
        reaches(guest.guest.namespace(), FAR)?;
    }

    let (victim, mac) = (link_local(&edge.mac()?), edge.mac()?);
    let mallory = site.upstream.router("mallory", None)?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("external_gateway/forge.py");
    let mut forging = mallory.namespace().spawn(&[
        "/usr/bin/python3",
        &script.to_string_lossy(),
        &victim.to_string(),
        &mac,
        &gateway.link_local().to_string(),
        &gateway.port.mac,
    ])?;
    forging.wait_line("everything to be forged", SOON, |line| {
        line.contains("sent once").then_some(())
    })?;
    for guest in &guests {
        let mut ping = guest.guest.spawn_ping(FAR, QUICK)?;
        // Longer than it takes to find that a next hop does not answer.
        ping.wait_answers(2000, Duration::from_secs(60))?;
        let report = ping.stop()?;
        ensure(report.is_complete(), || {
            format!("while it is forged: {report}")
        })?;
    }
    let scraped = || site.world.lab.metrics();
    wait_for("what was refused to be counted", SOON, || {
        let metrics = scraped().map_err(|error| error.to_string())?;
        match metrics.contains(REFUSED) {
            true => Ok(()),
            false => Err("nothing".to_owned()),
        }
    })?;
    drop(forging);

    // It is not cut off for good from whom it did not believe: a router that moves says so, and answers.
    edge.set_mac("02:00:00:00:00:99")?;
    reaches(guests[1].guest.namespace(), FAR)
}
