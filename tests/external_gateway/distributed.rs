//! IPv6 leaves by the guest's own hypervisor, where the operator lets it: from a MAC that no other sends from.

use sextant_lab::story::site::{Site, reaches};
use sextant_lab::story::{Failure, Outcome, Plugged, SOON, ensure};
use sextant_lab::{Capture, OutsideRouter};
use std::collections::BTreeSet;
use std::net::Ipv6Addr;

const FAR: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0xfa, 0, 0, 0, 0, 1);
const PREFIX: &str = "2001:db8:a::/64";
const CONFIG: &str = "[external.physnet1]\nipv6_gateway = \"fe80::1\"\ndistributed = true\n";

#[test]
fn what_leaves_locally_has_a_mac_of_its_own_in_one_place() -> Outcome {
    Site::tell(CONFIG, leaves)
}

fn leaves(site: &mut Site) -> Outcome {
    let hosts = site.world.lab.hypervisors();
    let captures = [&hosts[0], &hosts[1]].map(|host| site.upstream.capture_from(host, "ip6"));
    let edge = site.upstream.router("edge", None)?;
    edge.address("fe80::1/64")?;
    edge.far(FAR.into())?;
    let external = site.external(None)?;
    let gateway = site.gateway(&external)?;
    edge.route(PREFIX, Some(gateway.link_local().into()))?;
    let inside = site.segment(&gateway, &[PREFIX])?;
    let places = [("near", 1), ("bridged", 2), ("away", 3)];
    let [at_gateway, with_bridge, without] = site.guests(&inside, places)?;
    for guest in [&at_gateway, &with_bridge, &without] {
        reaches(guest.guest.namespace(), FAR)?;
        reaches(edge.namespace(), guest.address())?;
    }
    let mac = &gateway.port.mac;
    for guest in [&at_gateway, &without] {
        let from = leaves_from(&edge, guest)?;
        ensure(from == *mac, || format!("{from}, not {mac}"))?;
    }
    let own = leaves_from(&edge, &with_bridge)?;
    ensure(own != *mac && is_locally_administered(&own), || own.clone())?;
    site.wait_heard(&own, 2)?;
    site.wait_heard(mac, 1)?;
    let [one, two] = captures;
    let (one, two) = (senders(one?)?, senders(two?)?);
    ensure(one.contains(mac) && two.contains(&own), || {
        format!("{one:?}, {two:?}")
    })?;
    ensure(one.is_disjoint(&two), || {
        format!("in two places: {:?}", one.intersection(&two))
    })
}

/// The MAC from which a guest's packets come outside, once they do from one.
fn leaves_from(edge: &OutsideRouter, guest: &Plugged) -> Result<String, Failure> {
    let filter = format!("icmp6 and ip6[40] == 128 and src host {}", guest.address());
    let capture = edge.capture(&filter)?;
    reaches(guest.guest.namespace(), FAR)?;
    capture.wait_packets(5, SOON)?;
    let senders = senders(capture)?;
    let mut macs = senders.iter();
    match (macs.next(), macs.next()) {
        (Some(mac), None) => Ok(mac.clone()),
        _ => Err(Failure::Observed(format!("{senders:?}"))),
    }
}

/// Who sent, by MAC.
fn senders(capture: Capture) -> Result<BTreeSet<String>, Failure> {
    let rows = capture.stop()?.fields("", &["eth.src"])?;
    Ok(rows.into_iter().flatten().collect())
}

/// RFC 7042 §2.1: the second bit of the first octet.
fn is_locally_administered(mac: &str) -> bool {
    let first = mac
        .get(..2)
        .and_then(|text| u8::from_str_radix(text, 16).ok());
    first.is_some_and(|first| first & 2 != 0)
}
