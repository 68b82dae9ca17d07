//! Changes the addresses of a router's port.
//!
//! As in Neutron, IPv6 addresses of an interface can change, IPv4 ones cannot: in Neutron, floating IPs depend on them.
//! Neutron leaves some things unchecked that are checked here. Prefixes around a router do not overlap, its routes keep
//! their next hops, and one address is left.

use super::{attachment, extra_routes, gateway};
use crate::api::contract::draft::Draft;
use crate::api::contract::error::ApiError;
use crate::api::contract::kind::Kind;
use crate::api::contract::placement::addresses::WantedAddresses;
use crate::api::contract::placement::place;
use sextant_model::{FixedIp, Port, Router, RouterId, SubnetId};
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

/// Gives a router's port these addresses, and stores it.
pub(crate) fn port(draft: &mut Draft, port: Port, wanted: WantedAddresses) -> Result<(), ApiError> {
    let (id, before) = (port.id, port.fixed_ips.clone());
    let of_gateway = port.gateway_of();
    if of_gateway.is_some() {
        gateway::refuse_upstream(&draft.intent, &port, &wanted)?;
    }
    let owner = of_gateway.or(port.router());
    place(draft, port, wanted)?;
    let Some(port) = draft.intent.ports.get(&id).cloned() else {
        return Ok(());
    };
    if port.fixed_ips.is_empty() && !before.is_empty() {
        let message = format!("port {id} is a router's and needs an address");
        return Err(ApiError::bad_request("port", message));
    }
    match owner.and_then(|id| router(draft, id)) {
        Some(router) if of_gateway.is_some() => of_gateway_port(draft, &router, &port),
        Some(router) => of_interface(draft, &router, &port, &before),
        None => Ok(()),
    }
}

fn router(draft: &Draft, id: RouterId) -> Option<Arc<Router>> {
    draft.intent.routers.get(&id).cloned()
}

fn of_gateway_port(draft: &mut Draft, router: &Router, port: &Port) -> Result<(), ApiError> {
    extra_routes::check(&draft.intent, router)?;
    gateway::revise(draft, port);
    Ok(())
}

fn of_interface(
    draft: &mut Draft,
    router: &Router,
    port: &Port,
    before: &[FixedIp],
) -> Result<(), ApiError> {
    refuse_ipv4(port, before)?;
    let (had, has) = (subnets(before), subnets(&port.fixed_ips));
    let lost: Vec<SubnetId> = had.difference(&has).copied().collect();
    extra_routes::refuse_needed(&draft.intent, router, &lost)?;
    for subnet in has.difference(&had) {
        attachment::check_added(&draft.intent, router, port, *subnet)?;
    }
    extra_routes::check(&draft.intent, router)?;
    // A writer that attaches something to the router at the same time checks again.
    router.store_again(draft);
    Ok(())
}

fn refuse_ipv4(port: &Port, before: &[FixedIp]) -> Result<(), ApiError> {
    if ipv4_of(before) == ipv4_of(&port.fixed_ips) {
        return Ok(());
    }
    let message = format!("IP updates for port {} are not allowed", port.id);
    Err(ApiError::bad_request("ports", message))
}

fn ipv4_of(fixed_ips: &[FixedIp]) -> BTreeSet<(SubnetId, IpAddr)> {
    let all = fixed_ips.iter();
    all.filter(|fixed| fixed.ip_address.is_ipv4())
        .map(|fixed| (fixed.subnet_id, fixed.ip_address))
        .collect()
}

fn subnets(fixed_ips: &[FixedIp]) -> BTreeSet<SubnetId> {
    fixed_ips.iter().map(|fixed| fixed.subnet_id).collect()
}
