//! Guests reach each other: switched, tunnelled, routed; and do not see what is not theirs.

use super::p03_router_advertisements::advertised;
use crate::story::world::{Cloud, Guests, Plugged, SOON, wait_tunnel_port};
use crate::story::{Narrator, Outcome, Point, World, ensure};
use crate::{Lab, wait_for};
use std::net::Ipv6Addr;
use std::time::Duration;

pub(super) const POINT: Point = Point {
    number: 5,
    title: "Guests reach each other: in a hypervisor, over VXLAN, over GRE, and through their router",
    asked: "ping; then ovs-vsctl set open_vswitch . external_ids:sextant-encap-type=gre on both, while running",
    run,
};

const COUNT: u32 = 5;
const INTERVAL: Duration = Duration::from_millis(50);

fn run(world: &mut World, narrator: &mut Narrator) -> Outcome {
    {
        let (lab, cloud, guests) = world.addressed()?;
        switched(guests, narrator)?;
        tunnelled(lab, cloud, guests, "vxlan", narrator)?;
        isolated(guests, narrator)?;
        routed(lab, cloud, guests, narrator)?;
    }
    let (lab, cloud, guests) = world.ready()?;
    change_encapsulation(lab, "gre", narrator)?;
    tunnelled(lab, cloud, guests, "gre", narrator)?;
    advertised(
        &cloud.slaac,
        &guests.slaac1,
        ["1", "0", "0"],
        "1438",
        narrator,
    )?;
    change_encapsulation(lab, "vxlan", narrator)
}

fn reaches(
    from: &Plugged,
    to: Ipv6Addr,
    hop_limit: u8,
    how: &str,
    narrator: &mut Narrator,
) -> Outcome {
    let warm = from.guest.ping(to, 2, INTERVAL)?;
    let report = from.guest.ping(to, COUNT, INTERVAL)?;
    ensure(report.is_complete(), || {
        format!(
            "{} to {to}, {how}: {report} (before: {warm})",
            from.guest.name()
        )
    })?;
    ensure(report.hop_limit() == Some(hop_limit), || {
        format!("{how}: hop limits {:?}, not {hop_limit}", report.hop_limits)
    })?;
    narrator.observe(format_args!(
        "{} to {to}, {how}: {report}, hop limit {hop_limit}",
        from.guest.name()
    ));
    Ok(())
}

fn switched(guests: &Guests, narrator: &mut Narrator) -> Outcome {
    reaches(
        &guests.slaac1,
        guests.slaac1b.address(),
        64,
        "in a hypervisor",
        narrator,
    )
}

fn tunnelled(
    lab: &Lab,
    cloud: &Cloud,
    guests: &Guests,
    kind: &str,
    narrator: &mut Narrator,
) -> Outcome {
    let filter = if kind == "vxlan" {
        "udp port 4789"
    } else {
        "ip6 proto 47"
    };
    let capture = lab.hypervisor(1).capture_underlay(filter)?;
    reaches(
        &guests.slaac1,
        guests.slaac2.address(),
        64,
        &format!("across, over {kind}"),
        narrator,
    )?;
    capture.wait_packets(2 * COUNT as usize, SOON)?;
    let packets = capture.stop()?;
    let key = if kind == "vxlan" {
        "vxlan.vni"
    } else {
        "gre.key"
    };
    let rows = packets.fields("icmpv6.type == 128", &["ipv6.src", "ipv6.dst", key])?;
    let outer = [lab.hypervisor(1).endpoint(), lab.hypervisor(2).endpoint()]
        .map(|endpoint| endpoint.to_string());
    ensure(
        !rows.is_empty()
            && rows.iter().all(|row| {
                let number = parse_key(&row[2]);
                row[0].starts_with(&outer[0])
                    && row[1].starts_with(&outer[1])
                    && number == Some(cloud.slaac.vni())
            }),
        || {
            format!(
                "on the underlay: {rows:?}, not {outer:?} with key {}",
                cloud.slaac.vni()
            )
        },
    )?;
    narrator.observe(format_args!(
        "on the underlay: {kind} from {} to {} with key {}",
        outer[0],
        outer[1],
        cloud.slaac.vni()
    ));
    Ok(())
}

fn parse_key(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

/// A guest of another network, on the same hypervisor, sees nothing of a ping to all nodes.
fn isolated(guests: &Guests, narrator: &mut Narrator) -> Outcome {
    let (inside, outside) = (&guests.slaac1b, &guests.stateful1);
    let from = format!("ether src {}", guests.slaac1.port.mac);
    let (seen, unseen) = (inside.guest.capture(&from)?, outside.guest.capture(&from)?);
    guests.slaac1.guest.ping(
        "ff02::1".parse().unwrap_or(Ipv6Addr::UNSPECIFIED),
        COUNT,
        INTERVAL,
    )?;
    seen.wait_packets(COUNT as usize, SOON)?;
    let (seen, unseen) = (seen.stop()?, unseen.stop()?);
    ensure(unseen.count() == 0, || {
        format!(
            "{} saw of another network:\n{}",
            outside.guest.name(),
            unseen.summary().unwrap_or_default()
        )
    })?;
    narrator.observe(format_args!(
        "a ping to ff02::1: {} frames in its network, 0 in another",
        seen.count()
    ));
    Ok(())
}

/// Routed on the sender's hypervisor: one tunnel hop, already on the other network, hop limit down by one.
fn routed(lab: &Lab, cloud: &Cloud, guests: &Guests, narrator: &mut Narrator) -> Outcome {
    reaches(
        &guests.slaac1,
        guests.stateful1.address(),
        63,
        "through the router, in a hypervisor",
        narrator,
    )?;
    let capture = lab.hypervisor(1).capture_underlay("udp port 4789")?;
    reaches(
        &guests.slaac1,
        guests.stateful2.address(),
        63,
        "through the router, across",
        narrator,
    )?;
    capture.wait_packets(2 * COUNT as usize, SOON)?;
    let rows = capture.stop()?.fields(
        "icmpv6.type == 128",
        &["vxlan.vni", "ipv6.hlim", "icmpv6.echo.sequence_number"],
    )?;
    let vni = cloud.stateful.vni().to_string();
    ensure(
        !rows.is_empty()
            && rows
                .iter()
                .all(|row| row[0] == vni && row[1].ends_with(",63")),
        || format!("on the underlay: {rows:?}, not VNI {vni} with inner hop limit 63"),
    )?;
    let packets = rows.len();
    ensure(packets == COUNT as usize + 2, || {
        format!(
            "{packets} tunnelled requests for {} sent: more than one hop",
            COUNT + 2
        )
    })?;
    narrator.observe(format_args!(
        "on the underlay: each request once, on VNI {vni}, inner hop limit 63"
    ));
    reaches(
        &guests.stateless2,
        guests.stateful1.address(),
        63,
        "through the router, back across",
        narrator,
    )
}

fn change_encapsulation(lab: &Lab, kind: &str, narrator: &mut Narrator) -> Outcome {
    for host in lab.hypervisors() {
        host.vsctl(&[
            "set",
            "open_vswitch",
            ".",
            &format!("external_ids:sextant-encap-type={kind}"),
        ])?;
    }
    let other = if kind == "gre" {
        "sextant-vxlan"
    } else {
        "sextant-gre"
    };
    for host in lab.hypervisors() {
        wait_tunnel_port(host, kind)?;
        wait_for("the other tunnel port to go", SOON, || {
            let ports = host
                .vsctl(&["list-ports", "br-int"])
                .map_err(|error| error.to_string())?
                .stdout;
            if ports.contains(other) {
                Err(ports)
            } else {
                Ok(())
            }
        })?;
        let ofport = host
            .vsctl(&["get", "interface", &format!("sextant-{kind}6"), "ofport"])?
            .stdout;
        let output = format!("output:{}", ofport.trim());
        let named = format!("output:\"sextant-{kind}6\"");
        wait_for("flows into the new tunnel", SOON, || {
            let flows = host
                .dump_flows("br-int")
                .map_err(|error| error.to_string())?;
            let sends = flows
                .iter()
                .any(|flow| flow.contains(&output) || flow.contains(&named));
            if sends {
                Ok(())
            } else {
                Err(format!("none of {} flows", flows.len()))
            }
        })?;
    }
    narrator.observe(format_args!(
        "encapsulation is {kind} on both, the other tunnel port is gone"
    ));
    Ok(())
}
