//! IPv4 between guests: ARP requests answered by flows, routing on the sender's own hypervisor.

use crate::support::frames::{self, ipv4_address};
use crate::support::{Cloud, Fabric, show};
use insta::assert_snapshot;
use rust_openflow::Field;
use sextant_flows::trace::Packet;
use sextant_model::{MacAddr, Port};
use std::net::Ipv4Addr;

/// `red` and `blue` joined by `r1`: `a1` and `b1` on h1, `a2` and `b2` on h2.
fn cloud() -> Cloud {
    let mut cloud = Cloud::with_hypervisors(2);
    cloud.router("r1");
    for (network, subnet, prefix) in [
        ("red", "red4", "192.0.2.0/25"),
        ("blue", "blue4", "198.51.100.0/24"),
    ] {
        cloud.network(network);
        cloud.subnet(subnet, network, prefix, None);
    }
    cloud.interface("r1-red", "r1", "red");
    cloud.interface("r1-blue", "r1", "blue");
    for (guest, network, hypervisor) in [
        ("a1", "red", "h1"),
        ("a2", "red", "h2"),
        ("b1", "blue", "h1"),
        ("b2", "blue", "h2"),
    ] {
        cloud.guest(guest, network, hypervisor);
    }
    cloud
}

fn through(cloud: &Cloud, to: Ipv4Addr) -> Packet {
    let gateway = cloud.get_port("r1-red").mac_address;
    frames::ping4(&cloud.get_port("a1"), to, gateway)
}

/// What `a1` asks comes back as the answer of who has this MAC, and reaches nobody else.
fn assert_answered(cloud: &Cloud, question: &Packet, mac: MacAddr) {
    let a1 = cloud.get_port("a1");
    let journey = Fabric::new(cloud).send("a1", question);
    let answer = &journey.only().packet;
    assert_eq!(journey.reached(), ["a1"]);
    for (field, wanted) in [
        (Field::ARP_OP, 2),
        (Field::ETH_SRC, mac.to_u64().into()),
        (Field::ETH_DST, a1.mac_address.to_u64().into()),
        (Field::ARP_SHA, mac.to_u64().into()),
        (Field::ARP_SPA, question.get(Field::ARP_TPA)),
        (Field::ARP_THA, a1.mac_address.to_u64().into()),
        (Field::ARP_TPA, question.get(Field::ARP_SPA)),
    ] {
        assert_eq!(answer.get(field), wanted, "{field}");
    }
}

fn asks(cloud: &Cloud, of: &Port) -> Packet {
    let a1 = cloud.get_port("a1");
    frames::arp_request(&a1, ipv4_address(&a1), ipv4_address(of))
}

#[test]
fn flows_of_a_routers_interface() {
    let mut cloud = cloud();
    cloud.network("white");
    cloud.subnet("white4", "white", "203.0.113.0/24", None);
    cloud.guest("d2", "white", "h2");
    assert_snapshot!(show::change(&mut cloud, "h1", |cloud| {
        cloud.interface("r1-white", "r1", "white");
    }));
}

#[test]
fn guests_and_routers_are_told_of() {
    let cloud = cloud();
    for port in ["a2", "r1-red"] {
        let port = cloud.get_port(port);
        assert_answered(&cloud, &asks(&cloud, &port), port.mac_address);
    }
}

#[test]
fn a_probe_for_an_address_of_another_is_answered() {
    let cloud = cloud();
    let (a1, a2) = (cloud.get_port("a1"), cloud.get_port("a2"));
    let probe = frames::arp_request(&a1, Ipv4Addr::UNSPECIFIED, ipv4_address(&a2));
    assert_answered(&cloud, &probe, a2.mac_address);
}

#[test]
fn a_probe_for_ones_own_or_a_free_address_goes_to_the_others() {
    let cloud = cloud();
    let a1 = cloud.get_port("a1");
    for target in [ipv4_address(&a1), Ipv4Addr::new(192, 0, 2, 99)] {
        let probe = frames::arp_request(&a1, Ipv4Addr::UNSPECIFIED, target);
        assert_eq!(Fabric::new(&cloud).send("a1", &probe).reached(), ["a2"]);
    }
}

#[test]
fn one_network_knows_nothing_of_another_nor_of_who_is_gone() {
    let mut cloud = cloud();
    let (b1, a2) = (cloud.get_port("b1"), cloud.get_port("a2"));
    let of_blue = Fabric::new(&cloud).send("a1", &asks(&cloud, &b1));
    assert_eq!(of_blue.reached(), ["a2"]);
    cloud.change_port("a2", |port| port.admin_state_up = false);
    assert!(Fabric::new(&cloud).send("a1", &asks(&cloud, &a2)).is_lost());
}

#[test]
fn a_dhcp_server_that_is_no_gateway_is_found_by_those_whom_it_serves() {
    let mut cloud = cloud();
    let a1 = cloud.get_port("a1");
    let server = Ipv4Addr::new(169, 254, 0, 67);
    let question = frames::arp_request(&a1, ipv4_address(&a1), server);
    let key = cloud.intent.networks[&a1.network_id].key.0;
    let [a, b, c, d] = key.to_be_bytes();
    assert_answered(&cloud, &question, MacAddr([0x0a, 0x5e, a, b, c, d]));

    cloud.change_subnet("red4", |subnet| {
        subnet.gateway_ip = Some(Ipv4Addr::new(192, 0, 2, 1).into());
    });
    assert_eq!(Fabric::new(&cloud).send("a1", &question).reached(), ["a2"]);
}

#[test]
fn a_routed_packet_takes_one_hop_and_one_tunnel_at_most() {
    let cloud = cloud();
    let fabric = Fabric::new(&cloud);
    for (guest, tunnels) in [("b1", 0), ("b2", 1)] {
        let to = cloud.get_port(guest);
        let journey = fabric.send("a1", &through(&cloud, ipv4_address(&to)));
        let end = journey.only();
        assert_eq!((end.port.as_str(), journey.tunnels.len()), (guest, tunnels));
        let router = cloud.get_port("r1-blue").mac_address;
        for (field, wanted) in [
            (Field::NW_TTL, 63),
            (Field::ETH_SRC, router.to_u64().into()),
            (Field::ETH_DST, to.mac_address.to_u64().into()),
        ] {
            assert_eq!(end.packet.get(field), wanted, "{field}");
        }
        assert!(journey.lookups[0] <= 16, "{:?}", journey.lookups);
    }
}

#[test]
fn the_longest_prefix_wins() {
    let mut cloud = cloud();
    cloud.network("wide");
    cloud.subnet("wide4", "wide", "198.51.0.0/16", None);
    cloud.interface("r1-wide", "r1", "wide");
    cloud.guest("w1", "wide", "h1");
    for guest in ["b2", "w1"] {
        let to = ipv4_address(&cloud.get_port(guest));
        let journey = Fabric::new(&cloud).send("a1", &through(&cloud, to));
        assert_eq!(journey.reached(), [guest]);
    }
}

#[test]
fn what_has_no_place_beyond_its_link_is_not_forwarded() {
    let cloud = cloud();
    let fabric = Fabric::new(&cloud);
    for to in [
        "169.254.0.9",
        "224.0.0.1",
        "239.1.2.3",
        "255.255.255.255",
        "127.0.0.1",
        "0.0.0.7",
        "198.51.100.255",
    ] {
        let packet = through(&cloud, to.parse().unwrap());
        assert_eq!(
            fabric.send("a1", &packet).drops,
            ["forbidden in route"],
            "{to}"
        );
    }
    let mut open = cloud.clone();
    open.change_port("a1", |port| port.port_security_enabled = false);
    let fabric = Fabric::new(&open);
    let b1 = ipv4_address(&open.get_port("b1"));
    let martians = ["forbidden in martians"];
    for (from, refused) in [
        ("169.254.0.9", ["forbidden in route"]),
        ("224.0.0.1", martians),
        ("255.255.255.255", martians),
        ("127.0.0.1", martians),
        ("0.0.0.0", martians),
    ] {
        let from: Ipv4Addr = from.parse().unwrap();
        let packet = through(&open, b1).with(Field::IPV4_SRC, from.to_bits());
        assert_eq!(fabric.send("a1", &packet).drops, refused, "{from}");
    }
}

#[test]
fn every_address_of_a_router_answers_ping() {
    let cloud = cloud();
    let fabric = Fabric::new(&cloud);
    for port in ["r1-red", "r1-blue"] {
        let target = ipv4_address(&cloud.get_port(port));
        let request = through(&cloud, target);
        let journey = fabric.send("a1", &request);
        let reply = &journey.only().packet;
        assert_eq!(journey.reached(), ["a1"]);
        for (field, wanted) in [
            (Field::ICMPV4_TYPE, 0),
            (Field::NW_TTL, 64),
            (Field::IPV4_SRC, target.to_bits().into()),
            (Field::IPV4_DST, request.get(Field::IPV4_SRC)),
            (Field::ETH_SRC, request.get(Field::ETH_DST)),
            (Field::ETH_DST, request.get(Field::ETH_SRC)),
        ] {
            assert_eq!(reply.get(field), wanted, "{field}");
        }
    }
}
