//! Prefixes that routers ask for outside.

use super::{UPSTREAM, cloud};
use crate::support::cloud::id;
use crate::support::frames::{self, udp};
use crate::support::{Cloud, Fabric, show};
use rust_openflow::Field;
use sextant_flows::Flows;
use sextant_flows::trace::Packet;
use sextant_model::{ChassisId, FixedIp, Ipv6Mode, PrefixSource, SubnetId};
use std::collections::BTreeSet;
use std::net::Ipv6Addr;

const SERVER: u16 = 547;
const CLIENT: u16 = 546;

/// The router's other subnet waits for a prefix.
fn waiting(vlan: Option<u32>) -> Cloud {
    let mut cloud = cloud(vlan);
    cloud.network("blue");
    cloud.subnet("late6", "blue", "::/64", Some(Ipv6Mode::Slaac));
    cloud.change_subnet("late6", |subnet| {
        subnet.prefix_source = PrefixSource::Delegated
    });
    interface(&mut cloud, "i-blue", "r");
    cloud
}

fn interface(cloud: &mut Cloud, name: &str, router: &str) {
    cloud.interface(name, router, "blue");
    let waiting = FixedIp {
        subnet_id: SubnetId(id("late6")),
        ip_address: Ipv6Addr::UNSPECIFIED.into(),
    };
    cloud.change_port(name, |port| port.fixed_ips.push(waiting));
}

fn asked_for(cloud: &Cloud, hypervisor: &str) -> BTreeSet<SubnetId> {
    let chassis = ChassisId::new(hypervisor);
    let flows = Flows::compute(&cloud.intent, &cloud.facts, &chassis);
    let uplinks = flows.uplinks().into_values();
    let speakers = uplinks.flat_map(|uplink| uplink.speakers.into_values());
    speakers.flat_map(|speaker| speaker.delegated).collect()
}

/// What a server sends to the gateway.
fn answer(cloud: &Cloud, to: u16) -> Packet {
    let gateway = cloud.get_port("gw-r").mac_address;
    let packet = frames::ethernet(UPSTREAM, gateway, 0x86dd)
        .ipv6(Field::IPV6_SRC, UPSTREAM.link_local())
        .ipv6(Field::IPV6_DST, gateway.link_local())
        .with(Field::NW_TTL, 64u8);
    udp(packet, SERVER, to)
}

#[test]
fn the_hypervisor_with_the_gateway_asks_and_hears_what_servers_answer() {
    let mut cloud = waiting(Some(100));
    let subnet = SubnetId(id("late6"));
    let at = |cloud: &Cloud| ["h1", "h2"].map(|at| asked_for(cloud, at).contains(&subnet));
    assert_eq!(at(&cloud), [false, true]);
    let came_in = |cloud: &Cloud, port| {
        let arriving = answer(cloud, port).with(Field::VLAN_TCI, 0x1064u16);
        Fabric::new(cloud).come_in("h2", "phys", &arriving).punts
    };
    assert_eq!(came_in(&cloud, CLIENT), ["delegation"]);
    assert_eq!(came_in(&cloud, SERVER), ["icmp_error"]);

    cloud.mark_gone("h2", true);
    assert_eq!(at(&cloud), [true, false]);
}

#[test]
fn nobody_asks_without_a_gateway_or_without_an_interface_and_one_router_of_several() {
    let mut cloud = waiting(None);
    let subnet = SubnetId(id("late6"));
    let routers = |cloud: &Cloud| {
        let of_router = |name: &&str| {
            let router = &cloud.intent.routers[&sextant_model::RouterId(id(name))];
            cloud
                .intent
                .delegated_to(router)
                .any(|asked| asked.id == subnet)
        };
        ["r", "other"].iter().filter(|name| of_router(name)).count()
    };
    cloud.router("other");
    assert_eq!(routers(&cloud), 1);
    interface(&mut cloud, "i-other", "other");
    cloud.gateway("other", "ext");
    assert_eq!(routers(&cloud), 1);
    let changed = show::change(&mut cloud, "h2", |cloud| {
        cloud.delete_port("i-blue");
        cloud.no_gateway("other");
    });
    assert!(
        changed.contains("udp_dst=546") || changed.contains("tp_dst=546"),
        "{changed}"
    );
    assert_eq!(routers(&cloud), 0);
    assert_eq!(asked_for(&cloud, "h2"), BTreeSet::new());
}
