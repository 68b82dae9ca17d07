//! The cloud as one hypervisor sees it.

mod lookups;

use crate::difference::InstalledFlow;
use crate::features::tunnel;
use crate::flow::Flow;
use ipnet::IpNet;
pub(crate) use lookups::Lookups;
use sextant_model::{
    Answering, Binding, Chassis, ChassisId, Facts, Intent, IpVersion, Network, NetworkId, Port,
    Reassembly, Router, SecurityGroupId, Subnet, SubnetId, Transport,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Intent and facts as one hypervisor sees them.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// What users asked for.
    pub intent: &'a Intent,
    /// What was observed.
    pub facts: &'a Facts,
    /// The hypervisor.
    pub chassis: &'a ChassisId,
    /// What was looked up before.
    lookups: Option<&'a Lookups>,
}

/// Why a network is present on a hypervisor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Presence {
    /// Only because guests here reach it through a router, or a router's gateway is here.
    Routed,
    /// Guests of the network are here.
    Local,
}

impl<'a> View<'a> {
    /// The view of a hypervisor.
    #[must_use]
    pub fn new(intent: &'a Intent, facts: &'a Facts, chassis: &'a ChassisId) -> Self {
        Self {
            intent,
            facts,
            chassis,
            lookups: None,
        }
    }

    /// The same view, which remembers what it looks up.
    pub(crate) fn with<'b>(&self, lookups: &'b Lookups) -> View<'b>
    where
        'a: 'b,
    {
        View {
            lookups: Some(lookups),
            ..*self
        }
    }

    /// What was looked up before, if the view remembers it.
    pub(crate) fn lookups(&self) -> Option<&'a Lookups> {
        self.lookups
    }

    /// The hypervisor itself, once it has been observed.
    #[must_use]
    pub fn own(&self) -> Option<&'a Arc<Chassis>> {
        match self.lookups {
            Some(lookups) => lookups.own(),
            None => self.facts.chassis().get(self.chassis),
        }
    }

    /// The networks present here: those with guests here, those that a router joins to them, and those of routers with
    /// their gateway here.
    #[must_use]
    pub fn present(&self) -> BTreeMap<NetworkId, Presence> {
        let mut networks = BTreeSet::new();
        // A network with guests brings those behind its routers, and the external networks where these leave.
        for network in self.facts.networks_on(self.chassis) {
            networks.insert(network);
            networks.extend(self.joined(network));
            networks.extend(self.outside_of(network));
        }
        // A gateway brings all networks of its router: packets from outside may be for any of them.
        for (network, router) in self.facts.gateways_on(self.chassis) {
            networks.insert(network);
            let interfaces = self.intent.interfaces_of(router);
            networks.extend(interfaces.map(|port| port.network_id));
        }
        networks
            .into_iter()
            .filter_map(|network| Some((network, self.presence(network)?)))
            .collect()
    }

    /// Whether and why a network is present here. Costs as much as its routers have interfaces, however many networks
    /// are here.
    #[must_use]
    pub fn presence(&self, network: NetworkId) -> Option<Presence> {
        if let Some(lookups) = self.lookups {
            return lookups.presence(network);
        }
        self.network(network)?;
        if self.has_ports_on(network) {
            return Some(Presence::Local);
        }
        let routed = self
            .joined(network)
            .any(|near| self.network(near).is_some() && self.has_ports_on(near))
            || self
                .routers_of(network)
                .any(|router| self.has_gateway(router))
            || self.is_way_out(network);
        routed.then_some(Presence::Routed)
    }

    /// Whether routers use an external network by a bridge of this hypervisor.
    fn is_way_out(&self, network: NetworkId) -> bool {
        let mut here = self.facts.gateways_of(network, self.chassis);
        if here.next().is_some() {
            return true;
        }
        let mut ports = self.intent.gateway_ports_of(network);
        let network = self.network(network);
        network.is_some_and(|network| self.external(network).distributed)
            && ports.any(|port| {
                let gateway = self.gateway_by(port);
                gateway.is_some_and(|gateway| self.leaves_here(&gateway))
            })
    }

    /// The external networks of the routers on a network.
    fn outside_of(&self, network: NetworkId) -> impl Iterator<Item = NetworkId> {
        let gateways = self.routers_of(network);
        let gateways = gateways.filter_map(|router| router.external_gateway);
        gateways.map(|gateway| gateway.network_id)
    }

    /// The working routers on a network.
    fn routers_of(&self, network: NetworkId) -> impl Iterator<Item = &'a Arc<Router>> {
        let ports = self.intent.router_ports_of(network);
        ports.filter_map(|port| self.router(port))
    }

    /// How Neighbor Solicitations are answered here.
    #[must_use]
    pub fn answering(&self) -> Answering {
        self.facts.answering(self.chassis)
    }

    /// How fragments are put together here.
    pub fn reassembly(&self) -> Reassembly {
        self.own()
            .map_or_else(Reassembly::default, |own| own.reassembly)
    }

    /// Whether ports under a security group are plugged in here.
    #[must_use]
    pub fn has_ports_under(&self, group: SecurityGroupId) -> bool {
        let mut ports = self.facts.local_ports_under(group, self.chassis);
        ports.next().is_some()
    }

    /// Whether guests of a network are here.
    #[must_use]
    pub fn has_ports_on(&self, network: NetworkId) -> bool {
        self.facts
            .local_ports(network, self.chassis)
            .next()
            .is_some()
    }

    /// The networks that working routers join to a network by working interfaces.
    fn joined(&self, network: NetworkId) -> impl Iterator<Item = NetworkId> {
        self.routers_of(network)
            .flat_map(|router| self.intent.interfaces_of(router.id))
            .filter(|port| self.router(port).is_some())
            .map(|port| port.network_id)
    }

    /// A network that exists and is up.
    #[must_use]
    pub fn network(&self, id: NetworkId) -> Option<&'a Arc<Network>> {
        self.intent
            .networks
            .get(&id)
            .filter(|network| network.admin_state_up)
    }

    /// A subnet.
    pub(crate) fn subnet(&self, id: SubnetId) -> Option<&'a Subnet> {
        self.intent.subnets.get(&id).map(Arc::as_ref)
    }

    /// The router of a port, if both are up.
    #[must_use]
    pub fn router(&self, port: &Port) -> Option<&'a Arc<Router>> {
        let router = self.intent.routers.get(&port.router()?)?;
        (router.admin_state_up && port.admin_state_up).then_some(router)
    }

    /// The working interfaces of a router, each with its network.
    pub fn interfaces(
        &self,
        router: &Router,
    ) -> impl Iterator<Item = (&'a Arc<Network>, &'a Arc<Port>)> + use<'a> {
        let view = *self;
        let ports = self.intent.interfaces_of(router.id);
        ports
            .filter(move |port| view.router(port).is_some())
            .filter_map(move |port| Some((view.network(port.network_id)?, port)))
    }

    /// The networks where packets for a router arrive here: those of its interfaces and, if its gateway is here, the
    /// external one.
    pub(crate) fn arriving(&self, router: &Router) -> Vec<&'a Arc<Network>> {
        let interfaces = self.interfaces(router).map(|(network, _)| network);
        let mut arriving: Vec<_> = interfaces.collect();
        if self.has_gateway(router) {
            let external = router.external_gateway;
            arriving.extend(external.and_then(|gateway| self.network(gateway.network_id)));
        }
        arriving
    }

    /// The MTU of a network in octets.
    #[must_use]
    pub fn mtu(&self, network: &Network) -> u16 {
        self.facts.network_mtu(network, &self.intent.settings)
    }

    /// The prefixes of a router's port, of those subnets that have one.
    pub fn prefixes(&self, port: &'a Port) -> impl Iterator<Item = IpNet> + use<'a> {
        let subnets = &self.intent.subnets;
        port.addresses()
            .filter_map(|(id, _)| subnets.get(&id))
            .filter(|subnet| !subnet.is_provisional())
            .map(|subnet| subnet.cidr.trunc())
    }

    /// Where a guest's port is plugged in, if the port is up.
    #[must_use]
    pub fn binding(&self, port: &Port) -> Option<&'a Binding> {
        if !port.admin_state_up || port.router().is_some() {
            return None;
        }
        self.facts.binding(port.id)
    }

    /// The OpenFlow port of a guest here.
    #[must_use]
    pub fn local_ofport(&self, port: &Port) -> Option<u16> {
        self.binding(port)
            .filter(|binding| binding.chassis == *self.chassis)?
            .ofport
    }

    /// Whether another hypervisor may send frames here. It has guests on a network that is present here, or the gateway
    /// of a router with guests here.
    pub(crate) fn hears(&self, peer: &ChassisId) -> bool {
        self.has_member(peer)
            || self.facts.gateways_on(peer).any(|(_, router)| {
                let router = self.intent.routers.get(&router);
                router.is_some_and(|router| self.has_guests_of(router))
            })
    }

    /// Whether another hypervisor has guests on a network that is present here.
    fn has_member(&self, peer: &ChassisId) -> bool {
        if let Some(lookups) = self.lookups {
            return lookups.members().contains(peer);
        }
        let mut networks = self.facts.networks_on(peer);
        networks.any(|network| self.presence(network).is_some())
    }

    /// The hypervisors with the gateways of routers on a network.
    pub(crate) fn gateways_around(
        &self,
        network: NetworkId,
    ) -> impl Iterator<Item = &'a ChassisId> {
        let gateways = self.facts.gateways();
        let routers = self.routers_of(network);
        let placed = routers.filter_map(|router| gateways.get(&router.id));
        placed.map(|(chassis, _)| chassis)
    }

    /// The flows that drop tunnel packets from endpoints that no hypervisor has.
    pub fn unknown_endpoints(&self) -> Vec<InstalledFlow> {
        let flows = tunnel::unknown(self);
        flows.iter().map(Flow::installed).collect()
    }

    /// How frames get from here to another hypervisor: to its endpoint of the IP version that both use, by our tunnel
    /// port of that version and of the peer's protocol. `None` if there is no such endpoint or port.
    #[must_use]
    pub fn tunnel_to(&self, peer: &ChassisId) -> Option<Tunnel> {
        let (own, peer) = (self.own()?, self.facts.chassis().get(peer)?);
        let (_, remote) = own.encap.endpoints.towards(peer.encap.endpoints)?;
        let transport = Transport {
            kind: peer.encap.kind,
            family: IpVersion::of(remote),
        };
        let port = *own.tunnel_ports.get(&transport)?;
        (own.id != peer.id).then_some(Tunnel { remote, port })
    }
}

/// How frames get to another hypervisor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tunnel {
    /// Its endpoint.
    pub remote: std::net::IpAddr,
    /// Our tunnel port, which is of that family.
    pub port: u16,
}
