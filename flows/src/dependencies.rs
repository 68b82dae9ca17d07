//! Which objects' flows a change may alter.
//!
//! Two snapshots share what did not change, so finding what did costs as much as the change. Naming an object too many
//! costs time; one too few leaves a wrong flow behind, which the property `incremental == full` looks for.

use crate::flows::Object;
use crate::view::{Presence, View};
use imbl::OrdMap;
use imbl::ordmap::DiffItem;
use sextant_model::{Binding, ChassisId, Meta, Network, NetworkId, Port, PortId, Subnet};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The objects whose flows may differ between two views of one hypervisor.
pub(crate) fn touched(old: &View<'_>, new: &View<'_>) -> BTreeSet<Object> {
    let mut touched = Touched {
        old: *old,
        new: *new,
        objects: BTreeSet::new(),
    };
    if everything_differs(old, new) {
        touched.objects.insert(Object::Base);
        touched.presence(&old.present(), &BTreeMap::new());
        touched.presence(&BTreeMap::new(), &new.present());
        touched.all_chassis();
        return touched.objects;
    }
    if touched.presence_may_differ() {
        touched.presence(&old.present(), &new.present());
    }
    touched.mtu();
    touched.networks();
    touched.subnets();
    touched.ports();
    touched.routers();
    touched.bindings();
    touched.peers();
    touched.objects
}

/// What every flow may depend on: the configuration, the server's identity, the hypervisor itself.
fn everything_differs(old: &View<'_>, new: &View<'_>) -> bool {
    let local = |view: &View<'_>| view.own().map(|own| (own.encap, own.tunnel_ports.clone()));
    old.intent.settings != new.intent.settings
        || old.intent.server_identity != new.intent.server_identity
        || local(old) != local(new)
}

struct Touched<'a> {
    old: View<'a>,
    new: View<'a>,
    objects: BTreeSet<Object>,
}

/// A key with its old and its new value.
type Sides<'a, K, V> = (K, Option<&'a V>, Option<&'a V>);

/// The keys whose values differ, with both values.
fn changed<'a, K: Ord + Copy, V: PartialEq>(
    old: &'a OrdMap<K, V>,
    new: &'a OrdMap<K, V>,
) -> Vec<Sides<'a, K, V>> {
    let sides = |item| match item {
        DiffItem::Add(key, value) => (*key, None, Some(value)),
        DiffItem::Remove(key, value) => (*key, Some(value), None),
        DiffItem::Update {
            old: (key, old),
            new: (_, new),
        } => (*key, Some(old), Some(new)),
    };
    old.diff(new).map(sides).collect()
}

impl Touched<'_> {
    fn views(&self) -> [View<'_>; 2] {
        [self.old, self.new]
    }

    fn port(&mut self, port: &Port) {
        self.objects.insert(Object::Port(port.id));
    }

    /// All of a network: itself, and every port.
    fn whole_network(&mut self, network: NetworkId) {
        self.objects.insert(Object::Network(network));
        let ports: Vec<_> = self
            .views()
            .iter()
            .flat_map(|view| view.intent.ports_of(network))
            .map(|port| port.id)
            .collect();
        self.objects.extend(ports.into_iter().map(Object::Port));
    }

    /// What guests of a network here are told: their punts, and what routers advertise.
    fn told(&mut self, network: NetworkId) {
        let of_view = |view: &View<'_>| {
            let routers = view.intent.router_ports_of(network).map(|port| port.id);
            routers
                .chain(view.facts.local_ports(network, view.chassis))
                .collect::<Vec<_>>()
        };
        let ports: Vec<_> = self.views().iter().flat_map(of_view).collect();
        self.objects.extend(ports.into_iter().map(Object::Port));
    }

    fn presence(
        &mut self,
        old: &BTreeMap<NetworkId, Presence>,
        new: &BTreeMap<NetworkId, Presence>,
    ) {
        for network in old.keys().chain(new.keys()) {
            if old.get(network) != new.get(network) {
                self.whole_network(*network);
            }
        }
    }

    /// Whether the networks present here may be others: their guests came or went, or routers join them differently.
    fn presence_may_differ(&self) -> bool {
        let (old, new) = (&self.old, &self.new);
        let of_router = |(_, old, new): &Sides<'_, PortId, Arc<Port>>| {
            let sides = [old, new].into_iter().flatten();
            sides
                .map(|port| port.router())
                .any(|router| router.is_some())
        };
        let moved_here = |(_, old, new): &Sides<'_, PortId, Binding>| {
            let sides = [old, new].into_iter().flatten();
            sides
                .filter(|binding| binding.chassis == *self.new.chassis)
                .any(|binding| self.membership_differs(binding))
        };
        !changed(&old.intent.networks, &new.intent.networks).is_empty()
            || !changed(&old.intent.routers, &new.intent.routers).is_empty()
            || changed(&old.intent.ports, &new.intent.ports)
                .iter()
                .any(of_router)
            || changed(old.facts.bindings(), new.facts.bindings())
                .iter()
                .any(moved_here)
    }

    /// What tunnels leave of the underlay's MTU is told on every network. One that asks for an MTU itself has changed
    /// as a network.
    fn mtu(&mut self) {
        if self.old.facts.tunnel_overhead() != self.new.facts.tunnel_overhead() {
            let present = self.new.present();
            present.into_keys().for_each(|network| self.told(network));
        }
    }

    fn networks(&mut self) {
        let same = |old: &Network, new: &Network| {
            Network {
                meta: Meta::default(),
                ..old.clone()
            } == Network {
                meta: Meta::default(),
                ..new.clone()
            }
        };
        for (id, old, new) in changed(&self.old.intent.networks, &self.new.intent.networks) {
            if !old.zip(new).is_some_and(|(old, new)| same(old, new)) {
                self.whole_network(id);
            }
        }
    }

    fn subnets(&mut self) {
        for (_, old, new) in changed(&self.old.intent.subnets, &self.new.intent.subnets) {
            let networks: BTreeSet<_> = [old, new]
                .into_iter()
                .flatten()
                .map(|subnet: &Arc<Subnet>| subnet.network_id)
                .collect();
            networks.into_iter().for_each(|network| self.told(network));
        }
    }

    fn ports(&mut self) {
        for (id, old, new) in changed(&self.old.intent.ports, &self.new.intent.ports) {
            self.objects.insert(Object::Port(id));
            for port in [old, new].into_iter().flatten() {
                if self.is_here(id) {
                    self.objects.insert(Object::Network(port.network_id));
                }
                if port.router().is_some() {
                    self.told(port.network_id);
                }
            }
        }
    }

    fn routers(&mut self) {
        for (id, _, _) in changed(&self.old.intent.routers, &self.new.intent.routers) {
            let interfaces: Vec<Arc<Port>> = self
                .views()
                .iter()
                .flat_map(|view| view.intent.interfaces_of(id))
                .cloned()
                .collect();
            for port in interfaces {
                self.port(&port);
                self.told(port.network_id);
            }
        }
    }

    fn bindings(&mut self) {
        for (id, old, new) in changed(self.old.facts.bindings(), self.new.facts.bindings()) {
            self.objects.insert(Object::Port(id));
            for binding in [old, new].into_iter().flatten() {
                if binding.chassis == *self.new.chassis || self.membership_differs(binding) {
                    self.objects.insert(Object::Network(binding.network));
                }
            }
        }
    }

    /// Whether a port is plugged in on this hypervisor, before or after.
    fn is_here(&self, port: PortId) -> bool {
        let here = |view: &View<'_>| {
            let binding = view.facts.binding(port);
            binding.is_some_and(|binding| binding.chassis == *view.chassis)
        };
        self.views().iter().any(here)
    }

    /// Whether another hypervisor joined a network or left it with this binding.
    fn membership_differs(&self, binding: &Binding) -> bool {
        let member = |view: &View<'_>| {
            let mut ports = view.facts.local_ports(binding.network, &binding.chassis);
            ports.next().is_some()
        };
        member(&self.old) != member(&self.new)
    }

    /// Another hypervisor's endpoint: what comes from there and what goes there.
    fn peers(&mut self) {
        let differing: Vec<ChassisId> = self
            .old
            .facts
            .chassis()
            .diff(self.new.facts.chassis())
            .filter_map(|item| match item {
                DiffItem::Add(id, _) | DiffItem::Remove(id, _) => Some(id.clone()),
                DiffItem::Update {
                    old: (id, old),
                    new: (_, new),
                } => (old.encap != new.encap).then(|| id.clone()),
            })
            .collect();
        differing.iter().for_each(|peer| self.peer(peer));
    }

    fn peer(&mut self, peer: &ChassisId) {
        self.objects.insert(Object::Peer(peer.clone()));
        let there = |view: &View<'_>| {
            let networks: Vec<_> = view.facts.networks_on(peer).collect();
            let ports = networks
                .iter()
                .flat_map(|network| view.facts.local_ports(*network, peer))
                .map(Object::Port);
            ports
                .chain(networks.iter().copied().map(Object::Network))
                .collect::<Vec<_>>()
        };
        let objects: Vec<_> = self.views().iter().flat_map(there).collect();
        self.objects.extend(objects);
    }

    fn all_chassis(&mut self) {
        let all: Vec<_> = self
            .views()
            .iter()
            .flat_map(|view| view.facts.chassis().keys().cloned())
            .collect();
        self.objects.extend(all.into_iter().map(Object::Peer));
    }
}
