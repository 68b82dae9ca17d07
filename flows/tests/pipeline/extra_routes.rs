//! Routes of a router by way of guests that route themselves.

use crate::support::frames::{self, address, ipv4_address};
use crate::support::{Cloud, Fabric, show};
use insta::assert_snapshot;
use rust_openflow::Field;
use sextant_flows::trace::Packet;
use sextant_model::Problem;
use std::collections::BTreeSet;
use std::net::{Ipv4Addr, Ipv6Addr};

/// `red` and `blue` joined by `r1`, `a1` on `red`; `b1`, `b2` and `b3` on `blue` route for others.
fn cloud() -> Cloud {
    let mut cloud = Cloud::with_hypervisors(2);
    cloud.router("r1");
    for (network, subnet, prefix) in [
        ("red", "red6", "2001:db8:a::/64"),
        ("red", "red4", "192.0.2.0/25"),
        ("blue", "blue6", "2001:db8:b::/64"),
        ("blue", "blue4", "198.51.100.0/24"),
    ] {
        if !cloud
            .intent
            .networks
            .contains_key(&crate::support::cloud::network_id(network))
        {
            cloud.network(network);
        }
        cloud.subnet(subnet, network, prefix, None);
    }
    cloud.interface("r1-red", "r1", "red");
    cloud.interface("r1-blue", "r1", "blue");
    cloud.guest("a1", "red", "h1");
    for (guest, hypervisor) in [("b1", "h1"), ("b2", "h2"), ("b3", "h2")] {
        cloud.guest(guest, "blue", hypervisor);
    }
    cloud
}

/// Routes to a destination by these guests.
fn route(cloud: &mut Cloud, routes: &[(&str, &str)]) {
    let hop = |to: &str, guest: &str| {
        let guest = cloud.get_port(guest);
        match to.contains(':') {
            true => address(&guest).to_string(),
            false => ipv4_address(&guest).to_string(),
        }
    };
    let routes: Vec<_> = routes
        .iter()
        .map(|(to, guest)| (*to, hop(to, guest)))
        .collect();
    let routes: Vec<_> = routes.iter().map(|(to, hop)| (*to, hop.as_str())).collect();
    cloud.route("r1", &routes);
}

fn to(cloud: &Cloud, target: &str) -> Packet {
    let (a1, gateway) = (cloud.get_port("a1"), cloud.get_port("r1-red").mac_address);
    match target.contains(':') {
        true => frames::ping(&a1, target.parse::<Ipv6Addr>().unwrap(), gateway),
        false => frames::ping4(&a1, target.parse::<Ipv4Addr>().unwrap(), gateway),
    }
}

fn reached(cloud: &Cloud, target: &str) -> String {
    let journey = Fabric::new(cloud).send("a1", &to(cloud, target));
    journey.reached().join(",")
}

#[test]
fn flows_of_routes() {
    let mut cloud = cloud();
    assert_snapshot!(show::change(&mut cloud, "h1", |cloud| {
        let (one, two) = ("203.0.113.0/24", "2001:db8:ff::/48");
        route(cloud, &[(one, "b1"), (two, "b1"), (two, "b2")]);
    }));
}

#[test]
fn what_is_for_a_route_goes_to_its_next_hop() {
    let mut cloud = cloud();
    route(
        &mut cloud,
        &[("2001:db8:ff::/48", "b2"), ("203.0.113.0/24", "b1")],
    );
    for (target, guest, tunnels) in [("2001:db8:ff::7", "b2", 1), ("203.0.113.7", "b1", 0)] {
        let journey = Fabric::new(&cloud).send("a1", &to(&cloud, target));
        let end = journey.only();
        assert_eq!((end.port.as_str(), journey.tunnels.len()), (guest, tunnels));
        let [by, hop] = ["r1-blue", guest].map(|port| cloud.get_port(port).mac_address);
        assert_eq!(end.packet.get(Field::ETH_SRC), by.to_u64().into());
        assert_eq!(end.packet.get(Field::ETH_DST), hop.to_u64().into());
        assert_eq!(end.packet.get(Field::NW_TTL), 63);
    }
}

#[test]
fn longer_prefixes_and_connected_ones_come_first() {
    let mut cloud = cloud();
    route(
        &mut cloud,
        &[
            ("0.0.0.0/0", "b1"),
            ("203.0.113.0/24", "b2"),
            ("192.0.2.0/25", "b3"),
            ("::/0", "b1"),
            ("2001:db8:ff:1::/64", "b2"),
        ],
    );
    cloud.guest("a2", "red", "h2");
    let a2 = ipv4_address(&cloud.get_port("a2")).to_string();
    for (target, guest) in [
        ("203.0.114.7", "b1"),
        ("203.0.113.7", "b2"),
        (&a2, "a2"),
        ("2001:db8:ff::7", "b1"),
        ("2001:db8:ff:1::7", "b2"),
    ] {
        assert_eq!(reached(&cloud, target), guest, "{target}");
    }
}

#[test]
fn several_next_hops_share_connections_and_each_keeps_its_own() {
    let mut cloud = cloud();
    let (v6, v4) = ("2001:db8:ff::/48", "203.0.113.0/24");
    let hops = ["b1", "b2", "b3"];
    let routes: Vec<_> = hops
        .iter()
        .flat_map(|hop| [(v6, *hop), (v4, *hop)])
        .collect();
    route(&mut cloud, &routes);
    let fabric = Fabric::new(&cloud);
    for target in ["2001:db8:ff::7", "203.0.113.7"] {
        let by = |port: u16| {
            let packet = frames::udp(to(&cloud, target), port, 53);
            let journey = fabric.send("a1", &packet);
            assert!(journey.lookups[0] <= 17, "{:?}", journey.lookups);
            journey.only().port.clone()
        };
        let chosen: BTreeSet<_> = (5000..5064).map(by).collect();
        assert_eq!(chosen.iter().map(String::as_str).collect::<Vec<_>>(), hops);
        assert!((5000..5064).all(|port| by(port) == by(port)));
    }
}

#[test]
fn a_next_hop_that_is_nobody_or_nowhere_gets_nothing() {
    let mut cloud = cloud();
    cloud.route(
        "r1",
        &[
            ("203.0.113.0/24", "198.51.100.200"),
            ("2001:db8:ff::/48", "2001:db8:c::1"),
            ("2001:db8:fe::/48", "fe80::1"),
        ],
    );
    let fabric = Fabric::new(&cloud);
    let why = |target| fabric.refused("a1", &to(&cloud, target)).unwrap().problem;
    assert_eq!(why("203.0.113.7"), Problem::Unreachable);
    assert_eq!(why("2001:db8:ff::7"), Problem::NoRoute);
    assert_eq!(why("2001:db8:fe::7"), Problem::NoRoute);
}

#[test]
fn a_route_whose_network_is_detached_is_none_and_its_others_go_on() {
    let mut cloud = cloud();
    cloud.guest("a2", "red", "h1");
    let to_both = "2001:db8:ff::/48";
    route(
        &mut cloud,
        &[(to_both, "a2"), (to_both, "b1"), ("203.0.113.0/24", "b1")],
    );
    assert_eq!(reached(&cloud, "203.0.113.7"), "b1");
    cloud.delete_port("r1-blue");
    assert_eq!(reached(&cloud, "203.0.113.7"), "");
    assert_eq!(reached(&cloud, "2001:db8:ff::7"), "a2");
    cloud.change_router("r1", |router| router.admin_state_up = false);
    assert_eq!(reached(&cloud, "2001:db8:ff::7"), "");
}
