//! Addresses for ports that were there before the subnet, where hosts do not form their own.
//!
//! A router's gateway gets an address of a subnet that is added to its external network, when it has none of that kind
//! yet. Guests get one when the configuration says so (`address_existing_ports`): Neutron leaves them without
//! (<https://bugs.launchpad.net/neutron/+bug/1719806>). When the subnet has no more free addresses the rest stay without.

use crate::api::contract::draft::Draft;
use crate::api::contract::placement::{self, addresses};
use crate::api::contract::router::gateway;
use sextant_model::{Intent, Mark, Network, Port, Subnet};
use std::sync::Arc;

/// Gives the ports of the network an address on a new subnet, as far as there are any.
pub(super) fn give(draft: &mut Draft, network: &Network, subnet: &Arc<Subnet>) {
    let to_guests = draft.intent.settings.address_existing_ports;
    if subnet.is_auto_address() || !(network.external || to_guests) {
        return;
    }
    draft.relies_on(Mark::PortsOf(network.id));
    for port in waiting(&draft.intent, subnet, to_guests) {
        let Some(fixed) = addresses::any_of(draft, &port, subnet) else {
            return;
        };
        gateway::revise(draft, &port);
        let mut port = Port::clone(&port);
        port.fixed_ips.push(fixed);
        placement::store_changed(draft, port);
    }
}

fn waiting(intent: &Intent, subnet: &Subnet, to_guests: bool) -> Vec<Arc<Port>> {
    let waits = |port: &&Arc<Port>| {
        let of_gateway = port.gateway_of().is_some();
        (of_gateway || (to_guests && !port.is_of_router()))
            && addresses::is_for(subnet, &port.device_owner)
            && !has_one_like(intent, port, subnet)
    };
    let ports = intent.ports_of(subnet.network_id);
    ports.filter(waits).cloned().collect()
}

/// Whether a port has an address of the same IP version that it has not by itself.
fn has_one_like(intent: &Intent, port: &Port, subnet: &Subnet) -> bool {
    let ipv4 = subnet.cidr.network().is_ipv4();
    port.fixed_ips.iter().any(|fixed| {
        let by_itself = intent
            .subnets
            .get(&fixed.subnet_id)
            .is_some_and(|subnet| subnet.is_auto_address());
        fixed.ip_address.is_ipv4() == ipv4 && !by_itself
    })
}
