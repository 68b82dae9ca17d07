//! Subnet pools, and taking prefixes from them.
//!
//! A writer that takes a prefix stores the pool again. So of two that would take the same prefix, the second chooses
//! again.

pub(crate) mod prefix_ops;
pub(crate) mod scope;

use crate::api::contract::attributes::{Patch, attributes, fixed, read_only, required, writable};
use crate::api::contract::draft::Draft;
use crate::api::contract::error::ApiError;
use crate::api::contract::index::{self, Ids};
use crate::api::contract::ipam;
use crate::api::contract::kind::Kind;
use crate::api::contract::rbac;
use crate::api::contract::resource::Resource;
use crate::api::contract::ties::Ties;
use crate::api::contract::values::{self, Invalid};
use crate::api::contract::view::{Lengths, ResourceView};
use ipnet::IpNet;
use serde_json::Value;
use sextant_model::{
    AddressScopeId, Claim, Intent, IpVersion, Meta, Object, ObjectKey, PrefixSource, RbacAction,
    RbacObject, Span, Subnet, SubnetPool, SubnetPoolId,
};
use std::sync::Arc;

#[rustfmt::skip]
attributes! {
    /// What a request says about a subnet pool.
    SubnetPoolPatch of SubnetPool:
    required("prefixes").changeable().no_filter() => required prefixes: Vec<IpNet> = prefixes, |pool| &pool.prefixes;
    writable("min_prefixlen") => stored min_prefixlen: u8 = values::prefix_length, |pool, view| length(pool.min_prefixlen, view);
    writable("max_prefixlen") => stored max_prefixlen: u8 = values::prefix_length, |pool, view| length(pool.max_prefixlen, view);
    writable("default_prefixlen") => stored default_prefixlen: u8 = values::prefix_length, |pool, view| length(pool.default_prefixlen, view);
    writable("default_quota") => stored default_quota: Option<u64> = values::or_null(default_quota);
    writable("is_default") => given is_default: bool = values::boolean, |pool| pool.is_default;
    fixed("shared").index(rbac::shared::<SubnetPool>) => stored shared: bool = values::boolean, |pool, view| is_shared(pool, view);
    writable("address_scope_id").refers_to(named_scope) => given address_scope_id: Option<AddressScopeId> = values::or_null(values::id(AddressScopeId)), |pool| pool.address_scope_id;
    read_only("ip_version"), |pool| pool.ip_version();
}

impl Resource for SubnetPool {
    type Patch = SubnetPoolPatch;

    fn ties(&self) -> Ties {
        Ties::Object(RbacObject::SubnetPool(self.id))
    }

    fn tied_to<'a>(
        _: &'a Intent,
        object: RbacObject,
        span: Span<SubnetPoolId>,
    ) -> Option<Ids<'a, SubnetPoolId>> {
        match object {
            RbacObject::SubnetPool(id) => Some(index::one(id, span)),
            RbacObject::Network(_) | RbacObject::SecurityGroup(_) | RbacObject::AddressScope(_) => {
                None
            }
        }
    }

    fn create(
        draft: &mut Draft,
        meta: Meta,
        patch: &SubnetPoolPatch,
    ) -> Result<SubnetPoolId, ApiError> {
        let prefixes = aggregated(&patch.prefixes()?)?;
        let ipv4 = prefixes
            .first()
            .is_some_and(|prefix| prefix.network().is_ipv4());
        // Neutron's bounds for a pool that names none.
        let (min, max) = if ipv4 { (8, 32) } else { (64, 128) };
        let project = meta.project_id.clone();
        let mut pool = Self {
            id: SubnetPoolId(draft.uuid()),
            meta,
            prefixes,
            default_prefixlen: patch.min_prefixlen.unwrap_or(min),
            min_prefixlen: min,
            max_prefixlen: max,
            default_quota: None,
            shared: false,
            is_default: false,
            address_scope_id: None,
        };
        patch.store(&mut pool);
        check_bounds(&pool)?;
        change(&mut pool, draft, patch)?;
        let (id, shared) = (pool.id, pool.shared);
        draft.put(Object::SubnetPool(Arc::new(pool)));
        rbac::share(draft, RbacObject::SubnetPool(id), &project, shared)?;
        Ok(id)
    }

    fn update(
        &self,
        mut changed: Self,
        draft: &mut Draft,
        patch: &SubnetPoolPatch,
    ) -> Result<(), ApiError> {
        if let Some(prefixes) = &patch.prefixes {
            changed.prefixes = aggregated(prefixes)?;
            refuse_smaller(self, &changed)?;
        }
        check_bounds(&changed)?;
        change(&mut changed, draft, patch)?;
        draft.put(Object::SubnetPool(Arc::new(changed)));
        Ok(())
    }

    fn delete(&self, draft: &mut Draft) -> Result<(), ApiError> {
        if subnets_of(&draft.intent, self).next().is_some() {
            return Err(ApiError::bad(
                "SubnetPoolDeleteError",
                "Unable to delete subnet pool: Subnet pool has existing allocations.",
            ));
        }
        if self.is_default {
            draft.delete(Claim::DefaultSubnetPool(self.ip_version()));
        }
        draft.delete(ObjectKey::SubnetPool(self.id));
        Ok(())
    }
}

/// The most prefixes of a pool. Requests add few at a time, but removing one from a large prefix leaves many.
const MOST_PREFIXES: usize = 1024;

fn named_scope(patch: &SubnetPoolPatch) -> Vec<RbacObject> {
    let scope = patch.address_scope_id.flatten();
    scope.map(RbacObject::AddressScope).into_iter().collect()
}

/// As Neutron shows the length of a prefix.
fn length(length: u8, view: ResourceView<'_>) -> Value {
    match view.lengths {
        Lengths::Text => length.to_string().into(),
        Lengths::Numbers => length.into(),
    }
}

/// Whether the caller may use it by an access policy.
fn is_shared(pool: &SubnetPool, view: ResourceView<'_>) -> bool {
    let object = RbacObject::SubnetPool(pool.id);
    view.caller
        .is_granted(view.intent, object, RbacAction::AccessAsShared)
}

fn default_quota(value: &Value) -> Result<u64, Invalid> {
    let quota = values::between(0, i64::MAX)(value)?;
    Ok(quota.unsigned_abs())
}

fn check_bounds(pool: &SubnetPool) -> Result<(), ApiError> {
    let (min, max, default) = (
        ("min_prefixlen", pool.min_prefixlen),
        ("max_prefixlen", pool.max_prefixlen),
        ("default_prefixlen", pool.default_prefixlen),
    );
    let longest = match pool.ip_version() {
        IpVersion::V4 => 32,
        IpVersion::V6 => 128,
    };
    in_order(min, max)?;
    in_order(max, ("max_prefixlen", longest))?;
    in_order(min, default).map_err(|_| bounds_error(default, min))?;
    in_order(default, max)
}

fn in_order(shorter: (&str, u8), longer: (&str, u8)) -> Result<(), ApiError> {
    if shorter.1 <= longer.1 {
        Ok(())
    } else {
        Err(bounds_error(shorter, longer))
    }
}

fn bounds_error((name, length): (&str, u8), (base, base_length): (&str, u8)) -> ApiError {
    ApiError::bad(
        "IllegalSubnetPoolPrefixBounds",
        format!("Illegal prefix bounds: {name}={length}, {base}={base_length}."),
    )
}

/// Applies scope and default, which other objects depend on.
fn change(
    pool: &mut SubnetPool,
    draft: &mut Draft,
    patch: &SubnetPoolPatch,
) -> Result<(), ApiError> {
    if let Some(scope) = patch.address_scope_id {
        if scope != pool.address_scope_id {
            scope::refuse_parting(draft, pool)?;
        }
        pool.address_scope_id = scope;
    }
    scope::check(draft, pool)?;
    let is_default = patch.is_default.unwrap_or(pool.is_default);
    let default = Claim::DefaultSubnetPool(pool.ip_version());
    match (pool.is_default, is_default) {
        (false, true) if !draft.claim(default.clone()) => {
            return Err(ApiError::invalid_input(
                "A default subnetpool for this IP family has already been set. Only one default may exist per IP family",
            ));
        }
        (true, false) => draft.delete(default),
        _ => {}
    }
    pool.is_default = is_default;
    Ok(())
}

fn prefixes(value: &Value) -> Result<Vec<IpNet>, Invalid> {
    values::list(values::subnet)(value)
}

/// A pool's prefixes, merged into as few as possible and sorted.
fn aggregated(prefixes: &[IpNet]) -> Result<Vec<IpNet>, ApiError> {
    let Some(first) = prefixes.first() else {
        return Err(ApiError::bad(
            "EmptySubnetPoolPrefixList",
            "Empty subnet pool prefix list.",
        ));
    };
    let family = first.network().is_ipv4();
    if prefixes
        .iter()
        .any(|prefix| prefix.network().is_ipv4() != family)
    {
        return Err(ApiError::bad(
            "PrefixVersionMismatch",
            "Cannot mix IPv4 and IPv6 prefixes in a subnet pool.",
        ));
    }
    let few = IpNet::aggregate(&prefixes.to_vec());
    match few.len() > MOST_PREFIXES {
        true => Err(ApiError::bad(
            "IllegalSubnetPoolPrefixUpdate",
            format!("Illegal update to prefixes: a pool has at most {MOST_PREFIXES} of them."),
        )),
        false => Ok(few),
    }
}

fn refuse_smaller(before: &SubnetPool, after: &SubnetPool) -> Result<(), ApiError> {
    let mut kept = before.prefixes.iter();
    if kept.all(|prefix| contains(after, prefix)) {
        return Ok(());
    }
    let reason = "Existing prefixes must be a subset of the new prefixes";
    Err(ApiError::bad(
        "IllegalSubnetPoolUpdate",
        format!("Illegal subnetpool update : {reason}."),
    ))
}

fn subnets_of<'a>(intent: &'a Intent, pool: &SubnetPool) -> impl Iterator<Item = &'a Arc<Subnet>> {
    let source = PrefixSource::Pool(pool.id);
    intent
        .subnets
        .values()
        .filter(move |subnet| subnet.prefix_source == source)
}

/// Takes this prefix from the pool.
pub(crate) fn take_named(
    draft: &mut Draft,
    pool: &SubnetPool,
    cidr: IpNet,
    project: &str,
) -> Result<IpNet, ApiError> {
    check_length(pool, cidr.prefix_len())?;
    let within = pool.prefixes.iter().any(|prefix| prefix.contains(&cidr));
    let is_taken =
        subnets_of(&draft.intent, pool).any(|other| ipam::share_addresses(other.cidr, cidr));
    if !within || is_taken {
        let reason = "Cannot allocate requested subnet from the available set of prefixes";
        return Err(ApiError::bad(
            "SubnetAllocationError",
            format!("Failed to allocate subnet: {reason}."),
        ));
    }
    take(draft, pool, cidr, project)
}

/// Takes the first free prefix of this length from the pool.
pub(crate) fn take_any(
    draft: &mut Draft,
    pool: &SubnetPool,
    length: u8,
    project: &str,
) -> Result<IpNet, ApiError> {
    check_length(pool, length)?;
    let taken: Vec<IpNet> = subnets_of(&draft.intent, pool)
        .map(|subnet| subnet.cidr)
        .collect();
    let free = ipam::first_free_prefix(&pool.prefixes, taken, length).ok_or_else(|| {
        let reason = format!("Insufficient prefix space to allocate subnet size /{length}");
        ApiError::conflict(
            "SubnetAllocationError",
            format!("Failed to allocate subnet: {reason}."),
        )
    })?;
    take(draft, pool, free, project)
}

fn take(
    draft: &mut Draft,
    pool: &SubnetPool,
    cidr: IpNet,
    project: &str,
) -> Result<IpNet, ApiError> {
    if let Some(quota) = pool.default_quota {
        let own =
            subnets_of(&draft.intent, pool).filter(|subnet| subnet.meta.project_id == project);
        let used = own
            .map(|subnet| weight(subnet.cidr))
            .fold(weight(cidr), u64::saturating_add);
        if used > quota {
            return Err(ApiError::conflict(
                "SubnetPoolQuotaExceeded",
                "Per-tenant subnet pool prefix quota exceeded.",
            ));
        }
    }
    pool.store_again(draft);
    Ok(cidr)
}

/// How much of a quota a prefix uses: /64 of IPv6, single addresses of IPv4.
fn weight(cidr: IpNet) -> u64 {
    let unit: u8 = if cidr.network().is_ipv4() { 32 } else { 64 };
    let bits = unit.saturating_sub(cidr.prefix_len());
    1_u64.checked_shl(u32::from(bits)).unwrap_or(u64::MAX)
}

/// Whether the pool has all addresses of a prefix.
fn contains(pool: &SubnetPool, prefix: &IpNet) -> bool {
    // The prefixes are sorted, and none is within another. So the one that contains a prefix is the last that does
    // not begin after it.
    let at = pool
        .prefixes
        .partition_point(|other| other.network() <= prefix.network());
    at.checked_sub(1)
        .is_some_and(|at| pool.prefixes[at].contains(prefix))
}

fn check_length(pool: &SubnetPool, length: u8) -> Result<(), ApiError> {
    let (kind, bound, limit) = if length < pool.min_prefixlen {
        let kind = "MinPrefixSubnetAllocationError";
        (kind, "minimum", pool.min_prefixlen)
    } else if length > pool.max_prefixlen {
        let kind = "MaxPrefixSubnetAllocationError";
        (kind, "maximum", pool.max_prefixlen)
    } else {
        return Ok(());
    };
    let message = format!(
        "Unable to allocate subnet with prefix length {length}, {bound} allowed prefix is {limit}."
    );
    Err(ApiError::bad(kind, message))
}
