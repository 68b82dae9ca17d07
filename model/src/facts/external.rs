//! Facts about gateways and external networks.

use super::Facts;
use crate::{ChassisId, Intent, NetworkId, Outside, RouterId};
use imbl::{OrdMap, OrdSet};
use std::sync::Arc;

impl Facts {
    /// The hypervisor that has each router's external gateway, and the external network, by router.
    #[must_use]
    pub fn gateways(&self) -> &OrdMap<RouterId, (ChassisId, NetworkId)> {
        self.gateways.placed()
    }

    /// The routers that have their external gateway on a hypervisor, each with its external network, by network.
    pub fn gateways_on(&self, chassis: &ChassisId) -> impl Iterator<Item = (NetworkId, RouterId)> {
        self.gateways.on(chassis)
    }

    /// The routers that have their gateway to an external network on a hypervisor, by id.
    pub fn gateways_of(
        &self,
        network: NetworkId,
        chassis: &ChassisId,
    ) -> impl Iterator<Item = RouterId> {
        self.gateways.of(network, chassis)
    }

    /// Hypervisors that are silent for so long that others take their gateways.
    #[must_use]
    pub fn gone(&self) -> &OrdSet<ChassisId> {
        self.gateways.gone()
    }

    /// What each hypervisor has learned on external networks.
    #[must_use]
    pub fn outside(&self) -> &OrdMap<(ChassisId, NetworkId), Arc<Outside>> {
        self.gateways.outside()
    }

    /// What a hypervisor has learned on external networks, by network.
    pub fn outside_of(
        &self,
        chassis: &ChassisId,
    ) -> impl Iterator<Item = (NetworkId, &Arc<Outside>)> {
        let range = (chassis.clone(), NetworkId::MIN)..=(chassis.clone(), NetworkId::MAX);
        let known = self.outside().range(range);
        known.map(|((_, network), outside)| (*network, outside))
    }

    /// Moves a router's external gateway where it belongs, after the router changed.
    pub fn place_gateway(&mut self, intent: &Intent, router: RouterId) {
        self.gateways.place(intent, &self.chassis, router);
    }

    /// Moves every router's external gateway where it belongs, after hypervisors or external networks changed.
    pub fn place_gateways(&mut self, intent: &Intent) {
        for router in intent.routers.keys() {
            self.place_gateway(intent, *router);
        }
    }

    /// Moves every router's external gateway where it belongs, after only this hypervisor changed, joined or left.
    pub fn place_gateways_after(&mut self, intent: &Intent, chassis: &ChassisId) {
        self.gateways.reconsider(intent, &self.chassis, chassis);
    }

    /// A hypervisor is gone, or back, and gateways move. Returns whether this changes anything.
    pub fn mark_gone(&mut self, intent: &Intent, chassis: &ChassisId, gone: bool) -> bool {
        let news = self.gateways.mark(chassis, gone);
        if news {
            self.place_gateways_after(intent, chassis);
        }
        news
    }

    /// A hypervisor has learned this on an external network. `None`: it knows nothing there any more.
    pub fn learn_outside(
        &mut self,
        chassis: &ChassisId,
        network: NetworkId,
        outside: Option<Arc<Outside>>,
    ) {
        self.gateways.learn(chassis, network, outside);
    }
}
