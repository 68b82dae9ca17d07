//! Who reaches whom in random clouds, traced through the flows of every hypervisor.

use super::names::{guest, interface};
use super::steps::{self, GUESTS, NETWORKS, PHYSICAL, ROUTERS};
use super::strategies::step;
use crate::support::cloud::port_id;
use crate::support::frames::{self, ALL_NODES};
use crate::support::{Cloud, Fabric};
use proptest::prelude::*;
use sextant_flows::trace::Packet;
use sextant_model::{
    Binding, Chassis, Direction, IpVersion, MacAddr, Port, RemoteEnd, SecurityGroupRule,
};
use std::net::{IpAddr, Ipv6Addr};
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
            let [from, to] = [from, to].map(|one| one.chassis.encap.endpoints);
            from.ipv6().is_some() && to.ipv6().is_some()
                || from.ipv4().is_some() && to.ipv4().is_some()
        } else {
            attached(from) && attached(to)
        }
}

/// What is sent: UDP, always to this port, between these addresses.
const UDP_PORT: u16 = 5000;

/// Whether both guests' groups allow it, said as plainly as it can be.
fn allowed(
    cloud: &Cloud,
    (from, source): (&Sender<'_>, impl Into<IpAddr>),
    (to, target): (&Sender<'_>, impl Into<IpAddr>),
) -> bool {
    permits(cloud, from.port, Direction::Egress, (to, target.into()))
        && permits(cloud, to.port, Direction::Ingress, (from, source.into()))
}

fn permits(
    cloud: &Cloud,
    port: &Port,
    direction: Direction,
    (peer, address): (&Sender<'_>, IpAddr),
) -> bool {
    let family = match address {
        IpAddr::V6(_) => IpVersion::V6,
        IpAddr::V4(_) => IpVersion::V4,
    };
    let groups = || {
        let ids = port.security_groups.iter();
        ids.filter_map(|id| cloud.intent.security_groups.get(id))
    };
    let rules = || groups().flat_map(|group| cloud.intent.rules_of(group.id));
    let remote = |rule: &SecurityGroupRule| match rule.remote {
        RemoteEnd::Anybody => true,
        RemoteEnd::Prefix(prefix) => prefix.contains(&address),
        RemoteEnd::Group(group) => {
            let known = cloud.intent.security_groups.contains_key(&group);
            let is = |member: &Arc<Port>| {
                let on_link = address == IpAddr::from(member.mac_address.link_local())
                    && member.network_id == peer.port.network_id;
                let pairs = member.allowed_address_pairs.iter();
                let mut pairs = pairs.map(|pair| pair.ip_address);
                let mut own = member.addresses();
                on_link
                    || own.any(|(_, own)| own == address)
                    || pairs.any(|pair| pair.contains(&address))
            };
            known && cloud.intent.ports_under(group).any(is)
        }
    };
    let allows = |rule: &SecurityGroupRule| {
        let range = rule.port_range_min.zip(rule.port_range_max);
        rule.direction == direction
            && rule.ethertype == family
            && range.is_none_or(|(first, last)| (first..=last).contains(&UDP_PORT))
            && remote(rule)
    };
    !port.port_security_enabled || rules().any(|rule| allows(rule))
}

fn link_local(from: &Sender<'_>, to: Ipv6Addr, mac: MacAddr) -> Packet {
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
    let own = from.port.mac_address.link_local();
    for to in all {
        let target = to.port.mac_address.link_local();
        let frame = link_local(from, target, to.port.mac_address);
        let wanted: Vec<_> = neighbors()
            .filter(|one| one.name == to.name)
            .filter(|one| allowed(cloud, (from, own), (one, target)))
            .map(|one| one.name.as_str())
            .collect();
        assert_eq!(fabric.send(&from.name, &frame).reached(), wanted);
    }
    let to_all = link_local(from, ALL_NODES, from.port.mac_address);
    let wanted: Vec<_> = neighbors()
        .filter(|to| allowed(cloud, (from, own), (to, ALL_NODES)))
        .map(|to| to.name.as_str())
        .collect();
    assert_eq!(fabric.send(&from.name, &to_all).reached(), wanted);
}

/// The MACs of router ports on the sender's network by which an address is reached. Of routers that have their gateway on the
/// network of the address nothing is said: external networks have stories of their own.
fn ways(cloud: &Cloud, from: &Sender<'_>, to: IpAddr, on: &Port) -> Vec<(MacAddr, bool)> {
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
    let beyond = |leg: &Port| {
        let router = leg.router().and_then(|id| cloud.intent.routers.get(&id));
        let gateway = router.and_then(|router| router.external_gateway);
        gateway.is_some_and(|gateway| gateway.network_id == on.network_id)
    };
    let way = |router| {
        let mut legs = (0..NETWORKS).filter_map(move |network| port(router, network));
        let near = legs
            .clone()
            .find(|leg| leg.network_id == from.port.network_id)
            .filter(|leg| !beyond(leg))?;
        let covers = |leg: &Port| {
            leg.addresses().any(|(subnet, _)| {
                let subnet = cloud.intent.subnets.get(&subnet);
                subnet.is_some_and(|subnet| subnet.cidr.contains(&to))
            })
        };
        let far = legs.any(|leg| leg.network_id == on.network_id && works(leg) && covers(leg));
        let entered = works(near)
            && near
                .addresses()
                .any(|(_, own)| own.is_ipv4() == to.is_ipv4());
        Some((
            near.mac_address,
            (to.is_ipv6() || entered) && works(near) && far,
        ))
    };
    (0..ROUTERS).filter_map(way).collect()
}

/// UDP between addresses of one family.
fn datagram(from: &Port, source: IpAddr, target: IpAddr, next_hop: MacAddr) -> Option<Packet> {
    let packet = match (source, target) {
        (IpAddr::V6(source), IpAddr::V6(target)) => frames::ipv6(from, source, target, next_hop),
        (IpAddr::V4(source), IpAddr::V4(target)) => frames::ipv4(from, source, target, next_hop),
        (IpAddr::V6(_), IpAddr::V4(_)) | (IpAddr::V4(_), IpAddr::V6(_)) => return None,
    };
    Some(frames::udp(packet, 5000, 5000))
}

/// A routed packet reaches its destination exactly where a working router joins the two networks.
fn assert_routed(cloud: &Cloud, fabric: &Fabric<'_>, from: &Sender<'_>, to: &Sender<'_>) {
    for (_, target) in to.port.addresses() {
        let mut own = from.port.addresses().map(|(_, source)| source);
        let Some(source) = own.find(|source| source.is_ipv4() == target.is_ipv4()) else {
            continue;
        };
        for (gateway, works) in ways(cloud, from, target, to.port) {
            let Some(packet) = datagram(from.port, source, target, gateway) else {
                continue;
            };
            let journey = fabric.send(&from.name, &packet);
            let reached = works
                && joined(cloud, from, to)
                && from.name != to.name
                && allowed(cloud, (from, source), (to, target));
            let wanted: &[&str] = if reached { &[&to.name] } else { &[] };
            assert_eq!(journey.reached(), wanted, "{} to {target}", from.name);
            assert!(journey.lookups[0] <= 17, "{journey:?}");
            assert!(journey.tunnels.len() <= 1);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn everybody_is_reached_by_neighbors_and_through_routers_alone(
        steps in prop::collection::vec(step(), 0..60),
    ) {
        let mut cloud = steps::start();
        steps.iter().for_each(|step| step.apply(&mut cloud));
        let fabric = Fabric::new(&cloud);
        let all = senders(&cloud);
        for from in &all {
            fabric.forget();
            assert_switched(&cloud, &fabric, from, &all);
            all.iter().for_each(|to| assert_routed(&cloud, &fabric, from, to));
        }
    }
}
