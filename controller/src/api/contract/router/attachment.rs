//! What can be attached to a router: subnets and ports, next to those already attached.

use crate::api::contract::error::ApiError;
use crate::api::contract::ipam;
use crate::api::contract::placement::addresses;
use sextant_model::{Intent, Port, Router, Subnet, SubnetId};
use std::net::IpAddr;
use std::sync::Arc;

/// The subnet's gateway address, if the router can have it.
pub(super) fn checked_gateway(
    intent: &Intent,
    router: &Router,
    subnet: &Arc<Subnet>,
) -> Result<IpAddr, ApiError> {
    let gateway = subnet
        .gateway_ip
        .ok_or_else(|| refused("Subnet for router interface must have a gateway IP"))?;
    refuse_externally_advertised(subnet)?;
    refuse_overlap(intent, router, std::slice::from_ref(subnet))?;
    if ipam::is_usable(subnet.cidr, gateway, true) {
        Ok(gateway)
    } else {
        Err(addresses::not_of_subnet(gateway))
    }
}

/// Whether a port can become the router's.
pub(super) fn check_port(
    intent: &Intent,
    router: &Router,
    port: &Port,
    subnets: &[Arc<Subnet>],
) -> Result<(), ApiError> {
    refuse_used_port(port)?;
    if subnets.is_empty() {
        return Err(refused("Router port must have at least one fixed IP"));
    }
    let prefixes = subnets.iter().map(|subnet| subnet.cidr.network());
    if prefixes.filter(IpAddr::is_ipv4).count() > 1 {
        return Err(refused("Cannot have multiple IPv4 subnets on router port"));
    }
    for subnet in subnets {
        refuse_externally_advertised(subnet)?;
        refuse_second_port(intent, router, subnet)?;
    }
    refuse_overlap(intent, router, subnets)
}

fn refuse_used_port(port: &Port) -> Result<(), ApiError> {
    if port.device_id.is_empty() {
        return Ok(());
    }
    let (id, network, device) = (port.id, port.network_id, &port.device_id);
    Err(ApiError::conflict(
        "PortInUse",
        format!(
            "Unable to complete operation on port {id} for network {network}. Port already has an attached device {device}."
        ),
    ))
}

fn refuse_second_port(intent: &Intent, router: &Router, subnet: &Subnet) -> Result<(), ApiError> {
    let Some(other) = shared_port(intent, router, subnet) else {
        return Ok(());
    };
    Err(refused(format!(
        "Cannot have multiple router ports with the same network id if both contain IPv6 subnets. Existing port {} has IPv6 \
         subnet(s) and network id {}",
        other.id, other.network_id
    )))
}

/// The port that the router's IPv6 subnets of this network share.
pub(super) fn shared_port(intent: &Intent, router: &Router, subnet: &Subnet) -> Option<Arc<Port>> {
    if subnet.cidr.network().is_ipv4() {
        return None;
    }
    let mut ports = intent
        .interfaces_of(router.id)
        .filter(|port| port.network_id == subnet.network_id);
    ports
        .find(|port| {
            port.fixed_ips
                .iter()
                .any(|fixed| fixed.ip_address.is_ipv6())
        })
        .cloned()
}

fn refuse_externally_advertised(subnet: &Subnet) -> Result<(), ApiError> {
    if subnet.ipv6_ra_mode.is_some() || subnet.ipv6_address_mode.is_none() {
        return Ok(());
    }
    Err(refused(format!(
        "IPv6 subnet {} configured to receive RAs from an external router cannot be added to Neutron Router.",
        subnet.id
    )))
}

/// Refuses prefixes around a router that overlap: those of its interfaces, and all of its external network.
pub(super) fn refuse_overlap(
    intent: &Intent,
    router: &Router,
    added: &[Arc<Subnet>],
) -> Result<(), ApiError> {
    for present in &around(intent, router) {
        for subnet in added {
            refuse_pair(subnet, present)?;
        }
    }
    Ok(())
}

/// Whether the router may join a subnet where its port has an address.
pub(super) fn check_added(
    intent: &Intent,
    router: &Router,
    port: &Port,
    subnet: SubnetId,
) -> Result<(), ApiError> {
    let Some(subnet) = intent.subnets.get(&subnet) else {
        return Ok(());
    };
    refuse_externally_advertised(subnet)?;
    let mut others = intent
        .interfaces_of(router.id)
        .filter(|other| other.id != port.id);
    if others.any(|other| {
        other
            .fixed_ips
            .iter()
            .any(|fixed| fixed.subnet_id == subnet.id)
    }) {
        return Err(attached(subnet));
    }
    refuse_prefix(intent, router, subnet)
}

/// Whether a subnet around a router can have its prefix in this draft, next to the others.
pub(crate) fn refuse_prefix(
    intent: &Intent,
    router: &Router,
    subnet: &Subnet,
) -> Result<(), ApiError> {
    let around = around(intent, router);
    let mut others = around.iter().filter(|other| other.id != subnet.id);
    others.try_for_each(|other| refuse_pair(subnet, other))
}

/// The subnets of a router's interfaces, and all of its external network.
fn around(intent: &Intent, router: &Router) -> Vec<Arc<Subnet>> {
    let interfaces = intent.interfaces_of(router.id);
    let mut around: Vec<Arc<Subnet>> = interfaces
        .flat_map(|port| subnets_of(intent, port))
        .collect();
    if let Some(gateway) = intent.gateway_of(router.id) {
        around.extend(intent.subnets_of(gateway.network_id).cloned());
    }
    around
}

fn refuse_pair(subnet: &Subnet, present: &Subnet) -> Result<(), ApiError> {
    if subnet.id == present.id {
        return Err(attached(subnet));
    }
    if subnet.is_provisional() {
        return Ok(());
    }
    if subnet.cidr.contains(&present.cidr) || present.cidr.contains(&subnet.cidr) {
        return Err(refused(format!(
            "Cidr {} of subnet {} overlaps with cidr {} of subnet {}",
            subnet.cidr, subnet.id, present.cidr, present.id
        )));
    }
    Ok(())
}

fn attached(subnet: &Subnet) -> ApiError {
    refused(format!("Router already has a port on subnet {}", subnet.id))
}

pub(super) fn subnets_of(intent: &Intent, port: &Port) -> Vec<Arc<Subnet>> {
    port.fixed_ips
        .iter()
        .filter_map(|fixed| intent.subnets.get(&fixed.subnet_id).cloned())
        .collect()
}

pub(crate) fn refused(message: impl std::fmt::Display) -> ApiError {
    ApiError::bad_request("router", message)
}
