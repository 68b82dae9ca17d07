//! Frames within a network: to the right port, through the right tunnel, and to nobody else.

use crate::support::frames::{self, ALL_NODES, address};
use crate::support::{Cloud, Fabric, show};
use insta::assert_snapshot;
use rust_openflow::Field;
use sextant_model::{EncapKind, MacAddr};

/// `red` with `a1` and `a2` on h1, `a3` on h2, `a4` on h3; `blue` with the same prefix, `b1` on h1 and `b3` on h2.
fn two_networks() -> Cloud {
    let mut cloud = Cloud::with_hypervisors(3);
    for (network, subnet) in [("red", "red6"), ("blue", "blue6")] {
        cloud.network(network);
        cloud.subnet(subnet, network, "2001:db8:a::/64", None);
    }
    for (guest, network, hypervisor) in [
        ("a1", "red", "h1"),
        ("a2", "red", "h1"),
        ("a3", "red", "h2"),
        ("a4", "red", "h3"),
        ("b1", "blue", "h1"),
        ("b3", "blue", "h2"),
    ] {
        cloud.guest(guest, network, hypervisor);
    }
    cloud
}

#[test]
fn a_guest_here_and_one_elsewhere() {
    let mut cloud = Cloud::with_hypervisors(2);
    cloud.network("red");
    cloud.guest("a1", "red", "h1");
    assert_snapshot!(show::change(&mut cloud, "h1", |cloud| cloud.guest("a3", "red", "h2")));
}

#[test]
fn a_frame_for_a_guest_reaches_it_alone() {
    let cloud = two_networks();
    let fabric = Fabric::new(&cloud);
    let a1 = cloud.get_port("a1");
    for (to, hops) in [("a2", 0), ("a3", 1), ("a4", 1)] {
        let to = cloud.get_port(to);
        let ping = frames::ping(&a1, address(&to), to.mac_address);
        let journey = fabric.send("a1", &ping);
        assert_eq!(journey.only().packet, ping, "it arrives as it was sent");
        assert_eq!(journey.tunnels.len(), hops);
    }
}

#[test]
fn multicast_reaches_every_other_member_once_and_no_other_network() {
    let cloud = two_networks();
    let fabric = Fabric::new(&cloud);
    for (sender, others) in [
        ("a1", vec!["a2", "a3", "a4"]),
        ("a3", vec!["a1", "a2", "a4"]),
        ("b1", vec!["b3"]),
    ] {
        let port = cloud.get_port(sender);
        let frame = frames::udp(
            frames::ipv6(&port, address(&port), ALL_NODES, port.mac_address),
            5000,
            5000,
        );
        let journey = fabric.send(sender, &frame);
        assert_eq!(journey.reached(), others);
    }
}

#[test]
fn what_came_through_a_tunnel_goes_to_no_other_tunnel() {
    let cloud = two_networks();
    let fabric = Fabric::new(&cloud);
    let (a3, a4) = (cloud.get_port("a3"), cloud.get_port("a4"));
    let from = "2001:db8:77::2".parse().unwrap();
    let to_a4 = frames::ping(&a3, address(&a4), a4.mac_address);
    assert!(fabric.receive("h1", &to_a4, from, 1).is_lost());
    let to_all = frames::ipv6(&a3, address(&a3), ALL_NODES, a3.mac_address);
    let journey = fabric.receive("h1", &to_all, from, 1);
    assert_eq!(journey.reached(), ["a1", "a2"]);
    assert!(journey.tunnels.is_empty());
}

#[test]
fn unknown_endpoints_keys_and_macs_lead_nowhere() {
    let cloud = two_networks();
    let fabric = Fabric::new(&cloud);
    let (a1, a3) = (cloud.get_port("a1"), cloud.get_port("a3"));
    let (known, unknown) = ("2001:db8:77::2", "2001:db8:77::bad");
    let frame = frames::ping(&a3, address(&a1), a1.mac_address);
    let arrives = |from: &str, key| fabric.receive("h1", &frame, from.parse().unwrap(), key);
    assert_eq!(arrives(known, 1).reached(), ["a1"]);
    assert_eq!(arrives(unknown, 1).drops, ["forbidden in tunnel IPv6"]);
    assert_eq!(arrives(known, 99).drops, ["no flow in switch"]);

    let nobody = MacAddr([0xfa, 0x16, 0x3e, 9, 9, 9]);
    let journey = fabric.send("a1", &frames::ping(&a1, address(&a3), nobody));
    assert_eq!(journey.drops, ["no flow in switch"]);
}

#[test]
fn tagged_frames_of_guests_go_nowhere() {
    let cloud = two_networks();
    let (a1, a2) = (cloud.get_port("a1"), cloud.get_port("a2"));
    let tagged = frames::ping(&a1, address(&a2), a2.mac_address).with(Field::VLAN_TCI, 0x1005u16);
    let journey = Fabric::new(&cloud).send("a1", &tagged);
    assert_eq!(journey.drops, ["no flow in classify"]);
}

#[test]
fn what_is_down_neither_sends_nor_receives() {
    let mut cloud = two_networks();
    let (a1, a2) = (cloud.get_port("a1"), cloud.get_port("a2"));
    let to_a2 = frames::ping(&a1, address(&a2), a2.mac_address);
    let to_a1 = frames::ping(&a2, address(&a1), a1.mac_address);
    let to_all = frames::ipv6(&a1, address(&a1), ALL_NODES, a1.mac_address);

    cloud.change_port("a2", |port| port.admin_state_up = false);
    let fabric = Fabric::new(&cloud);
    assert!(fabric.send("a1", &to_a2).is_lost());
    assert!(fabric.send("a2", &to_a1).is_lost());
    assert_eq!(fabric.send("a1", &to_all).reached(), ["a3", "a4"]);

    cloud.change_port("a2", |port| port.admin_state_up = true);
    cloud.change_network("red", |network| network.admin_state_up = false);
    let fabric = Fabric::new(&cloud);
    assert!(fabric.send("a1", &to_a2).is_lost());
    assert!(fabric.send("a1", &to_all).is_lost());
}

#[test]
fn a_port_without_a_number_is_waited_for() {
    let mut cloud = two_networks();
    cloud.port("a5", "red");
    let unnumbered = show::change(&mut cloud, "h1", |cloud| cloud.plug_as("a5", "h1", None));
    let stages: Vec<_> = unnumbered
        .lines()
        .filter(|line| line.starts_with('#'))
        .collect();
    assert_eq!(stages, ["# neighbor", "# next hop"], "{unnumbered}");
    assert!(show::change(&mut cloud, "h1", |cloud| cloud.plug("a5", "h1")).contains("# classify"));
}

#[test]
fn each_hypervisor_is_sent_what_it_wants_to_be_sent() {
    let mut cloud = two_networks();
    let gre = |cloud: &mut Cloud, name: &str, ip: &str| {
        cloud.hypervisor(name, ip.parse().unwrap(), EncapKind::Gre);
    };
    gre(&mut cloud, "h2", "2001:db8:77::2");
    let a1 = cloud.get_port("a1");
    let to_all = frames::ipv6(&a1, address(&a1), ALL_NODES, a1.mac_address);
    assert_eq!(
        Fabric::new(&cloud).send("a1", &to_all).reached(),
        ["a2", "a3", "a4"]
    );

    gre(&mut cloud, "h2", "192.0.2.2");
    let without_a_way = Fabric::new(&cloud).send("a1", &to_all);
    assert_eq!(
        without_a_way.reached(),
        ["a2", "a4"],
        "no IPv4 endpoint here"
    );
}

#[test]
fn a_shared_mac_reaches_all_who_may_use_it() {
    let virtual_mac = "00:00:5e:00:02:01";
    let mut cloud = two_networks();
    let a1 = cloud.get_port("a1");
    let to_mac =
        |mac: &str| frames::ping(&a1, "2001:db8:a::99".parse().unwrap(), mac.parse().unwrap());
    assert!(
        Fabric::new(&cloud)
            .send("a1", &to_mac(virtual_mac))
            .is_lost()
    );

    for port in ["a1", "a2", "a3", "b1"] {
        cloud.allow(port, Some(virtual_mac), "2001:db8:a::99/128");
    }
    let reached = |cloud: &Cloud, mac: &str| {
        let journey = Fabric::new(cloud).send("a1", &to_mac(mac));
        journey.reached().join(",")
    };
    assert_eq!(reached(&cloud, virtual_mac), "a2,a3");
    cloud.change_port("a2", |port| port.admin_state_up = false);
    assert_eq!(reached(&cloud, virtual_mac), "a3");

    let own = cloud.get_port("a4").mac_address.to_string();
    cloud.allow("a3", Some(&own), "2001:db8:a::99/128");
    assert_eq!(reached(&cloud, &own), "a4", "whose own it is comes first");
}

const SHARED_MAC: &str = "00:00:5e:00:02:01";

/// `red` with 70 guests on h1, and one on each of 70 other hypervisors. All may use one MAC.
fn crowded() -> Cloud {
    let mut cloud = Cloud::with_hypervisors(71);
    cloud.network("red");
    cloud.subnet("red6", "red", "2001:db8:a::/64", None);
    for number in 2..72 {
        for (guest, hypervisor) in [
            (format!("far{number:02}"), format!("h{number}")),
            (format!("here{number:02}"), "h1".to_owned()),
        ] {
            cloud.guest(&guest, "red", &hypervisor);
            cloud.allow(&guest, Some(SHARED_MAC), "2001:db8:a::99/128");
        }
    }
    cloud
}

#[test]
fn each_of_many_receivers_gets_one_copy() {
    let cloud = crowded();
    let fabric = Fabric::new(&cloud);
    for sender in ["here02", "far02"] {
        let port = cloud.get_port(sender);
        let to_all = frames::ipv6(&port, address(&port), ALL_NODES, port.mac_address);
        let shared_mac = SHARED_MAC.parse().unwrap();
        let to_mac = frames::ping(&port, "2001:db8:a::99".parse().unwrap(), shared_mac);
        let guests = ["far", "here"].map(|place| (2..72).map(move |n| format!("{place}{n:02}")));
        let all = guests.into_iter().flatten();
        let others: Vec<String> = all.filter(|guest| guest != sender).collect();
        for frame in [to_all, to_mac] {
            let journey = fabric.send(sender, &frame);
            assert_eq!(journey.reached(), others);
            assert_eq!(journey.tunnels.len(), 70);
        }
    }
}

#[test]
fn one_receiver_more_or_less_changes_its_shard_alone() {
    let mut cloud = crowded();
    for guest in ["far20", "here20"] {
        let changed = show::change(&mut cloud, "h1", |cloud| cloud.unplug(guest));
        let lines_of = |stage: &str| {
            let stages = changed.split("# ").filter(|part| part.starts_with(stage));
            stages.flat_map(|part| part.lines().skip(1)).count()
        };
        // Of the network, and of the MAC: a flow goes and another comes.
        assert_eq!(lines_of("replicate"), 4, "{changed}");
        let to_it = lines_of("switch");
        assert_eq!(to_it, 1, "{changed}");
    }
}

#[test]
fn few_receivers_are_in_one_flow() {
    let mut cloud = Cloud::with_hypervisors(32);
    cloud.network("red");
    for number in 1..33 {
        cloud.guest(&format!("far{number}"), "red", &format!("h{number}"));
    }
    for number in 1..32 {
        cloud.guest(&format!("here{number}"), "red", "h1");
    }
    let flows = show::everything(&cloud, "h1");
    assert!(!flows.contains("# replicate"), "{flows}");
    cloud.guest("one-more", "red", "h1");
    assert!(show::everything(&cloud, "h1").contains("# replicate"));
}
