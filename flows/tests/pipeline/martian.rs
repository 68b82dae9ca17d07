//! What nobody may send, and what is a priority and no VLAN.

use crate::support::cloud::service;
use crate::support::frames::{self, ALL_NODES, address};
use crate::support::{Cloud, Fabric};
use rust_openflow::Field;
use sextant_flows::trace::Packet;
use sextant_model::{AddressPair, Direction, MacAddr};
use std::net::{Ipv4Addr, Ipv6Addr};

const OUTSIDE: MacAddr = MacAddr([0x02, 0, 0, 0, 0, 1]);
/// A tag with a priority and VLAN 0.
const PRIORITY: u16 = 0xb000;
const FIRST: u8 = 1;
const LATER: u8 = 3;

/// `mallory` and `bob` on a flat network, which may send from everywhere.
fn cloud() -> Cloud {
    let mut cloud = Cloud::with_hypervisors(1);
    cloud.attach("h1", "phys");
    cloud.provider_network("flat", "phys", None);
    cloud.subnet("flat6", "flat", "2001:db8:f::/64", None);
    cloud.subnet("flat4", "flat", "10.1.0.0/16", None);
    for guest in ["mallory", "bob"] {
        cloud.guest(guest, "flat", "h1");
    }
    cloud.change_port("mallory", |port| {
        port.allowed_address_pairs = ["::/0", "0.0.0.0/0"]
            .map(|prefix| AddressPair {
                mac_address: None,
                ip_address: prefix.parse().unwrap(),
            })
            .into();
    });
    cloud
}

fn to_bob(cloud: &Cloud) -> Packet {
    let (mallory, bob) = (cloud.get_port("mallory"), cloud.get_port("bob"));
    frames::ping(&mallory, address(&bob), bob.mac_address)
}

fn ipv4_to_bob(cloud: &Cloud, source: &str) -> Packet {
    let (mallory, bob) = (cloud.get_port("mallory"), cloud.get_port("bob"));
    let to = frames::ipv4_address(&bob);
    frames::ping4(&mallory, to, bob.mac_address).with(
        Field::IPV4_SRC,
        source.parse::<Ipv4Addr>().unwrap().to_bits(),
    )
}

/// By whom a frame reaches `bob`: from `mallory`, and from outside.
fn ways(cloud: &Cloud, frame: &Packet) -> [bool; 2] {
    let fabric = Fabric::new(cloud);
    let from_outside = frame.clone().mac(Field::ETH_SRC, OUTSIDE.0);
    let journeys = [
        fabric.send("mallory", frame),
        fabric.come_in("h1", "phys", &from_outside),
    ];
    journeys.map(|journey| journey.reached().contains(&"bob"))
}

#[test]
fn addresses_that_are_nobodys_send_nothing() {
    let mut cloud = cloud();
    for guarded in [true, false] {
        cloud.change_port("mallory", |port| port.port_security_enabled = guarded);
        for source in ["::", "::1", "ff02::1", "ff0e::1", "::ffff:192.0.2.1"] {
            let source: Ipv6Addr = source.parse().unwrap();
            let frame = to_bob(&cloud).ipv6(Field::IPV6_SRC, source);
            assert_eq!(ways(&cloud, &frame), [false; 2], "{source}");
        }
        for source in [
            "0.0.0.0",
            "0.1.2.3",
            "127.0.0.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
        ] {
            let frame = ipv4_to_bob(&cloud, source);
            assert_eq!(ways(&cloud, &frame), [false; 2], "{source}");
        }
        assert_eq!(ways(&cloud, &to_bob(&cloud)), [true; 2]);
        assert_eq!(ways(&cloud, &ipv4_to_bob(&cloud, "192.0.2.1")), [true; 2]);
    }
}

#[test]
fn nobody_asks_by_arp_from_addresses_that_are_nobodys() {
    let mut cloud = cloud();
    for guest in ["mallory", "bob"] {
        cloud.change_port(guest, |port| port.port_security_enabled = false);
    }
    let mallory = cloud.get_port("mallory");
    let free = Ipv4Addr::new(10, 1, 0, 200);
    let ask = |sender: &str| {
        let sender: Ipv4Addr = sender.parse().unwrap();
        frames::arp_request(&mallory, sender, free)
    };
    for sender in [
        "0.0.0.1",
        "0.255.255.255",
        "127.0.0.1",
        "224.0.0.1",
        "255.255.255.255",
    ] {
        assert_eq!(ways(&cloud, &ask(sender)), [false; 2], "{sender}");
    }
    for sender in ["0.0.0.0", "1.0.0.0", "10.1.0.7"] {
        assert_eq!(ways(&cloud, &ask(sender)), [true; 2], "{sender}");
    }
}

#[test]
fn what_hosts_say_before_they_have_an_address_comes_from_outside_too() {
    let cloud = cloud();
    let mallory = cloud.get_port("mallory");
    let none = Ipv6Addr::UNSPECIFIED;
    let free = "2001:db8:f::77".parse().unwrap();
    let report = frames::discovery(&mallory, none, "ff02::16".parse().unwrap(), 143);
    let frames = [
        frames::probe(&mallory, free),
        report.with(Field::NW_TTL, 1u8),
    ];
    for frame in frames {
        assert_eq!(ways(&cloud, &frame), [true; 2]);
        let in_pieces = frame.with(Field::IP_FRAG, FIRST);
        assert_eq!(ways(&cloud, &in_pieces), [false; 2], "not in fragments");
    }
}

#[test]
fn frames_for_bridges_go_nowhere() {
    let mut cloud = cloud();
    cloud.change_port("mallory", |port| port.port_security_enabled = false);
    for last in [0x00, 0x03, 0x0e, 0x0f] {
        let frame = to_bob(&cloud).mac(Field::ETH_DST, [0x01, 0x80, 0xc2, 0, 0, last]);
        assert_eq!(ways(&cloud, &frame), [false; 2], "{last:x}");
    }
    let other = to_bob(&cloud).mac(Field::ETH_DST, [0x01, 0x80, 0xc2, 0, 0, 0x10]);
    assert_eq!(ways(&cloud, &other), [true; 2]);
}

#[test]
fn a_guest_does_not_speak_as_routers_do_but_outside_may() {
    let cloud = cloud();
    let mallory = cloud.get_port("mallory");
    let own = mallory.mac_address.link_local();
    for kind in [130, 134, 137, 138, 151, 152, 153] {
        let ttl = if kind == 134 { 255u8 } else { 1 };
        let said = frames::discovery(&mallory, own, ALL_NODES, kind).with(Field::NW_TTL, ttl);
        assert!(!ways(&cloud, &said)[0], "{kind}");
    }
    let query = frames::discovery(&mallory, own, ALL_NODES, 130).with(Field::NW_TTL, 1u8);
    assert!(ways(&cloud, &query)[1]);
    for kind in [5u8, 9] {
        let said = ipv4_to_bob(&cloud, "192.0.2.1").with(Field::ICMPV4_TYPE, kind);
        assert!(!ways(&cloud, &said)[0], "{kind}");
    }
}

/// Whatever a query is sent to, hosts take it for one (RFC 3376 §4.1.12); what listeners say is for groups.
#[test]
fn a_guest_asks_for_no_listeners_of_ipv4() {
    let cloud = cloud();
    let igmp = || {
        ipv4_to_bob(&cloud, "192.0.2.1")
            .with(Field::IP_PROTO, 2u8)
            .with(Field::ICMPV4_TYPE, 0u8)
    };
    let to = |frame: Packet, to: [u8; 4]| frame.with(Field::IPV4_DST, Ipv4Addr::from(to).to_bits());
    let to_group = |group: [u8; 4]| {
        let [_, b, c, d] = group;
        to(igmp(), group).mac(Field::ETH_DST, [0x01, 0, 0x5e, b, c, d])
    };
    assert_eq!(ways(&cloud, &igmp()), [false, true], "to bob himself");
    for other in [
        [10, 1, 0, 200],
        [100, 64, 0, 1],
        [192, 0, 2, 7],
        [208, 0, 0, 1],
        [223, 9, 9, 9],
        [240, 0, 0, 1],
        [255; 4],
    ] {
        assert_eq!(ways(&cloud, &to(igmp(), other)), [false, true], "{other:?}");
    }
    for group in [[224, 0, 0, 1], [224, 0, 0, 106]] {
        assert_eq!(ways(&cloud, &to_group(group)), [false, true], "{group:?}");
    }
    for group in [[224, 0, 0, 2], [224, 0, 0, 22], [239, 1, 2, 3]] {
        assert_eq!(ways(&cloud, &to_group(group)), [true; 2], "{group:?}");
    }
}

#[test]
fn dhcpv6_servers_answer_from_their_link() {
    let cloud = cloud();
    let reply =
        |source: Ipv6Addr| frames::udp(to_bob(&cloud), 547, 546).ipv6(Field::IPV6_SRC, source);
    let server = OUTSIDE.link_local();
    assert_eq!(ways(&cloud, &reply(server)), [false, true]);
    let afar = "2001:db8:1::1".parse().unwrap();
    assert_eq!(ways(&cloud, &reply(afar)), [false; 2]);
}

#[test]
fn a_tag_that_is_but_a_priority_is_none() {
    let cloud = cloud();
    let plain = to_bob(&cloud);
    let tagged = plain.clone().with(Field::VLAN_TCI, PRIORITY);
    let fabric = Fabric::new(&cloud);
    let end = fabric.send("mallory", &tagged);
    assert_eq!(end.only().packet, plain, "it has no tag any more");
    let from_outside = tagged.clone().mac(Field::ETH_SRC, OUTSIDE.0);
    let end = fabric.come_in("h1", "phys", &from_outside);
    assert_eq!(end.only().packet, plain.mac(Field::ETH_SRC, OUTSIDE.0));
    let other = to_bob(&cloud).with(Field::VLAN_TCI, 0x1005u16);
    assert_eq!(ways(&cloud, &other), [false; 2]);
    let spoofed = tagged.mac(Field::ETH_SRC, [2, 0, 0, 0, 0, 9]);
    assert!(
        fabric.send("mallory", &spoofed).is_lost(),
        "a tag hides nothing"
    );
}

/// Open vSwitch reads one tag. What is inside shows as the EtherType, and would be the tag outside.
#[test]
fn no_tag_is_inside_another() {
    let mut cloud = cloud();
    for guest in ["mallory", "bob"] {
        cloud.change_port(guest, |port| port.port_security_enabled = false);
    }
    let (mallory, bob) = (cloud.get_port("mallory"), cloud.get_port("bob"));
    let away = MacAddr([2, 0, 0, 0, 0, 9]);
    for (to, ethertype) in [bob.mac_address, away]
        .into_iter()
        .flat_map(|to| [0x8100, 0x88a8].map(|tag| (to, tag)))
    {
        let inner = frames::ethernet(mallory.mac_address, to, ethertype);
        for tag in [PRIORITY, 0] {
            let frame = inner.clone().with(Field::VLAN_TCI, tag);
            let fabric = Fabric::new(&cloud);
            assert!(fabric.send("mallory", &frame).is_lost(), "{frame:?}");
            let outside = frame.mac(Field::ETH_SRC, OUTSIDE.0);
            let journey = fabric.come_in("h1", "phys", &outside);
            assert!(journey.is_lost(), "{outside:?}");
        }
    }
    let other = frames::ethernet(mallory.mac_address, bob.mac_address, 0x88b5);
    let other = other.with(Field::VLAN_TCI, PRIORITY);
    let journey = Fabric::new(&cloud).send("mallory", &other);
    assert_eq!(journey.reached(), ["bob"]);
}

/// The rest of an IPv6 packet says no protocol; that of an IPv4 one does.
#[test]
fn a_stateless_rule_without_ports_lets_all_fragments_pass() {
    for protocol in [6, 17] {
        let mut cloud = cloud();
        cloud.put_group("plain", false);
        let mut rule = service(Direction::Ingress, protocol, None);
        cloud.rule("six", "plain", rule.clone());
        rule.ethertype = sextant_model::IpVersion::V4;
        cloud.rule("four", "plain", rule);
        cloud.put_under("bob", &["plain"]);
        let first = to_bob(&cloud)
            .with(Field::ICMPV6_TYPE, 0u8)
            .with(Field::IP_PROTO, protocol)
            .with(Field::IP_FRAG, FIRST);
        let first = match protocol {
            6 => frames::tcp(first, 1, 2),
            _ => frames::udp(first, 1, 2),
        };
        let rest = to_bob(&cloud)
            .with(Field::ICMPV6_TYPE, 0u8)
            .with(Field::IP_PROTO, 44u8)
            .with(Field::IP_FRAG, LATER);
        let rest_of_ipv4 = ipv4_to_bob(&cloud, "192.0.2.1")
            .with(Field::ICMPV4_TYPE, 0u8)
            .with(Field::IP_PROTO, protocol)
            .with(Field::IP_FRAG, LATER);
        for frame in [first, rest, rest_of_ipv4] {
            assert_eq!(ways(&cloud, &frame), [true; 2], "{frame:?}");
        }
    }
}
