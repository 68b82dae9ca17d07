//! Neighbor Solicitations answered by flows.

use crate::support::frames::{self, ALL_NODES, address};
use crate::support::{Cloud, Fabric, show};
use insta::assert_snapshot;
use rust_openflow::Field;
use sextant_model::Port;
use std::net::Ipv6Addr;

const ROUTER: u128 = 0x8000_0000;
const SOLICITED: u128 = 0x4000_0000;
const OVERRIDE: u128 = 0x2000_0000;

/// `red`, routed by `r1`, with `a1` on h1 and `a2` on h2; `blue` with the same prefix and `b1` on h1.
fn cloud() -> Cloud {
    let mut cloud = Cloud::with_hypervisors(2);
    cloud.network("red");
    cloud.subnet("red6", "red", "2001:db8:a::/64", None);
    cloud.router("r1");
    cloud.interface("r1-red", "r1", "red");
    cloud.guest("a1", "red", "h1");
    cloud.guest("a2", "red", "h2");
    cloud.network("blue");
    cloud.subnet("blue6", "blue", "2001:db8:a::/64", None);
    cloud.guest("b1", "blue", "h1");
    cloud
}

/// What `a1` asks comes back as this answer and reaches nobody else.
fn assert_answered(cloud: &Cloud, question: &sextant_flows::trace::Packet, by: &Port, flags: u128) {
    let asked = question.address(Field::IPV6_SRC);
    let journey = Fabric::new(cloud).send("a1", question);
    let answer = &journey.only().packet;
    assert_eq!(journey.reached(), ["a1"]);
    let target = question.address(Field::ND_TARGET);
    let (to, mac) = if asked.is_unspecified() {
        (ALL_NODES, frames::multicast_mac(ALL_NODES))
    } else {
        (asked, cloud.get_port("a1").mac_address)
    };
    for (field, wanted) in [
        (Field::ICMPV6_TYPE, 136),
        (Field::ICMPV6_CODE, 0),
        (Field::NW_TTL, 255),
        (Field::IPV6_SRC, target.to_bits()),
        (Field::IPV6_DST, to.to_bits()),
        (Field::ETH_SRC, by.mac_address.to_u64().into()),
        (Field::ETH_DST, mac.to_u64().into()),
        (Field::ND_TARGET, target.to_bits()),
        (Field::ND_OPTIONS_TYPE, 2),
        (Field::ND_TLL, by.mac_address.to_u64().into()),
        (Field::ND_RESERVED, flags),
    ] {
        assert_eq!(answer.get(field), wanted, "{field}");
    }
}

#[test]
fn flows_of_a_guest_elsewhere() {
    let mut cloud = cloud();
    assert_snapshot!(show::change(&mut cloud, "h1", |cloud| cloud.unplug("a2")));
}

/// Defect 19 of `docs/peer-defects.md`: a target link-layer option, and the target as source (RFC 4861 §4.4).
#[test]
fn guests_and_routers_are_told_of() {
    let cloud = cloud();
    let (a1, a2, router) = (
        cloud.get_port("a1"),
        cloud.get_port("a2"),
        cloud.get_port("r1-red"),
    );
    for target in [address(&a2), a2.mac_address.link_local()] {
        assert_answered(
            &cloud,
            &frames::solicit(&a1, target),
            &a2,
            SOLICITED | OVERRIDE,
        );
    }
    for target in [address(&router), router.mac_address.link_local()] {
        let question = frames::solicit(&a1, target);
        assert_answered(&cloud, &question, &router, ROUTER | SOLICITED | OVERRIDE);
    }
}

#[test]
fn whether_somebody_is_still_there_is_answered_too() {
    let cloud = cloud();
    let (a1, a2) = (cloud.get_port("a1"), cloud.get_port("a2"));
    let question = frames::solicit(&a1, address(&a2))
        .ipv6(Field::IPV6_DST, address(&a2))
        .mac(Field::ETH_DST, a2.mac_address.0);
    assert_answered(&cloud, &question, &a2, SOLICITED | OVERRIDE);
}

/// Defect 2 of `docs/peer-defects.md`: an answer to `::` is heard by nobody, and the duplicate becomes valid.
#[test]
fn a_probe_for_an_address_of_another_is_answered_to_all_nodes() {
    let cloud = cloud();
    let (a1, a2, router) = (
        cloud.get_port("a1"),
        cloud.get_port("a2"),
        cloud.get_port("r1-red"),
    );
    assert_answered(&cloud, &frames::probe(&a1, address(&a2)), &a2, OVERRIDE);
    let probe = frames::probe(&a1, address(&router));
    assert_answered(&cloud, &probe, &router, ROUTER | OVERRIDE);
}

/// A solicitation has no option that could become the answer's.
#[test]
fn what_has_no_option_is_answered_by_the_controller() {
    let cloud = cloud();
    let (a1, a2, router) = (
        cloud.get_port("a1"),
        cloud.get_port("a2"),
        cloud.get_port("r1-red"),
    );
    let fabric = Fabric::new(&cloud);
    for known in [&a2, &router] {
        let bare = frames::solicit(&a1, address(known)).with(Field::ND_SLL, 0u8);
        let journey = fabric.send("a1", &bare);
        assert_eq!(journey.punts, ["bare_solicitation"]);
        assert!(journey.deliveries.is_empty());
    }
}

#[test]
fn the_anycast_address_of_a_subnets_routers_is_answered_without_override() {
    let cloud = cloud();
    let (a1, router) = (cloud.get_port("a1"), cloud.get_port("r1-red"));
    let anycast: Ipv6Addr = "2001:db8:a::".parse().unwrap();
    let fabric = Fabric::new(&cloud);
    let journey = fabric.send("a1", &frames::solicit(&a1, anycast));
    let answer = &journey.only().packet;
    assert_eq!(answer.address(Field::IPV6_SRC), anycast);
    assert_eq!(answer.get(Field::ND_RESERVED), ROUTER | SOLICITED);
    let journey = fabric.send("a1", &frames::probe(&a1, anycast));
    let answer = &journey.only().packet;
    assert_eq!(answer.get(Field::ND_RESERVED), ROUTER);
    let ping = frames::ping(&a1, anycast, router.mac_address);
    let reply = fabric.send("a1", &ping);
    assert_eq!(reply.only().port, "a1");
    assert_eq!(reply.only().packet.get(Field::ICMPV6_TYPE), 129);
    let from = reply.only().packet.address(Field::IPV6_SRC);
    assert_eq!(from, address(&router), "RFC 4443 §4.2");
    for (group, others) in [("ff02::1", vec!["a2"]), ("ff02::2", vec![])] {
        let all = frames::ping(&a1, group.parse().unwrap(), router.mac_address);
        let journey = fabric.send("a1", &all);
        assert_eq!(journey.punts, ["group_echo"]);
        assert_eq!(journey.reached(), others);
    }
}

#[test]
fn a_probe_for_ones_own_or_a_free_address_goes_to_the_others() {
    let cloud = cloud();
    let a1 = cloud.get_port("a1");
    let free: Ipv6Addr = "2001:db8:a::f".parse().unwrap();
    for target in [address(&a1), a1.mac_address.link_local(), free] {
        let journey = Fabric::new(&cloud).send("a1", &frames::probe(&a1, target));
        assert_eq!(journey.reached(), ["a2"]);
    }
}

#[test]
fn one_network_knows_nothing_of_another() {
    let cloud = cloud();
    let (a1, b1) = (cloud.get_port("a1"), cloud.get_port("b1"));
    let journey = Fabric::new(&cloud).send("a1", &frames::solicit(&a1, address(&b1)));
    assert_eq!(journey.reached(), ["a2"]);
}

#[test]
fn who_is_not_there_is_not_told_of() {
    let mut cloud = cloud();
    let (a1, a2) = (cloud.get_port("a1"), cloud.get_port("a2"));
    let question = frames::solicit(&a1, address(&a2));
    cloud.change_port("a2", |port| port.admin_state_up = false);
    assert!(Fabric::new(&cloud).send("a1", &question).is_lost());

    let router = cloud.get_port("r1-red");
    let question = frames::solicit(&a1, address(&router));
    cloud.change_router("r1", |router| router.admin_state_up = false);
    assert!(Fabric::new(&cloud).send("a1", &question).is_lost());
}

#[test]
fn what_passed_a_router_is_neither_answered_nor_delivered() {
    let cloud = cloud();
    let (a1, a2) = (cloud.get_port("a1"), cloud.get_port("a2"));
    let question = frames::solicit(&a1, address(&a2)).with(Field::NW_TTL, 254u8);
    assert!(Fabric::new(&cloud).send("a1", &question).is_lost());
}

#[test]
fn a_network_that_is_only_routed_to_has_nobody_to_answer() {
    let mut cloud = cloud();
    cloud.interface("r1-blue", "r1", "blue");
    cloud.network("green");
    cloud.subnet("green6", "green", "2001:db8:c::/64", None);
    cloud.interface("r1-green", "r1", "green");
    let green = show::change(&mut cloud, "h1", |cloud| cloud.guest("c1", "green", "h2"));
    assert!(green.contains("# next hop"), "{green}");
    assert!(!green.contains("# neighbor"), "{green}");
}
