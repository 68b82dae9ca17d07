//! Gateways with an address of each family, and what does not get past them.

use super::{UPSTREAM, cloud, from_far, heard, to_far};
use crate::support::cloud::{network_id, port_id};
use crate::support::frames::{self, address};
use crate::support::show::flows_of;
use crate::support::{Cloud, Fabric};
use rust_openflow::{Action, Field, Instruction};
use sextant_flows::trace::{Packet, Tracer};
use sextant_model::{EncapKind, ExternalSettings, MacAddr, Outside, Publish, Punt};
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

const UPSTREAM_IPV4: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 1);

/// With IPv4 outside: the upstream router has 203.0.113.1.
fn dual(vlan: Option<u32>) -> Cloud {
    let mut cloud = cloud(vlan);
    cloud.subnet("ext4", "ext", "203.0.113.0/24", None);
    let upstream = IpAddr::from(UPSTREAM_IPV4);
    cloud.change_subnet("ext4", |subnet| subnet.gateway_ip = Some(upstream));
    cloud.gateway("r", "ext");
    let linklocal = UPSTREAM.link_local();
    let outside = Outside {
        default_router: Some(linklocal),
        neighbors: [(linklocal.into(), UPSTREAM), (upstream, UPSTREAM)].into(),
    };
    cloud.learn("h2", "ext", Some(outside));
    cloud
}

fn arp(destination: MacAddr, operation: u8, target: Ipv4Addr) -> Packet {
    frames::ethernet(UPSTREAM, destination, 0x0806)
        .with(Field::ARP_OP, operation)
        .mac(Field::ARP_SHA, UPSTREAM.0)
        .with(Field::ARP_SPA, UPSTREAM_IPV4.to_bits())
        .with(Field::ARP_TPA, target.to_bits())
}

#[test]
fn the_next_hop_that_asks_for_the_gateway_by_arp_is_answered() {
    let cloud = dual(None);
    let gateway = cloud.get_port("gw-r");
    let own = frames::ipv4_address(&gateway);
    let fabric = Fabric::new(&cloud);
    for asked in [MacAddr([0xff; 6]), gateway.mac_address] {
        let journey = fabric.come_in("h2", "phys", &arp(asked, 1, own));
        let [(_, _, answer)] = &journey.outside[..] else {
            panic!("{journey:?}")
        };
        assert_eq!(answer.get(Field::ARP_OP), 2);
        let mac = u128::from(gateway.mac_address.to_u64());
        assert_eq!(answer.get(Field::ARP_SHA), mac);
    }
    for told in [
        arp(MacAddr([0xff; 6]), 1, UPSTREAM_IPV4),
        arp(MacAddr([0xff; 6]), 2, UPSTREAM_IPV4),
        arp(gateway.mac_address, 2, own),
    ] {
        let journey = fabric.come_in("h2", "phys", &told);
        assert_eq!(journey.punts, ["heard"], "{journey:?}");
    }
}

#[test]
fn what_came_from_a_tunnel_enters_no_other() {
    let mut cloud = cloud(None);
    heard(&mut cloud, "h2");
    let mut other = (*cloud.facts.chassis()[&sextant_model::ChassisId::new("h2")]).clone();
    other.encap.kind = EncapKind::Gre;
    cloud.facts.put_chassis(other);
    let peer = cloud.facts.chassis()[&sextant_model::ChassisId::new("h3")].clone();
    let from = peer.encap.endpoints.addresses().next().unwrap();
    let key = cloud.intent.networks[&network_id("red")].key.0;
    // h3 still believes that the gateway is on h1.
    let late = to_far(&cloud, "c");
    let journey = Fabric::new(&cloud).receive("h1", &late, from, key);
    assert!(journey.tunnels.is_empty(), "{journey:?}");
    assert!(journey.is_lost(), "{journey:?}");
}

#[test]
fn nobody_outside_speaks_from_an_address_inside() {
    let mut cloud = dual(None);
    cloud.network("blue");
    cloud.subnet("blue6", "blue", "2001:db8:b::/64", None);
    cloud.interface("j", "r", "blue");
    cloud.guest("d", "blue", "h1");
    let fabric = Fabric::new(&cloud);
    let arriving = from_far(&cloud, "a");
    assert_eq!(fabric.come_in("h2", "phys", &arriving).reached(), ["a"]);
    for guest in ["a", "b", "d"] {
        let claimed = address(&cloud.get_port(guest));
        let forged = arriving.clone().ipv6(Field::IPV6_SRC, claimed);
        let journey = fabric.come_in("h2", "phys", &forged);
        assert!(journey.is_lost(), "{journey:?}");
    }
}

#[test]
fn who_takes_guests_for_neighbours_may_have_an_address_of_their_prefix() {
    let cloud = dual(None);
    let upstream = "2001:db8:a::1".parse().unwrap();
    let fabric = Fabric::new(&cloud);
    let arriving = from_far(&cloud, "a");
    let from_neighbour = arriving.clone().ipv6(Field::IPV6_SRC, upstream);
    assert!(fabric.come_in("h2", "phys", &from_neighbour).is_lost());
    let mut believed = dual(None);
    let settings = ExternalSettings {
        publish: Publish::NdProxy,
        ..ExternalSettings::default()
    };
    believed.external("phys", settings);
    let journey = Fabric::new(&believed).come_in("h2", "phys", &from_neighbour);
    assert_eq!(journey.reached(), ["a"]);
}

#[test]
fn nobody_outside_speaks_from_an_ipv4_address_inside() {
    let cloud = dual(None);
    let gateway = cloud.get_port("gw-r");
    let forged = frames::ethernet(UPSTREAM, gateway.mac_address, 0x0800)
        .with(
            Field::IPV4_SRC,
            frames::ipv4_address(&cloud.get_port("b")).to_bits(),
        )
        .with(
            Field::IPV4_DST,
            frames::ipv4_address(&cloud.get_port("a")).to_bits(),
        )
        .with(Field::IP_PROTO, 17u8)
        .with(Field::NW_TTL, 60u8);
    let journey = Fabric::new(&cloud).come_in("h2", "phys", &forged);
    assert!(journey.is_lost(), "{journey:?}");
}

#[test]
fn what_is_heard_passes_a_meter_that_nothing_else_takes_from() {
    let cloud = dual(None);
    let flows = flows_of(&cloud, "h2");
    let (mut heard, mut others) = (BTreeSet::new(), BTreeSet::new());
    for (_, flow) in flows.iter() {
        let meters = flow.instructions.iter().flat_map(meters_of);
        match flow.punt {
            Some(Punt::Heard(_)) => heard.extend(meters),
            _ => others.extend(meters),
        }
    }
    assert!(!heard.is_empty() && !others.is_empty());
    assert!(heard.is_disjoint(&others), "{heard:?} {others:?}");
    assert_eq!(flows.meters(), &heard | &others);
}

/// Whoever floods the link with routers of their own making.
#[test]
fn what_a_known_next_hop_says_passes_a_meter_that_strangers_take_nothing_from() {
    let cloud = dual(None);
    let stranger = MacAddr([2, 0, 0, 0, 0, 0x66]);
    let gateway = cloud.get_port("gw-r").mac_address;
    let said = |mac: MacAddr, source: MacAddr, kind: u8, to: MacAddr| {
        frames::ethernet(mac, to, 0x86dd)
            .ipv6(Field::IPV6_SRC, source.link_local())
            .with(Field::IP_PROTO, 58u8)
            .with(Field::ICMPV6_TYPE, kind)
            .with(Field::NW_TTL, 255u8)
            .ipv6(Field::ND_TARGET, source.link_local())
    };
    let flows = flows_of(&cloud, "h2");
    let meters = |packet: Packet| {
        let port = cloud.facts.chassis()[&sextant_model::ChassisId::new("h2")].patch_ports["phys"];
        let packet = packet.with(Field::IN_PORT, port);
        let trace = Tracer::new(&flows).trace(packet).unwrap();
        let flow = |cookie| flows.get(cookie).unwrap();
        let punts = trace.punts.iter().map(|(cookie, _)| flow(*cookie));
        let meters = punts.flat_map(|flow| {
            flow.instructions
                .iter()
                .flat_map(meters_of)
                .collect::<Vec<_>>()
        });
        meters.collect::<BTreeSet<u32>>()
    };
    for kind in [134, 136] {
        for to in [gateway, frames::multicast_mac("ff02::1".parse().unwrap())] {
            let known = meters(said(UPSTREAM, UPSTREAM, kind, to));
            let forged = meters(said(stranger, UPSTREAM, kind, to));
            let made_up = meters(said(stranger, stranger, kind, to));
            assert_eq!(known.len(), 1, "{kind}");
            assert!(known.is_disjoint(&forged) && known.is_disjoint(&made_up));
        }
    }
}

/// The meters that an instruction has packets pass.
pub(crate) fn meters_of(instruction: &Instruction) -> Vec<u32> {
    if let Instruction::Meter(meter) = instruction {
        return vec![*meter];
    }
    let Instruction::Apply(actions) = instruction else {
        return vec![];
    };
    let metered = |action: &Action| {
        let Action::Controller { meter, .. } = action else {
            return None;
        };
        *meter
    };
    actions.iter().filter_map(metered).collect()
}

/// With IPv4 outside, where the next hop is known.
pub(crate) fn with_ipv4() -> Cloud {
    dual(None)
}

/// Whether a packet of this guest was translated before it went up or out, by what the tracker shows of it.
fn is_translated(cloud: &Cloud, guest: &str, packet: &Packet) -> bool {
    let plugged = &cloud.facts.plugged()[&port_id(guest)];
    let flows = flows_of(cloud, plugged.chassis.as_str());
    let packet = packet.clone().with(Field::IN_PORT, plugged.ofport.unwrap());
    let trace = Tracer::new(&flows).trace(packet).unwrap();
    let punts = trace.punts.iter().map(|(_, packet)| packet);
    let out = trace.outputs.iter().map(|output| &output.packet);
    let ends: Vec<&Packet> = punts.chain(out).collect();
    let [end] = ends[..] else { panic!("{trace:?}") };
    end.get(Field::CT_ZONE) >= 0x8000
}

#[test]
fn only_what_leaves_is_translated() {
    let mut cloud = dual(None);
    cloud.change_network("ext", |network| network.mtu = Some(1400));
    let far = Ipv4Addr::new(198, 51, 100, 1);
    let inside = cloud.get_port("i").mac_address;
    let packet = frames::ping4(&cloud.get_port("b"), far, inside);
    assert!(is_translated(&cloud, "b", &packet));
    let told = "what is told of it is about the guest's own address";
    let too_long = packet.clone().long(14 + 1401);
    assert!(!is_translated(&cloud, "b", &too_long), "{told}");
    cloud.learn("h2", "ext", None);
    assert!(!is_translated(&cloud, "b", &packet), "{told}");
}

#[test]
fn a_guest_outside_is_not_translated_to_the_address_of_a_router_there() {
    let mut cloud = dual(None);
    cloud.guest("x", "ext", "h2");
    let gateway = cloud.get_port("gw-r").mac_address;
    let far = Ipv4Addr::new(198, 51, 100, 1);
    let packet = frames::ping4(&cloud.get_port("x"), far, gateway);
    assert!(!is_translated(&cloud, "x", &packet));
}
