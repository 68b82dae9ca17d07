//! Which prefix a new subnet has: the one that is named, or one of a pool.

use super::super::attributes::Body;
use super::super::draft::Draft;
use super::super::error::ApiError;
use super::super::resource::Resource;
use super::super::{ipam, subnet_pool, values};
use ipnet::IpNet;
use sextant_model::{NetworkId, PrefixSource, SubnetPool, SubnetPoolId};
use std::net::IpAddr;
use std::sync::Arc;

/// The name that stands for a prefix delegated by the upstream router.
const DELEGATION: &str = "prefix_delegation";

/// A prefix, and the gateway unless another is named.
pub(super) struct Prefix {
    pub(super) cidr: IpNet,
    pub(super) source: PrefixSource,
    pub(super) gateway: IpAddr,
}

/// What a request says about the prefix.
struct Asked {
    cidr: Option<IpNet>,
    prefixlen: Option<u8>,
    pool: Option<SubnetPoolId>,
    default_pool: bool,
}

impl Asked {
    fn read(body: &Body) -> Result<Self, ApiError> {
        let cidr = body.read("cidr", values::or_null(values::cidr))?.flatten();
        let prefixlen = body
            .read("prefixlen", values::or_null(values::between(0, 128)))?
            .flatten();
        let default_pool = body
            .read("use_default_subnetpool", values::boolean)?
            .unwrap_or(false);
        let named = body
            .read("subnetpool_id", values::or_null(values::text(values::LONG)))?
            .flatten();
        if named.as_deref() == Some(DELEGATION) {
            return Err(refused("Prefix Delegation is not available"));
        }
        let pool = body
            .read("subnetpool_id", values::or_null(values::uuid))?
            .flatten();
        Ok(Self {
            cidr,
            prefixlen: prefixlen.and_then(|length| u8::try_from(length).ok()),
            pool: pool.map(SubnetPoolId),
            default_pool,
        })
    }

    fn pool(&self, draft: &Draft, ip_version: u8) -> Result<Option<Arc<SubnetPool>>, ApiError> {
        match (self.pool, self.default_pool) {
            (Some(_), true) => Err(refused(
                "subnetpool_id and use_default_subnetpool cannot both be specified",
            )),
            (Some(id), false) => SubnetPool::get(&draft.intent, &id.to_string()).map(Some),
            (None, false) => Ok(None),
            (None, true) => {
                let mut pools = draft.intent.subnet_pools.values();
                let default = pools.find(|pool| pool.is_default && pool.ip_version() == ip_version);
                let missing =
                    || refused(format!("No default subnetpool found for IPv{ip_version}"));
                default.cloned().ok_or_else(missing).map(Some)
            }
        }
    }
}

/// The prefix that a request asks for. One of a pool is the subnet's from then on.
pub(super) fn take(
    draft: &mut Draft,
    body: &Body,
    network: NetworkId,
    project: &str,
) -> Result<Prefix, ApiError> {
    let ip_version = body.require("ip_version", values::ip_version)?;
    let asked = Asked::read(body)?;
    if asked.cidr.is_some() && asked.prefixlen.is_some() {
        return Err(refused("cidr and prefixlen must not be supplied together"));
    }
    let pool = asked.pool(draft, ip_version)?;
    let cidr = match &pool {
        Some(pool) => of_pool(draft, pool, ip_version, &asked, project)?,
        None => {
            let missing = || refused("a subnetpool must be specified in the absence of a cidr");
            asked.cidr.ok_or_else(missing)?
        }
    };
    let source = pool.map_or(PrefixSource::Given, |pool| PrefixSource::Pool(pool.id));
    refuse_mixed_sources(draft, network, source, cidr)?;
    let gateway = match asked.cidr {
        Some(_) => ipam::default_gateway(cidr),
        None => ipam::first_host(cidr),
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
    ip_version: u8,
    asked: &Asked,
    project: &str,
) -> Result<IpNet, ApiError> {
    let of = pool.ip_version();
    if of != ip_version {
        let message = format!("Cannot allocate IPv{ip_version} subnet from IPv{of} subnet pool");
        return Err(refused(message));
    }
    match asked.cidr {
        Some(cidr) => subnet_pool::take_named(draft, pool, cidr, project),
        None => {
            let length = asked.prefixlen.unwrap_or(pool.default_prefixlen);
            subnet_pool::take_any(draft, pool, length, project)
        }
    }
}

/// The subnets of a network in one address family have their prefixes all from the same pool, or all from none.
fn refuse_mixed_sources(
    draft: &Draft,
    network: NetworkId,
    source: PrefixSource,
    cidr: IpNet,
) -> Result<(), ApiError> {
    let same_family = |other: IpNet| other.network().is_ipv4() == cidr.network().is_ipv4();
    let mut others = draft
        .intent
        .subnets_of(network)
        .filter(|other| same_family(other.cidr));
    match others.find(|other| other.prefix_source != source) {
        Some(_) => Err(ApiError::bad(
            "NetworkSubnetPoolAffinityError",
            "Subnets hosted on the same network must be allocated from the same subnet pool.",
        )),
        None => Ok(()),
    }
}

fn refused(message: impl std::fmt::Display) -> ApiError {
    ApiError::bad_request("subnets", message)
}
