//! Packets that routers do not take: who is told, from which address, and how often.

use crate::support::frames::{self, address, ipv4_address};
use crate::support::show::flows_of;
use crate::support::{Cloud, Fabric, show};
use insta::assert_snapshot;
use rust_openflow::{Field, TableId};
use sextant_flows::trace::Packet;
use sextant_model::Problem::{HopLimit, NoRoute, OwnAddress, Unreachable};
use sextant_model::{IcmpError, Problem};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// `red` and `blue`, dual-stack, joined by `r1`: `a1` on h1, `b2` on h2.
fn cloud() -> Cloud {
    let mut cloud = Cloud::with_hypervisors(2);
    cloud.router("r1");
    cloud.network("red");
    cloud.network("blue");
    for (subnet, network, prefix) in [
        ("red6", "red", "2001:db8:a::/64"),
        ("red4", "red", "192.0.2.0/25"),
        ("blue6", "blue", "2001:db8:b::/64"),
        ("blue4", "blue", "198.51.100.0/24"),
    ] {
        cloud.subnet(subnet, network, prefix, None);
    }
    cloud.interface("r1-red", "r1", "red");
    cloud.interface("r1-blue", "r1", "blue");
    cloud.guest("a1", "red", "h1");
    cloud.guest("b2", "blue", "h2");
    cloud
}

/// An echo request of `a1` by way of its router.
fn to(cloud: &Cloud, target: IpAddr) -> Packet {
    let (a1, gateway) = (cloud.get_port("a1"), cloud.get_port("r1-red").mac_address);
    match target {
        IpAddr::V6(target) => frames::ping(&a1, target, gateway),
        IpAddr::V4(target) => frames::ping4(&a1, target, gateway),
    }
}

/// The same addresses, but nothing that the pipeline answers: it is not known what is in it.
fn content_to(cloud: &Cloud, target: IpAddr, protocol: u8) -> Packet {
    let (a1, gateway) = (cloud.get_port("a1"), cloud.get_port("r1-red").mac_address);
    let packet = match target {
        IpAddr::V6(target) => frames::ipv6(&a1, address(&a1), target, gateway),
        IpAddr::V4(target) => frames::ipv4(&a1, ipv4_address(&a1), target, gateway),
    };
    packet.with(Field::IP_PROTO, protocol)
}

fn targets(cloud: &Cloud) -> [IpAddr; 2] {
    let b2 = cloud.get_port("b2");
    [address(&b2).into(), ipv4_address(&b2).into()]
}

#[test]
fn flows_of_a_routers_interface_and_of_a_guest() {
    let mut cloud = cloud();
    let flows = show::change(&mut cloud, "h1", |cloud| cloud.delete_port("r1-red"));
    let report = flows.split("# report").nth(1).unwrap();
    assert_snapshot!(report.split("# ").next().unwrap().trim());
}

#[test]
fn each_problem_is_told_from_the_routers_address_on_the_guests_network() {
    let cloud = cloud();
    let fabric = Fabric::new(&cloud);
    let near = cloud.get_port("r1-red");
    let [b2_v6, b2_v4] = targets(&cloud);
    let parsed = |text: &str| text.parse::<IpAddr>().unwrap();
    let last_hop = |target, left: u8| to(&cloud, target).with(Field::NW_TTL, left);
    let cases: [(Packet, Problem); 8] = [
        (last_hop(b2_v6, 1), HopLimit),
        (last_hop(b2_v6, 0), HopLimit),
        (last_hop(b2_v4, 1), HopLimit),
        (last_hop(b2_v4, 0), HopLimit),
        (to(&cloud, parsed("2001:db8:c::9")), NoRoute),
        (to(&cloud, parsed("203.0.113.9")), NoRoute),
        (to(&cloud, parsed("2001:db8:b::9")), Unreachable),
        (to(&cloud, parsed("198.51.100.9")), Unreachable),
    ];
    for (packet, problem) in cases {
        let source: IpAddr = match packet.get(Field::ETH_TYPE) {
            0x0800 => ipv4_address(&near).into(),
            _ => address(&near).into(),
        };
        let mac = near.mac_address;
        let wanted = IcmpError {
            problem,
            mac,
            source,
            vlan_tci: 0,
        };
        let (told, frame) = fabric.refusal("a1", &packet).unwrap();
        assert_eq!(told, wanted, "{packet:?}");
        let a1 = cloud.get_port("a1").mac_address;
        assert_eq!(frame.get(Field::ETH_SRC), a1.to_u64().into(), "who is told");
        let journey = fabric.send("a1", &packet);
        assert_eq!(
            (journey.punts, journey.deliveries.len()),
            (vec!["icmp_error"], 0)
        );
        assert!(journey.lookups[0] <= 16, "{:?}", journey.lookups);
    }
}

#[test]
fn what_stays_on_its_link_and_what_is_for_the_router_is_not_told_of() {
    let cloud = cloud();
    let fabric = Fabric::new(&cloud);
    let near = cloud.get_port("r1-red");
    for target in [
        "fe80::9",
        "169.254.0.9",
        "198.51.100.255",
        "255.255.255.255",
    ] {
        let packet = to(&cloud, target.parse().unwrap()).with(Field::NW_TTL, 1u8);
        assert_eq!(
            fabric.send("a1", &packet).drops,
            ["forbidden in route"],
            "{target}"
        );
    }
    for own in [IpAddr::from(address(&near)), ipv4_address(&near).into()] {
        let ping = to(&cloud, own).with(Field::NW_TTL, 1u8);
        assert_eq!(fabric.send("a1", &ping).reached(), ["a1"], "it is answered");
    }
}

/// `traceroute` to the router itself ends so, at whichever of its addresses and with whatever hop limit.
#[test]
fn what_a_router_itself_does_not_answer_is_told_of() {
    let cloud = cloud();
    let fabric = Fabric::new(&cloud);
    let (near, far) = (cloud.get_port("r1-red"), cloud.get_port("r1-blue"));
    let own: [IpAddr; 5] = [
        address(&near).into(),
        near.mac_address.link_local().into(),
        ipv4_address(&near).into(),
        address(&far).into(),
        ipv4_address(&far).into(),
    ];
    for target in own {
        let datagram = frames::udp(content_to(&cloud, target, 17), 5000, 33434);
        let segment = frames::tcp(content_to(&cloud, target, 6), 5000, 22);
        let other = content_to(&cloud, target, 132);
        for packet in [
            datagram.clone().with(Field::NW_TTL, 1u8),
            datagram,
            segment,
            other,
        ] {
            let told = fabric.refused("a1", &packet).unwrap();
            assert_eq!(told.problem, OwnAddress, "{packet:?}");
            assert_eq!(told.mac, near.mac_address);
            assert_eq!(told.source.is_ipv4(), target.is_ipv4());
            let journey = fabric.send("a1", &packet);
            assert_eq!(journey.punts, ["icmp_error"]);
            assert!(journey.lookups[0] <= 16, "{:?}", journey.lookups);
        }
    }
}

#[test]
fn icmp_that_a_router_does_not_answer_it_discards() {
    let mut cloud = cloud();
    cloud.change_port("a1", |port| port.port_security_enabled = false);
    let fabric = Fabric::new(&cloud);
    let near = cloud.get_port("r1-red");
    let echo_reply = to(&cloud, address(&near).into()).with(Field::ICMPV6_TYPE, 129u8);
    let unreachable = to(&cloud, address(&near).into()).with(Field::ICMPV6_TYPE, 1u8);
    let echo_reply4 = to(&cloud, ipv4_address(&near).into()).with(Field::ICMPV4_TYPE, 0u8);
    for packet in [echo_reply, unreachable, echo_reply4] {
        let journey = fabric.send("a1", &packet);
        assert_eq!(journey.drops, ["forbidden in refuse"], "{packet:?}");
        assert!(journey.is_lost());
    }
}

#[test]
fn a_guest_is_told_as_often_as_its_meter_allows() {
    let flows = flows_of(&cloud(), "h1");
    let refusing = flows
        .iter()
        .filter(|(_, flow)| flow.stage.table() == TableId(50));
    let told = refusing.filter(|(_, flow)| !flow.instructions.is_empty());
    let texts: Vec<_> = told
        .map(|(_, flow)| flow.to_flow_mod(0).to_string())
        .collect();
    assert_eq!(texts.len(), 1);
    assert!(texts[0].contains("meter:11,goto_table:52"), "{texts:?}");
}

#[test]
fn a_router_that_is_down_says_nothing() {
    let mut cloud = cloud();
    let packet = to(
        &cloud,
        Ipv6Addr::new(0x2001, 0xdb8, 0xc, 0, 0, 0, 0, 9).into(),
    );
    assert!(Fabric::new(&cloud).refused("a1", &packet).is_some());
    cloud.change_router("r1", |router| router.admin_state_up = false);
    assert!(Fabric::new(&cloud).send("a1", &packet).is_lost());
    let over_ipv4 = to(&cloud, Ipv4Addr::new(203, 0, 113, 9).into());
    assert!(Fabric::new(&cloud).send("a1", &over_ipv4).is_lost());
}

#[test]
fn what_the_next_network_does_not_take_is_told_of_with_its_mtu() {
    let mut cloud = cloud();
    cloud.change_network("blue", |network| network.mtu = Some(1300));
    let fabric = Fabric::new(&cloud);
    for target in targets(&cloud) {
        let told = |mtu: usize| fabric.refused("a1", &to(&cloud, target).long(14 + mtu));
        assert_eq!(told(1300), None);
        let told = told(1301).unwrap();
        assert_eq!(told.problem, Problem::TooBig { mtu: 1300 });
        assert_eq!(told.mac, cloud.get_port("r1-red").mac_address);
        let fits = fabric.send("a1", &to(&cloud, target).long(14 + 1300));
        assert_eq!(fits.reached(), ["b2"]);
        assert!(fits.lookups[0] <= 16, "{:?}", fits.lookups);
    }
    cloud.change_network("red", |network| network.mtu = Some(1300));
    let long = to(&cloud, targets(&cloud)[0]).long(2000);
    let told = Fabric::new(&cloud).refused("a1", &long);
    assert_eq!(
        told.unwrap().problem,
        Problem::TooBig { mtu: 1300 },
        "a guest may send more than its own network takes; a tunnel would not carry it"
    );
}
