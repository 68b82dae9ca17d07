//! Prefixes that DHCPv6 delegates to subnets.

use crate::{Intent, NetworkId, Router, Subnet, SubnetId};
use ipnet::Ipv6Net;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A prefix that a server has delegated to a subnet (RFC 9915 §6.3). Times are in seconds since 1970; [`i64::MAX`]
/// means never.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delegation {
    /// The external network where the server is.
    pub network: NetworkId,
    /// The delegated prefix, of at most 64 bits.
    pub prefix: Ipv6Net,
    /// The DUID of the server.
    pub server: Vec<u8>,
    /// T1: when the router asks that server to extend it.
    pub renew_at: i64,
    /// T2: when the router asks any server to extend it.
    pub rebind_at: i64,
    /// Until when guests prefer addresses of it.
    pub preferred_until: i64,
    /// Until when the subnet has it.
    pub valid_until: i64,
}

impl Delegation {
    /// The subnet's prefix: the first /64 of the delegated one.
    #[must_use]
    pub fn subnet_prefix(&self) -> Ipv6Net {
        Ipv6Net::new_assert(self.prefix.network(), 64)
    }

    /// Whether it is valid no more.
    #[must_use]
    pub fn has_ended(&self, now: i64) -> bool {
        self.valid_until <= now
    }
}

impl Intent {
    /// Whether another version of intent has the same routers ask for the prefixes of the same subnets. It compares a
    /// few pointers. It says no if anything else about these objects has changed.
    #[must_use]
    pub fn delegates_as(&self, other: &Self) -> bool {
        self.subnets.ptr_eq(&other.subnets)
            && self.routers.ptr_eq(&other.routers)
            && self.router_ports_of.ptr_eq(&other.router_ports_of)
            && self.gateways_of.ptr_eq(&other.gateways_of)
    }

    /// The subnets whose prefix is delegated or is to be, by id.
    pub fn delegated_subnets(&self) -> impl Iterator<Item = &Arc<Subnet>> {
        let ids = self.delegated.iter();
        ids.filter_map(|id| self.subnets.get(id))
    }

    /// The router that asks for a subnet's prefix. It is on the subnet and has a gateway. Of several, it is the one
    /// with the first id.
    #[must_use]
    pub fn delegating_router(&self, subnet: &Subnet) -> Option<&Arc<Router>> {
        let on_subnet = self
            .router_ports_of(subnet.network_id)
            .filter(|port| port.has_address_of(subnet.id));
        on_subnet
            .filter_map(|port| port.router())
            .filter(|router| self.gateway_of(*router).is_some())
            .min()
            .and_then(|router| self.routers.get(&router))
    }

    /// The external network where a subnet's prefix is asked for.
    #[must_use]
    pub fn delegating_network(&self, subnet: &Subnet) -> Option<NetworkId> {
        let router = self.delegating_router(subnet)?;
        let gateway = self.gateway_of(router.id)?;
        Some(gateway.network_id)
    }

    /// The subnets whose prefixes a router asks for, by id.
    pub fn delegated_to(&self, router: &Router) -> impl Iterator<Item = &Arc<Subnet>> {
        let ids: std::collections::BTreeSet<SubnetId> = self
            .interfaces_of(router.id)
            .flat_map(|port| port.fixed_ips.iter().map(|ip| ip.subnet_id))
            .filter(|subnet| self.delegated.contains(subnet))
            .collect();
        ids.into_iter()
            .filter_map(|id| self.subnets.get(&id))
            .filter(|subnet| {
                let asking = self.delegating_router(subnet);
                asking.is_some_and(|asking| asking.id == router.id)
            })
    }
}
