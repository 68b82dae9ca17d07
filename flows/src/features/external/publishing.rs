//! Guests that hosts outside take for neighbours: their router answers for them (RFC 4389 §4.1.3.1).
//!
//! A tenant chooses the prefix of its network and the addresses of its ports, and may choose those of others. So only
//! prefixes that an operator gave out are published: a prefix that was delegated on the external network, or one from a
//! pool of the external network. An address that somebody else has, outside or inside, is never published.

use super::outside::proxied;
use crate::exit::Gateway;
use crate::flow::Flow;
use crate::view::View;
use crate::withheld::{Withheld, WithheldReason};
use ipnet::IpNet;
use sextant_model::{
    Network, NetworkId, Port, PrefixSource, Publish, Subnet, SubnetPool, SubnetPoolId,
};
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

/// Whether routers answer for guests on an external network.
pub(crate) fn publishes(view: &View<'_>, external: &Network) -> bool {
    view.external(external).publish == Publish::NdProxy
}

/// What routers with their gateway here answer for a guest outside, and which of its addresses they do not answer for.
pub(crate) fn published(view: &View<'_>, port: &Port) -> (Vec<Flow>, Vec<Withheld>) {
    let (mut flows, mut withheld) = (vec![], vec![]);
    if !publishes_here(view, port.network_id) {
        return (flows, withheld);
    }
    for (subnet, address) in reached(view, port) {
        let publishers = publishers(view, subnet).into_values();
        for gateway in publishers.filter(|gateway| view.has_gateway(gateway.router)) {
            let (external, mac) = (gateway.network, gateway.port.mac_address);
            match reason(view, external, port, subnet, address) {
                None => flows.extend(proxied(view, external, address, mac)),
                Some(reason) => withheld.push(Withheld {
                    external: external.id,
                    subnet: subnet.id,
                    reason,
                }),
            }
        }
    }
    (flows, withheld)
}

/// Whether a router with its gateway here may answer outside for guests of a network.
fn publishes_here(view: &View<'_>, network: NetworkId) -> bool {
    match view.lookups() {
        Some(lookups) => lookups.publishing(network, || has_publisher_here(view, network)),
        None => has_publisher_here(view, network),
    }
}

fn has_publisher_here(view: &View<'_>, network: NetworkId) -> bool {
    let mut gateways = view.gateways_beyond(network);
    gateways
        .any(|(_, gateway)| view.has_gateway(gateway.router) && publishes(view, gateway.network))
}

/// The addresses of a port, with the subnet of each: its fixed ones, and those that it has from its address pairs.
fn reached<'a>(view: &View<'a>, port: &'a Port) -> Vec<(&'a Subnet, Ipv6Addr)> {
    let fixed = port.ipv6_addresses();
    let fixed = fixed.filter_map(|(id, address)| Some((view.subnet(id)?, address)));
    let held = view.facts.held_by(port.id);
    let held = held.filter_map(|(address, _)| {
        let IpAddr::V6(of_family) = address else {
            return None;
        };
        let mut subnets = view.intent.subnets_of(port.network_id);
        let subnet = subnets.find(|subnet| subnet.cidr.contains(&address))?;
        Some((&**subnet, of_family))
    });
    fixed.chain(held).collect()
}

/// Which router answers for a subnet on each external network. The one with the subnet's gateway address comes first,
/// then one of the subnet's project. On a shared network, another project's router could send elsewhere the traffic
/// that it attracts.
fn publishers<'a>(view: &View<'a>, subnet: &Subnet) -> BTreeMap<NetworkId, Gateway<'a>> {
    let mut best: BTreeMap<NetworkId, (_, Gateway<'_>)> = BTreeMap::new();
    for (interface, gateway) in view.gateways_beyond(subnet.network_id) {
        if !publishes(view, gateway.network) {
            continue;
        }
        let own = interface.addresses().find(|(of, _)| *of == subnet.id);
        let Some((_, own)) = own else {
            continue;
        };
        let is_stranger = gateway.router.meta.project_id != subnet.meta.project_id;
        let rank = (subnet.gateway_ip == Some(own), Reverse(is_stranger));
        let known = best.entry(gateway.network.id);
        let known = known.or_insert((rank, gateway));
        if known.0 < rank {
            *known = (rank, gateway);
        }
    }
    best.into_iter()
        .map(|(network, (_, gateway))| (network, gateway))
        .collect()
}

/// Why a port's address is not published on an external network. `None` if it is published.
fn reason(
    view: &View<'_>,
    external: &Network,
    port: &Port,
    subnet: &Subnet,
    address: Ipv6Addr,
) -> Option<WithheldReason> {
    let address = IpAddr::from(address);

    if !is_given_out(view, external, subnet) || !subnet.cidr.contains(&address) {
        return Some(WithheldReason::NotGivenOut);
    }
    let mut outside = view.intent.subnets_of(external.id);
    if outside.any(|outside| !outside.is_provisional() && outside.cidr.contains(&address)) {
        return Some(WithheldReason::OfExternalNetwork);
    }
    let mut holders = view.intent.holders_of(address);
    // Ports of one network are no rivals. An address from a pair may be kept free by a port that has it and is not
    // used.
    holders
        .any(|other| other.network_id != port.network_id && claims(view, external, other, address))
        .then_some(WithheldReason::HeldByOthers)
}

/// Whether a port's address could be published if nobody else had it. A port whose prefix no operator gave out keeps no
/// other port's address from being published.
fn claims(view: &View<'_>, external: &Network, port: &Port, address: IpAddr) -> bool {
    let mut held = port.addresses().filter(|(_, held)| *held == address);
    held.any(|(subnet, _)| {
        view.subnet(subnet).is_some_and(|subnet| {
            publishers(view, subnet).contains_key(&external.id)
                && is_given_out(view, external, subnet)
        })
    })
}

/// Whether an operator gave a subnet its prefix, to be reached from an external network.
fn is_given_out(view: &View<'_>, external: &Network, subnet: &Subnet) -> bool {
    match subnet.prefix_source {
        PrefixSource::Given => false,
        PrefixSource::Delegated => is_delegated(view, external, subnet),
        PrefixSource::Pool(pool) => is_from_its_pools(view, external, pool),
    }
}

fn is_delegated(view: &View<'_>, external: &Network, subnet: &Subnet) -> bool {
    let delegation = view.facts.delegations().get(&subnet.id);
    delegation.is_some_and(|delegation| {
        let prefix = IpNet::from(delegation.subnet_prefix());
        delegation.network == external.id && prefix == subnet.cidr.trunc()
    })
}

/// Whether a pool is one of the external network's own, or one of the same address scope and operator. A tenant may put
/// a pool with prefixes of its choice into a shared scope, so the scope alone does not count.
fn is_from_its_pools(view: &View<'_>, external: &Network, id: SubnetPoolId) -> bool {
    let Some(pool) = view.intent.subnet_pools.get(&id) else {
        return false;
    };
    pools(view, external).any(|own| {
        let in_scope =
            pool.address_scope_id.is_some() && own.address_scope_id == pool.address_scope_id;
        let operators = [&own.meta.project_id, &external.meta.project_id];
        own.id == id || (in_scope && operators.contains(&&pool.meta.project_id))
    })
}

/// The pools of a network's subnets.
fn pools<'a>(view: &View<'a>, network: &Network) -> impl Iterator<Item = &'a SubnetPool> + use<'a> {
    let intent = view.intent;
    let subnets = intent.subnets_of(network.id);
    subnets.filter_map(|subnet| match subnet.prefix_source {
        PrefixSource::Pool(pool) => intent.subnet_pools.get(&pool).map(Arc::as_ref),
        PrefixSource::Given | PrefixSource::Delegated => None,
    })
}
