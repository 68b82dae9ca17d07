//! Routing between guests on two hypervisors, who are ordinary Linux.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use serde_json::json;
use sextant_lab::story::{Failure, Outcome, World, ensure};
use sextant_lab::{Guest, Port, PortSpec, Router, Subnet, SubnetSpec};

const SOON: Duration = Duration::from_secs(30);

/// A network with an IPv6 and an IPv4 subnet on the router, and a guest on it.
struct Segment {
    subnets: [Subnet; 2],
    guest: Guest,
    port: Port,
}

impl Segment {
    fn start(
        world: &World,
        router: &Router,
        name: &str,
        host: usize,
        cidrs: [&str; 2],
    ) -> Result<Self, Failure> {
        let api = world.lab.api();
        let network = api.create_network(name)?;
        let ipv6 = api.create_subnet(&network, &SubnetSpec::with_mode(cidrs[0], "slaac"))?;
        let spec = SubnetSpec {
            cidr: cidrs[1],
            ..SubnetSpec::default()
        };
        let ipv4 = api.create_subnet(&network, &spec)?;
        let subnets = [ipv6, ipv4];
        for subnet in &subnets {
            api.add_interface(router, subnet)?;
        }
        let guest_name = format!("{name}1");
        let spec = PortSpec {
            name: &guest_name,
            ..PortSpec::default()
        };
        let port = api.create_port(&network, &spec)?;
        let guest = world
            .lab
            .hypervisor(host)
            .add_guest(&port.guest(&guest_name))?;
        world.wait_status(&port, "ACTIVE")?;
        Ok(Self {
            subnets,
            guest,
            port,
        })
    }

    fn ipv4(&self) -> Ipv4Addr {
        let mut own = self.port.addresses.iter();
        own.find_map(|address| match address {
            IpAddr::V4(address) => Some(*address),
            IpAddr::V6(_) => None,
        })
        .unwrap_or(Ipv4Addr::UNSPECIFIED)
    }

    fn ipv6(&self) -> Ipv6Addr {
        let mut own = self.port.addresses.iter();
        own.find_map(|address| match address {
            IpAddr::V6(address) => Some(*address),
            IpAddr::V4(_) => None,
        })
        .unwrap_or(Ipv6Addr::UNSPECIFIED)
    }

    /// The router's address of each family.
    fn gateways(&self) -> [String; 2] {
        let text = |subnet: &Subnet| {
            let gateway = subnet.gateway;
            gateway.map_or_else(String::new, |gateway| gateway.to_string())
        };
        [text(&self.subnets[0]), text(&self.subnets[1])]
    }

    fn gateway(&self) -> String {
        let [_, ipv4] = self.gateways();
        ipv4
    }

    /// Takes the addresses and default routes that the cloud gives.
    fn configure(&self) -> Outcome {
        let (_client, _lease) = self.guest.dhclient4(SOON)?;
        let gateway = self.gateway();
        let route = ["ip", "-4", "route", "replace", "default", "via", &gateway];
        self.guest.run(&route)?;
        self.guest.wait_address(self.ipv6(), SOON)?;
        self.guest.wait_default_route(SOON)?;
        Ok(())
    }
}

/// Two hypervisors, two networks on one router, a dual-stack guest on each.
fn start() -> Result<(World, Router, Segment, Segment), Failure> {
    let mut world = World::start()?;
    world.join()?;
    let router = world.lab.api().create_router("r1")?;
    let red = ["2001:db8:a::/64", "192.0.2.0/25"];
    let red = Segment::start(&world, &router, "red", 1, red)?;
    let blue = ["2001:db8:b::/64", "198.51.100.0/24"];
    let blue = Segment::start(&world, &router, "blue", 2, blue)?;
    red.configure()?;
    blue.configure()?;
    Ok((world, router, red, blue))
}

/// What ping says once an address has answered three times; the first packets of a tunnel wait for its other end's MAC.
fn ping(from: &Guest, to: &str) -> Result<String, Failure> {
    let words = ["ping", "-n", "-c", "3", "-i", "0.1", "-w", "15", to];
    Ok(from.run(&words)?.stdout)
}

#[test]
fn dual_stack_guests_of_two_hypervisors_reach_each_other_and_their_routers() -> Outcome {
    let (_world, _router, red, blue) = start()?;
    for (from, to) in [(&red, &blue), (&blue, &red)] {
        let targets = [
            (to.ipv4().to_string(), 63),
            (to.ipv6().to_string(), 63),
            (from.gateway(), 64),
            (to.gateway(), 64),
        ];
        for (target, hop_limit) in targets {
            let said = ping(&from.guest, &target)?;
            let all = said.contains("3 received");
            let hops = said.contains(&format!("ttl={hop_limit} "));
            ensure(all && hops, || said)?;
        }
    }
    Ok(())
}

/// What ping says of two requests that are not answered.
fn refused(from: &Guest, ttl: &str, to: &str) -> Result<String, Failure> {
    let script = format!("ping -n -c 2 -i 0.2 -W 2 -t {ttl} {to} || true");
    Ok(from.run(&["sh", "-c", &script])?.stdout)
}

#[test]
fn a_guest_is_told_by_its_router_why_nothing_is_forwarded() -> Outcome {
    let (_world, _router, red, blue) = start()?;
    let far = (blue.ipv6().to_string(), blue.ipv4().to_string());
    let [gateway6, gateway4] = red.gateways();
    for (gateway, ttl, target, wanted) in [
        (&gateway6, "1", far.0.as_str(), "Time exceeded: Hop limit"),
        (&gateway4, "1", far.1.as_str(), "Time to live exceeded"),
        (
            &gateway6,
            "64",
            "2001:db8:c::9",
            "Destination unreachable: No route",
        ),
        (
            &gateway4,
            "64",
            "203.0.113.9",
            "Destination Net Unreachable",
        ),
        (
            &gateway6,
            "64",
            "2001:db8:b::9",
            "Destination unreachable: Address unreachable",
        ),
        (
            &gateway4,
            "64",
            "198.51.100.99",
            "Destination Host Unreachable",
        ),
    ] {
        let said = refused(&red.guest, ttl, target)?;
        let told = said.lines().any(|line| {
            line.to_lowercase().contains(&format!("from {gateway} ")) && line.contains(wanted)
        });
        ensure(told, || format!("{target}: {said}"))?;
    }
    Ok(())
}

#[test]
fn a_guest_that_routes_is_reached_by_a_route() -> Outcome {
    let (world, router, red, blue) = start()?;
    let (far6, far4) = ("2001:db8:ff::1", "203.0.113.1");
    for far in [far6, far4] {
        blue.guest.run(&["ip", "addr", "add", far, "dev", "lo"])?;
    }
    let api = world.lab.api();
    let routes = json!({"router": {"routes": [
        {"destination": "2001:db8:ff::/48", "nexthop": blue.ipv6().to_string()},
        {"destination": "203.0.113.0/24", "nexthop": blue.ipv4().to_string()},
    ]}});
    let pairs = json!({"port": {"allowed_address_pairs": [
        {"ip_address": far6}, {"ip_address": far4},
    ]}});
    for (path, wanted) in [
        (format!("/v2.0/routers/{}", router.id), &routes),
        (format!("/v2.0/ports/{}", blue.port.id), &pairs),
    ] {
        let (status, body) = api.put(&path, wanted)?;
        ensure(status == 200, || format!("{path}: {status} {body}"))?;
    }
    for far in [far6, far4] {
        let said = ping(&red.guest, far)?;
        ensure(said.contains("3 received"), || said)?;
    }
    Ok(())
}
