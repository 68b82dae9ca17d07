//! Router Solicitations are answered, and SLAAC works.

use crate::story::world::{DNS, Plugged, SOON, Segment};
use crate::story::{Narrator, Outcome, Point, World, ensure};
use crate::{Guest, LabError, Packets};
use std::time::Instant;

pub(super) const POINT: Point = Point {
    number: 3,
    title: "Guests solicit routers, are answered at once, and form the addresses that the API shows",
    asked: "nothing: the guests' kernels do it by themselves; rdisc6 asks once more, to measure",
    run,
};

/// Fields of an advertisement: source, hop limit, A/M/O by mode, and so on.
const FIELDS: &[&str] = &[
    "ipv6.src",
    "ipv6.hlim",
    "icmpv6.nd.ra.flag.m",
    "icmpv6.nd.ra.flag.o",
    "icmpv6.opt.prefix.flag.a",
    "icmpv6.opt.prefix",
    "icmpv6.opt.mtu",
    "icmpv6.opt.rdnss",
    "icmpv6.nd.ra.router_lifetime",
];

fn run(world: &mut World, narrator: &mut Narrator) -> Outcome {
    let (_, cloud, guests) = world.ready()?;
    for (segment, plugged, flags) in [
        (&cloud.slaac, &guests.slaac1, ["1", "0", "0"]),
        (&cloud.stateful, &guests.stateful1, ["0", "1", "1"]),
        (&cloud.stateless, &guests.stateless2, ["1", "0", "1"]),
    ] {
        advertised(segment, plugged, flags, "1430", narrator)?;
    }
    for plugged in [
        &guests.slaac1,
        &guests.slaac1b,
        &guests.slaac2,
        &guests.stateless2,
    ] {
        autoconfigured(plugged, narrator)?;
    }
    Ok(())
}

/// Asks once more and checks what comes.
pub(super) fn advertised(
    segment: &Segment,
    plugged: &Plugged,
    flags: [&str; 3],
    mtu: &str,
    narrator: &mut Narrator,
) -> Outcome {
    let mode = segment.subnet.body["ipv6_ra_mode"]
        .as_str()
        .unwrap_or_default();
    let asked = Instant::now();
    let packets = solicited(&plugged.guest)?;
    let took = asked.elapsed();
    let rows = packets.fields("icmpv6.type == 134", FIELDS)?;
    let [row] = &rows[..] else {
        return ensure(false, || {
            format!("{mode}: {} advertisements: {rows:?}", rows.len())
        });
    };
    let [a, m, o] = flags.map(str::to_owned);
    let prefix = segment.subnet.body["cidr"]
        .as_str()
        .unwrap_or_default()
        .trim_end_matches("/64")
        .to_owned();
    let expected = [
        segment.gateway_link_local().to_string(),
        "255".into(),
        m,
        o,
        a,
        prefix,
        mtu.to_owned(),
        DNS.to_owned(),
        "300".into(),
    ];
    ensure(normal(row) == expected, || {
        format!("{mode}: {row:?} is advertised, not {expected:?}")
    })?;
    narrator.observe(format_args!(
        "{mode}: A,M,O = {},{},{}, MTU {mtu}, RDNSS {DNS}, from {} with hop limit 255 ({} ms with rdisc6's start)",
        flags[0],
        flags[1],
        flags[2],
        row[0],
        took.as_millis()
    ));
    Ok(())
}

/// tshark prints booleans as 1 and 0 or True and False, by version.
fn normal(row: &[String]) -> Vec<String> {
    row.iter()
        .map(|field| field.replace("True", "1").replace("False", "0"))
        .collect()
}

fn solicited(guest: &Guest) -> Result<Packets, LabError> {
    guest.wait_link_local(SOON)?;
    let capture = guest.capture("icmp6 and ip6[40] == 134")?;
    guest.run(&["rdisc6", "-1", "-r", "3", "-w", "5000", "eth0"])?;
    capture.wait_packets(1, SOON)?;
    capture.stop()
}

/// The guest has the API's address, duplicate address detection passed, and its router is the gateway's link-local.
fn autoconfigured(plugged: &Plugged, narrator: &mut Narrator) -> Outcome {
    let guest = &plugged.guest;
    let address = guest.wait_address(plugged.address(), SOON)?;
    let others = guest
        .global_addresses()?
        .into_iter()
        .filter(|other| other.address != address.address)
        .count();
    ensure(others == 0 && address.dynamic, || {
        format!("{} has {address} and {others} others", guest.name())
    })?;
    let mtu = guest.ipv6_mtu()?;
    ensure(mtu == 1430, || {
        format!("{} has taken MTU {mtu}", guest.name())
    })?;
    let router = guest.wait_default_route(SOON)?;
    narrator.observe(format_args!(
        "{}: {} by SLAAC, DAD passed, MTU {mtu}, {router}",
        guest.name(),
        address.address
    ));
    Ok(())
}
