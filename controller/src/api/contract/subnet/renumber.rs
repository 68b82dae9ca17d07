//! Gives a subnet another delegated prefix.
//!
//! Guests get their EUI-64 addresses in the new prefix. The router with the gateway's address gets the new gateway's.
//! Every other address keeps its last 64 bits, unless another port gets that address.

mod places;

use super::rules;
use crate::api::contract::draft::Draft;
use crate::api::contract::error::ApiError;
use crate::api::contract::ipam;
use crate::api::contract::kind::Kind;
use crate::api::contract::placement::{self, addresses};
use crate::api::contract::router::{attachment, gateway};
use ipnet::{IpNet, Ipv6Net};
use sextant_model::{Intent, Mark, Network, Object, Port, PrefixSource, Router, Subnet, SubnetId};
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

/// Gives a subnet this delegated prefix, of 64 bits, and returns the old one. Does nothing if it has the prefix
/// already, or is gone.
pub(crate) fn renumber(
    draft: &mut Draft,
    id: SubnetId,
    prefix: Ipv6Net,
) -> Result<Option<Ipv6Net>, ApiError> {
    let subnet = draft.intent.subnets.get(&id).cloned();
    let Some((subnet, before)) =
        subnet.and_then(|subnet| Some((subnet.clone(), prefix_of(&subnet)?)))
    else {
        return Ok(None);
    };
    if before == prefix {
        return Ok(None);
    }
    let renumbered = with_prefix(draft, &subnet, prefix);
    check(&draft.intent, &renumbered)?;
    store_around(draft, &renumbered)?;
    readdress(draft, &subnet, &renumbered)?;
    draft.put(Object::Subnet(Arc::new(renumbered)));
    Ok(Some(before))
}

/// The prefix of a subnet, if it is one that is delegated.
fn prefix_of(subnet: &Subnet) -> Option<Ipv6Net> {
    match subnet.cidr {
        IpNet::V6(prefix) if subnet.prefix_source == PrefixSource::Delegated => Some(prefix),
        IpNet::V6(_) | IpNet::V4(_) => None,
    }
}

/// The subnet with another prefix. The old prefix's gateway and pools do not apply to the new one.
fn with_prefix(draft: &Draft, subnet: &Subnet, prefix: Ipv6Net) -> Subnet {
    let gateway = Some(IpAddr::V6(places::gateway(prefix)));
    let mut meta = subnet.meta.clone();
    draft.revise(&mut meta);
    Subnet {
        meta,
        cidr: prefix.into(),
        gateway_ip: gateway,
        allocation_pools: ipam::default_pools(prefix.into(), gateway),
        ..subnet.clone()
    }
}

fn check(intent: &Intent, subnet: &Subnet) -> Result<(), ApiError> {
    if subnet.is_provisional() {
        return Ok(());
    }
    rules::check_dhcp(subnet.cidr)?;
    let others = intent.subnets_of(subnet.network_id);
    rules::refuse_overlap(subnet, others.filter(|other| other.id != subnet.id))?;
    let routers = routers_around(intent, subnet);
    routers
        .iter()
        .try_for_each(|router| attachment::refuse_prefix(intent, router, subnet))
}

/// The routers with the subnet on any of their sides.
fn routers_around(intent: &Intent, subnet: &Subnet) -> Vec<Arc<Router>> {
    let on_subnet = intent
        .router_ports_of(subnet.network_id)
        .filter(|port| port.has_address_of(subnet.id));
    let outside = intent.gateway_ports_of(subnet.network_id);
    let ids: BTreeSet<_> = on_subnet
        .filter_map(|port| port.router())
        .chain(outside.filter_map(|port| port.gateway_of()))
        .collect();
    let routers = ids.iter().filter_map(|id| intent.routers.get(id));
    routers.cloned().collect()
}

fn store_around(draft: &mut Draft, subnet: &Subnet) -> Result<(), ApiError> {
    let network = Network::get(&draft.intent, subnet.network_id)?;
    network.store_again(draft);
    for router in routers_around(&draft.intent, subnet) {
        router.store_again(draft);
    }
    Ok(())
}

/// Replaces every port's addresses of the subnet.
fn readdress(draft: &mut Draft, before: &Subnet, after: &Subnet) -> Result<(), ApiError> {
    draft.relies_on(Mark::PortsOf(before.network_id));
    let ports = draft.intent.ports_of(before.network_id);
    let ports: Vec<Arc<Port>> = ports
        .filter(|port| port.has_address_of(before.id))
        .cloned()
        .collect();
    let places = places::in_prefix(&ports, before, after);
    for old in ports.iter().flat_map(|port| &port.fixed_ips) {
        if old.subnet_id == before.id {
            addresses::release(draft, *old);
        }
    }
    for port in &ports {
        let mut changed = Port::clone(port);
        for fixed in changed
            .fixed_ips
            .iter_mut()
            .filter(|fixed| fixed.subnet_id == before.id)
        {
            if let Some(place) = places.get(&fixed.ip_address) {
                fixed.ip_address = *place;
            }
            addresses::claim(draft, *fixed)?;
        }
        gateway::revise(draft, port);
        placement::store_changed(draft, changed);
    }
    Ok(())
}
