//! A delegation in time: renewed as long as the server is there, ended when it is not, replaced when it has other prefixes.

use crate::stage::{
    CONFIG, FAR, POOL, Prefix, Segment, Stage, addressed, configured, counted, delegated,
    not_preferred, reverted, shows,
};
use crate::wire::{self, REBIND, RENEW, REQUEST, SOLICIT};
use sextant_lab::story::site::{QUICK, Site, reaches};
use sextant_lab::story::{Failure, Outcome, Plugged, SOON, ensure};
use sextant_lab::{Capture, DelegatingServer, LabError, Lifetimes, PrefixPool};

pub(crate) const SHORT: PrefixPool<'_> = PrefixPool {
    lifetimes: Lifetimes {
        renew: 4,
        rebind: 7,
        preferred: 10,
        valid: 12,
    },
    ..POOL
};
const OTHER: PrefixPool<'_> = PrefixPool {
    prefix: "2001:db8:3333::/48",
    ..SHORT
};

#[test]
fn a_delegation_is_renewed_and_ends_and_is_replaced() -> Outcome {
    Site::tell(CONFIG, |site| {
        let mut stage = Stage::set(site, None, DelegatingServer::kea, &SHORT)?;
        let segment = stage.segment(site, "ipv6-pd", "slaac", &POOL)?;
        let [guest] = site.guests(&segment.network, [("away", 3)])?;
        renewed(site, &stage, &segment, &guest)?;
        ended(site, &mut stage, &segment, &guest)?;
        let prefix = back(site, &mut stage, &segment, &guest)?;
        replaced(site, &mut stage, &segment, &guest, prefix)?;
        counted(
            site,
            &[("delegated", 2), ("reverted", 1), ("renumbered", 1)],
        )
    })
}

/// At T1, T1 and T1, while traffic goes on.
fn renewed(site: &Site, stage: &Stage, segment: &Segment, guest: &Plugged) -> Outcome {
    let renewals = wire::sent(&stage.edge, &[RENEW])?;
    let others = wire::sent(&stage.edge, &[SOLICIT, REQUEST, REBIND])?;
    let own = segment.prefix.address_of(guest);
    reaches(stage.edge.namespace(), own)?;
    let pings = [
        guest.guest.spawn_ping(FAR, QUICK)?,
        stage.edge.namespace().spawn_ping(own, QUICK)?,
    ];
    renewals.wait_packets(4, SOON)?;
    for ping in pings {
        let report = ping.stop()?;
        ensure(report.is_complete(), || report.to_string())?;
    }
    let renewals = wire::messages(renewals)?;
    let pauses = renewals.windows(2).map(|pair| pair[1].at - pair[0].at);
    let at_t1 = |pause: f64| (3.0..6.0).contains(&pause);
    ensure(pauses.clone().all(at_t1), || {
        format!("{:?}", pauses.clone().collect::<Vec<_>>())
    })?;
    let others = wire::messages(others)?;
    ensure(others.is_empty(), || format!("{others:?}"))?;
    shows(site, &segment.subnet, segment.prefix)
}

/// The server is gone: any server is asked, and then nobody has the prefix.
fn ended(site: &Site, stage: &mut Stage, segment: &Segment, guest: &Plugged) -> Outcome {
    let rebinds = wire::sent(&stage.edge, &[REBIND])?;
    let advertisements = advertisements(guest)?;
    stage.server.stop()?;
    rebinds.wait_packets(1, SOON)?;
    shows(site, &segment.subnet, segment.prefix)?;
    reaches(guest.guest.namespace(), FAR)?;

    reverted(site, &segment.subnet)?;
    addressed(site, guest, Prefix::PROVISIONAL)?;
    advertisements.wait_bytes(&unpreferred(segment.prefix), SOON)?;
    not_preferred(guest, segment.prefix)
}

/// The server is there again: asked anew, it delegates.
fn back(
    site: &Site,
    stage: &mut Stage,
    segment: &Segment,
    guest: &Plugged,
) -> Result<Prefix, Failure> {
    let solicits = wire::sent(&stage.edge, &[SOLICIT])?;
    stage.server.start_again()?;
    solicits.wait_packets(1, 2 * SOON)?;
    let prefix = delegated(site, &segment.subnet, &POOL)?;
    addressed(site, guest, prefix)?;
    configured(guest, prefix)?;
    stage.is_reached_by(guest, prefix)?;
    Ok(prefix)
}

/// The server has other prefixes: guests get one of these, and do not prefer the old one.
fn replaced(
    site: &Site,
    stage: &mut Stage,
    segment: &Segment,
    guest: &Plugged,
    old: Prefix,
) -> Outcome {
    let advertisements = advertisements(guest)?;
    stage.server.start_anew(&OTHER)?;
    let new = delegated(site, &segment.subnet, &OTHER)?;
    stage.routes(&new.to_string())?;
    addressed(site, guest, new)?;
    configured(guest, new)?;
    advertisements.wait_bytes(&unpreferred(old), SOON)?;
    not_preferred(guest, old)?;
    stage.is_reached_by(guest, new)
}

/// Router Advertisements that reach a guest.
fn advertisements(guest: &Plugged) -> Result<Capture, LabError> {
    guest.guest.capture("icmp6 and ip6[40] == 134")
}

/// The end of a Prefix Information option (RFC 4861 §4.6.2): a preferred lifetime of 0, a reserved word, the prefix.
fn unpreferred(prefix: Prefix) -> [u8; 24] {
    let mut bytes = [0; 24];
    bytes[8..].copy_from_slice(&prefix.0.octets());
    bytes
}
