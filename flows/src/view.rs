//! What one hypervisor sees of the cloud.

use sextant_model::{Binding, Chassis, ChassisId, Facts, Intent, Network, NetworkId, Port, Router};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Intent and facts as one hypervisor sees them.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// What was asked for.
    pub intent: &'a Intent,
    /// What was observed.
    pub facts: &'a Facts,
    /// The hypervisor.
    pub chassis: &'a ChassisId,
}

/// Why a network is present on a hypervisor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Presence {
    /// Only because guests here reach it through a router.
    Routed,
    /// Guests of the network are here.
    Local,
}

impl<'a> View<'a> {
    /// The hypervisor itself, once it has been observed.
    pub fn own(&self) -> Option<&'a Arc<Chassis>> {
        self.facts.chassis().get(self.chassis)
    }

    /// The networks present here: those of guests here, and those that a router joins to them.
    pub fn present(&self) -> BTreeMap<NetworkId, Presence> {
        let local: BTreeSet<_> = self
            .facts
            .networks_on(self.chassis)
            .filter(|network| self.network(*network).is_some())
            .collect();
        let mut present = BTreeMap::new();
        for network in &local {
            for router in self
                .intent
                .router_ports_of(*network)
                .filter_map(|port| self.router(port))
            {
                let joined = self
                    .intent
                    .interfaces_of(router.id)
                    .map(|port| port.network_id);
                present.extend(
                    joined
                        .filter(|joined| self.network(*joined).is_some())
                        .map(|joined| (joined, Presence::Routed)),
                );
            }
        }
        present.extend(local.into_iter().map(|network| (network, Presence::Local)));
        present
    }

    /// A network that forwards: it exists and is up.
    pub fn network(&self, id: NetworkId) -> Option<&'a Arc<Network>> {
        self.intent
            .networks
            .get(&id)
            .filter(|network| network.admin_state_up)
    }

    /// The router of a port that works: port and router exist and are up.
    pub fn router(&self, port: &Port) -> Option<&'a Arc<Router>> {
        let router = self.intent.routers.get(&port.router()?)?;
        (router.admin_state_up && port.admin_state_up).then_some(router)
    }

    /// Where a guest's port is, if it is up and plugged in.
    pub fn binding(&self, port: &Port) -> Option<&'a Binding> {
        self.facts
            .binding(port.id)
            .filter(|_| port.admin_state_up && port.router().is_none())
    }

    /// The OpenFlow port of a guest here.
    pub fn local_ofport(&self, port: &Port) -> Option<u16> {
        self.binding(port)
            .filter(|binding| binding.chassis == *self.chassis)?
            .ofport
    }

    /// How frames get to another hypervisor from here: its endpoint, ours, and our tunnel port.
    pub fn tunnel_to(&self, peer: &ChassisId) -> Option<Tunnel> {
        let (own, peer) = (self.own()?, self.facts.chassis().get(peer)?);
        let tunnel_port = *own.tunnel_ports.get(&peer.encap.kind)?;
        let same_family = own.encap.ip.is_ipv6() == peer.encap.ip.is_ipv6();
        (own.id != peer.id && same_family).then_some(Tunnel {
            local: own.encap.ip,
            remote: peer.encap.ip,
            port: tunnel_port,
        })
    }
}

/// How frames get to another hypervisor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tunnel {
    /// Our endpoint.
    pub local: std::net::IpAddr,
    /// Theirs.
    pub remote: std::net::IpAddr,
    /// Our tunnel port.
    pub port: u16,
}
