//! Addresses that ports get by themselves. On some subnets hosts form their addresses from the advertised prefix. There
//! every port of the network, except routers' ports, has its EUI-64 address for as long as the subnet exists.

use crate::api::contract::draft::Draft;
use crate::api::contract::error::ApiError;
use crate::api::contract::placement::{self, addresses};
use crate::api::contract::router::gateway;
use sextant_model::{FixedIp, Mark, Port, Subnet};
use std::sync::Arc;

/// Gives every port of the network its address on a new subnet.
pub(super) fn give(draft: &mut Draft, subnet: &Subnet) -> Result<(), ApiError> {
    if !subnet.is_auto_address() {
        return Ok(());
    }
    draft.relies_on(Mark::PortsOf(subnet.network_id));
    for port in guest_ports(draft, subnet) {
        if !addresses::is_for(subnet, &port.device_owner) {
            continue;
        }
        let Some(fixed) = addresses::eui64(&port, subnet) else {
            continue;
        };
        addresses::claim(draft, fixed)?;
        gateway::revise(draft, &port);
        let mut port = Port::clone(&port);
        port.fixed_ips.push(fixed);
        placement::store_changed(draft, port);
    }
    Ok(())
}

/// Takes back from every port of the network its address on a subnet that goes.
pub(super) fn take_back(draft: &mut Draft, subnet: &Subnet) {
    for port in guest_ports(draft, subnet) {
        let (gone, kept): (Vec<FixedIp>, Vec<FixedIp>) = port
            .fixed_ips
            .iter()
            .copied()
            .partition(|fixed| fixed.subnet_id == subnet.id);
        if gone.is_empty() {
            continue;
        }
        gone.iter()
            .for_each(|fixed| addresses::release(draft, *fixed));
        gateway::revise(draft, &port);
        placement::store_changed(
            draft,
            Port {
                fixed_ips: kept,
                ..Port::clone(&port)
            },
        );
    }
}

fn guest_ports(draft: &Draft, subnet: &Subnet) -> Vec<Arc<Port>> {
    let ports = draft.intent.ports_of(subnet.network_id);
    ports
        .filter(|port| port.router().is_none())
        .cloned()
        .collect()
}
