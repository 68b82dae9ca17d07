//! Subnet pools, and taking prefixes from them.
//!
//! Whoever takes a prefix stores the pool again, so that of two that would take the same the second looks again.

mod prefix_ops;
pub(crate) mod scope;

use crate::api::contract::attributes::{Attribute, Body, fixed, free, required, shown};
use crate::api::contract::caller::Caller;
use crate::api::contract::draft::Draft;
use crate::api::contract::error::ApiError;
use crate::api::contract::ipam;
use crate::api::contract::python;
use crate::api::contract::rbac;
use crate::api::contract::resource::{Lengths, Resource, View};
use crate::api::contract::shown::Shown;
use crate::api::contract::values::{self, Invalid};
use crate::api::rights::Ties;
use imbl::OrdMap;
use ipnet::IpNet;
use serde_json::{Value, json};
use sextant_model::{
    AddressScopeId, Intent, Key, Meta, Object, PrefixSource, RbacAction, RbacObject, Subnet,
    SubnetPool, SubnetPoolId,
};
use std::sync::Arc;

impl Resource for SubnetPool {
    const NAME: &'static str = "subnetpool";
    const COLLECTION: &'static str = "subnetpools";
    const ATTRIBUTES: &'static [Attribute] = &[
        required("prefixes").changeable().no_filter(),
        free("default_prefixlen"),
        free("min_prefixlen"),
        free("max_prefixlen"),
        free("default_quota"),
        free("is_default"),
        fixed("shared"),
        free("address_scope_id"),
        shown("ip_version"),
    ];
    type Id = SubnetPoolId;

    fn id(&self) -> SubnetPoolId {
        self.id
    }

    fn meta(&self) -> &Meta {
        &self.meta
    }

    fn put_with_meta(&self, draft: &mut Draft, meta: Meta) {
        draft.put(Object::SubnetPool(Arc::new(Self {
            meta,
            ..self.clone()
        })));
    }

    fn missing(id: &str) -> ApiError {
        ApiError::not_found(
            "SubnetPoolNotFound",
            format!("Subnet pool {id} could not be found."),
        )
    }

    fn table(intent: &Intent) -> &OrdMap<Self::Id, Arc<Self>> {
        &intent.subnet_pools
    }

    fn ties(&self) -> Ties {
        Ties::Object(RbacObject::SubnetPool(self.id))
    }

    /// A pool in a scope of another project follows that project's plan, and does not change.
    fn permits(
        caller: &Caller,
        intent: &Intent,
        _: &Body,
        was: Option<&Self>,
    ) -> Result<(), ApiError> {
        match was {
            Some(pool) => scope::refuse_foreign(caller, intent, pool),
            None => Ok(()),
        }
    }

    fn render(&self, view: View<'_>, shown: &mut Shown<'_>) {
        let prefixes = self.prefixes.iter().map(ToString::to_string);
        let length = |length: u8| -> Value {
            match view.lengths {
                Lengths::Text => length.to_string().into(),
                Lengths::Numbers => length.into(),
            }
        };
        let object = RbacObject::SubnetPool(self.id);
        shown.all(json!({
            "prefixes": prefixes.collect::<Vec<_>>(),
            "ip_version": self.ip_version(),
            "default_prefixlen": length(self.default_prefixlen),
            "min_prefixlen": length(self.min_prefixlen),
            "max_prefixlen": length(self.max_prefixlen),
            "default_quota": self.default_quota,
            "is_default": self.is_default,
            "shared": view.caller.is_granted(view.intent, object, RbacAction::AccessAsShared),
            "address_scope_id": self.address_scope_id.map(|id| id.to_string()),
        }));
    }

    fn create(draft: &mut Draft, project: String, body: &Body) -> Result<SubnetPoolId, ApiError> {
        let name = body
            .read("name", values::text(values::LONG))?
            .unwrap_or_default();
        let description = body
            .read("description", values::text(values::LONG))?
            .unwrap_or_default();
        let prefixes = aggregated(&body.require("prefixes", prefixes)?)?;
        let ipv4 = prefixes
            .first()
            .is_some_and(|prefix| prefix.network().is_ipv4());
        // The bounds that Neutron gives to a pool that names none.
        let (min, max) = if ipv4 { (8, 32) } else { (64, 128) };
        let mut pool = Self {
            id: SubnetPoolId(draft.uuid()),
            meta: draft.meta(name, description, project, 0),
            prefixes,
            default_prefixlen: 0,
            min_prefixlen: min,
            max_prefixlen: max,
            default_quota: None,
            shared: body.read("shared", values::boolean)?.unwrap_or(false),
            is_default: false,
            address_scope_id: None,
        };
        let bounds = Bounds::read(body)?;
        pool.default_prefixlen = bounds.min.unwrap_or(min);
        bounds.set(&mut pool)?;
        change(&mut pool, draft, body)?;
        let (id, shared) = (pool.id, pool.shared);
        let project = pool.meta.project_id.clone();
        draft.put(Object::SubnetPool(Arc::new(pool)));
        rbac::share(draft, RbacObject::SubnetPool(id), &project, shared)?;
        Ok(id)
    }

    fn update(&self, draft: &mut Draft, body: &Body) -> Result<(), ApiError> {
        let mut pool = self.clone();
        crate::api::contract::attributes::change_names(&mut pool.meta, body)?;
        if let Some(prefixes) = body.read("prefixes", prefixes)? {
            pool.prefixes = aggregated(&prefixes)?;
            refuse_smaller(self, &pool)?;
        }
        Bounds::read(body)?.set(&mut pool)?;
        change(&mut pool, draft, body)?;
        draft.revise(&mut pool.meta);
        draft.put(Object::SubnetPool(Arc::new(pool)));
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
            draft.delete(Key::DefaultSubnetPool(self.ip_version()));
        }
        draft.delete(Key::SubnetPool(self.id));
        Ok(())
    }
}

/// The most prefixes of a pool: requests add few at a time, but taking one out of a large one leaves many.
const MOST_PREFIXES: usize = 1024;

/// Lengths of prefixes that a request sets.
struct Bounds {
    min: Option<u8>,
    max: Option<u8>,
    default: Option<u8>,
}

impl Bounds {
    fn read(body: &Body) -> Result<Self, ApiError> {
        let length = |name| {
            let length = body.read(name, values::between(0, 128))?;
            Ok::<_, ApiError>(length.and_then(|length| u8::try_from(length).ok()))
        };
        Ok(Self {
            min: length("min_prefixlen")?,
            max: length("max_prefixlen")?,
            default: length("default_prefixlen")?,
        })
    }

    fn set(&self, pool: &mut SubnetPool) -> Result<(), ApiError> {
        pool.min_prefixlen = self.min.unwrap_or(pool.min_prefixlen);
        pool.max_prefixlen = self.max.unwrap_or(pool.max_prefixlen);
        pool.default_prefixlen = self.default.unwrap_or(pool.default_prefixlen);
        let (min, max, default) = (
            ("min_prefixlen", pool.min_prefixlen),
            ("max_prefixlen", pool.max_prefixlen),
            ("default_prefixlen", pool.default_prefixlen),
        );
        let longest = if pool.ip_version() == 4 { 32 } else { 128 };
        in_order(min, max)?;
        in_order(max, ("max_prefixlen", longest))?;
        in_order(min, default).map_err(|_| bounds_error(default, min))?;
        in_order(default, max)
    }
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

/// Takes over what may be set at any time.
fn change(pool: &mut SubnetPool, draft: &mut Draft, body: &Body) -> Result<(), ApiError> {
    if let Some(scope) = body.read("address_scope_id", values::or_null(values::uuid))? {
        let scope = scope.map(AddressScopeId);
        if scope != pool.address_scope_id {
            scope::refuse_parting(draft, pool)?;
        }
        pool.address_scope_id = scope;
    }
    scope::check(draft, pool)?;
    if let Some(quota) = body.read(
        "default_quota",
        values::or_null(values::between(0, i64::MAX)),
    )? {
        pool.default_quota = quota.and_then(|quota| u64::try_from(quota).ok());
    }
    let is_default = body
        .read("is_default", values::boolean)?
        .unwrap_or(pool.is_default);
    let default = Key::DefaultSubnetPool(pool.ip_version());
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
    values::list(value, |prefix| {
        let text = python::text(prefix);
        values::prefix(&text)
            .ok_or_else(|| Invalid::Reason(format!("'{text}' is not a valid IP subnet")))
    })
}

/// The prefixes of a pool as few as possible, sorted.
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
    let kept = |prefix: &IpNet| {
        // Sorted, and none within another: what contains a prefix is the last that begins no later.
        let at = after
            .prefixes
            .partition_point(|other| other.network() <= prefix.network());
        at.checked_sub(1)
            .is_some_and(|at| after.prefixes[at].contains(prefix))
    };
    if before.prefixes.iter().all(kept) {
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

/// What can be done to a pool besides what can be done to every resource.
pub(crate) fn routes() -> axum::Router<crate::api::Api> {
    prefix_ops::routes()
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
    pool.put_with_meta(draft, pool.meta.clone());
    Ok(cidr)
}

/// How much of a quota a prefix takes: /64 of IPv6, single addresses of IPv4.
fn weight(cidr: IpNet) -> u64 {
    let unit: u8 = if cidr.network().is_ipv4() { 32 } else { 64 };
    let bits = unit.saturating_sub(cidr.prefix_len());
    1_u64.checked_shl(u32::from(bits)).unwrap_or(u64::MAX)
}

fn check_length(pool: &SubnetPool, length: u8) -> Result<(), ApiError> {
    let refused = |kind, bound: &str, limit| {
        let message = format!(
            "Unable to allocate subnet with prefix length {length}, {bound} allowed prefix is {limit}."
        );
        Err(ApiError::bad(kind, message))
    };
    if length < pool.min_prefixlen {
        return refused(
            "MinPrefixSubnetAllocationError",
            "minimum",
            pool.min_prefixlen,
        );
    }
    if length > pool.max_prefixlen {
        return refused(
            "MaxPrefixSubnetAllocationError",
            "maximum",
            pool.max_prefixlen,
        );
    }
    Ok(())
}
