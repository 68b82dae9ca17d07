//! Networks that are outside as well, and their guests.

use crate::support::frames::{self, ALL_NODES, address};
use crate::support::{Cloud, Fabric, show};
use insta::assert_snapshot;
use rust_openflow::Field;
use sextant_flows::trace::Packet;
use sextant_model::MacAddr;

const ROUTER: MacAddr = MacAddr([0x02, 0, 0, 0, 0, 1]);
/// `vlan_tci` of VLAN 100.
const TAGGED: u16 = 0x1064;

/// `flat` with `f1` on h1 and `f2` on h2; `tagged`, VLAN 100, with `t1` and `t2` on h1. h3 has no bridge of `phys`.
fn cloud() -> Cloud {
    let mut cloud = Cloud::with_hypervisors(3);
    for hypervisor in ["h1", "h2"] {
        cloud.attach(hypervisor, "phys");
    }
    cloud.provider_network("flat", "phys", None);
    cloud.provider_network("tagged", "phys", Some(100));
    cloud.subnet("flat6", "flat", "2001:db8:f::/64", None);
    cloud.subnet("tagged6", "tagged", "2001:db8:e::/64", None);
    for (guest, network, hypervisor) in [
        ("f1", "flat", "h1"),
        ("f2", "flat", "h2"),
        ("t1", "tagged", "h1"),
        ("t2", "tagged", "h1"),
    ] {
        cloud.guest(guest, network, hypervisor);
    }
    cloud
}

/// What an external router says to all nodes.
fn advertisement() -> Packet {
    frames::ethernet(ROUTER, frames::multicast_mac(ALL_NODES), 0x86dd)
        .ipv6(Field::IPV6_SRC, ROUTER.link_local())
        .ipv6(Field::IPV6_DST, ALL_NODES)
        .with(Field::IP_PROTO, 58u8)
        .with(Field::ICMPV6_TYPE, 134u8)
        .with(Field::NW_TTL, 255u8)
}

#[test]
fn a_first_guest_on_a_vlan() {
    let mut cloud = cloud();
    cloud.provider_network("other", "phys", Some(200));
    cloud.port("o1", "other");
    let flows = show::change(&mut cloud, "h1", |cloud| cloud.plug("o1", "h1"));
    let provider = flows.lines().filter(|line| !line.contains("in_port=14"));
    assert_snapshot!(provider.collect::<Vec<_>>().join("\n"));
}

#[test]
fn an_external_routers_advertisements_reach_the_guests_of_its_segment_alone() {
    let cloud = cloud();
    let fabric = Fabric::new(&cloud);
    let untagged = fabric.come_in("h1", "phys", &advertisement());
    assert_eq!(untagged.reached(), ["f1"]);
    let tagged = advertisement().with(Field::VLAN_TCI, TAGGED);
    let on_vlan = fabric.come_in("h1", "phys", &tagged);
    assert_eq!(on_vlan.reached(), ["t1", "t2"]);
    assert_eq!(
        on_vlan.deliveries[0].packet,
        advertisement(),
        "untagged for guests"
    );
    assert!(untagged.outside.is_empty() && on_vlan.tunnels.is_empty());

    let foreign = advertisement().with(Field::VLAN_TCI, 0x1005u16);
    let stray = fabric.come_in("h1", "phys", &foreign);
    assert_eq!(stray.drops, ["no flow in classify"]);
}

#[test]
fn a_priority_in_the_tag_makes_no_other_vlan() {
    let cloud = cloud();
    let urgent = advertisement().with(Field::VLAN_TCI, 0xe000u16 | TAGGED);
    let journey = Fabric::new(&cloud).come_in("h1", "phys", &urgent);
    assert_eq!(journey.reached(), ["t1", "t2"]);
}

#[test]
fn guests_of_one_hypervisor_reach_each_other_without_leaving_it() {
    let cloud = cloud();
    let (t1, t2) = (cloud.get_port("t1"), cloud.get_port("t2"));
    let ping = frames::ping(&t1, address(&t2), t2.mac_address);
    let journey = Fabric::new(&cloud).send("t1", &ping);
    assert_eq!(journey.only().packet, ping);
    assert!(journey.outside.is_empty());
}

#[test]
fn whoever_else_is_reached_outside_never_through_a_tunnel() {
    let cloud = cloud();
    let fabric = Fabric::new(&cloud);
    let (f1, f2) = (cloud.get_port("f1"), cloud.get_port("f2"));
    for (mac, reached) in [(f2.mac_address, vec!["f2"]), (ROUTER, vec![])] {
        let ping = frames::ping(&f1, address(&f2), mac);
        let journey = fabric.send("f1", &ping);
        assert_eq!((journey.reached(), journey.tunnels.len()), (reached, 0));
        let out = ("h1".to_owned(), "phys".to_owned(), ping);
        assert_eq!(journey.outside, [out]);
    }
    let t1 = cloud.get_port("t1");
    let to_all = frames::ipv6(&t1, address(&t1), ALL_NODES, t1.mac_address);
    let journey = fabric.send("t1", &to_all);
    assert_eq!((journey.reached(), journey.tunnels.len()), (vec!["t2"], 0));
    let [(_, _, frame)] = &journey.outside[..] else {
        panic!("{journey:?}")
    };
    assert_eq!(*frame, to_all.with(Field::VLAN_TCI, TAGGED));
}

#[test]
fn what_comes_from_outside_does_not_go_back() {
    let cloud = cloud();
    let f2 = cloud.get_port("f2");
    let to_f2 = frames::ping(&f2, address(&f2), f2.mac_address);
    let journey = Fabric::new(&cloud).come_in("h1", "phys", &to_f2);
    assert_eq!(journey.drops, ["no flow in switch"]);
}

#[test]
fn guests_still_may_not_advertise() {
    let cloud = cloud();
    let f1 = cloud.get_port("f1");
    let forged = frames::discovery(&f1, f1.mac_address.link_local(), ALL_NODES, 134);
    let journey = Fabric::new(&cloud).send("f1", &forged);
    assert_eq!(journey.drops, ["forbidden in guard"]);
}

#[test]
fn where_there_is_no_bridge_a_network_is_only_local() {
    let mut cloud = cloud();
    cloud.guest("f3", "flat", "h3");
    cloud.guest("f4", "flat", "h3");
    let (f1, f3, f4) = (
        cloud.get_port("f1"),
        cloud.get_port("f3"),
        cloud.get_port("f4"),
    );
    let fabric = Fabric::new(&cloud);
    let to = |port: &sextant_model::Port| frames::ping(&f3, address(port), port.mac_address);
    assert_eq!(fabric.send("f3", &to(&f4)).reached(), ["f4"]);
    assert!(fabric.send("f3", &to(&f1)).is_lost());
}
