//! Addresses of a new subnet for ports that existed before it, where hosts do not form their own.
//!
//! A router's gateway gets an address of a new subnet of its external network, if it has none of that IP version yet.
//! Guests get one if the configuration says so (`address_existing_ports`). Neutron gives them none
//! (<https://bugs.launchpad.net/neutron/+bug/1719806>). If the subnet has too few free addresses, some ports get none.

use crate::api::contract::draft::Draft;
use crate::api::contract::placement::{self, addresses};
use crate::api::contract::router::gateway;
use sextant_model::{Intent, Mark, Network, Port, Subnet};
use std::sync::Arc;

/// Gives the network's ports an address of a new subnet, while there are free ones.
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
    let ports = intent.ports_of(subnet.network_id);
    let waiting = ports.filter(|port| {
        let of_gateway = port.gateway_of().is_some();
        (of_gateway || (to_guests && !port.is_of_router()))
            && addresses::is_for(subnet, &port.device_owner)
            && !has_one_like(intent, port, subnet)
    });
    waiting.cloned().collect()
}

/// Whether a port has an address of the same IP version that it did not get by itself.
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
