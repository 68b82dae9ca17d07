//! Packet by packet: hop limits, and what a router says of what it does not forward, to both sides.

use sextant_lab::story::site::{Gateway, QUICK, Site, reaches};
use sextant_lab::story::{Failure, Outcome, Plugged, SOON, ensure};
use sextant_lab::{Capture, OutsideRouter, Packets};
use std::net::Ipv6Addr;

const FAR: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0xfa, 0, 0, 0, 0, 1);
const PREFIX: &str = "2001:db8:a::/64";
const GATEWAY: &str = "2001:db8:a::";
const CONFIG: &str = "[external.physnet1]\nipv6_gateway = \"fe80::1\"\n";
const ECHOES: &str = "icmp6 and (ip6[40] == 128 or ip6[40] == 129)";
/// Of guests' networks, in octets: 1500 less IPv6, UDP, VXLAN and Ethernet.
const MTU: u32 = 1430;

#[test]
fn a_packet_loses_one_hop_and_is_answered_for_if_it_does_not_pass() -> Outcome {
    Site::tell(CONFIG, passes)
}

fn passes(site: &mut Site) -> Outcome {
    let edge = site.upstream.router("edge", None)?;
    edge.address("fe80::1/64")?;
    edge.far(FAR.into())?;
    let external = site.external(None)?;
    let gateway = site.gateway(&external)?;
    edge.route(PREFIX, Some(gateway.link_local().into()))?;
    let inside = site.segment(&gateway, &[PREFIX])?;
    for guest in site.guests(&inside, [("near", 1), ("away", 3)])? {
        reaches(guest.guest.namespace(), FAR)?;
        reaches(edge.namespace(), guest.address())?;
        hops_outwards(&edge, &gateway, &guest)?;
        hops_inwards(&edge, &gateway, &guest)?;
        guest_traces(&guest)?;
        outside_is_told(&edge, &gateway, &guest)?;
        too_big(&edge, &gateway, &guest)?;
        connects_both_ways(&edge, &guest)?;
    }
    Ok(())
}

/// Source and hop limit of each echo request and reply, in order, with its Ethernet addresses.
const HOPS: [&str; 4] = ["icmpv6.type", "ipv6.hlim", "eth.src", "eth.dst"];

fn rows(capture: Capture, count: usize) -> Result<Vec<Vec<String>>, Failure> {
    capture.wait_packets(count, SOON)?;
    Ok(capture.stop()?.fields("", &HOPS)?)
}

fn row(kind: &str, hops: &str, from: &str, to: &str) -> Vec<String> {
    [kind, hops, from, to].map(str::to_owned).to_vec()
}

/// Requests go out from the gateway's MAC with one hop less; answers come in with one less.
fn hops_outwards(edge: &OutsideRouter, gateway: &Gateway, guest: &Plugged) -> Outcome {
    let captures = (guest.guest.capture(ECHOES)?, edge.capture(ECHOES)?);
    guest.guest.ping(FAR, 1, QUICK)?;
    let (inside, outside) = (rows(captures.0, 2)?, rows(captures.1, 2)?);
    let (mac, hop) = (&gateway.port.mac, edge.mac()?);
    let wanted = [row("128", "63", mac, &hop), row("129", "64", &hop, mac)];
    ensure(outside == wanted, || format!("outside: {outside:?}"))?;
    let hops: Vec<&str> = inside.iter().map(|row| row[1].as_str()).collect();
    ensure(hops == ["64", "63"], || format!("inside: {inside:?}"))?;
    ensure(inside[1][3] == guest.port.mac, || format!("{inside:?}"))
}

fn hops_inwards(edge: &OutsideRouter, gateway: &Gateway, guest: &Plugged) -> Outcome {
    let captures = (guest.guest.capture(ECHOES)?, edge.capture(ECHOES)?);
    edge.namespace().ping(guest.address(), 1, QUICK)?;
    let (inside, outside) = (rows(captures.0, 2)?, rows(captures.1, 2)?);
    let (mac, hop) = (&gateway.port.mac, edge.mac()?);
    let wanted = [row("128", "64", &hop, mac), row("129", "63", mac, &hop)];
    ensure(outside == wanted, || format!("outside: {outside:?}"))?;
    let hops: Vec<&str> = inside.iter().map(|row| row[1].as_str()).collect();
    ensure(hops == ["63", "64"], || format!("inside: {inside:?}"))
}

/// The router is the first hop of a guest, on whatever hypervisor its gateway is.
fn guest_traces(guest: &Plugged) -> Outcome {
    let told = guest.guest.capture("icmp6 and ip6[40] == 3")?;
    let far = FAR.to_string();
    let said = guest
        .guest
        .run(&[
            "traceroute",
            "-6",
            "-n",
            "-q",
            "1",
            "-N",
            "1",
            "-m",
            "4",
            &far,
        ])?
        .stdout;
    let hops: Vec<&str> = said.lines().filter_map(hop).collect();
    ensure(hops == [GATEWAY, &far], || said.clone())?;
    told.wait_packets(1, SOON)?;
    let packets = told.stop()?;
    let told = packets.fields("", &["ipv6.src", "ipv6.dst", "icmpv6.code"])?;
    let wanted = format!("{GATEWAY},{}", guest.address());
    let (source, _) = wanted.split_once(',').unwrap_or_default();
    ensure(
        told.len() == 1 && told[0][0].starts_with(source) && told[0][2] == "0",
        || format!("{told:?}"),
    )
}

/// ` 1  2001:db8:a::1 0.411 ms `: the second word, of lines that begin with a number.
fn hop(line: &str) -> Option<&str> {
    let mut words = line.split_whitespace();
    words.next()?.parse::<u8>().ok()?;
    words.next()
}

/// Time exceeded is told outside as well, from an address that has a way back.
fn outside_is_told(edge: &OutsideRouter, gateway: &Gateway, guest: &Plugged) -> Outcome {
    let told = edge.capture("icmp6 and ip6[40] == 3")?;
    let target = guest.address().to_string();
    let script = format!("ping -6 -n -c 1 -W 2 -t 1 {target} || true");
    let said = edge.namespace().run(&["sh", "-c", &script])?.stdout;
    ensure(said.contains("Time exceeded: Hop limit"), || said)?;
    one_from_the_router(&told_packets(told)?, gateway, &[])
}

fn told_packets(capture: Capture) -> Result<Packets, Failure> {
    capture.wait_packets(1, SOON)?;
    Ok(capture.stop()?)
}

/// One error, from the router's MAC and address, no longer than the least MTU of IPv6 (RFC 4443 §2.4(c)).
fn one_from_the_router(packets: &Packets, gateway: &Gateway, more: &[(&str, &str)]) -> Outcome {
    let fields: Vec<&str> = ["eth.src", "ipv6.src", "ipv6.plen"]
        .into_iter()
        .chain(more.iter().map(|(field, _)| *field))
        .collect();
    let rows = packets.fields("", &fields)?;
    let outer = |text: &str| text.split(',').next().unwrap_or_default().to_owned();
    let [row] = &rows[..] else {
        return Err(Failure::Observed(format!("{rows:?}")));
    };
    let length: u32 = outer(&row[2]).parse().unwrap_or(u32::MAX);
    let right = row[0] == gateway.port.mac
        && outer(&row[1]) == GATEWAY
        && length <= 1280 - 40
        && more
            .iter()
            .zip(&row[3..])
            .all(|((_, wanted), seen)| wanted == seen);
    ensure(right, || format!("{row:?}"))
}

/// What the guest's network does not take is told of with its MTU, and the sender keeps to that.
fn too_big(edge: &OutsideRouter, gateway: &Gateway, guest: &Plugged) -> Outcome {
    ensure(guest.guest.ipv6_mtu()? == MTU, || {
        format!("MTU {:?}", guest.guest.ipv6_mtu())
    })?;
    let told = edge.capture("icmp6 and ip6[40] == 2")?;
    let target = guest.address().to_string();
    let script = format!("ping -6 -n -c 1 -W 2 -M do -s 1452 {target} || true");
    let said = edge.namespace().run(&["sh", "-c", &script])?.stdout;
    ensure(said.contains(&format!("Packet too big: mtu={MTU}")), || {
        said
    })?;
    let mtu = MTU.to_string();
    one_from_the_router(&told_packets(told)?, gateway, &[("icmpv6.mtu", &mtu)])?;
    let words = ["tracepath", "-6", "-n", &target];
    let said = edge.namespace().run(&words)?.stdout;
    ensure(said.contains(&format!("Resume: pmtu {MTU} hops 2")), || {
        said
    })?;
    let far = FAR.to_string();
    let said = guest.guest.run(&["tracepath", "-6", "-n", &far])?.stdout;
    ensure(said.contains(&format!("Resume: pmtu {MTU} hops 2")), || {
        said
    })
}

/// The guest invites segments that its network does not take, so that outside has to learn of its MTU in the middle of
/// the connection.
fn connects_both_ways(edge: &OutsideRouter, guest: &Plugged) -> Outcome {
    let route = guest.guest.wait_default_route(SOON)?;
    let gateway = route.gateway.map(|gateway| gateway.to_string());
    let gateway = gateway.unwrap_or_default();
    let route = ["-6", "route", "replace", "default", "via", &gateway];
    let invites = ["dev", "eth0", "metric", "1", "advmss", "1440"];
    guest
        .guest
        .namespace()
        .ip(&[&route[..], &invites].concat())?;
    edge.namespace().ip(&["-6", "route", "flush", "cache"])?;
    let target = guest.address().to_string();
    for direction in [&[][..], &["--reverse"]] {
        let mut server = guest
            .guest
            .spawn(&["iperf3", "--server", "--one-off", "--forceflush"])?;
        server.wait_line("a server", SOON, |line| {
            line.contains("Server listening").then_some(())
        })?;
        let words = ["timeout", "60", "iperf3", "-c", &target, "-n", "4M"];
        edge.namespace().run(&[&words[..], direction].concat())?;
        server.wait(SOON)?;
    }
    let learned = edge.namespace().ip(&["-6", "route", "get", &target])?;
    ensure(learned.stdout.contains(&format!("mtu {MTU}")), || {
        learned.stdout.clone()
    })
}
