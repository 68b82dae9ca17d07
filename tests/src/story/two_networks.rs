//! What tests of routing begin with: two dual-stack networks on one router, and a guest of each on a hypervisor of its own.

use super::world::SOON;
use super::{Failure, Outcome, World};
use crate::{Guest, Network, Port, PortSpec, Router, Subnet, SubnetSpec};
use serde_json::Value;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Two networks and what joins them.
#[derive(Debug)]
pub struct TwoNetworks {
    /// The lab and the controller, both hypervisors joined.
    pub world: World,
    /// The router.
    pub router: Router,
    /// On h1: 2001:db8:a::/64 and 192.0.2.0/25.
    pub red: DualStack,
    /// On h2: 2001:db8:b::/64 and 198.51.100.0/24.
    pub blue: DualStack,
}

impl TwoNetworks {
    /// Makes all of it in a fresh world; `blue` has more attributes of that network. The guests have their addresses and
    /// routes.
    ///
    /// # Errors
    /// The API refuses, or something does not come about within 30 seconds.
    pub fn start(mut world: World, blue: Value) -> Result<Self, Failure> {
        world.join()?;
        let api = world.lab.api();
        let router = api.create_router("r1")?;
        let network = api.create_network("red")?;
        let cidrs = ["2001:db8:a::/64", "192.0.2.0/25"];
        let red = DualStack::start(&world, &router, &network, 1, cidrs)?;
        let network = api.create_network_with("blue", blue)?;
        let cidrs = ["2001:db8:b::/64", "198.51.100.0/24"];
        let blue = DualStack::start(&world, &router, &network, 2, cidrs)?;
        red.configure()?;
        blue.configure()?;
        Ok(Self {
            world,
            router,
            red,
            blue,
        })
    }
}

/// A network with an IPv6 and an IPv4 subnet on a router, and a guest on it.
#[derive(Debug)]
pub struct DualStack {
    subnets: [Subnet; 2],
    /// The router's ports on the network, of IPv6 and of IPv4.
    pub router_ports: [Port; 2],
    /// The guest.
    pub guest: Guest,
    /// Its port, as created.
    pub port: Port,
}

impl DualStack {
    fn start(
        world: &World,
        router: &Router,
        network: &Network,
        host: usize,
        cidrs: [&str; 2],
    ) -> Result<Self, Failure> {
        let api = world.lab.api();
        let ipv6 = api.create_subnet(network, &SubnetSpec::with_mode(cidrs[0], "slaac"))?;
        let spec = SubnetSpec {
            cidr: cidrs[1],
            ..SubnetSpec::default()
        };
        let ipv4 = api.create_subnet(network, &spec)?;
        let subnets = [ipv6, ipv4];
        let [ipv6, ipv4] = &subnets;
        let router_ports = [
            api.add_interface(router, ipv6)?,
            api.add_interface(router, ipv4)?,
        ];
        let name = format!("guest{host}");
        let spec = PortSpec {
            name: &name,
            ..PortSpec::default()
        };
        let port = api.create_port(network, &spec)?;
        let guest = world.lab.hypervisor(host).add_guest(&port.guest(&name))?;
        world.wait_status(&port, "ACTIVE")?;
        Ok(Self {
            subnets,
            router_ports,
            guest,
            port,
        })
    }

    /// Takes the addresses and default routes that the cloud gives.
    fn configure(&self) -> Outcome {
        let (_client, _lease) = self.guest.dhclient4(SOON)?;
        let gateway = self.gateway4();
        let route = ["ip", "-4", "route", "replace", "default", "via", &gateway];
        self.guest.run(&route)?;
        self.guest.wait_address(self.ipv6(), SOON)?;
        self.guest.wait_default_route(SOON)?;
        Ok(())
    }

    /// The guest's IPv4 address.
    #[must_use]
    pub fn ipv4(&self) -> Ipv4Addr {
        let mut own = self.port.addresses.iter();
        own.find_map(|address| match address {
            IpAddr::V4(address) => Some(*address),
            IpAddr::V6(_) => None,
        })
        .unwrap_or(Ipv4Addr::UNSPECIFIED)
    }

    /// The guest's IPv6 address.
    #[must_use]
    pub fn ipv6(&self) -> Ipv6Addr {
        let mut own = self.port.addresses.iter();
        own.find_map(|address| match address {
            IpAddr::V6(address) => Some(*address),
            IpAddr::V4(_) => None,
        })
        .unwrap_or(Ipv6Addr::UNSPECIFIED)
    }

    /// The guest's address of each family, IPv6 first.
    #[must_use]
    pub fn addresses(&self) -> [String; 2] {
        [self.ipv6().to_string(), self.ipv4().to_string()]
    }

    /// The router's address of each family, IPv6 first.
    #[must_use]
    pub fn gateways(&self) -> [String; 2] {
        self.subnets.each_ref().map(|subnet| {
            let gateway = subnet.gateway;
            gateway.map_or_else(String::new, |gateway| gateway.to_string())
        })
    }

    /// The router's IPv4 address.
    #[must_use]
    pub fn gateway4(&self) -> String {
        let [_, ipv4] = self.gateways();
        ipv4
    }
}
