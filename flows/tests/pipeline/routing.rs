//! Routing on the sender's own hypervisor.

use crate::support::frames::{self, address};
use crate::support::{Cloud, Fabric, show};
use insta::assert_snapshot;
use rust_openflow::Field;
use sextant_model::Ipv6Mode;
use std::net::Ipv6Addr;

/// `red` and `blue` joined by `r1`, `green` on its own behind `r2`, which is on `red` too.
fn cloud() -> Cloud {
    let mut cloud = Cloud::with_hypervisors(2);
    cloud.router("r1");
    cloud.router("r2");
    for (network, subnet, prefix) in [
        ("red", "red6", "2001:db8:a::/64"),
        ("blue", "blue6", "2001:db8:b::/64"),
        ("green", "green6", "2001:db8:c::/64"),
    ] {
        cloud.network(network);
        cloud.subnet(subnet, network, prefix, Some(Ipv6Mode::Slaac));
    }
    for (port, router, network) in [
        ("r1-red", "r1", "red"),
        ("r1-blue", "r1", "blue"),
        ("r2-red", "r2", "red"),
        ("r2-green", "r2", "green"),
    ] {
        cloud.interface(port, router, network);
    }
    cloud.guest("a1", "red", "h1");
    cloud.guest("b1", "blue", "h1");
    cloud.guest("b2", "blue", "h2");
    cloud.guest("c2", "green", "h2");
    cloud
}

fn through(
    cloud: &Cloud,
    router_port: &str,
    from: &str,
    to: Ipv6Addr,
) -> sextant_flows::trace::Packet {
    let gateway = cloud.get_port(router_port).mac_address;
    frames::ping(&cloud.get_port(from), to, gateway)
}

#[test]
fn flows_of_a_routers_interface() {
    let mut cloud = cloud();
    cloud.network("white");
    cloud.subnet("white6", "white", "2001:db8:d::/64", Some(Ipv6Mode::Slaac));
    cloud.subnet("white6b", "white", "2001:db8:e::/56", None);
    cloud.guest("d2", "white", "h2");
    assert_snapshot!(show::change(&mut cloud, "h1", |cloud| {
        cloud.interface("r1-white", "r1", "white");
    }));
}

#[test]
fn a_routed_packet_takes_one_hop_and_one_tunnel_at_most() {
    let cloud = cloud();
    let fabric = Fabric::new(&cloud);
    for (guest, tunnels) in [
        ("b1", vec![]),
        ("b2", vec![("h1".to_owned(), "h2".to_owned(), 4)]),
    ] {
        let to = cloud.get_port(guest);
        let journey = fabric.send("a1", &through(&cloud, "r1-red", "a1", address(&to)));
        let end = journey.only();
        assert_eq!(end.port, guest);
        assert_eq!(
            journey.tunnels, tunnels,
            "the key is that of the guest's network"
        );
        assert_eq!(end.packet.get(Field::NW_TTL), 63);
        let router = cloud.get_port("r1-blue").mac_address;
        assert_eq!(end.packet.get(Field::ETH_SRC), router.to_u64().into());
        assert_eq!(
            end.packet.get(Field::ETH_DST),
            to.mac_address.to_u64().into()
        );
        assert!(journey.lookups[0] <= 16, "{:?}", journey.lookups);
    }
}

#[test]
fn each_router_knows_its_own_networks() {
    let cloud = cloud();
    let fabric = Fabric::new(&cloud);
    let (b2, c2) = (
        address(&cloud.get_port("b2")),
        address(&cloud.get_port("c2")),
    );
    let reach = |router_port: &str, to| {
        let journey = fabric.send("a1", &through(&cloud, router_port, "a1", to));
        journey.reached().join(",")
    };
    assert_eq!(reach("r1-red", b2), "b2");
    assert_eq!(reach("r1-red", c2), "");
    assert_eq!(reach("r2-red", c2), "c2");
    assert_eq!(reach("r2-red", b2), "");
}

#[test]
fn link_scope_does_not_pass_a_router() {
    let cloud = cloud();
    let fabric = Fabric::new(&cloud);
    let (a1, b2) = (cloud.get_port("a1"), cloud.get_port("b2"));
    let from_link_local = through(&cloud, "r1-red", "a1", address(&b2))
        .ipv6(Field::IPV6_SRC, a1.mac_address.link_local());
    let to_link_local = through(&cloud, "r1-red", "a1", b2.mac_address.link_local());
    let multicast = through(&cloud, "r1-red", "a1", "ff0e::1".parse().unwrap())
        .mac(Field::ETH_DST, cloud.get_port("r1-red").mac_address.0);
    for packet in [from_link_local, to_link_local, multicast] {
        assert_eq!(fabric.send("a1", &packet).drops, ["forbidden in route"]);
    }
}

#[test]
fn every_address_of_a_router_answers_ping() {
    let cloud = cloud();
    let fabric = Fabric::new(&cloud);
    let near = cloud.get_port("r1-red");
    let targets = [
        address(&near),
        near.mac_address.link_local(),
        address(&cloud.get_port("r1-blue")),
    ];
    for target in targets {
        let request = through(&cloud, "r1-red", "a1", target);
        let journey = fabric.send("a1", &request);
        let reply = &journey.only().packet;
        assert_eq!(journey.reached(), ["a1"]);
        assert_eq!(reply.get(Field::ICMPV6_TYPE), 129);
        assert_eq!(reply.address(Field::IPV6_SRC), target);
        assert_eq!(reply.get(Field::IPV6_DST), request.get(Field::IPV6_SRC));
        assert_eq!(reply.get(Field::ETH_SRC), request.get(Field::ETH_DST));
        assert_eq!(reply.get(Field::ETH_DST), request.get(Field::ETH_SRC));
    }
}

#[test]
fn what_is_down_does_not_route() {
    let cloud = cloud();
    let b2 = address(&cloud.get_port("b2"));
    let packet = through(&cloud, "r1-red", "a1", b2);
    let after = |change: &dyn Fn(&mut Cloud)| {
        let mut cloud = cloud.clone();
        change(&mut cloud);
        let journey = Fabric::new(&cloud).send("a1", &packet);
        journey.reached().is_empty()
    };
    assert!(!after(&|_| {}));
    assert!(after(
        &|cloud| cloud.change_router("r1", |router| router.admin_state_up = false)
    ));
    assert!(after(
        &|cloud| cloud.change_port("r1-red", |port| port.admin_state_up = false)
    ));
    assert!(after(
        &|cloud| cloud.change_port("r1-blue", |port| port.admin_state_up = false)
    ));
    assert!(after(&|cloud| cloud
        .change_network("blue", |network| network.admin_state_up =
            false)));
    assert!(after(&|cloud| cloud.delete_port("r1-blue")));
}

#[test]
fn a_network_that_only_other_hypervisors_guests_are_on_is_reached() {
    let mut cloud = cloud();
    cloud.unplug("b1");
    let b2 = address(&cloud.get_port("b2"));
    let journey = Fabric::new(&cloud).send("a1", &through(&cloud, "r1-red", "a1", b2));
    assert_eq!(journey.reached(), ["b2"]);
}

#[test]
fn one_interface_serves_several_subnets() {
    let mut cloud = cloud();
    cloud.network("white");
    cloud.subnet("white6", "white", "2001:db8:d::/64", Some(Ipv6Mode::Slaac));
    cloud.subnet("white6b", "white", "2001:db8:e::/64", Some(Ipv6Mode::Slaac));
    cloud.interface("r1-white", "r1", "white");
    cloud.guest("d2", "white", "h2");
    for (_, address) in cloud.get_port("d2").ipv6_addresses() {
        let journey = Fabric::new(&cloud).send("a1", &through(&cloud, "r1-red", "a1", address));
        assert_eq!(journey.reached(), ["d2"], "{address}");
    }
}

#[test]
fn the_longest_prefix_wins() {
    let mut cloud = cloud();
    cloud.network("wide");
    cloud.subnet("wide6", "wide", "2001:db8::/32", None);
    cloud.interface("r1-wide", "r1", "wide");
    cloud.guest("w1", "wide", "h1");
    let b2 = address(&cloud.get_port("b2"));
    let w1 = address(&cloud.get_port("w1"));
    for (to, guest) in [(b2, "b2"), (w1, "w1")] {
        let journey = Fabric::new(&cloud).send("a1", &through(&cloud, "r1-red", "a1", to));
        assert_eq!(journey.reached(), [guest]);
    }
}
