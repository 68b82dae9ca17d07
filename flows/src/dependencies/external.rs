//! What changes of gateways, and of what is known of external networks, alter.

use super::Touched;
use super::changes::{Changed, Changes};
use super::works_alike;
use crate::contribution::PipelineObject;
use sextant_model::{ChassisId, NetworkId, PrefixSource, Router, RouterId, Subnet};
use std::collections::BTreeSet;
use std::sync::Arc;

impl Touched<'_> {
    pub(super) fn external(&mut self, changes: &Changes<'_>) {
        let mut routers = BTreeSet::new();
        // A router loses or gets its way out with its gateway port, and its prefixes with its other ports.
        for port in changes.ports.iter().flat_map(|port| port.sides()) {
            routers.extend(port.gateway_of().or(port.router()));
        }
        let differ = changes
            .routers
            .iter()
            .filter(|router| routes_differ(router));
        routers.extend(differ.map(|router| router.key));
        for gateway in &changes.gateways {
            routers.insert(gateway.key);
            // Which hypervisor sends what comes from outside.
            let placed = gateway.sides();
            let peers = placed.map(|(chassis, _)| PipelineObject::Peer(chassis.clone()));
            self.objects.extend(peers);
        }
        let networks = changes.networks.iter().map(|network| network.key);
        let subnets = changes.subnets.iter().flat_map(|subnet| subnet.sides());
        for network in networks.chain(subnets.map(|subnet| subnet.network_id)) {
            routers.extend(self.routers_by(network));
        }
        for subnet in &changes.subnets {
            let [old, new] = [subnet.old, subnet.new]
                .map(|side| side.is_some_and(|subnet| is_delegated(subnet)));
            if old != new {
                let networks = subnet.sides().map(|subnet| subnet.network_id);
                routers.extend(networks.flat_map(|network| self.routers_on(network)));
            }
        }
        // Last, since it looks at all routers that were found: their neighbours on a delegated subnet may take over from
        // them.
        let beside = self.delegates_beside(&routers);
        routers.extend(beside);
        routers.into_iter().for_each(|router| self.way_out(router));
        for outside in &changes.outside {
            let (chassis, network) = &outside.key;
            let [before, after] =
                [outside.old, outside.new].map(|side| side.and_then(|known| known.default_router));
            self.outside(chassis, *network, before != after);
        }
    }

    /// Whether a gateway came to this hypervisor or left it.
    pub(super) fn gateways_differ_here(&self, changes: &Changes<'_>) -> bool {
        let mut placed = changes.gateways.iter().flat_map(|gateway| gateway.sides());
        placed.any(|(chassis, _)| chassis == self.new.chassis)
    }

    /// The routers on a network, which may begin or cease to leave by this hypervisor.
    pub(super) fn ways_out_of(&mut self, network: NetworkId) {
        let routers = self.routers_on(network);
        routers.into_iter().for_each(|router| self.way_out(router));
    }

    /// The routers with a network on them.
    fn routers_on(&self, network: NetworkId) -> BTreeSet<RouterId> {
        let mut routers = BTreeSet::new();
        for view in self.views() {
            let ports = view.intent.router_ports_of(network);
            routers.extend(ports.filter_map(|port| port.router()));
        }
        routers
    }

    /// The routers that share a delegated subnet with these. Only one of them asks for the prefix; when one comes or
    /// goes, another may have to.
    fn delegates_beside(&self, routers: &BTreeSet<RouterId>) -> BTreeSet<RouterId> {
        let mut beside = BTreeSet::new();
        for view in self.views() {
            let interfaces = routers
                .iter()
                .flat_map(|router| view.intent.interfaces_of(*router));
            let networks: BTreeSet<NetworkId> = interfaces.map(|port| port.network_id).collect();
            for network in networks {
                let mut subnets = view.intent.subnets_of(network);
                if subnets.any(|subnet| is_delegated(subnet)) {
                    beside.extend(self.routers_on(network));
                }
            }
        }
        beside
    }

    /// The routers whose external network this is.
    pub(super) fn routers_by(&self, network: NetworkId) -> BTreeSet<RouterId> {
        let mut routers = BTreeSet::new();
        for view in self.views() {
            let ports = view.intent.gateway_ports_of(network);
            routers.extend(ports.filter_map(|port| port.gateway_of()));
        }
        routers
    }

    /// All that a router's way out consists of: its routes, its port, its external network, and the guests for whom it
    /// answers there.
    pub(super) fn way_out(&mut self, router: RouterId) {
        self.objects.insert(PipelineObject::Router(router));
        for view in self.views() {
            let gateway = view.intent.gateway_of(router);
            let Some(port) = gateway else {
                continue;
            };
            self.objects.insert(PipelineObject::Port(port.id));
            self.objects
                .insert(PipelineObject::Network(port.network_id));
            self.published_by(&view, router, port.network_id);
        }
    }

    /// What a hypervisor learned of an external network alters its own flows there. Another default router also alters
    /// the routes of everybody who sends to the gateways there.
    fn outside(&mut self, chassis: &ChassisId, network: NetworkId, another_hop: bool) {
        if *chassis == *self.new.chassis {
            self.objects.insert(PipelineObject::Network(network));
        }
        if !another_hop {
            return;
        }
        for view in self.views() {
            let routers = view.facts.gateways_of(network, chassis);
            self.objects.extend(routers.map(PipelineObject::Router));
            if chassis != view.chassis {
                continue;
            }
            let network = view.intent.networks.get(&network);
            let near = network.map_or_else(Vec::new, |network| view.gateways_near(network));
            let routers = near
                .iter()
                .map(|gateway| PipelineObject::Router(gateway.router.id));
            self.objects.extend(routers);
        }
    }
}

/// Whether a router works differently or has other routes.
fn routes_differ(router: &Changed<'_, RouterId, Arc<Router>>) -> bool {
    let [old, new] = [router.old, router.new].map(|side| side.map(|router| &router.routes));
    !works_alike(router) || old != new
}

fn is_delegated(subnet: &Subnet) -> bool {
    subnet.prefix_source == PrefixSource::Delegated
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::View;
    use sextant_model::{
        Change, Chassis, Encap, EncapKind, ExternalGateway, Facts, Intent, MacAddr, Network,
        NetworkKey, NetworkType, Object, Outside, Router, RouterKey,
    };
    use std::net::Ipv6Addr;
    use std::sync::Arc;
    use uuid::Uuid;

    const NETWORK: NetworkId = NetworkId(Uuid::from_u128(1));
    const ROUTER: RouterId = RouterId(Uuid::from_u128(2));

    fn intent() -> Intent {
        let mut intent = Intent::default();
        intent.apply(&Change::Put(Object::Network(Arc::new(Network {
            external: true,
            network_type: NetworkType::Flat,
            physical_network: Some("physnet1".to_owned()),
            segmentation_id: None,
            ..Network::new(NETWORK, NetworkKey(1))
        }))));
        let external_gateway = Some(ExternalGateway {
            network_id: NETWORK,
            enable_snat: true,
        });
        intent.apply(&Change::Put(Object::Router(Arc::new(Router {
            external_gateway,
            ..Router::new(ROUTER, RouterKey(7))
        }))));
        intent
    }

    fn facts(intent: &Intent, chassis: &ChassisId, router: bool, mac: u8) -> Facts {
        let mut facts = Facts::default();
        facts.put_chassis(Chassis {
            bridge_mappings: [("physnet1".to_owned(), "br-ex".to_owned())].into(),
            patch_ports: [("physnet1".to_owned(), 9)].into(),
            observed: true,
            ..Chassis::new(
                chassis.clone(),
                Encap {
                    endpoints: "2001:db8::1".parse().unwrap(),
                    kind: EncapKind::Vxlan,
                },
            )
        });
        facts.place_gateways(intent);
        let address = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
        let known = Outside {
            default_router: router.then_some(address),
            neighbors: [(address.into(), MacAddr([2, 0, 0, 0, 0, mac]))].into(),
        };
        facts.learn_outside(chassis, NETWORK, Some(Arc::new(known)));
        facts
    }

    #[test]
    fn whose_mac_is_another_is_no_matter_of_routers_but_whether_there_is_a_next_hop_is() {
        let (intent, chassis) = (intent(), ChassisId::new("h1"));
        let (router, network) = (
            PipelineObject::Router(ROUTER),
            PipelineObject::Network(NETWORK),
        );
        for (router_before, mac_before, expected) in [
            (true, 1, vec![&network]),
            (false, 2, vec![&network, &router]),
        ] {
            let facts = [(router_before, mac_before), (true, 2)]
                .map(|(router, mac)| facts(&intent, &chassis, router, mac));
            let [old, new] = facts
                .each_ref()
                .map(|facts| View::new(&intent, facts, &chassis));
            let touched = super::super::touched(&old, &new);
            assert_eq!(touched.iter().collect::<Vec<_>>(), expected);
        }
    }
}
