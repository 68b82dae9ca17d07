//! Addresses that ports may use besides their own: how they are found, and where routers send what is for them.

use crate::support::cloud::port_id;
use crate::support::frames;
use crate::support::{Cloud, Fabric, show};
use rust_openflow::Field;
use sextant_flows::Flows;
use sextant_flows::trace::Packet;
use sextant_model::{ChassisId, ExternalSettings, MacAddr, Port, Publish, Punt};
use std::net::{IpAddr, Ipv6Addr};

const VIP: &str = "2001:db8:b::99";
const VIP4: &str = "10.2.0.99";

/// Router `r` joins `red`, with `a` on h1, and `blue`, with `left` on h2 and `right` on h3, which share two addresses.
fn cloud() -> Cloud {
    let mut cloud = Cloud::with_hypervisors(3);
    cloud.router("r");
    for (network, cidr, cidr4) in [
        ("red", "2001:db8:a::/64", "10.1.0.0/16"),
        ("blue", "2001:db8:b::/64", "10.2.0.0/16"),
    ] {
        cloud.network(network);
        cloud.subnet(&format!("{network}6"), network, cidr, None);
        cloud.subnet(&format!("{network}4"), network, cidr4, None);
        cloud.interface(&format!("r-{network}"), "r", network);
    }
    cloud.guest("a", "red", "h1");
    for (guest, hypervisor) in [("left", "h2"), ("right", "h3")] {
        cloud.guest(guest, "blue", hypervisor);
        cloud.allow(guest, None, &format!("{VIP}/128"));
        cloud.allow(guest, None, &format!("{VIP4}/32"));
    }
    cloud
}

fn announce(cloud: &mut Cloud, guest: &str, hypervisor: &str, address: &str) -> bool {
    let mac = cloud.get_port(guest).mac_address;
    announce_at(cloud, guest, hypervisor, address, mac)
}

fn announce_at(
    cloud: &mut Cloud,
    guest: &str,
    hypervisor: &str,
    address: &str,
    mac: MacAddr,
) -> bool {
    let announced = (port_id(guest), address.parse().unwrap(), mac);
    cloud
        .facts
        .hold(&cloud.intent, &ChassisId::new(hypervisor), announced)
}

fn to_vip(cloud: &Cloud) -> [Packet; 2] {
    let (a, router) = (cloud.get_port("a"), cloud.get_port("r-red").mac_address);
    [
        frames::ping(&a, VIP.parse().unwrap(), router),
        frames::ping4(&a, VIP4.parse().unwrap(), router),
    ]
}

#[test]
fn who_announced_an_address_last_has_it_on_every_hypervisor() {
    let mut cloud = cloud();
    for packet in to_vip(&cloud) {
        let journey = Fabric::new(&cloud).send("a", &packet);
        assert_eq!(journey.punts, ["unheld"], "whoever may have it is asked");
    }
    for (guest, hypervisor) in [("left", "h2"), ("right", "h3"), ("left", "h2")] {
        for address in [VIP, VIP4] {
            assert!(announce(&mut cloud, guest, hypervisor, address));
            assert!(!announce(&mut cloud, guest, hypervisor, address), "no news");
        }
        for packet in to_vip(&cloud) {
            let journey = Fabric::new(&cloud).send("a", &packet);
            assert_eq!(journey.reached(), [guest]);
        }
    }
    cloud.unplug("left");
    for packet in to_vip(&cloud) {
        let journey = Fabric::new(&cloud).send("a", &packet);
        assert_eq!(journey.punts, ["unheld"]);
    }
}

#[test]
fn what_a_port_may_not_use_it_does_not_have() {
    let mut cloud = cloud();
    let other = MacAddr([0xfa, 0x16, 0x3e, 9, 9, 9]);
    assert!(
        !announce_at(&mut cloud, "left", "h2", VIP, other),
        "a MAC of nobody"
    );
    assert!(!announce(&mut cloud, "left", "h3", VIP), "it is not there");
    assert!(
        !announce(&mut cloud, "left", "h2", "2001:db8:b::98"),
        "no pair"
    );
    let own = frames::address(&cloud.get_port("left")).to_string();
    assert!(
        !announce(&mut cloud, "left", "h2", &own),
        "its own is its own"
    );
    assert!(announce(&mut cloud, "left", "h2", VIP));
    cloud.change_port("left", |port| port.allowed_address_pairs.clear());
    assert!(cloud.facts.holders().is_empty(), "it may not any more");

    cloud.allow("left", None, "2001:db8:b::/64");
    let many = (0..300).filter(|n| {
        let address = format!("2001:db8:b::1:{n:x}");
        announce(&mut cloud, "left", "h2", &address)
    });
    assert_eq!(many.count(), 300, "each is news");
    let of_left = |cloud: &Cloud| cloud.facts.held_by(port_id("left")).count();
    assert_eq!(of_left(&cloud), 256, "and only so many of a prefix");
}

/// A host that takes an address anew for each connection has the newest ones.
#[test]
fn the_oldest_address_of_a_port_gives_way() {
    let mut cloud = cloud();
    let virtual_mac: MacAddr = "00:00:5e:00:02:33".parse().unwrap();
    cloud.allow("left", None, "2001:db8:b::/64");
    cloud.allow("left", Some("00:00:5e:00:02:33"), "2001:db8:b::/64");
    let nth = |n: u32| format!("2001:db8:b::1:{n:x}");
    // Against the order of the addresses.
    for n in (1..=256).rev() {
        announce(&mut cloud, "left", "h2", &nth(n));
    }
    assert!(announce_at(
        &mut cloud,
        "left",
        "h2",
        &nth(256),
        virtual_mac
    ));
    let has = |cloud: &Cloud, n| {
        let address: IpAddr = nth(n).parse().unwrap();
        let mut held = cloud.facts.held_by(port_id("left"));
        held.find(|(held, _)| *held == address).map(|(_, mac)| mac)
    };
    assert_eq!(
        has(&cloud, 256),
        Some(virtual_mac),
        "it has that one already"
    );
    assert!(announce(&mut cloud, "left", "h2", &nth(999)));
    assert!(has(&cloud, 999).is_some());
    assert_eq!(
        has(&cloud, 255),
        None,
        "the oldest, since 256 was said again"
    );
    assert!((1..255).all(|n| has(&cloud, n).is_some()));
}

/// Load balancers keep their address free by a port that has it and is never plugged in.
#[test]
fn a_port_that_keeps_an_address_free_does_not_take_it() {
    let mut cloud = cloud();
    cloud.port("kept", "blue");
    let vips = [VIP, VIP4].map(|vip| vip.parse().unwrap());
    cloud.change_port("kept", |port| {
        for (fixed, vip) in port.fixed_ips.iter_mut().zip(vips) {
            fixed.ip_address = vip;
        }
    });
    for packet in to_vip(&cloud) {
        let journey = Fabric::new(&cloud).send("a", &packet);
        assert_eq!(journey.punts, ["unheld"]);
    }
    let asks = frames::solicit(&cloud.get_port("right"), VIP.parse().unwrap());
    let journey = Fabric::new(&cloud).send("right", &asks);
    assert_eq!(journey.reached(), ["left"], "who has it answers for itself");
    for vip in [VIP, VIP4] {
        assert!(announce(&mut cloud, "left", "h2", vip));
    }
    for packet in to_vip(&cloud) {
        let journey = Fabric::new(&cloud).send("a", &packet);
        assert_eq!(journey.reached(), ["left"]);
    }
    cloud.plug("kept", "h1");
    for packet in to_vip(&cloud) {
        let journey = Fabric::new(&cloud).send("a", &packet);
        assert_eq!(
            journey.reached(),
            ["kept"],
            "it is plugged in: the address is its own"
        );
    }
}

#[test]
fn a_virtual_mac_is_where_its_holder_is() {
    let mut cloud = cloud();
    let virtual_mac: MacAddr = "00:00:5e:00:02:33".parse().unwrap();
    for guest in ["left", "right"] {
        cloud.allow(guest, Some("00:00:5e:00:02:33"), &format!("{VIP}/128"));
    }
    assert!(announce_at(&mut cloud, "right", "h3", VIP, virtual_mac));
    let journey = Fabric::new(&cloud).send("a", &to_vip(&cloud)[0]);
    assert!(journey.reached().contains(&"right"));
    let end = &journey.deliveries[0].packet;
    assert_eq!(end.get(Field::ETH_DST), u128::from(virtual_mac.to_u64()));
}

#[test]
fn it_can_be_a_next_hop_and_is_published_outside() {
    let mut cloud = cloud();
    cloud.attach("h2", "phys");
    cloud.provider_network("ext", "phys", None);
    let proxy = ExternalSettings {
        publish: Publish::NdProxy,
        ..ExternalSettings::default()
    };
    cloud.external("phys", proxy);
    cloud.pool("pool", None, "operator");
    cloud.subnet("ext6", "ext", "2001:db8:e::/64", None);
    for subnet in ["ext6", "blue6"] {
        cloud.take_from("pool", subnet);
    }
    cloud.gateway("r", "ext");
    cloud.route("r", &[("2001:db8:ff::/48", VIP)]);
    announce(&mut cloud, "right", "h3", VIP);
    let a = cloud.get_port("a");
    let far: Ipv6Addr = "2001:db8:ff::1".parse().unwrap();
    let router = cloud.get_port("r-red").mac_address;
    let journey = Fabric::new(&cloud).send("a", &frames::ping(&a, far, router));
    assert_eq!(journey.reached(), ["right"]);

    let outside = Port {
        mac_address: MacAddr([2, 0, 0, 0, 0, 1]),
        ..a
    };
    let asks = frames::solicit(&outside, VIP.parse().unwrap());
    let answered = Fabric::new(&cloud).come_in("h2", "phys", &asks);
    assert_eq!(answered.outside.len(), 1, "{answered:?}");
}

/// On an external network routers ask for whom they do not know by their gateway, pairs of ports there or not.
#[test]
fn a_pair_on_an_external_network_hides_nobody_outside() {
    let mut cloud = cloud();
    cloud.attach("h2", "phys");
    cloud.provider_network("ext", "phys", None);
    cloud.subnet("ext6", "ext", "2001:db8:e::/64", None);
    cloud.subnet("ext4", "ext", "203.0.113.0/24", None);
    cloud.gateway("r", "ext");
    cloud.guest("x", "ext", "h2");
    for prefix in ["2001:db8:e::/64", "203.0.113.0/24", "::/0"] {
        cloud.allow("x", None, prefix);
    }
    for (guest, router) in [("a", "r-red"), ("left", "r-blue")] {
        let (from, router) = (cloud.get_port(guest), cloud.get_port(router).mac_address);
        let beside = [
            frames::ping(&from, "2001:db8:e::77".parse().unwrap(), router),
            frames::ping4(&from, "203.0.113.77".parse().unwrap(), router),
        ];
        for packet in beside {
            let journey = Fabric::new(&cloud).send(guest, &packet);
            assert_eq!(journey.punts, ["unresolved"], "{guest}: {journey:?}");
        }
    }
}

#[test]
fn announcements_go_up_and_on_where_they_are_about_a_pair() {
    let cloud = cloud();
    let left = cloud.get_port("left");
    let fabric = Fabric::new(&cloud);
    let vip = VIP.parse().unwrap();
    let of_pair = [
        frames::advertise(&left, vip),
        frames::arp_request(&left, VIP4.parse().unwrap(), VIP4.parse().unwrap()),
    ];
    for frame in of_pair {
        let journey = fabric.send("left", &frame);
        assert_eq!(journey.punts, ["announced"]);
        assert_eq!(journey.reached(), ["right"]);
    }
    let own = frames::advertise(&left, frames::address(&left));
    assert!(fabric.send("left", &own).punts.is_empty());
}

/// The session that a packet for such an address comes up to asks in the name of the router there.
#[test]
fn a_router_asks_from_its_addresses_on_the_network() {
    let cloud = cloud();
    let router = cloud.get_port("r-blue");
    let flows = show::flows_of(&cloud, "h1");
    let askers: Vec<_> = flows
        .iter()
        .filter_map(|(_, flow)| match flow.punt {
            Some(Punt::Unheld(asker)) if asker.mac == router.mac_address => Some(asker),
            Some(_) | None => None,
        })
        .collect();
    let [asker] = askers.as_slice() else {
        panic!("{askers:?}")
    };
    assert_eq!(
        asker.addresses[0],
        IpAddr::from(router.mac_address.link_local())
    );
    assert!(asker.addresses.iter().any(IpAddr::is_ipv4));
}

#[test]
fn a_change_of_holders_touches_the_flows_of_two_ports() {
    let mut cloud = cloud();
    announce(&mut cloud, "left", "h2", VIP);
    let chassis = ChassisId::new("h1");
    let before = cloud.clone();
    let mut flows = Flows::compute(&before.intent, &before.facts, &chassis);
    announce(&mut cloud, "right", "h3", VIP);
    let old = (&before.intent, &before.facts);
    let difference = flows.update(&chassis, old, (&cloud.intent, &cloud.facts));
    assert_eq!((difference.additions(), difference.deletions()), (1, 1));
    assert_eq!(flows, Flows::compute(&cloud.intent, &cloud.facts, &chassis));
}
