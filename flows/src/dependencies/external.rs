//! What changes of gateways, and of what is known of the outside, alter.

use super::Touched;
use super::changes::Changes;
use super::works_alike;
use crate::contribution::Object;
use crate::view::View;
use sextant_model::{ChassisId, NetworkId, Publish, RouterId};
use std::collections::BTreeSet;

impl Touched<'_> {
    pub(super) fn external(&mut self, changes: &Changes<'_>) {
        let mut routers = BTreeSet::new();
        for port in changes.ports.iter().flat_map(|port| port.sides()) {
            routers.extend(port.gateway_of().or(port.router()));
        }
        let differ = changes.routers.iter().filter(|router| !works_alike(router));
        routers.extend(differ.map(|router| router.key));
        routers.extend(changes.gateways.iter().map(|gateway| gateway.key));
        let networks = changes.networks.iter().map(|network| network.key);
        let subnets = changes.subnets.iter().flat_map(|subnet| subnet.sides());
        for network in networks.chain(subnets.map(|subnet| subnet.network_id)) {
            routers.extend(self.routers_by(network));
        }
        routers.into_iter().for_each(|router| self.way_out(router));
        for outside in &changes.outside {
            let (chassis, network) = &outside.key;
            self.outside(chassis, *network);
        }
    }

    /// Whether a gateway came to this hypervisor or left it.
    pub(super) fn gateways_differ_here(&self, changes: &Changes<'_>) -> bool {
        let mut placed = changes.gateways.iter().flat_map(|gateway| gateway.sides());
        placed.any(|(chassis, _)| chassis == self.new.chassis)
    }

    /// The routers with a network on them may leave by this hypervisor, or do so no more.
    pub(super) fn ways_out_of(&mut self, network: NetworkId) {
        let routers = self.views().into_iter().flat_map(|view| {
            let ports = view.intent.router_ports_of(network);
            ports.filter_map(|port| port.router())
        });
        let routers: BTreeSet<RouterId> = routers.collect();
        routers.into_iter().for_each(|router| self.way_out(router));
    }

    /// The routers that have a network for their external one.
    fn routers_by(&self, network: NetworkId) -> BTreeSet<RouterId> {
        let of_view = |view: View<'_>| {
            let ports = view.intent.gateway_ports_of(network);
            ports
                .filter_map(|port| port.gateway_of())
                .collect::<Vec<_>>()
        };
        self.views().into_iter().flat_map(of_view).collect()
    }

    /// All of a router's way out: its routes, its port, its external network, and the guests for whom it answers there.
    fn way_out(&mut self, router: RouterId) {
        self.objects.insert(Object::Router(router));
        for view in self.views() {
            let gateway = view.intent.gateway_of(router);
            let Some(port) = gateway else {
                continue;
            };
            self.objects.insert(Object::Port(port.id));
            self.objects.insert(Object::Network(port.network_id));
            let network = view.intent.networks.get(&port.network_id);
            let publishes = |publish: Publish| publish == Publish::NdProxy;
            if network.is_some_and(|network| publishes(view.external(network).publish)) {
                let interfaces = view.intent.interfaces_of(router);
                let guests = interfaces.flat_map(|port| view.intent.ports_of(port.network_id));
                self.objects
                    .extend(guests.map(|guest| Object::Port(guest.id)));
            }
        }
    }

    /// What a hypervisor knows of an external network: who is there, for its own flows; whether there is a next hop, for
    /// the flows of everybody who sends to the gateways there.
    fn outside(&mut self, chassis: &ChassisId, network: NetworkId) {
        for view in self.views() {
            let routers = view.facts.gateways_of(network, chassis);
            self.objects.extend(routers.map(Object::Router));
            if chassis != view.chassis {
                continue;
            }
            self.objects.insert(Object::Network(network));
            let network = view.intent.networks.get(&network);
            let near = network.map_or_else(Vec::new, |network| view.gateways_near(network));
            let routers = near.iter().map(|gateway| Object::Router(gateway.router.id));
            self.objects.extend(routers);
        }
    }
}
