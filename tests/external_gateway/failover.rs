//! The hypervisor with the gateway goes, and comes back, under traffic both ways.

use sextant_lab::story::site::{Gateway, QUICK, Site, reaches};
use sextant_lab::story::{Failure, Outcome, Plugged, SOON, ensure};
use sextant_lab::{BackgroundPing, Capture, OutsideRouter};
use std::net::Ipv6Addr;
use std::time::Instant;

const FAR: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0xfa, 0, 0, 0, 0, 1);
const PREFIX: &str = "2001:db8:a::/64";
const CONFIG: &str = "[gateway]\ngone_after = 1\n[external.physnet1]\nipv6_gateway = \"fe80::1\"\n";
/// Neighbor Advertisements that nobody solicited.
const UNSOLICITED: &str = "icmp6 and ip6[40] == 136 and ip6[44] & 0x40 == 0";

/// A router outside, a gateway that the first hypervisor has, and guests behind it who reach outside and are reached.
fn first_on_h1<const N: usize>(
    site: &mut Site,
    guests: [(&str, usize); N],
) -> Result<(OutsideRouter, Gateway, [Plugged; N]), Failure> {
    let edge = site.upstream.router("edge", None)?;
    edge.address("fe80::1/64")?;
    edge.far(FAR.into())?;
    let external = site.external(None)?;
    let gateway = site.gateway(&external)?;
    edge.route(PREFIX, Some(gateway.link_local().into()))?;
    let inside = site.segment(&gateway, &[PREFIX])?;
    let guests = site.guests(&inside, guests)?;
    for plugged in &guests {
        reaches(plugged.guest.namespace(), FAR)?;
        reaches(edge.namespace(), plugged.address())?;
    }
    site.wait_heard(&gateway.port.mac, 1)?;
    Ok((edge, gateway, guests))
}

#[test]
fn a_gateway_moves_from_a_hypervisor_that_is_gone_and_back() -> Outcome {
    Site::tell(CONFIG, moves)
}

fn moves(site: &mut Site) -> Outcome {
    let (edge, gateway, [guest]) = first_on_h1(site, [("away", 3)])?;

    let host = site.world.lab.hypervisor(1);
    let mut pings = both_ways(&edge, &guest)?;

    let capture = edge.capture(UNSOLICITED)?;
    host.kill_vswitchd();
    host.kill_ovsdb_server();
    let gone = Instant::now();
    site.wait_heard(&gateway.port.mac, 2)?;
    answered(&mut pings, 200)?;
    println!(
        "a gateway whose hypervisor was killed: 200 more answers each way after {:.1} s (gone_after = 1)",
        gone.elapsed().as_secs_f64()
    );
    announced(capture, &gateway)?;
    for (way, ping) in ["outwards", "inwards"].iter().zip(pings) {
        println!("  {way}: {}", figures(ping)?);
    }

    let pings = &mut both_ways(&edge, &guest)?;
    let capture = edge.capture(UNSOLICITED)?;
    host.start_ovsdb_server()?;
    host.start_vswitchd()?;
    site.wait_heard(&gateway.port.mac, 1)?;
    answered(pings, 400)?;
    announced(capture, &gateway)
}

const WATCHED: &str = "[tunnel]\nbfd = true\n[gateway]\ngone_after = 1\n[external.physnet1]\nipv6_gateway = \"fe80::1\"\n";

#[test]
fn a_gateway_stays_where_peers_hear_its_hypervisor_and_moves_when_its_switch_ends() -> Outcome {
    Site::tell(WATCHED, stays)
}

fn stays(site: &mut Site) -> Outcome {
    let (edge, gateway, [guest]) = first_on_h1(site, [("away", 3)])?;
    for peer in [2, 3] {
        let series = format!("sextant_tunnel_bfd_state{{chassis=\"h{peer}\",peer=\"h1\"}} 3");
        site.world.wait_metric(&series)?;
    }

    let capture = edge.capture(UNSOLICITED)?;
    let mut pings = both_ways(&edge, &guest)?;
    let management = site.world.lab.control();
    management.ip(&["link", "set", "dev", "mgmt1", "down"])?;
    site.world.wait_metric("sextant_switches_connected 2")?;
    // Longer than `gone_after`, and than it takes others to count it as gone.
    answered(&mut pings, 600)?;
    for (way, ping) in ["outwards", "inwards"].iter().zip(pings) {
        let report = ping.stop()?;
        ensure(report.lost.is_empty(), || format!("{way}: {report}"))?;
    }
    ensure(capture.stop()?.fields("", &["eth.src"])?.is_empty(), || {
        "another has announced the gateway".to_owned()
    })?;

    let mut pings = both_ways(&edge, &guest)?;
    site.world.lab.hypervisor(1).kill_vswitchd();
    site.wait_heard(&gateway.port.mac, 2)?;
    answered(&mut pings, 200)?;
    for (way, ping) in ["outwards", "inwards"].iter().zip(pings) {
        println!(
            "the switch of a gateway that only its peers heard was killed, {way}: {}",
            figures(ping)?
        );
    }
    Ok(())
}

#[test]
fn a_hypervisor_whose_daemons_are_dead_does_not_disturb_the_one_that_took_over() -> Outcome {
    Site::tell(CONFIG, dead_daemons)
}

/// A kernel's datapath forwards on when ovs-vswitchd is dead, so that guests there go on sending outside from the gateway's
/// MAC. Nobody can end that but ovs-vswitchd. Those elsewhere must not suffer from it.
fn dead_daemons(site: &mut Site) -> Outcome {
    let (edge, gateway, [there, away]) = first_on_h1(site, [("there", 1), ("away", 3)])?;

    let mut of_the_dead = there.guest.spawn_ping(FAR, QUICK)?;
    of_the_dead.wait_answers(100, SOON)?;
    let mut pings = both_ways(&edge, &away)?;
    let capture = edge.capture(UNSOLICITED)?;
    let host = site.world.lab.hypervisor(1);
    host.kill_vswitchd();
    host.kill_ovsdb_server();
    announced(capture, &gateway)?;
    answered(&mut pings, 300)?;
    for (way, ping) in ["outwards", "inwards"].iter().zip(pings) {
        println!("a guest elsewhere, {way}: {}", figures(ping)?);
    }
    let mut pings = both_ways(&edge, &away)?;
    answered(&mut pings, 600)?;
    for (way, ping) in ["outwards", "inwards"].iter().zip(pings) {
        println!("a guest elsewhere after that, {way}: {}", figures(ping)?);
    }
    println!("a guest of the dead: {}", figures(of_the_dead)?);
    host.start_ovsdb_server()?;
    host.start_vswitchd()?;
    site.wait_heard(&gateway.port.mac, 1)?;
    reaches(there.guest.namespace(), FAR)?;
    reaches(away.guest.namespace(), FAR)
}

/// Pings outwards and inwards, of which each has had 100 answers.
fn both_ways(edge: &OutsideRouter, guest: &Plugged) -> Result<[BackgroundPing; 2], Failure> {
    let mut pings = [
        guest.guest.spawn_ping(FAR, QUICK)?,
        edge.namespace().spawn_ping(guest.address(), QUICK)?,
    ];
    answered(&mut pings, 100)?;
    Ok(pings)
}

fn answered(pings: &mut [BackgroundPing; 2], count: u32) -> Outcome {
    for ping in pings {
        ping.wait_answers(count, SOON)?;
    }
    Ok(())
}

fn figures(ping: BackgroundPing) -> Result<String, Failure> {
    let report = ping.stop()?;
    Ok(format!(
        "{} of {} requests lost, at 200 a second",
        report.lost.len(),
        report.sent
    ))
}

/// All on the link were told where the router's address is, by a router, overriding what they knew (RFC 4861 §7.2.6).
fn announced(capture: Capture, gateway: &Gateway) -> Outcome {
    capture.wait_packets(1, SOON)?;
    let fields = [
        "eth.src",
        "eth.dst",
        "ipv6.hlim",
        "icmpv6.nd.na.target_address",
        "icmpv6.nd.na.flag.r",
        "icmpv6.nd.na.flag.o",
        "icmpv6.opt.linkaddr",
    ];
    let rows = capture.stop()?.fields("", &fields)?;
    let (mac, own) = (&gateway.port.mac, gateway.link_local().to_string());
    let right = |row: &Vec<String>| {
        let set = |flag: &str| ["1", "True"].contains(&flag);
        row[..4] == [mac, "33:33:00:00:00:01", "255", &own]
            && set(&row[4])
            && set(&row[5])
            && row[6] == *mac
    };
    ensure(!rows.is_empty() && rows.iter().all(right), || {
        format!("{rows:?}")
    })
}
