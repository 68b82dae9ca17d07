//! What goes up to the controller, and with which answer. For DHCPv4 see `dhcpv4.rs`.

use crate::support::cloud::{id, network_id, port_id};
use crate::support::frames::{self, ALL_ROUTERS};
use crate::support::show::flows_of;
use crate::support::{Cloud, Fabric, show};
use insta::assert_snapshot;
use rust_openflow::Field;
use sextant_flows::pipeline::Stage;
use sextant_model::{
    Advertisement, Delegation, Dhcpv6Service, EncapKind, FixedIp, Ipv6Mode, MacAddr, PrefixEnds,
    PrefixSource, Punt, SubnetId,
};
use std::collections::BTreeSet;
use std::net::Ipv6Addr;
use std::sync::Arc;

/// A network of this mode with a router, and `a1` on it.
fn cloud(mode: Option<Ipv6Mode>) -> Cloud {
    let mut cloud = Cloud::with_hypervisors(1);
    cloud.network("red");
    cloud.subnet("red6", "red", "2001:db8:a::/64", mode);
    cloud.router("r1");
    cloud.interface("r1-red", "r1", "red");
    cloud.guest("a1", "red", "h1");
    cloud
}

fn punts(cloud: &Cloud) -> Vec<Punt> {
    let flows = flows_of(cloud, "h1");
    flows
        .iter()
        .filter_map(|(_, flow)| flow.punt.clone())
        .collect()
}

fn heard(cloud: &Cloud) -> Vec<Arc<Advertisement>> {
    let found = punts(cloud).into_iter().find_map(|punt| match punt {
        Punt::RouterSolicitation { advertisements, .. } => Some(advertisements),
        Punt::Dhcpv6(_)
        | Punt::Dhcpv4(_)
        | Punt::IcmpError(_)
        | Punt::Heard(_)
        | Punt::Unresolved(_)
        | Punt::PrefixClientMessage(_)
        | Punt::NeighborSolicitation(_)
        | Punt::BareSolicitation
        | Punt::Announced(_)
        | Punt::Appeared(_)
        | Punt::Unheld(_)
        | Punt::GroupEcho(_)
        | Punt::Probed
        | Punt::Captured(..) => None,
    });
    found.unwrap_or_default()
}

fn told(cloud: &Cloud) -> Option<Arc<Dhcpv6Service>> {
    punts(cloud).into_iter().find_map(|punt| match punt {
        Punt::Dhcpv6(service) => Some(service),
        Punt::RouterSolicitation { .. }
        | Punt::Dhcpv4(_)
        | Punt::IcmpError(_)
        | Punt::Heard(_)
        | Punt::Unresolved(_)
        | Punt::PrefixClientMessage(_)
        | Punt::NeighborSolicitation(_)
        | Punt::BareSolicitation
        | Punt::Announced(_)
        | Punt::Appeared(_)
        | Punt::Unheld(_)
        | Punt::GroupEcho(_)
        | Punt::Probed
        | Punt::Captured(..) => None,
    })
}

fn solicitation(cloud: &Cloud) -> sextant_flows::trace::Packet {
    let a1 = cloud.get_port("a1");
    frames::discovery(&a1, a1.mac_address.link_local(), ALL_ROUTERS, 133)
}

#[test]
fn flows_of_the_three_modes() {
    for (name, mode) in [
        ("slaac", Ipv6Mode::Slaac),
        ("stateless", Ipv6Mode::Dhcpv6Stateless),
        ("stateful", Ipv6Mode::Dhcpv6Stateful),
    ] {
        let cloud = cloud(Some(mode));
        assert_snapshot!(
            format!("flows_of_{name}"),
            show::stage(&cloud, "h1", sextant_flows::pipeline::Stage::Punt)
        );
    }
}

/// Defect 16 of `docs/peer-defects.md`: M without O in stateful mode.
#[test]
fn flags_follow_the_modes() {
    for (mode, managed, other, autonomous) in [
        (Ipv6Mode::Slaac, false, false, true),
        (Ipv6Mode::Dhcpv6Stateless, false, true, true),
        (Ipv6Mode::Dhcpv6Stateful, true, true, false),
    ] {
        let [advertisement] = &heard(&cloud(Some(mode)))[..] else {
            panic!("one router, one advertisement");
        };
        let flags = (
            advertisement.managed,
            advertisement.other,
            advertisement.prefixes[0].autonomous,
        );
        assert_eq!(flags, (managed, other, autonomous), "{mode}");
        assert_eq!(advertisement.mtu, Some(1430));
    }
    assert!(heard(&cloud(None)).is_empty());
}

#[test]
fn the_two_attributes_are_independent() {
    for ra in [None, Some(Ipv6Mode::Slaac), Some(Ipv6Mode::Dhcpv6Stateful)] {
        for address in [None, Some(Ipv6Mode::Slaac), Some(Ipv6Mode::Dhcpv6Stateful)] {
            let mut cloud = cloud(None);
            cloud.change_subnet("red6", |subnet| {
                subnet.ipv6_ra_mode = ra;
                subnet.ipv6_address_mode = address;
            });
            assert_eq!(heard(&cloud).len(), usize::from(ra.is_some()));
            let served = address == Some(Ipv6Mode::Dhcpv6Stateful);
            assert_eq!(told(&cloud).is_some(), served);
        }
    }
}

#[test]
fn a_stateful_guest_is_leased_its_own_addresses() {
    let cloud = cloud(Some(Ipv6Mode::Dhcpv6Stateful));
    let service = told(&cloud).unwrap();
    assert_eq!(service.port, port_id("a1"));
    let leased: Vec<Ipv6Addr> = service
        .addresses
        .iter()
        .map(|lease| lease.address)
        .collect();
    assert_eq!(leased, [frames::address(&cloud.get_port("a1"))]);
    let name = service.options.fqdn.as_ref().unwrap().as_str();
    assert_eq!(
        name,
        format!("host-{}.openstacklocal", leased[0]).replace(':', "-")
    );
    assert_eq!(
        told(&self::cloud(Some(Ipv6Mode::Dhcpv6Stateless)))
            .unwrap()
            .addresses,
        []
    );
}

#[test]
fn without_dhcp_or_router_nobody_is_told_anything() {
    let mut without = cloud(Some(Ipv6Mode::Dhcpv6Stateful));
    without.change_subnet("red6", |subnet| subnet.enable_dhcp = false);
    let tells = |punt: &Punt| matches!(punt, Punt::RouterSolicitation { .. } | Punt::Dhcpv6(_));
    assert!(!punts(&without).iter().any(tells));

    let mut unrouted = cloud(Some(Ipv6Mode::Slaac));
    unrouted.delete_port("r1-red");
    assert!(heard(&unrouted).is_empty());

    let mut down = cloud(Some(Ipv6Mode::Slaac));
    down.change_router("r1", |router| router.admin_state_up = false);
    assert!(heard(&down).is_empty());
    assert!(flows_of(&down, "h1").links().is_empty());
    let journey = Fabric::new(&down).send("a1", &solicitation(&down));
    assert!(journey.punts.is_empty());
}

#[test]
fn every_router_of_a_link_is_heard() {
    let mut cloud = cloud(Some(Ipv6Mode::Slaac));
    cloud.router("r2");
    cloud.interface("r2-red", "r2", "red");
    let macs: Vec<MacAddr> = heard(&cloud).iter().map(|router| router.mac).collect();
    assert_eq!(
        macs,
        ["r1-red", "r2-red"].map(|port| cloud.get_port(port).mac_address)
    );
    assert_eq!(flows_of(&cloud, "h1").links().len(), 2);
}

#[test]
fn questions_for_the_controller_come_up_within_twelve_lookups() {
    let cloud = cloud(Some(Ipv6Mode::Dhcpv6Stateful));
    let fabric = Fabric::new(&cloud);
    for (frame, kind) in [
        (solicitation(&cloud), "router_solicitation"),
        (frames::dhcpv6(&cloud.get_port("a1")), "dhcpv6"),
    ] {
        let journey = fabric.send("a1", &frame);
        assert_eq!(journey.punts, [kind]);
        assert!(journey.deliveries.is_empty());
        assert!(journey.lookups[0] <= 12, "{:?}", journey.lookups);
    }
    let passed_a_router = solicitation(&cloud).with(Field::NW_TTL, 64u8);
    assert!(fabric.send("a1", &passed_a_router).punts.is_empty());
}

/// Defect 25 of `docs/peer-defects.md`: control packets that pass no meter. What routers refuse has passed it before
/// (see `icmp_error`).
#[test]
fn every_punt_passes_the_meter_of_its_port() {
    let cloud = cloud(Some(Ipv6Mode::Dhcpv6Stateful));
    let flows = flows_of(&cloud, "h1");
    let punts: Vec<_> = flows
        .iter()
        .filter(|(_, flow)| flow.punt.is_some() && flow.stage != Stage::Report)
        .filter(|(_, flow)| flow.punt != Some(Punt::Probed))
        .map(|(_, flow)| flow.to_flow_mod(0).to_string())
        .collect();
    assert_eq!(punts.len(), 5);
    let metered = |flow: &String| flow.contains("meter:11,") || flow.contains("meter_id=11");
    assert!(punts.iter().all(metered), "{punts:?}");
}

#[test]
fn each_guests_punts_pass_its_own_meter() {
    let mut cloud = cloud(Some(Ipv6Mode::Slaac));
    cloud.guest("a2", "red", "h1");
    let meters: Vec<u32> = flows_of(&cloud, "h1").meters().into_iter().collect();
    let of_fragments = |port: u32| 1 << 17 | port;
    let of_probes = [1, 2, 3];
    let of_guests = [11, 12, of_fragments(11), of_fragments(12)];
    assert_eq!(meters, [&of_probes[..], &of_guests].concat());
}

#[test]
fn probes_of_each_tunnel_pass_its_own_meter() {
    let cloud = cloud(Some(Ipv6Mode::Slaac));
    let flows = flows_of(&cloud, "h1");
    let probes = flows
        .iter()
        .filter(|(_, flow)| flow.punt == Some(Punt::Probed));
    let probes: BTreeSet<String> = probes
        .map(|(_, flow)| flow.to_flow_mod(0).to_string())
        .collect();
    assert_eq!(probes.len(), 3);
    for (port, probe) in (1..).zip(&probes) {
        let own = format!("in_port={port},");
        assert!(
            probe.contains(&own) && probe.contains("tun_id=0,"),
            "{probe}"
        );
        assert!(probe.contains(&format!("meter:{port},")), "{probe}");
    }
}

#[test]
fn the_mtu_follows_the_worst_encapsulation() {
    let mut cloud = cloud(Some(Ipv6Mode::Slaac));
    cloud.hypervisor("h1", "192.0.2.1".parse().unwrap(), EncapKind::Gre);
    assert_eq!(heard(&cloud)[0].mtu, Some(1458));
    cloud.hypervisor("h2", "2001:db8:77::2".parse().unwrap(), EncapKind::Vxlan);
    assert_eq!(heard(&cloud)[0].mtu, Some(1430));
    cloud.change_network("red", |network| network.mtu = Some(1200));
    assert_eq!(heard(&cloud)[0].mtu, None, "no IPv6 link may be that small");
}

#[test]
fn a_prefix_that_is_still_to_be_delegated_is_told_to_nobody_and_changes_no_flow() {
    let mut cloud = cloud(Some(Ipv6Mode::Slaac));
    let before = heard(&cloud);
    let changed = show::change(&mut cloud, "h1", |cloud| {
        cloud.subnet("late6", "red", "::/64", Some(Ipv6Mode::Slaac));
        cloud.change_subnet("late6", |subnet| {
            subnet.prefix_source = PrefixSource::Delegated;
        });
        for (port, address) in [("r1-red", "::"), ("a1", "::f816:3eff:fe00:1")] {
            let waiting = FixedIp {
                subnet_id: SubnetId(id("late6")),
                ip_address: address.parse().unwrap(),
            };
            cloud.change_port(port, |port| port.fixed_ips.push(waiting));
        }
    });
    assert_eq!(changed, "");
    assert_eq!(heard(&cloud), before);
}

#[test]
fn a_guest_is_told_its_full_name() {
    let mut cloud = cloud(Some(Ipv6Mode::Dhcpv6Stateful));
    let unnamed = told(&cloud).unwrap().options.fqdn.clone().unwrap();
    assert!(
        unnamed.to_string().starts_with("host-2001-db8-a-"),
        "{unnamed}"
    );
    cloud.change_port("a1", |port| port.dns_name = "web".to_owned());
    let fqdn = told(&cloud).unwrap().options.fqdn.clone();
    assert_eq!(fqdn, Some("web.openstacklocal".parse().unwrap()));
}

#[test]
fn guests_search_the_domain_of_their_network() {
    let mut cloud = cloud(Some(Ipv6Mode::Dhcpv6Stateful));
    assert_eq!(told(&cloud).unwrap().domains, ["openstacklocal"]);
    assert!(heard(&cloud)[0].options.search_domains.is_empty());
    cloud.change_network("red", |network| {
        network.dns_domain = "red.example.".to_owned()
    });
    assert_eq!(
        told(&cloud).unwrap().domains,
        ["red.example", "openstacklocal"]
    );
    let advertised = heard(&cloud)[0].options.search_domains.clone();
    assert_eq!(advertised, ["red.example".parse().unwrap()]);
}

#[test]
fn a_delegated_prefix_ends_with_its_delegation_and_at_once_without_one() {
    let mut cloud = cloud(Some(Ipv6Mode::Slaac));
    let ends = |cloud: &Cloud| heard(cloud)[0].prefixes[0].ends;
    assert_eq!(ends(&cloud), None);
    cloud.change_subnet("red6", |subnet| {
        subnet.prefix_source = PrefixSource::Delegated;
    });
    let over = ends(&cloud).unwrap();
    assert_eq!(over.valid_until.max(over.preferred_until), i64::MIN);
    for (prefix, known) in [("2001:db8:a::/56", true), ("2001:db8:b::/64", false)] {
        let delegation = Delegation {
            network: network_id("ext"),
            prefix: prefix.parse().unwrap(),
            server: vec![],
            renew_at: 100,
            rebind_at: 200,
            preferred_until: 300,
            valid_until: 400,
        };
        let subnet = SubnetId(id("red6"));
        cloud.facts.delegate(subnet, Some(Arc::new(delegation)));
        let of_delegation = PrefixEnds {
            preferred_until: 300,
            valid_until: 400,
        };
        let expected = if known { of_delegation } else { over };
        assert_eq!(ends(&cloud), Some(expected), "{prefix}");
    }
}
