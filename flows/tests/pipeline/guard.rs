//! What a guest may send and what it may not.

use crate::support::frames::{self, ALL_NODES, ALL_ROUTERS, address};
use crate::support::{Cloud, Fabric, show};
use insta::assert_snapshot;
use rust_openflow::Field;
use sextant_flows::pipeline::Stage;
use sextant_flows::trace::Packet;
use sextant_model::{AddressPair, FixedIp, MacAddr, Port, SubnetId};
use std::net::{Ipv4Addr, Ipv6Addr};

const FIRST: u8 = 1;
const LATER: u8 = 3;
const FORBIDDEN: [&str; 1] = ["forbidden in guard"];

/// `mallory` beside `bob`, on one hypervisor, with an IPv6 and an IPv4 address each.
fn cloud() -> Cloud {
    let mut cloud = Cloud::with_hypervisors(1);
    cloud.network("red");
    cloud.subnet("red6", "red", "2001:db8:a::/64", None);
    for (guest, ip) in [("mallory", "192.0.2.11"), ("bob", "192.0.2.12")] {
        cloud.guest(guest, "red", "h1");
        cloud.change_port(guest, |port| port.fixed_ips.push(ipv4(ip)));
    }
    cloud
}

fn ipv4(ip: &str) -> FixedIp {
    FixedIp {
        subnet_id: SubnetId::MIN,
        ip_address: ip.parse().unwrap(),
    }
}

fn to_bob(cloud: &Cloud) -> Packet {
    let (mallory, bob) = (cloud.get_port("mallory"), cloud.get_port("bob"));
    frames::ping(&mallory, address(&bob), bob.mac_address)
}

/// Why `mallory`'s frame does not reach `bob`; nothing if it does.
fn refused(cloud: &Cloud, frame: &Packet) -> Vec<String> {
    let journey = Fabric::new(cloud).send("mallory", frame);
    if !journey.is_lost() {
        assert_eq!(journey.reached(), ["bob"], "{journey:?}");
        return vec![];
    }
    assert!(!journey.drops.is_empty());
    journey.drops
}

fn mallory(cloud: &Cloud) -> Port {
    cloud.get_port("mallory")
}

fn icmpv6(packet: Packet, kind: u8) -> Packet {
    packet
        .with(Field::IP_PROTO, 58u8)
        .with(Field::ICMPV6_TYPE, kind)
}

#[test]
fn flows_of_a_port() {
    let mut cloud = cloud();
    cloud.network("blue");
    cloud.port("carol", "blue");
    assert_snapshot!(show::change(&mut cloud, "h1", |cloud| cloud.plug("carol", "h1")));
}

#[test]
fn flows_of_a_port_with_address_pairs() {
    let mut cloud = cloud();
    assert_snapshot!(show::change(&mut cloud, "h1", |cloud| {
        cloud.allow("mallory", None, "2001:db8:ff::/48");
        cloud.allow("mallory", Some("00:00:5e:00:02:01"), "2001:db8:a::99/128");
        cloud.allow("mallory", None, "203.0.113.0/24");
    }));
}

#[test]
fn own_addresses_pass() {
    let cloud = cloud();
    let mallory = mallory(&cloud);
    let link_local = to_bob(&cloud).ipv6(Field::IPV6_SRC, mallory.mac_address.link_local());
    for frame in [to_bob(&cloud), link_local] {
        assert!(refused(&cloud, &frame).is_empty());
    }
}

#[test]
fn other_sources_do_not() {
    let cloud = cloud();
    let bob = cloud.get_port("bob");
    let spoofed = [
        to_bob(&cloud).ipv6(Field::IPV6_SRC, "2001:db8:a::bad".parse().unwrap()),
        to_bob(&cloud).ipv6(Field::IPV6_SRC, bob.mac_address.link_local()),
        to_bob(&cloud).mac(Field::ETH_SRC, [0xfa, 0x16, 0x3e, 9, 9, 9]),
        to_bob(&cloud).with(Field::ETH_TYPE, 0x88ccu16),
    ];
    for frame in spoofed {
        assert_eq!(refused(&cloud, &frame), ["no flow in guard"]);
    }
}

/// Defect 15 of `docs/peer-defects.md`: a guest's Router Advertisement stops at its port.
#[test]
fn nobody_plays_router_or_dhcp_server() {
    let cloud = cloud();
    let mallory = mallory(&cloud);
    let advertisement =
        |kind| frames::discovery(&mallory, mallory.mac_address.link_local(), ALL_NODES, kind);
    let v4 = to_bob(&cloud)
        .with(Field::ETH_TYPE, 0x0800u16)
        .with(Field::IPV4_SRC, Ipv4Addr::new(192, 0, 2, 11).to_bits());
    let refusals = [
        advertisement(134),
        advertisement(137),
        frames::udp(to_bob(&cloud), 547, 546),
        frames::udp(to_bob(&cloud), 5000, 546),
        frames::udp(v4.clone(), 67, 68),
        frames::udp(v4.clone(), 5000, 68),
    ];
    for frame in refusals {
        assert_eq!(refused(&cloud, &frame), FORBIDDEN);
    }
    for frame in [
        frames::udp(to_bob(&cloud), 546, 53),
        frames::udp(v4, 68, 67),
    ] {
        assert!(refused(&cloud, &frame).is_empty());
    }
}

/// Defect 15 of `docs/peer-defects.md`, where it is hidden (RFC 7113, RFC 6980).
#[test]
fn nothing_hides_behind_headers_and_fragments() {
    let cloud = cloud();
    let of = |protocol: u8| {
        to_bob(&cloud)
            .with(Field::ICMPV6_TYPE, 0u8)
            .with(Field::IP_PROTO, protocol)
    };
    let hidden = [
        of(0),
        of(140),
        of(253),
        of(254),
        of(58).with(Field::IP_FRAG, FIRST),
        of(6).with(Field::IP_FRAG, FIRST),
        of(17).with(Field::IP_FRAG, FIRST),
    ];
    for frame in hidden {
        assert_eq!(refused(&cloud, &frame), FORBIDDEN);
    }
    for kind in 133..=137 {
        let discovery = icmpv6(to_bob(&cloud), kind).with(Field::IP_FRAG, FIRST);
        assert_eq!(refused(&cloud, &discovery), ["forbidden in martians"]);
    }
    let plain = [
        icmpv6(to_bob(&cloud), 128).with(Field::IP_FRAG, FIRST),
        frames::udp(to_bob(&cloud), 5000, 5000).with(Field::IP_FRAG, FIRST),
        of(44).with(Field::IP_FRAG, LATER),
    ];
    for frame in plain {
        assert!(refused(&cloud, &frame).is_empty());
    }
}

#[test]
fn a_guest_advertises_its_own_addresses_alone() {
    let cloud = cloud();
    let (mallory, bob) = (mallory(&cloud), cloud.get_port("bob"));
    let own = frames::advertise(&mallory, address(&mallory));
    let without_option = own.clone().with(Field::ND_TLL, 0u8);
    for frame in [own.clone(), without_option] {
        assert!(refused(&cloud, &frame).is_empty());
    }
    let lies = [
        own.clone().ipv6(Field::ND_TARGET, address(&bob)),
        own.clone().mac(Field::ND_TLL, bob.mac_address.0),
        own.clone().ipv6(Field::ND_TARGET, Ipv6Addr::UNSPECIFIED),
        own.clone().with(Field::ICMPV6_CODE, 1u8),
    ];
    for frame in lies {
        assert_eq!(refused(&cloud, &frame), ["forbidden in neighbor guard"]);
    }
    let as_bob = own.ipv6(Field::IPV6_SRC, address(&bob));
    assert_eq!(refused(&cloud, &as_bob), ["no flow in guard"]);
}

#[test]
fn a_guest_solicits_in_its_own_name_alone() {
    let cloud = cloud();
    let (mallory, bob) = (mallory(&cloud), cloud.get_port("bob"));
    let free: Ipv6Addr = "2001:db8:a::f".parse().unwrap();
    let question = frames::solicit(&mallory, free);
    assert!(refused(&cloud, &question).is_empty());
    for lie in [
        question.clone().mac(Field::ND_SLL, bob.mac_address.0),
        question
            .clone()
            .ipv6(Field::ND_TARGET, Ipv6Addr::UNSPECIFIED),
        question.with(Field::ICMPV6_CODE, 1u8),
    ] {
        assert_eq!(refused(&cloud, &lie), ["forbidden in neighbor guard"]);
    }
}

#[test]
fn what_hosts_send_before_they_have_an_address_passes() {
    let cloud = cloud();
    let mallory = mallory(&cloud);
    let unspecified = Ipv6Addr::UNSPECIFIED;
    let routers = frames::discovery(&mallory, unspecified, ALL_ROUTERS, 133);
    let all_mld: Ipv6Addr = "ff02::16".parse().unwrap();
    let report =
        |kind| frames::discovery(&mallory, unspecified, all_mld, kind).with(Field::NW_TTL, 1u8);
    let probe = frames::probe(&mallory, address(&mallory));
    for frame in [routers, report(131), report(143), probe] {
        assert!(refused(&cloud, &frame).is_empty());
    }
    let query = report(130);
    assert_eq!(refused(&cloud, &query), FORBIDDEN);
}

#[test]
fn ipv4_guests_resolve_and_ask_for_addresses() {
    let cloud = cloud();
    let mallory = mallory(&cloud);
    let all = MacAddr([0xff; 6]);
    let own = Ipv4Addr::new(192, 0, 2, 11);
    let discover = frames::udp(frames::ethernet(mallory.mac_address, all, 0x0800), 68, 67);
    let arp = |sender: Ipv4Addr| {
        frames::ethernet(mallory.mac_address, all, 0x0806)
            .with(Field::ARP_OP, 1u8)
            .mac(Field::ARP_SHA, mallory.mac_address.0)
            .with(Field::ARP_SPA, sender.to_bits())
    };
    for frame in [discover, arp(own), arp(Ipv4Addr::UNSPECIFIED)] {
        assert!(refused(&cloud, &frame).is_empty());
    }
    let bob = cloud.get_port("bob").mac_address;
    for lie in [
        arp(Ipv4Addr::new(192, 0, 2, 12)),
        arp(own).mac(Field::ARP_SHA, bob.0),
        arp(own).mac(Field::ETH_SRC, bob.0),
    ] {
        assert_eq!(refused(&cloud, &lie), ["no flow in guard"]);
    }
}

#[test]
fn address_pairs_widen_what_a_port_may_send() {
    let mut cloud = cloud();
    let mallory = mallory(&cloud);
    let in_prefix: Ipv6Addr = "2001:db8:ff::7".parse().unwrap();
    let shared: Ipv6Addr = "2001:db8:a::99".parse().unwrap();
    let virtual_mac: MacAddr = "00:00:5e:00:02:01".parse().unwrap();
    let from_prefix = to_bob(&cloud).ipv6(Field::IPV6_SRC, in_prefix);
    let announced = Port {
        mac_address: virtual_mac,
        ..mallory.clone()
    };
    let announced = frames::advertise(&announced, shared);
    assert!(!refused(&cloud, &from_prefix).is_empty());
    assert!(!refused(&cloud, &announced).is_empty());

    cloud.allow("mallory", None, "2001:db8:ff::/48");
    cloud.allow("mallory", Some("00:00:5e:00:02:01"), "2001:db8:a::99/128");
    assert!(refused(&cloud, &from_prefix).is_empty());
    assert!(refused(&cloud, &announced).is_empty());
    let mixed = announced.mac(Field::ND_TLL, mallory.mac_address.0);
    assert!(
        !refused(&cloud, &mixed).is_empty(),
        "a MAC speaks for itself"
    );
    let crossed = from_prefix.mac(Field::ETH_SRC, virtual_mac.0);
    assert!(!refused(&cloud, &crossed).is_empty(), "a pair is a pair");
}

#[test]
fn a_pair_of_everything_still_plays_no_router() {
    let mut cloud = cloud();
    cloud.change_port("mallory", |port| {
        port.allowed_address_pairs = ["::/0", "0.0.0.0/0"]
            .map(|prefix| AddressPair {
                mac_address: None,
                ip_address: prefix.parse().unwrap(),
            })
            .into();
    });
    let from_anywhere = to_bob(&cloud).ipv6(Field::IPV6_SRC, "2001:db8:1::1".parse().unwrap());
    assert!(refused(&cloud, &from_anywhere).is_empty());
    assert_eq!(refused(&cloud, &icmpv6(from_anywhere, 134)), FORBIDDEN);
    assert_snapshot!(show::stage(&cloud, "h1", Stage::NeighborGuard));
}

#[test]
fn without_port_security_anything_passes() {
    let mut cloud = cloud();
    cloud.change_port("mallory", |port| port.port_security_enabled = false);
    let spoofed = to_bob(&cloud)
        .ipv6(Field::IPV6_SRC, "2001:db8:1::1".parse().unwrap())
        .mac(Field::ETH_SRC, [2, 0, 0, 0, 0, 1]);
    let frames = [
        spoofed.clone(),
        icmpv6(spoofed.clone(), 134).with(Field::NW_TTL, 255u8),
        frames::udp(spoofed, 5000, 546),
    ];
    for frame in frames {
        assert!(refused(&cloud, &frame).is_empty());
    }
}
