//! The prefix of a new subnet: a named one, or one from a pool.

use crate::api::contract::draft::Draft;
use crate::api::contract::error::ApiError;
use crate::api::contract::ipam;
use crate::api::contract::kind::Kind;
use crate::api::contract::network;
use crate::api::contract::subnet::SubnetPatch;
use crate::api::contract::subnet_pool;
use crate::api::contract::values::{self, Invalid};
use ipnet::IpNet;
use serde_json::Value;
use sextant_model::{
    AddressScopeId, Intent, IpVersion, Ipv6Mode, Key, NetworkId, ObjectKey, PROVISIONAL_PREFIX,
    PrefixSource, SubnetPool, SubnetPoolId,
};
use std::net::IpAddr;
use std::sync::Arc;

/// The `subnetpool_id` for a prefix delegated by the upstream router.
const DELEGATION: &str = "prefix_delegation";

/// A prefix, and the gateway if the request names none.
pub(super) struct Prefix {
    pub(super) cidr: IpNet,
    pub(super) source: PrefixSource,
    pub(super) gateway: IpAddr,
}

/// The values of `subnetpool_id`.
#[derive(Clone, Copy, Debug)]
pub(crate) enum NamedPool {
    Pool(SubnetPoolId),
    Delegation,
}

/// Where the prefix comes from.
enum Source {
    Given,
    Pool(Arc<SubnetPool>),
    Delegated,
}

impl SubnetPatch {
    fn source(&self, draft: &Draft, ip_version: IpVersion) -> Result<Source, ApiError> {
        let from_default = self.use_default_subnetpool.unwrap_or(false);
        match (self.subnetpool_id.flatten(), from_default) {
            (Some(_), true) => Err(refused(
                "subnetpool_id and use_default_subnetpool cannot both be specified",
            )),
            (Some(NamedPool::Pool(id)), false) => {
                SubnetPool::get(&draft.intent, id).map(Source::Pool)
            }
            (Some(NamedPool::Delegation), false) => Ok(self.delegated()),
            (None, false) => Ok(Source::Given),
            (None, true)
                if ip_version == IpVersion::V6 && draft.intent.settings.ipv6_pd_enabled =>
            {
                Ok(self.delegated())
            }
            (None, true) => {
                let default = default_pool(&draft.intent, ip_version).cloned();
                let default = default.ok_or_else(|| no_default(ip_version));
                default.map(Source::Pool)
            }
        }
    }

    fn named_prefix(&self) -> Option<IpNet> {
        self.cidr.flatten()
    }

    /// A prefix cannot be both named and delegated. As in Neutron, the named one counts.
    fn delegated(&self) -> Source {
        match self.named_prefix() {
            Some(_) => Source::Given,
            None => Source::Delegated,
        }
    }
}

/// The default pool of an IP version.
pub(crate) fn default_pool(intent: &Intent, ip_version: IpVersion) -> Option<&Arc<SubnetPool>> {
    let mut pools = intent.subnet_pools.values();
    pools.find(|pool| pool.is_default && pool.ip_version() == ip_version)
}

/// The error that the caller sees no default pool.
pub(crate) fn no_default(ip_version: IpVersion) -> ApiError {
    refused(format!("No default subnetpool found for {ip_version}"))
}

/// The prefix that a request asks for. A prefix from a pool is taken from it.
pub(super) fn take(
    draft: &mut Draft,
    patch: &SubnetPatch,
    project: &str,
) -> Result<Prefix, ApiError> {
    let ip_version = patch.ip_version()?;
    let named = patch.named_prefix();
    if named.is_some() && patch.prefixlen.flatten().is_some() {
        return Err(refused("cidr and prefixlen must not be supplied together"));
    }
    let wanted = patch.source(draft, ip_version)?;
    if named.is_none() && !matches!(wanted, Source::Given) {
        refuse_pools(patch)?;
    }
    let (cidr, source) = match &wanted {
        Source::Pool(pool) => {
            let cidr = of_pool(draft, pool, ip_version, patch, project)?;
            (cidr, PrefixSource::Pool(pool.id))
        }
        Source::Delegated => {
            check_delegation(patch, ip_version)?;
            (PROVISIONAL_PREFIX.into(), PrefixSource::Delegated)
        }
        Source::Given => {
            let reason = "a subnetpool must be specified in the absence of a cidr";
            let cidr = named.ok_or_else(|| refused(reason))?;
            (cidr, PrefixSource::Given)
        }
    };
    refuse_mixed_sources(draft, patch.network_id()?, source, cidr)?;
    let gateway = match wanted {
        Source::Pool(_) if named.is_none() => ipam::first_host(cidr),
        Source::Pool(_) | Source::Given | Source::Delegated => ipam::default_gateway(cidr),
    };
    Ok(Prefix {
        cidr,
        source,
        gateway,
    })
}

fn of_pool(
    draft: &mut Draft,
    pool: &SubnetPool,
    ip_version: IpVersion,
    patch: &SubnetPatch,
    project: &str,
) -> Result<IpNet, ApiError> {
    let of = pool.ip_version();
    if of != ip_version {
        let message = format!("Cannot allocate {ip_version} subnet from {of} subnet pool");
        return Err(refused(message));
    }
    match patch.named_prefix() {
        Some(cidr) => subnet_pool::take_named(draft, pool, cidr, project),
        None => {
            let length = patch.prefixlen.flatten().unwrap_or(pool.default_prefixlen);
            subnet_pool::take_any(draft, pool, length, project)
        }
    }
}

/// A pool, or the word that stands for delegation.
pub(super) fn named_pool(value: &Value) -> Result<NamedPool, Invalid> {
    match value.as_str() {
        Some(DELEGATION) => Ok(NamedPool::Delegation),
        _ => values::uuid(value).map(SubnetPoolId).map(NamedPool::Pool),
    }
}

/// Allocation pools need a known prefix.
fn refuse_pools(patch: &SubnetPatch) -> Result<(), ApiError> {
    match &patch.allocation_pools {
        Some(Some(_)) => Err(refused(
            "allocation_pools allowed only for specific subnet requests.",
        )),
        _ => Ok(()),
    }
}

/// A delegated prefix may change, so hosts have to form their addresses themselves.
fn check_delegation(patch: &SubnetPatch, ip_version: IpVersion) -> Result<(), ApiError> {
    if ip_version != IpVersion::V6 {
        return Err(refused(
            "Prefix Delegation can only be used with IPv6 subnets.",
        ));
    }
    for (mode, name) in [
        (patch.ipv6_ra_mode, "RA"),
        (patch.ipv6_address_mode, "Address"),
    ] {
        if !mode.is_some_and(Ipv6Mode::is_auto_address) {
            return Err(refused(format!(
                "IPv6 {name} Mode must be SLAAC or Stateless for Prefix Delegation."
            )));
        }
    }
    Ok(())
}

/// The subnets of a network in one IP version take their prefixes from one pool, or all without a pool. If the pools
/// have an address scope, all are of that scope.
fn refuse_mixed_sources(
    draft: &mut Draft,
    network: NetworkId,
    source: PrefixSource,
    cidr: IpNet,
) -> Result<(), ApiError> {
    let ip_version = IpVersion::of_prefix(cidr);
    rely_on_pools(draft, network);
    if let Some(scope) = network::scope(&draft.intent, network, ip_version)
        && let Some(own) = scope_of(draft, source)
    {
        return match own {
            Some(own) if own == scope => Ok(()),
            _ => Err(subnet_pool::scope::mixed()),
        };
    }
    let mut others = draft
        .intent
        .subnets_of(network)
        .filter(|other| IpVersion::of_prefix(other.cidr) == ip_version);
    match others.find(|other| other.prefix_source != source) {
        Some(_) => Err(ApiError::bad(
            "NetworkSubnetPoolAffinityError",
            "Subnets hosted on the same network must be allocated from the same subnet pool.",
        )),
        None => Ok(()),
    }
}

/// Requires that the pools of the network's subnets do not change their scopes meanwhile.
fn rely_on_pools(draft: &mut Draft, network: NetworkId) {
    let subnets = draft.intent.subnets_of(network);
    let pools: Vec<Key> = subnets
        .filter_map(|subnet| pool_of(subnet.prefix_source))
        .collect();
    pools.into_iter().for_each(|pool| draft.relies_on(pool));
}

fn pool_of(source: PrefixSource) -> Option<Key> {
    match source {
        PrefixSource::Pool(id) => Some(Key::Object(ObjectKey::SubnetPool(id))),
        PrefixSource::Given | PrefixSource::Delegated => None,
    }
}

/// The scope of the pool that a prefix is from. `None` for a named prefix.
fn scope_of(draft: &Draft, source: PrefixSource) -> Option<Option<AddressScopeId>> {
    match source {
        PrefixSource::Given => None,
        PrefixSource::Delegated => Some(None),
        PrefixSource::Pool(id) => Some(draft.intent.subnet_pools.get(&id)?.address_scope_id),
    }
}

fn refused(message: impl std::fmt::Display) -> ApiError {
    ApiError::bad_request("subnets", message)
}
