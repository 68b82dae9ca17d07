//! Ways out of a cloud: gateways, and what hypervisors know of the outside.

use super::{Cloud, id, network_id};
use sextant_model::{
    ChassisId, ExternalGateway, ExternalSettings, Object, Outside, ROUTER_GATEWAY_OWNER,
};
use std::net::Ipv6Addr;
use std::sync::Arc;

impl Cloud {
    /// A router gets an external network, and a port there with an address in each of its subnets.
    pub(crate) fn gateway(&mut self, router: &str, network: &str) {
        let name = format!("gw-{router}");
        let mut port = self.new_port(&name, network);
        port.device_id = id(router).to_string();
        port.device_owner = ROUTER_GATEWAY_OWNER.to_owned();
        let host = u128::from(self.made);
        port.fixed_ips = self.addresses(network, |prefix| {
            Ipv6Addr::from_bits(prefix.to_bits() | host)
        });
        self.put(Object::Port(Arc::new(port)));
        self.change_router(router, |router| {
            router.external_gateway = Some(ExternalGateway {
                network_id: network_id(network),
                enable_snat: true,
            });
        });
    }

    /// A router has no external network any more.
    pub(crate) fn no_gateway(&mut self, router: &str) {
        self.change_router(router, |router| router.external_gateway = None);
        self.delete_port(&format!("gw-{router}"));
    }

    /// A hypervisor is gone, or back.
    pub(crate) fn mark_gone(&mut self, hypervisor: &str, gone: bool) {
        let chassis = ChassisId::new(hypervisor);
        self.facts.mark_gone(&self.intent, &chassis, gone);
    }

    /// A hypervisor knows this of the outside of a network.
    pub(crate) fn learn(&mut self, hypervisor: &str, network: &str, outside: Option<Outside>) {
        let chassis = ChassisId::new(hypervisor);
        let network = network_id(network);
        self.facts
            .learn_outside(&chassis, network, outside.map(Arc::new));
    }

    /// How external networks of a physical network are used.
    pub(crate) fn external(&mut self, physical: &str, settings: ExternalSettings) {
        let mut all = (*self.intent.settings).clone();
        all.external.insert(physical.to_owned(), settings);
        self.intent.settings = Arc::new(all);
    }
}
