//! Where routers' packets leave the cloud, as one hypervisor sees it.

use crate::features::provider::{ProviderLink, outside};
use crate::view::{Tunnel, View};
use sextant_model::{
    ChassisId, ExternalSettings, IpVersion, MacAddr, Network, NetworkId, Port, Router,
};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use xxhash_rust::xxh3::xxh3_64;

/// A router's way out that works: its external network, and its port there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gateway<'a> {
    pub(crate) router: &'a Router,
    pub(crate) network: &'a Arc<Network>,
    pub(crate) port: &'a Arc<Port>,
}

/// Where packets of one address family leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// By this hypervisor's own bridge of the physical network.
    Here {
        outside: ProviderLink,
        /// From this MAC.
        mac: MacAddr,
    },
    /// By the hypervisor that has the router's gateway.
    There(Tunnel),
}

impl<'a> View<'a> {
    /// The way out of a router, if it has one that works. Its external network may not be one of its inner networks.
    pub(crate) fn gateway(&self, router: &'a Router) -> Option<Gateway<'a>> {
        let network = self.network(router.external_gateway?.network_id)?;
        let port = self.intent.gateway_of(router.id)?;
        let works = router.admin_state_up && port.admin_state_up && port.network_id == network.id;
        let mut inside = self.interfaces(router);
        let is_outside = inside.all(|(inside, _)| inside.id != network.id);
        (works && is_outside).then_some(Gateway {
            router,
            network,
            port,
        })
    }

    /// The way out by a port, if that is a router's gateway.
    pub(crate) fn gateway_by(&self, port: &Port) -> Option<Gateway<'a>> {
        let router = self.intent.routers.get(&port.gateway_of()?)?;
        let gateway = self.gateway(router)?;
        (gateway.port.id == port.id).then_some(gateway)
    }

    /// Whether the gateway of a router is here.
    pub(crate) fn has_gateway(&self, router: &Router) -> bool {
        let placed = self.facts.gateways().get(&router.id);
        placed.is_some_and(|(chassis, _)| chassis == self.chassis)
    }

    /// Whether there are guests here on a network of a router.
    pub(crate) fn has_guests_of(&self, router: &Router) -> bool {
        let mut networks = self.interfaces(router);
        networks.any(|(network, _)| self.has_ports_on(network.id))
    }

    /// The ways out by an external network that may concern this hypervisor. Where IPv6 leaves by any hypervisor, these
    /// are all, else those whose gateway is here.
    pub(crate) fn gateways_near(&self, network: &Network) -> Vec<Gateway<'a>> {
        if self.external(network).distributed {
            let ports = self.intent.gateway_ports_of(network.id);
            return ports.filter_map(|port| self.gateway_by(port)).collect();
        }
        let routers = self.facts.gateways_of(network.id, self.chassis);
        routers
            .filter_map(|router| self.intent.routers.get(&router))
            .filter_map(|router| self.gateway(router))
            .collect()
    }

    /// The ways out of the routers that a network is on, each with the router's port there.
    pub(crate) fn gateways_beyond(
        &self,
        network: NetworkId,
    ) -> impl Iterator<Item = (&'a Arc<Port>, Gateway<'a>)> {
        let view = *self;
        let ports = self.intent.router_ports_of(network);
        ports.filter_map(move |port| {
            let router = view.router(port)?;
            Some((port, view.gateway(router)?))
        })
    }

    /// Where packets of a family leave. `None` if this hypervisor can neither send them itself nor reach the gateway's.
    pub(crate) fn exit(&self, gateway: &Gateway<'a>, family: IpVersion) -> Option<Exit> {
        let (chassis, _) = self.facts.gateways().get(&gateway.router.id)?;
        let outside = outside(self, gateway.network);
        if chassis == self.chassis {
            let mac = gateway.port.mac_address;
            return outside.map(|outside| Exit::Here { outside, mac });
        }
        // Until this hypervisor knows a next hop itself, packets keep going through the gateway.
        let sends = family == IpVersion::V6
            && self.leaves_here(gateway)
            && self.next_hop(gateway, self.chassis, family).is_some();
        match outside {
            Some(outside) if sends => Some(Exit::Here {
                outside,
                mac: own_mac(self.chassis, gateway.port),
            }),
            Some(_) | None => self.tunnel_to(chassis).map(Exit::There),
        }
    }

    /// Whether IPv6 of guests here is to leave here though the gateway is elsewhere. It does so once a next hop is
    /// known.
    pub(crate) fn leaves_here(&self, gateway: &Gateway<'a>) -> bool {
        !self.has_gateway(gateway.router)
            && self.external(gateway.network).distributed
            && outside(self, gateway.network).is_some()
            && self.has_guests_of(gateway.router)
    }

    /// What the configuration file says of an external network.
    pub(crate) fn external(&self, network: &Network) -> ExternalSettings {
        let physical = network.physical_network.as_ref();
        let settings = physical.and_then(|name| self.intent.settings.external.get(name));
        settings.cloned().unwrap_or_default()
    }

    /// The next hop of the default route: the gateway of a subnet, else the configured one, else a router that was
    /// heard on that hypervisor.
    pub(crate) fn next_hop(
        &self,
        gateway: &Gateway<'a>,
        on: &ChassisId,
        family: IpVersion,
    ) -> Option<IpAddr> {
        self.fixed_next_hop(gateway, family)
            .or_else(|| match family {
                IpVersion::V6 => self.heard(gateway.network, on).map(IpAddr::from),
                IpVersion::V4 => None,
            })
    }

    /// The next hop that does not depend on the routers heard.
    pub(crate) fn fixed_next_hop(
        &self,
        gateway: &Gateway<'a>,
        family: IpVersion,
    ) -> Option<IpAddr> {
        let subnets = gateway.port.addresses();
        let mut subnets = subnets.filter_map(|(id, _)| self.intent.subnets.get(&id));
        let of_subnet = subnets.find_map(|subnet| {
            subnet
                .gateway_ip
                .filter(|hop| hop.is_ipv6() == (family == IpVersion::V6))
        });
        of_subnet.or_else(|| match family {
            IpVersion::V6 => {
                let configured = self.external(gateway.network).ipv6_gateway;
                configured.map(IpAddr::from)
            }
            IpVersion::V4 => None,
        })
    }

    fn heard(&self, network: &Network, on: &ChassisId) -> Option<Ipv6Addr> {
        let known = self.facts.outside().get(&(on.clone(), network.id))?;
        known.default_router
    }
}

/// The MAC from which a hypervisor itself sends for a router whose gateway is elsewhere. It is locally administered.
/// Each hypervisor has another, so that no switch outside sees one MAC in two places.
pub(crate) fn own_mac(chassis: &ChassisId, gateway: &Port) -> MacAddr {
    let name = [chassis.as_str().as_bytes(), &gateway.mac_address.0].concat();
    let [a, b, c, d, e, f, ..] = xxh3_64(&name).to_be_bytes();
    MacAddr([a & 0xfc | 0x02, b, c, d, e, f])
}
