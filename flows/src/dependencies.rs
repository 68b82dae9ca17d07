//! Finds the objects whose flows a change may alter.
//!
//! Two snapshots share what did not change, so finding the change costs as much as the change. An object too many costs
//! time. An object too few leaves a wrong flow behind; the property `incremental == full` looks for that.

mod changes;
mod concerned;
mod external;
mod publishing;
mod replication;
mod security;

use crate::advertisement::advertises_all_routes;
use crate::contribution::{PipelineObject, member_shards, members_at, of_one_port, secured};
use crate::features::security::uses;
use crate::view::{Presence, View};
use changes::{Changed, Changes};
pub use concerned::Concerned;
use sextant_model::{
    Binding, ChassisId, Meta, Network, NetworkId, Port, PortId, Reassembly, Router, RouterId,
    SecurityGroupId,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The objects whose flows may differ between two views of one hypervisor.
pub(crate) fn touched(old: &View<'_>, new: &View<'_>) -> BTreeSet<PipelineObject> {
    let mut touched = Touched {
        old: *old,
        new: *new,
        objects: BTreeSet::new(),
        near: BTreeMap::new(),
        used: BTreeMap::new(),
    };
    if everything_differs(old, new) {
        touched.everything();
    } else {
        let [old, new] = [old, new].map(|view| (view.intent, view.facts));
        touched.by(&Changes::between(old, new));
    }
    touched.objects
}

/// Everything that any flow may depend on: the configuration, the server's identity, the hypervisor itself and what its
/// switch can do.
fn everything_differs(old: &View<'_>, new: &View<'_>) -> bool {
    let [old_ports, new_ports] = [old, new].map(|view| {
        let own = view.own()?;
        Some((
            own.encap,
            &own.tunnel_ports,
            &own.patch_ports,
            own.metadata_port,
        ))
    });
    old.intent.settings != new.intent.settings
        || old.intent.server_identity != new.intent.server_identity
        || old_ports != new_ports
        || has_flawed_reassembly(old) != has_flawed_reassembly(new)
        || old.answering() != new.answering()
}

fn has_flawed_reassembly(view: &View<'_>) -> bool {
    view.reassembly() == Reassembly::Flawed
}

/// Whether a router differs at most in its routes and in what people call it.
fn works_alike(router: &Changed<'_, RouterId, Arc<Router>>) -> bool {
    let [old, new] = [router.old, router.new].map(|side| {
        side.map(|router| (router.key, router.admin_state_up, router.external_gateway))
    });
    old.is_some() && old == new
}

/// What flows may depend on: all but the names that people give.
fn without_meta(network: &Arc<Network>) -> Network {
    Network {
        meta: Meta::default(),
        ..Network::clone(network)
    }
}

struct Touched<'a> {
    old: View<'a>,
    new: View<'a>,
    objects: BTreeSet<PipelineObject>,
    /// Whether networks are present here, before or after, as far as it was asked.
    near: BTreeMap<NetworkId, bool>,
    /// Whether rules here are about groups, before or after, as far as it was asked.
    used: BTreeMap<SecurityGroupId, bool>,
}

impl<'a> Touched<'a> {
    /// Each network is compared with an empty cloud, once as it was and once as it is, so that all its ports are named.
    fn everything(&mut self) {
        self.objects.insert(PipelineObject::Base);
        self.presence(&self.old.present(), &BTreeMap::new());
        self.presence(&BTreeMap::new(), &self.new.present());
        self.all_chassis();
        for view in self.views() {
            let expected = view.facts.expected_on(view.chassis);
            self.objects.extend(expected.map(PipelineObject::Expected));
            self.objects.extend(secured(&view));
        }
    }

    fn by(&mut self, changes: &Changes<'_>) {
        if self.presence_may_differ(changes) {
            self.presence(&self.old.present(), &self.new.present());
        }
        self.mtu();
        self.networks(changes);
        self.subnets(changes);
        self.delegations(changes);
        self.ports(changes);
        self.routers(changes);
        self.bindings(changes);
        self.expected(changes);
        self.holders(changes);
        changes.captured.iter().for_each(|port| self.port(*port));
        self.peers(changes);
        self.external(changes);
        self.publishing(changes);
        self.security(changes);
    }

    fn views(&self) -> [View<'a>; 2] {
        [self.old, self.new]
    }

    /// A port, as it was and as it is.
    fn port(&mut self, port: PortId) {
        for view in self.views() {
            if let Some(port) = view.intent.ports.get(&port) {
                self.port_as(port);
            }
        }
    }

    /// Of a guest on a network that is not present here, only flows about members of groups can be here.
    fn port_as(&mut self, port: &Port) {
        let is_guest = port.router().or(port.gateway_of()).is_none();
        if !is_guest || self.is_near(port.network_id) {
            self.objects.extend(of_one_port(port));
        } else if port
            .security_groups
            .iter()
            .any(|group| self.is_used(*group))
        {
            self.objects.extend(members_at(port));
        }
    }

    fn is_near(&mut self, network: NetworkId) -> bool {
        let views = self.views();
        let near = self.near.entry(network);
        *near.or_insert_with(|| views.iter().any(|view| view.presence(network).is_some()))
    }

    fn is_used(&mut self, group: SecurityGroupId) -> bool {
        let views = self.views();
        let used = self.used.entry(group);
        *used.or_insert_with(|| views.iter().any(|view| !uses(view, group).is_empty()))
    }

    /// All of a network: itself, and every port.
    fn whole_network(&mut self, network: NetworkId) {
        self.objects.insert(PipelineObject::Network(network));
        for view in self.views() {
            self.objects.extend(member_shards(&view, network));
            let ports = view.intent.ports_of(network);
            self.objects
                .extend(ports.flat_map(|port| of_one_port(port)));
        }
    }

    /// What guests of a network here hear from their routers and servers: the answers to their punts, and
    /// advertisements. The routes to the network's subnets change with it.
    fn announced(&mut self, network: NetworkId) {
        for view in self.views() {
            let routers = view.intent.router_ports_of(network);
            let guests = view.facts.local_ports(network, view.chassis);
            self.objects
                .extend(routers.flat_map(|port| of_one_port(port)));
            self.objects.extend(guests.map(PipelineObject::Port));
        }
    }

    fn presence(
        &mut self,
        old: &BTreeMap<NetworkId, Presence>,
        new: &BTreeMap<NetworkId, Presence>,
    ) {
        for network in old.keys().chain(new.keys()) {
            if old.get(network) != new.get(network) {
                self.whole_network(*network);
                self.ways_out_of(*network);
                self.senders_on(*network);
            }
        }
    }

    /// Whether other networks may be present here: their guests came or went, or routers join them differently.
    fn presence_may_differ(&self, changes: &Changes<'_>) -> bool {
        let mut ports = changes.ports.iter().flat_map(|port| port.sides());
        let mut here = changes
            .bindings
            .iter()
            .flat_map(|binding| binding.sides())
            .filter(|binding| binding.chassis == *self.new.chassis);
        !changes.networks.is_empty()
            || changes.routers.iter().any(|router| !works_alike(router))
            || ports.any(|port| port.is_of_router())
            || self.gateways_differ_here(changes)
            || here.any(|binding| self.membership_differs(binding))
    }

    /// Every network's MTU depends on what tunnels take from the underlay's. A network with an MTU of its own is
    /// compared as a network.
    fn mtu(&mut self) {
        if self.old.facts.tunnel_overhead() != self.new.facts.tunnel_overhead() {
            let present = self.new.present();
            present
                .into_keys()
                .for_each(|network| self.announced(network));
        }
    }

    fn networks(&mut self, changes: &Changes<'_>) {
        for network in &changes.networks {
            let [old, new] = [network.old, network.new].map(|side| side.map(without_meta));
            if old != new {
                self.whole_network(network.key);
                continue;
            }
            let [old, new] = [network.old, network.new];
            let tags = [old, new].map(|side| side.map(|network| &network.meta.tags));
            if tags[0] != tags[1] {
                self.announced(network.key);
            }
        }
    }

    fn subnets(&mut self, changes: &Changes<'_>) {
        let subnets = changes.subnets.iter().flat_map(|subnet| subnet.sides());
        subnets.for_each(|subnet| self.announced(subnet.network_id));
    }

    /// A delegated prefix is advertised with the time that is left of it.
    fn delegations(&mut self, changes: &Changes<'_>) {
        for delegation in &changes.delegations {
            for view in self.views() {
                if let Some(subnet) = view.intent.subnets.get(&delegation.key) {
                    self.announced(subnet.network_id);
                }
            }
        }
    }

    fn ports(&mut self, changes: &Changes<'_>) {
        for changed in &changes.ports {
            for port in changed.sides() {
                self.port_as(port);
                if self.is_here(changed.key) {
                    self.member_here(port.network_id, changed.key);
                }
                if let Some(router) = port.router() {
                    self.announced(port.network_id);
                    self.gateway_sender(router);
                }
            }
        }
    }

    fn routers(&mut self, changes: &Changes<'_>) {
        for router in &changes.routers {
            self.objects.insert(PipelineObject::Router(router.key));
            if works_alike(router) {
                self.advertised_routes(router);
                continue;
            }
            self.gateway_sender(router.key);
            let interfaces: Vec<Arc<Port>> = self
                .views()
                .iter()
                .flat_map(|view| view.intent.interfaces_of(router.key))
                .cloned()
                .collect();
            for port in interfaces {
                self.objects.insert(PipelineObject::Port(port.id));
                self.announced(port.network_id);
            }
        }
    }

    /// Some routers advertise their routes.
    fn advertised_routes(&mut self, router: &Changed<'_, RouterId, Arc<Router>>) {
        let [old, new] = [router.old, router.new].map(|side| side.map(|router| &router.routes));
        if old == new {
            return;
        }
        let new = self.new;
        for port in new.intent.interfaces_of(router.key) {
            let network = new.network(port.network_id);
            if network.is_some_and(|network| advertises_all_routes(&new, network)) {
                self.announced(port.network_id);
            }
        }
    }

    fn bindings(&mut self, changes: &Changes<'_>) {
        for changed in &changes.bindings {
            self.port(changed.key);
            for binding in changed.sides() {
                if !self.is_near(binding.network) {
                    continue;
                }
                if binding.chassis == *self.new.chassis {
                    self.member_here(binding.network, changed.key);
                }
                if self.membership_differs(binding) {
                    self.member_elsewhere(binding.network, &binding.chassis);
                    self.objects
                        .insert(PipelineObject::Peer(binding.chassis.clone()));
                }
            }
        }
    }

    /// The guests that are, or were, expected here.
    fn expected(&mut self, changes: &Changes<'_>) {
        let expected = changes.expected.iter().map(|changed| &changed.key);
        let here = expected.filter(|(chassis, _)| chassis == self.new.chassis);
        let mut ports: Vec<PortId> = here.map(|(_, port)| *port).collect();
        ports.extend(
            changes
                .ports
                .iter()
                .map(|changed| changed.key)
                .filter(|port| {
                    let key = (self.new.chassis.clone(), *port);
                    self.new.facts.expected().contains_key(&key)
                }),
        );
        self.objects
            .extend(ports.into_iter().map(PipelineObject::Expected));
    }

    /// The ports that have, or had, an address from their address pairs.
    fn holders(&mut self, changes: &Changes<'_>) {
        let holders = changes.holders.iter().flat_map(|holder| holder.sides());
        self.objects
            .extend(holders.map(|holder| PipelineObject::Port(holder.port)));
    }

    /// Whether a port is plugged in on this hypervisor, before or after.
    fn is_here(&self, port: PortId) -> bool {
        self.views().iter().any(|view| {
            let binding = view.facts.binding(port);
            binding.is_some_and(|binding| binding.chassis == *view.chassis)
        })
    }

    /// Whether a hypervisor got its first port on a network with this binding, or lost its last. Then multicast goes to
    /// others.
    fn membership_differs(&self, binding: &Binding) -> bool {
        let [old, new] = self.views().map(|view| {
            let mut ports = view.facts.local_ports(binding.network, &binding.chassis);
            ports.next().is_some()
        });
        old != new
    }

    /// Another hypervisor's endpoint changes what comes from there and what goes there. Most hypervisors have nothing to do
    /// with this one.
    fn peers(&mut self, changes: &Changes<'_>) {
        for peer in &changes.chassis {
            let [old, new] = [peer.old, peer.new].map(|side| side.map(|chassis| chassis.encap));
            if old != new {
                self.peer(&peer.key);
            }
        }
    }

    fn peer(&mut self, peer: &ChassisId) {
        for view in self.views() {
            for (_, router) in view.facts.gateways_on(peer) {
                self.objects.insert(PipelineObject::Router(router));
                self.objects.insert(PipelineObject::Peer(peer.clone()));
            }
            for network in view.facts.networks_on(peer) {
                if !self.is_near(network) {
                    continue;
                }
                self.objects.insert(PipelineObject::Peer(peer.clone()));
                self.member_elsewhere(network, peer);
                let ports = view.facts.local_ports(network, peer);
                ports.for_each(|port| self.port(port));
            }
        }
    }

    /// The hypervisors that send frames of a network here, or did: those with guests on it, and those with the gateways of
    /// its routers.
    fn senders_on(&mut self, network: NetworkId) {
        for view in self.views() {
            let peers = view.facts.chassis_with(network).cloned();
            self.objects.extend(peers.map(PipelineObject::Peer));
            let routers = view.intent.router_ports_of(network);
            let routers = routers.filter_map(|port| port.router());
            routers.for_each(|router| self.gateway_sender(router));
        }
    }

    /// The hypervisor with a router's gateway sends here only where the router has guests.
    fn gateway_sender(&mut self, router: RouterId) {
        for view in self.views() {
            let placed = view.facts.gateways().get(&router);
            self.objects
                .extend(placed.map(|(chassis, _)| PipelineObject::Peer(chassis.clone())));
        }
    }

    fn all_chassis(&mut self) {
        let all: Vec<_> = self
            .views()
            .iter()
            .flat_map(|view| view.facts.chassis().keys().cloned())
            .collect();
        self.objects
            .extend(all.into_iter().map(PipelineObject::Peer));
    }
}
