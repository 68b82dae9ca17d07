//! What a delegation survives: a controller that is killed, and a hypervisor with the gateway that goes and comes back.

use crate::stage::{CONFIG, FAR, POOL, Segment, Stage, counted, shows};
use crate::wire::{self, REBIND, RENEW, REQUEST, SOLICIT};
use sextant_lab::story::site::{QUICK, Site, reaches};
use sextant_lab::story::{Outcome, Plugged, SOON, ensure};
use sextant_lab::{Capture, DelegatingServer, FlowDump, Lifetimes, PrefixPool};

/// Renewed soon, but no story here is so long that the prefix would end; and of more bits than a subnet takes.
const SOON_RENEWED: PrefixPool<'_> = PrefixPool {
    length: 56,
    lifetimes: Lifetimes {
        renew: 8,
        rebind: 100,
        preferred: 200,
        valid: 300,
    },
    ..POOL
};

#[test]
fn a_delegation_outlives_a_killed_controller_and_a_lost_gateway() -> Outcome {
    Site::tell(CONFIG, |site| {
        let stage = Stage::set(site, None, DelegatingServer::kea, &SOON_RENEWED)?;
        let segment = stage.segment(site, "ipv6-pd", "slaac", &POOL)?;
        let guests = site.guests(&segment.network, [("near", 2), ("away", 3)])?;
        for guest in &guests {
            stage.is_reached_by(guest, segment.prefix)?;
        }
        controller_is_killed(site, &stage, &segment, &guests)?;
        gateway_moves(site, &stage, &segment, &guests)?;
        counted(site, &[("reverted", 0), ("renumbered", 0)])
    })
}

fn controller_is_killed(
    site: &mut Site,
    stage: &Stage,
    segment: &Segment,
    guests: &[Plugged; 2],
) -> Outcome {
    let away = segment.prefix.address_of(&guests[1]);
    reaches(guests[0].guest.namespace(), away)?;
    let before = FlowDump::read(site.world.lab.hypervisors())?;
    let mut pings = [
        guests[0].guest.spawn_ping(away, QUICK)?,
        guests[1].guest.spawn_ping(FAR, QUICK)?,
    ];
    site.world.controller.kill();
    let extended = wire::sent(&stage.edge, &[RENEW, REBIND])?;
    let anew = wire::sent(&stage.edge, &[SOLICIT, REQUEST])?;
    for ping in &mut pings {
        ping.wait_answers(200, SOON)?;
    }
    site.world.controller.start_again()?;
    site.world.lab.wait_settled(SOON)?;
    extended.wait_packets(1, SOON)?;
    for ping in pings {
        let report = ping.stop()?;
        ensure(report.is_complete(), || report.to_string())?;
    }
    let after = FlowDump::read(site.world.lab.hypervisors())?;
    let (touched, anew_flows) = (
        after.came_or_went_since(&before),
        after.installed_anew_since(&before),
    );
    ensure((touched, anew_flows) == (0, 0), || {
        format!("{touched} flows came or went, {anew_flows} were installed anew")
    })?;
    from_the_subnet(extended, segment)?;
    let anew = wire::messages(anew)?;
    ensure(anew.is_empty(), || format!("{anew:?}"))?;
    shows(site, &segment.subnet, segment.prefix)
}

fn gateway_moves(
    site: &mut Site,
    stage: &Stage,
    segment: &Segment,
    guests: &[Plugged; 2],
) -> Outcome {
    let mac = &stage.gateway.port.mac;
    site.wait_heard(mac, 1)?;
    let anew = wire::sent(&stage.edge, &[SOLICIT, REQUEST])?;
    let rebinds = wire::sent(&stage.edge, &[REBIND])?;
    let host = site.world.lab.hypervisor(1);
    host.kill_vswitchd();
    host.kill_ovsdb_server();
    rebinds.wait_packets(1, SOON)?;
    site.wait_heard(mac, 2)?;
    from_the_subnet(rebinds, segment)?;
    stays(site, stage, segment, guests)?;

    let rebinds = wire::sent(&stage.edge, &[REBIND])?;
    host.start_ovsdb_server()?;
    host.start_vswitchd()?;
    rebinds.wait_packets(1, SOON)?;
    site.wait_heard(mac, 1)?;
    from_the_subnet(rebinds, segment)?;
    stays(site, stage, segment, guests)?;
    let anew = wire::messages(anew)?;
    ensure(anew.is_empty(), || format!("{anew:?}"))
}

/// The subnet's client spoke, and no other.
fn from_the_subnet(capture: Capture, segment: &Segment) -> Outcome {
    let messages = wire::messages(capture)?;
    let own = wire::duid(&segment.subnet.id, "");
    let right = |message: &wire::Message| message.client == own && message.iaid == "1";
    ensure(!messages.is_empty() && messages.iter().all(right), || {
        format!("{messages:?}")
    })
}

/// Subnet, lease and route are what they were, and guests have their way outside.
fn stays(site: &Site, stage: &Stage, segment: &Segment, guests: &[Plugged; 2]) -> Outcome {
    shows(site, &segment.subnet, segment.prefix)?;
    let duid = wire::duid(&segment.subnet.id, ":");
    let lease = stage.server.wait_lease(&duid, SOON)?;
    let wanted = (segment.prefix.0, SOON_RENEWED.length);
    ensure((lease.prefix, lease.length) == wanted, || {
        format!("{lease:?}")
    })?;
    stage.routes(&format!("{}/{}", lease.prefix, lease.length))?;
    guests
        .iter()
        .try_for_each(|guest| stage.is_reached_by(guest, segment.prefix))
}
