//! What a change alters of the guests that routers answer for outside.

use super::Touched;
use super::changes::{Changed, Changes};
use crate::contribution::PipelineObject;
use crate::features::external;
use crate::view::View;
use sextant_model::{
    Delegation, NetworkId, Port, Publish, RouterId, SubnetId, SubnetPool, SubnetPoolId,
};
use std::collections::BTreeSet;
use std::sync::Arc;

impl Touched<'_> {
    /// Changes of ports and ways out are named elsewhere. This adds what depends on where a prefix comes from, and on
    /// who else has an address.
    pub(super) fn publishing(&mut self, changes: &Changes<'_>) {
        let mut used = self.new.intent.settings.external.values();
        if !used.any(|settings| settings.publish == Publish::NdProxy) {
            return;
        }
        let subnets = changes.subnets.iter().flat_map(|subnet| subnet.sides());
        let mut networks: BTreeSet<NetworkId> = subnets.map(|subnet| subnet.network_id).collect();
        for delegation in changes.delegations.iter().filter(delegated_elsewhere) {
            let views = self.views();
            let subnets = views.iter().filter_map(|view| view.subnet(delegation.key));
            networks.extend(subnets.map(|subnet| subnet.network_id));
        }
        networks
            .into_iter()
            .for_each(|network| self.ways_out_of(network));
        if changes.pools.iter().any(is_in_another_scope) {
            let routers = self.publishers();
            routers.into_iter().for_each(|router| self.way_out(router));
        }
        for port in changes.ports.iter().flat_map(|port| port.sides()) {
            self.rivals(port);
        }
    }

    /// The routers that answer for guests.
    fn publishers(&self) -> BTreeSet<RouterId> {
        let mut routers = BTreeSet::new();
        for view in self.views() {
            let networks = view.intent.networks.values();
            let publishing = networks.filter(|network| external::publishes(&view, network));
            routers.extend(publishing.flat_map(|network| self.routers_by(network.id)));
        }
        routers
    }

    /// The guests for whom a router may answer on its external network.
    pub(super) fn published_by(&mut self, view: &View<'_>, router: RouterId, network: NetworkId) {
        let network = view.intent.networks.get(&network);
        if !network.is_some_and(|network| external::publishes(view, network)) {
            return;
        }
        let interfaces = view.intent.interfaces_of(router);
        for guest in interfaces.flat_map(|port| view.intent.ports_of(port.network_id)) {
            self.objects.insert(PipelineObject::Port(guest.id));
            self.rivals(guest);
        }
    }

    /// The ports that have an address of another.
    fn rivals(&mut self, port: &Port) {
        for view in self.views() {
            let addresses = port.addresses().map(|(_, address)| address);
            let rivals = addresses.flat_map(|address| view.intent.holders_of(address));
            self.objects
                .extend(rivals.map(|rival| PipelineObject::Port(rival.id)));
        }
    }
}

/// Whether a delegation differs in more than its lifetimes.
fn delegated_elsewhere(delegation: &&Changed<'_, SubnetId, Arc<Delegation>>) -> bool {
    let [old, new] = [delegation.old, delegation.new]
        .map(|side| side.map(|delegation| (delegation.network, delegation.prefix)));
    old != new
}

fn is_in_another_scope(pool: &Changed<'_, SubnetPoolId, Arc<SubnetPool>>) -> bool {
    let [old, new] = [pool.old, pool.new].map(|side| side.map(|pool| pool.address_scope_id));
    old != new
}
