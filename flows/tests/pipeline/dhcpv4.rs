//! What of DHCPv4 goes up to the controller, and with which answer.

use crate::support::cloud::{id, port_id};
use crate::support::frames;
use crate::support::show::flows_of;
use crate::support::{Cloud, Fabric};
use rust_openflow::Field;
use sextant_flows::trace::Packet;
use sextant_model::{
    DhcpOption, Dhcpv4Lease, Dhcpv4Place, Dhcpv4Service, FixedIp, HostRoute, IpVersion, MacAddr,
    Punt, SubnetId,
};
use std::net::Ipv4Addr;
use std::sync::Arc;

const GATEWAY: &str = "192.0.2.1";
const NOWHERE: Ipv4Addr = Ipv4Addr::UNSPECIFIED;

/// `a1` with an IPv4 address on a network whose subnet has a gateway.
fn cloud() -> Cloud {
    let mut cloud = Cloud::with_hypervisors(1);
    cloud.network("red");
    cloud.subnet("red4", "red", "192.0.2.0/24", None);
    cloud.change_subnet("red4", |subnet| subnet.gateway_ip = GATEWAY.parse().ok());
    cloud.guest("a1", "red", "h1");
    cloud.change_port("a1", |port| {
        port.fixed_ips = vec![FixedIp {
            subnet_id: SubnetId(id("red4")),
            ip_address: "192.0.2.11".parse().unwrap(),
        }];
    });
    cloud
}

fn told(cloud: &Cloud) -> Option<Arc<Dhcpv4Service>> {
    let flows = flows_of(cloud, "h1");
    flows.iter().find_map(|(_, flow)| match &flow.punt {
        Some(Punt::Dhcpv4(service)) => Some(service.clone()),
        Some(_) | None => None,
    })
}

fn lease(cloud: &Cloud) -> Dhcpv4Lease {
    let service = told(cloud).expect("the port is served");
    assert_eq!(service.leases.len(), 1);
    service.leases[0].clone()
}

/// A message of `a1`.
fn message(cloud: &Cloud, source: Ipv4Addr, to: Ipv4Addr) -> Packet {
    let destination = match to.is_broadcast() {
        true => MacAddr([0xff; 6]),
        false => MacAddr([0xfa, 0x16, 0x3e, 0, 0, 0xfe]),
    };
    let own = cloud.get_port("a1").mac_address;
    let packet = frames::ethernet(own, destination, 0x0800)
        .with(Field::IPV4_SRC, source.to_bits())
        .with(Field::IPV4_DST, to.to_bits());
    frames::udp(packet, 68, 67)
}

fn punts(cloud: &Cloud, message: &Packet) -> Vec<&'static str> {
    Fabric::new(cloud).send("a1", message).punts
}

#[test]
fn broadcasts_and_what_is_for_the_server_come_up_within_twelve_lookups() {
    let cloud = cloud();
    let own = Ipv4Addr::new(192, 0, 2, 11);
    for (source, to) in [
        (NOWHERE, Ipv4Addr::BROADCAST),
        (own, Ipv4Addr::BROADCAST),
        (own, GATEWAY.parse().unwrap()),
    ] {
        let journey = Fabric::new(&cloud).send("a1", &message(&cloud, source, to));
        assert_eq!(journey.punts, ["dhcpv4"], "from {source} to {to}");
        assert!(journey.deliveries.is_empty());
        assert!(journey.lookups[0] <= 12, "{:?}", journey.lookups);
    }
    let elsewhere = message(&cloud, own, Ipv4Addr::new(192, 0, 2, 9));
    assert!(punts(&cloud, &elsewhere).is_empty());
}

#[test]
fn every_dhcpv4_punt_passes_the_meter_of_its_port() {
    let flows = flows_of(&cloud(), "h1");
    let punts: Vec<_> = flows
        .iter()
        .filter(|(_, flow)| matches!(flow.punt, Some(Punt::Dhcpv4(_))))
        .map(|(_, flow)| flow.to_flow_mod(0).to_string())
        .collect();
    assert_eq!(punts.len(), 2);
    assert!(
        punts.iter().all(|text| text.contains("meter:11,")),
        "{punts:?}"
    );
}

#[test]
fn a_guest_is_leased_its_address_with_what_its_subnet_says() {
    let mut cloud = cloud();
    cloud.change_subnet("red4", |subnet| {
        subnet.dns_nameservers = ["192.0.2.53", "2001:db8::53", "0.0.0.0"]
            .map(|server| server.parse().unwrap())
            .to_vec();
        subnet.host_routes = vec![HostRoute {
            destination: "198.51.100.0/24".parse().unwrap(),
            nexthop: "192.0.2.7".parse().unwrap(),
        }];
    });
    let service = told(&cloud).unwrap();
    let port = cloud.get_port("a1");
    assert_eq!(
        (service.port, service.mac),
        (port_id("a1"), port.mac_address)
    );
    assert_eq!((service.lifetime, service.mtu), (86_400, 1430));
    assert_eq!(service.domain.as_ref().unwrap().as_str(), "openstacklocal");
    let lease = lease(&cloud);
    assert_eq!(lease.address.to_string(), "192.0.2.11/24");
    assert_eq!(lease.server.to_string(), GATEWAY);
    assert_eq!(lease.router.unwrap().to_string(), GATEWAY);
    assert_eq!(lease.dns_servers, [Ipv4Addr::new(192, 0, 2, 53)]);
    assert_eq!(lease.host_name.as_str(), "host-192-0-2-11");
    let routes: Vec<_> = lease
        .routes
        .iter()
        .map(|route| format!("{} by {}", route.destination, route.next_hop))
        .collect();
    assert_eq!(
        routes,
        ["198.51.100.0/24 by 192.0.2.7", "0.0.0.0/0 by 192.0.2.1"]
    );
}

#[test]
fn a_guest_searches_the_domains_of_its_port_and_network_first() {
    let mut cloud = cloud();
    assert!(told(&cloud).unwrap().search.is_empty());
    cloud.change_network("red", |network| {
        network.dns_domain = "red.example.".to_owned()
    });
    cloud.change_port("a1", |port| port.dns_domain = "a1.example.".to_owned());
    let service = told(&cloud).unwrap();
    let search: Vec<&str> = service.search.iter().map(|name| name.as_str()).collect();
    assert_eq!(search, ["a1.example", "red.example", "openstacklocal"]);
    assert_eq!(service.domain.as_ref().unwrap().as_str(), "openstacklocal");
    cloud.change_port("a1", |port| port.dns_domain = "openstacklocal.".to_owned());
    assert_eq!(told(&cloud).unwrap().search.len(), 2);
}

#[test]
fn a_default_among_the_host_routes_wins_over_the_gateway() {
    let mut cloud = cloud();
    cloud.change_subnet("red4", |subnet| {
        subnet.host_routes = vec![HostRoute {
            destination: "0.0.0.0/0".parse().unwrap(),
            nexthop: "192.0.2.7".parse().unwrap(),
        }];
    });
    let lease = lease(&cloud);
    assert_eq!(lease.routes.len(), 1);
    assert_eq!(lease.router.unwrap().to_string(), "192.0.2.7");
}

#[test]
fn a_subnet_without_gateway_is_served_from_an_address_that_no_host_has() {
    let mut cloud = cloud();
    cloud.change_subnet("red4", |subnet| subnet.gateway_ip = None);
    let lease = lease(&cloud);
    assert_eq!((lease.router, lease.routes), (None, vec![]));
    assert_eq!(lease.server.to_string(), "169.254.0.67");
    let renewal = message(&cloud, Ipv4Addr::new(192, 0, 2, 11), lease.server);
    assert_eq!(punts(&cloud, &renewal), ["dhcpv4"]);
}

#[test]
fn without_dhcp_or_an_address_there_is_nobody_to_ask() {
    let discover = |cloud: &Cloud| punts(cloud, &message(cloud, NOWHERE, Ipv4Addr::BROADCAST));
    assert_eq!(discover(&cloud()), ["dhcpv4"]);
    let mut off = cloud();
    off.change_subnet("red4", |subnet| subnet.enable_dhcp = false);
    assert!(told(&off).is_none() && discover(&off).is_empty());
    let mut bare = cloud();
    bare.change_port("a1", |port| port.fixed_ips.clear());
    assert!(told(&bare).is_none() && discover(&bare).is_empty());
}

/// Defect 14 of `docs/peer-defects.md`: an option that cannot be sent turns DHCP off for its port, or for every port.
#[test]
fn what_cannot_be_sent_is_left_out_and_the_rest_is_answered() {
    let mut cloud = cloud();
    cloud.change_port("a1", |port| {
        port.extra_dhcp_opts = [
            ("server-ip-address", "123.123.123.456", 4),
            ("tftp-server", "", 4u8),
            ("no-such-option", "1", 4),
            ("mtu", "1300", 4),
            ("router", "", 4),
        ]
        .map(|(name, value, ip_version)| DhcpOption {
            opt_name: name.to_owned(),
            opt_value: value.to_owned(),
            ip_version: IpVersion::try_from(ip_version).unwrap(),
        })
        .to_vec();
    });
    let extra = &told(&cloud).unwrap().extra;
    let places: Vec<Dhcpv4Place> = extra.iter().map(|option| option.place).collect();
    assert_eq!(places, [26, 3].map(Dhcpv4Place::Option));
    assert!(extra[1].is_suppressing(), "no router is told");
}

#[test]
fn a_ports_options_for_ipv4_are_told() {
    let mut cloud = cloud();
    cloud.change_port("a1", |port| {
        port.extra_dhcp_opts = [("mtu", "1300", 4u8), ("dns-server", "2001:db8::1", 6)]
            .map(|(name, value, ip_version)| DhcpOption {
                opt_name: name.to_owned(),
                opt_value: value.to_owned(),
                ip_version: IpVersion::try_from(ip_version).unwrap(),
            })
            .to_vec();
    });
    let extra = &told(&cloud).unwrap().extra;
    assert_eq!(extra.len(), 1);
    assert_eq!(extra[0].place, Dhcpv4Place::Option(26));
}
