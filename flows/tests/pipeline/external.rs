//! Routers' ways out of the cloud.

mod delegated;
mod guarded;
mod publishing;
mod routes;

pub(crate) use guarded::{meters_of, with_ipv4};

use crate::support::frames::{self, address};
use crate::support::{Cloud, Fabric};
use rust_openflow::Field;
use sextant_flows::trace::Packet;
use sextant_model::{ExternalSettings, MacAddr, Outside, Port, Problem};
use std::net::{IpAddr, Ipv6Addr};

/// The upstream router.
const UPSTREAM: MacAddr = MacAddr([0x02, 0, 0, 0, 0, 1]);
const FAR: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0xffff, 0, 0, 0, 0, 9);
/// `vlan_tci` of VLAN 100.
const TAGGED: u16 = 0x1064;

/// Router `r` joins `red`, with `a` on h1 and `b` on h2, to `ext`, of which h1 and h2 have a bridge; its gateway is on h2.
/// h3 has none of it but `c`, of `red`.
fn cloud(vlan: Option<u32>) -> Cloud {
    let mut cloud = Cloud::with_hypervisors(3);
    cloud.attach("h1", "phys");
    cloud.attach("h2", "phys");
    cloud.provider_network("ext", "phys", vlan);
    cloud.network("red");
    cloud.subnet("red6", "red", "2001:db8:a::/64", None);
    cloud.subnet("red4", "red", "10.1.0.0/16", None);
    cloud.router("r");
    cloud.interface("i", "r", "red");
    for (guest, hypervisor) in [("a", "h1"), ("b", "h2"), ("c", "h3")] {
        cloud.guest(guest, "red", hypervisor);
    }
    cloud.gateway("r", "ext");
    cloud.mark_gone("h1", true);
    cloud.mark_gone("h1", false);
    let mut priority = |name: &str, priority| {
        let mut chassis = (*cloud.facts.chassis()[&sextant_model::ChassisId::new(name)]).clone();
        chassis.gateway_priority = priority;
        cloud.facts.put_chassis(chassis);
    };
    priority("h2", 1);
    cloud.facts.place_gateways(&cloud.intent);
    cloud
}

/// The same, where the gateway's next hop is known.
pub(crate) fn beside_a_gateway() -> Cloud {
    let mut cloud = cloud(None);
    heard(&mut cloud, "h2");
    cloud
}

/// The upstream router was heard and is known.
fn heard(cloud: &mut Cloud, hypervisor: &str) {
    let upstream = UPSTREAM.link_local();
    let outside = Outside {
        default_router: Some(upstream),
        neighbors: [(IpAddr::from(upstream), UPSTREAM)].into(),
    };
    cloud.learn(hypervisor, "ext", Some(outside));
}

fn to_far(cloud: &Cloud, guest: &str) -> Packet {
    let (from, router) = (cloud.get_port(guest), cloud.get_port("i"));
    frames::ping(&from, FAR, router.mac_address)
}

/// What the upstream router sends to a guest by way of the gateway.
fn from_far(cloud: &Cloud, guest: &str) -> Packet {
    let gateway = cloud.get_port("gw-r");
    frames::ethernet(UPSTREAM, gateway.mac_address, 0x86dd)
        .ipv6(Field::IPV6_SRC, FAR)
        .ipv6(Field::IPV6_DST, address(&cloud.get_port(guest)))
        .with(Field::IP_PROTO, 58u8)
        .with(Field::ICMPV6_TYPE, 128u8)
        .with(Field::NW_TTL, 60u8)
}

fn as_sent(packet: &Packet, from: &Port) -> Packet {
    packet
        .clone()
        .mac(Field::ETH_SRC, from.mac_address.0)
        .mac(Field::ETH_DST, UPSTREAM.0)
        .with(Field::NW_TTL, packet.get(Field::NW_TTL) - 1)
}

#[test]
fn what_has_no_route_inside_leaves_by_the_gateway_of_one_hypervisor() {
    let mut cloud = cloud(None);
    heard(&mut cloud, "h2");
    let gateway = cloud.get_port("gw-r");
    let fabric = Fabric::new(&cloud);
    for (guest, tunnels) in [("a", 1), ("b", 0), ("c", 1)] {
        let sent = to_far(&cloud, guest);
        let journey = fabric.send(guest, &sent);
        let out = ("h2".to_owned(), "phys".to_owned(), as_sent(&sent, &gateway));
        assert_eq!(journey.outside, [out], "{guest}: {journey:?}");
        assert_eq!(journey.tunnels.len(), tunnels);
        assert!(
            journey.lookups.iter().all(|lookups| *lookups <= 16),
            "{journey:?}"
        );
    }
}

#[test]
fn what_comes_in_at_the_gateway_reaches_guests_everywhere() {
    let mut cloud = cloud(Some(100));
    heard(&mut cloud, "h2");
    let fabric = Fabric::new(&cloud);
    for guest in ["a", "b", "c"] {
        let arriving = from_far(&cloud, guest).with(Field::VLAN_TCI, TAGGED);
        let journey = fabric.come_in("h2", "phys", &arriving);
        let end = journey.only();
        assert_eq!(end.port, guest);
        assert_eq!(end.packet.get(Field::NW_TTL), 59);
        assert!(fabric.come_in("h1", "phys", &arriving).is_lost());
    }
}

#[test]
fn a_vlan_is_tagged_on_the_way_out() {
    let mut cloud = cloud(Some(100));
    heard(&mut cloud, "h2");
    let journey = Fabric::new(&cloud).send("a", &to_far(&cloud, "a"));
    let [(_, _, frame)] = &journey.outside[..] else {
        panic!("{journey:?}")
    };
    assert_eq!(frame.get(Field::VLAN_TCI), u128::from(TAGGED));
}

#[test]
fn a_subnets_gateway_comes_before_the_configured_one_and_that_before_whoever_is_heard() {
    let mut cloud = cloud(None);
    let configured = MacAddr([2, 0, 0, 0, 0, 2]);
    let of_subnet: Ipv6Addr = "2001:db8:e::1".parse().unwrap();
    let gateway = MacAddr([2, 0, 0, 0, 0, 3]);
    let neighbors = [
        (IpAddr::from(UPSTREAM.link_local()), UPSTREAM),
        (configured.link_local().into(), configured),
        (of_subnet.into(), gateway),
    ];
    let outside = Outside {
        default_router: Some(UPSTREAM.link_local()),
        neighbors: neighbors.into(),
    };
    cloud.learn("h2", "ext", Some(outside));
    let hop = |cloud: &Cloud| {
        let journey = Fabric::new(cloud).send("b", &to_far(cloud, "b"));
        journey.outside[0].2.get(Field::ETH_DST)
    };
    assert_eq!(hop(&cloud), u128::from(UPSTREAM.to_u64()));
    let settings = ExternalSettings {
        ipv6_gateway: Some(configured.link_local()),
        ..ExternalSettings::default()
    };
    cloud.external("phys", settings);
    assert_eq!(hop(&cloud), u128::from(configured.to_u64()));
    cloud.subnet("ext6", "ext", "2001:db8:e::/64", None);
    cloud.change_subnet("ext6", |subnet| subnet.gateway_ip = Some(of_subnet.into()));
    cloud.gateway("r", "ext");
    assert_eq!(hop(&cloud), u128::from(gateway.to_u64()));
}

#[test]
fn without_a_next_hop_the_guest_is_told_that_there_is_no_route() {
    let cloud = cloud(None);
    let told = Fabric::new(&cloud).refused("a", &to_far(&cloud, "a"));
    assert_eq!(told.unwrap().problem, sextant_model::Problem::NoRoute);
}

#[test]
fn the_outside_is_answered_for_the_gateway_by_its_hypervisor_alone() {
    let mut cloud = cloud(Some(100));
    cloud.subnet("ext6", "ext", "2001:db8:e::/64", None);
    cloud.gateway("r", "ext");
    let gateway = cloud.get_port("gw-r");
    let global = address(&gateway);
    for asked in [global, gateway.mac_address.link_local()] {
        let ask = solicitation(asked);
        let fabric = Fabric::new(&cloud);
        let journey = fabric.come_in("h2", "phys", &ask);
        let [(_, _, answer)] = &journey.outside[..] else {
            panic!("{journey:?}")
        };
        assert_eq!(answer.get(Field::VLAN_TCI), u128::from(TAGGED));
        assert_eq!(answer.get(Field::ICMPV6_TYPE), 136);
        assert_eq!(
            answer.get(Field::ND_TLL),
            u128::from(gateway.mac_address.to_u64())
        );
        assert!(fabric.come_in("h1", "phys", &ask).is_lost());
    }
}

fn solicitation(target: Ipv6Addr) -> Packet {
    let group = sextant_model::solicited_node(target);
    frames::ethernet(UPSTREAM, frames::multicast_mac(group), 0x86dd)
        .ipv6(Field::IPV6_SRC, UPSTREAM.link_local())
        .ipv6(Field::IPV6_DST, group)
        .with(Field::IP_PROTO, 58u8)
        .with(Field::ICMPV6_TYPE, 135u8)
        .with(Field::NW_TTL, 255u8)
        .ipv6(Field::ND_TARGET, target)
        .mac(Field::ND_SLL, UPSTREAM.0)
        .with(Field::VLAN_TCI, TAGGED)
}

#[test]
fn where_it_is_distributed_each_hypervisor_sends_from_its_own_mac() {
    let mut cloud = cloud(None);
    heard(&mut cloud, "h2");
    let settings = ExternalSettings {
        distributed: true,
        ..ExternalSettings::default()
    };
    cloud.external("phys", settings);
    let sender = |cloud: &Cloud, guest| {
        let journey = Fabric::new(cloud).send(guest, &to_far(cloud, guest));
        let [(hypervisor, _, frame)] = &journey.outside[..] else {
            panic!("{journey:?}")
        };
        (hypervisor.clone(), frame.get(Field::ETH_SRC))
    };
    let gateway = u128::from(cloud.get_port("gw-r").mac_address.to_u64());
    assert_eq!(
        sender(&cloud, "a"),
        ("h2".to_owned(), gateway),
        "nobody heard here yet"
    );
    heard(&mut cloud, "h1");
    let (hypervisor, mac) = sender(&cloud, "a");
    assert_eq!(hypervisor, "h1");
    assert_ne!(mac, gateway);
    assert_eq!(sender(&cloud, "b"), ("h2".to_owned(), gateway));
    assert_eq!(
        sender(&cloud, "c"),
        ("h2".to_owned(), gateway),
        "no bridge there"
    );
}

#[test]
fn a_gateway_moves_when_its_hypervisor_is_gone() {
    let mut cloud = cloud(None);
    heard(&mut cloud, "h1");
    heard(&mut cloud, "h2");
    cloud.mark_gone("h2", true);
    let fabric = Fabric::new(&cloud);
    let journey = fabric.send("c", &to_far(&cloud, "c"));
    assert_eq!(journey.outside[0].0, "h1");
    let journey = fabric.come_in("h1", "phys", &from_far(&cloud, "c"));
    assert_eq!(journey.reached(), ["c"]);
    assert!(
        fabric
            .come_in("h2", "phys", &from_far(&cloud, "b"))
            .is_lost()
    );
}

#[test]
fn what_tells_of_next_hops_goes_up_and_advertisements_to_guests_as_well() {
    let mut cloud = cloud(None);
    cloud.guest("x", "ext", "h2");
    let advertisement =
        frames::ethernet(UPSTREAM, frames::multicast_mac(frames::ALL_NODES), 0x86dd)
            .ipv6(Field::IPV6_SRC, UPSTREAM.link_local())
            .ipv6(Field::IPV6_DST, frames::ALL_NODES)
            .with(Field::IP_PROTO, 58u8)
            .with(Field::ICMPV6_TYPE, 134u8)
            .with(Field::NW_TTL, 255u8);
    let journey = Fabric::new(&cloud).come_in("h2", "phys", &advertisement);
    assert_eq!(
        (journey.punts.clone(), journey.reached()),
        (vec!["heard"], vec!["x"])
    );
    let gateway = cloud.get_port("gw-r");
    let answer = frames::ethernet(UPSTREAM, gateway.mac_address, 0x86dd)
        .ipv6(Field::IPV6_SRC, UPSTREAM.link_local())
        .ipv6(Field::IPV6_DST, gateway.mac_address.link_local())
        .with(Field::IP_PROTO, 58u8)
        .with(Field::ICMPV6_TYPE, 136u8)
        .with(Field::NW_TTL, 255u8)
        .ipv6(Field::ND_TARGET, UPSTREAM.link_local());
    let journey = Fabric::new(&cloud).come_in("h2", "phys", &answer);
    assert_eq!(
        (journey.punts.clone(), journey.reached().len()),
        (vec!["heard"], 0)
    );
}

/// The cloud with an IPv4 subnet outside, in VLAN 100, and what the upstream router sends to the gateway's address.
fn translating(length: usize) -> (Cloud, Packet) {
    let mut cloud = cloud(Some(100));
    cloud.subnet("ext4", "ext", "203.0.113.0/24", None);
    cloud.gateway("r", "ext");
    let gateway = cloud.get_port("gw-r");
    let (_, own) = gateway.ipv4_addresses().next().unwrap();
    let packet = frames::ethernet(UPSTREAM, gateway.mac_address, 0x0800)
        .with(Field::IPV4_SRC, 0xc633_6409u32)
        .with(Field::IPV4_DST, own.to_bits())
        .with(Field::IP_PROTO, 6u8)
        .with(Field::NW_TTL, 60u8)
        .with(Field::VLAN_TCI, TAGGED)
        .long(14 + length);
    (cloud, packet)
}

#[test]
fn the_address_that_guests_are_behind_answers_ping_in_its_vlan() {
    let (cloud, packet) = translating(100);
    let ping = packet
        .with(Field::IP_PROTO, 1u8)
        .with(Field::ICMPV4_TYPE, 8u8);
    let journey = Fabric::new(&cloud).come_in("h2", "phys", &ping);
    let [(_, _, answer)] = &journey.outside[..] else {
        panic!("{journey:?}")
    };
    assert_eq!(answer.get(Field::VLAN_TCI), u128::from(TAGGED));
    assert_eq!(answer.get(Field::ICMPV4_TYPE), 0);
}

#[test]
fn what_is_too_long_for_a_guest_behind_the_gateways_address_is_told_of_as_it_came() {
    let told = |length| {
        let (cloud, packet) = translating(length);
        let told = Fabric::new(&cloud).refused_outside("h2", "phys", &packet);
        told.unwrap().problem
    };
    assert_eq!(told(1431), Problem::TooBig { mtu: 1430 });
    assert_eq!(
        told(1430),
        Problem::OwnAddress,
        "it is part of no connection"
    );
}

#[test]
fn outside_is_told_what_is_not_forwarded() {
    let mut cloud = cloud(Some(100));
    heard(&mut cloud, "h2");
    let nobody = from_far(&cloud, "a")
        .ipv6(Field::IPV6_DST, "2001:db8:a::dead".parse().unwrap())
        .with(Field::VLAN_TCI, TAGGED);
    let spent = from_far(&cloud, "a")
        .with(Field::NW_TTL, 1u8)
        .with(Field::VLAN_TCI, TAGGED);
    for packet in [nobody, spent] {
        let journey = Fabric::new(&cloud).come_in("h2", "phys", &packet);
        assert_eq!(journey.punts, ["icmp_error"], "{journey:?}");
    }
}
