//! Who reaches whom in random clouds, traced through the flows of every hypervisor.

use super::steps::{self, GUESTS, NETWORKS, PHYSICAL, ROUTERS, guest, interface};
use crate::support::cloud::port_id;
use crate::support::frames::{self, ALL_NODES};
use crate::support::{Cloud, Fabric};
use proptest::prelude::*;
use sextant_model::{Binding, Chassis, MacAddr, Port};
use std::net::Ipv6Addr;
use std::sync::Arc;

/// A guest that can send: it and its network are up, and it is plugged in.
struct Sender<'a> {
    name: String,
    port: &'a Arc<Port>,
    binding: &'a Binding,
    chassis: &'a Arc<Chassis>,
}

fn senders(cloud: &Cloud) -> Vec<Sender<'_>> {
    let sender = |number| {
        let name = guest(number);
        let port = cloud.intent.ports.get(&port_id(&name))?;
        let network = cloud.intent.networks.get(&port.network_id)?;
        let binding = cloud.facts.binding(port.id)?;
        binding.ofport?;
        let chassis = cloud.facts.chassis().get(&binding.chassis)?;
        (port.admin_state_up && network.admin_state_up).then_some(Sender {
            name,
            port,
            binding,
            chassis,
        })
    };
    (0..GUESTS).filter_map(sender).collect()
}

/// Whether frames of the receiver's network get from one hypervisor to the other.
fn joined(cloud: &Cloud, from: &Sender<'_>, to: &Sender<'_>) -> bool {
    let network = &cloud.intent.networks[&to.port.network_id];
    let attached = |one: &Sender<'_>| one.chassis.patch_ports.contains_key(PHYSICAL);
    from.binding.chassis == to.binding.chassis
        || if network.network_type.is_tunnelled() {
            from.chassis.encap.ip.is_ipv6() == to.chassis.encap.ip.is_ipv6()
        } else {
            attached(from) && attached(to)
        }
}

fn link_local(from: &Sender<'_>, to: Ipv6Addr, mac: MacAddr) -> sextant_flows::trace::Packet {
    let source = from.port.mac_address.link_local();
    frames::udp(frames::ipv6(from.port, source, to, mac), 5000, 5000)
}

/// Frames stay on their network and reach everybody there, wherever they are.
fn assert_switched(cloud: &Cloud, fabric: &Fabric<'_>, from: &Sender<'_>, all: &[Sender<'_>]) {
    let neighbors = || {
        let same = |to: &&Sender<'_>| to.port.network_id == from.port.network_id;
        all.iter()
            .filter(same)
            .filter(|to| to.name != from.name && joined(cloud, from, to))
    };
    for to in all {
        let frame = link_local(from, to.port.mac_address.link_local(), to.port.mac_address);
        let wanted: Vec<_> = neighbors()
            .filter(|one| one.name == to.name)
            .map(|one| one.name.as_str())
            .collect();
        assert_eq!(fabric.send(&from.name, &frame).reached(), wanted);
    }
    let to_all = link_local(from, ALL_NODES, from.port.mac_address);
    let wanted: Vec<_> = neighbors().map(|to| to.name.as_str()).collect();
    assert_eq!(fabric.send(&from.name, &to_all).reached(), wanted);
}

/// The MACs of router ports on the sender's network by which an address is reached.
fn ways(cloud: &Cloud, from: &Sender<'_>, to: Ipv6Addr, on: &Port) -> Vec<(MacAddr, bool)> {
    let port = |router, network| {
        cloud
            .intent
            .ports
            .get(&port_id(&interface(router, network)))
    };
    let works = |port: &Port| {
        port.router()
            .and_then(|id| cloud.intent.routers.get(&id))
            .is_some_and(|router| router.admin_state_up)
            && port.admin_state_up
    };
    let way = |router| {
        let mut legs = (0..NETWORKS).filter_map(move |network| port(router, network));
        let near = legs
            .clone()
            .find(|leg| leg.network_id == from.port.network_id)?;
        let covers = |leg: &Port| {
            leg.ipv6_addresses().any(|(subnet, _)| {
                let prefix = cloud
                    .intent
                    .subnets
                    .get(&subnet)
                    .and_then(|subnet| subnet.ipv6_prefix());
                prefix.is_some_and(|prefix| prefix.contains(&to))
            })
        };
        let far = legs.any(|leg| leg.network_id == on.network_id && works(leg) && covers(leg));
        Some((near.mac_address, works(near) && far))
    };
    (0..ROUTERS).filter_map(way).collect()
}

/// A routed packet reaches its destination exactly where a working router joins the two networks.
fn assert_routed(cloud: &Cloud, fabric: &Fabric<'_>, from: &Sender<'_>, to: &Sender<'_>) {
    let Some((_, source)) = from.port.ipv6_addresses().next() else {
        return;
    };
    for (_, target) in to.port.ipv6_addresses() {
        for (gateway, works) in ways(cloud, from, target, to.port) {
            let packet = frames::udp(frames::ipv6(from.port, source, target, gateway), 5000, 5000);
            let journey = fabric.send(&from.name, &packet);
            let reached = works && joined(cloud, from, to) && from.name != to.name;
            let wanted: &[&str] = if reached { &[&to.name] } else { &[] };
            assert_eq!(journey.reached(), wanted, "{} to {target}", from.name);
            assert!(journey.lookups[0] <= 16);
            assert!(journey.tunnels.len() <= 1);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn everybody_is_reached_by_neighbors_and_through_routers_alone(
        steps in prop::collection::vec(steps::step(), 0..60),
    ) {
        let mut cloud = steps::start();
        steps.iter().for_each(|step| step.apply(&mut cloud));
        let fabric = Fabric::new(&cloud);
        let all = senders(&cloud);
        for from in &all {
            assert_switched(&cloud, &fabric, from, &all);
            all.iter().for_each(|to| assert_routed(&cloud, &fabric, from, to));
        }
    }
}
