//! Rights that the table of rules cannot express, because they depend on more than the caller's relation to the object.

use crate::api::contract::action::Action;
use crate::api::contract::caller::Caller;
use crate::api::contract::error::ApiError;
use crate::api::contract::kind::Kind;
use crate::api::contract::port::PortPatch;
use crate::api::contract::rbac::{self, RbacPolicyPatch};
use crate::api::contract::resource::Resource;
use crate::api::contract::router::attachment::refused;
use crate::api::contract::router::extra_routes::{AddExtraRoutes, RemoveExtraRoutes};
use crate::api::contract::router::interface::{
    AddRouterInterface, RemoveRouterInterface, no_interface,
};
use crate::api::contract::security_group;
use crate::api::contract::subnet::{SubnetPatch, prefix};
use crate::api::contract::subnet_pool::SubnetPoolPatch;
use crate::api::contract::subnet_pool::prefix_ops::{AddPrefixes, RemovePrefixes};
use ipnet::IpNet;
use sextant_model::{
    AddressScope, Intent, Network, Port, RbacAction, RbacObject, RbacPolicy, Router, SecurityGroup,
    SecurityGroupRule, Subnet, SubnetId, SubnetPool,
};

/// Refuses callers some things that the rules allow.
pub(crate) trait Exceptions: Resource {
    /// To make one.
    fn may_create(_: &Caller, _: &Intent, _: &Self::Patch) -> Result<(), ApiError> {
        Ok(())
    }

    /// To change it.
    fn may_update(&self, _: &Caller, _: &Intent, _: &Self::Patch) -> Result<(), ApiError> {
        Ok(())
    }

    /// To remove it.
    fn may_delete(&self, _: &Caller, _: &Intent) -> Result<(), ApiError> {
        Ok(())
    }
}

/// The same for an action.
pub(crate) trait ActionExceptions: Action {
    fn may_act(&self, _: &Caller, _: &Intent, _: &Self::Of) -> Result<(), ApiError> {
        Ok(())
    }
}

impl Exceptions for Network {}
impl Exceptions for Router {}
impl Exceptions for AddressScope {}
impl Exceptions for SecurityGroupRule {}
impl ActionExceptions for AddExtraRoutes {}
impl ActionExceptions for RemoveExtraRoutes {}

impl Exceptions for Subnet {
    /// A default pool that the caller does not see does not exist for them.
    fn may_create(caller: &Caller, intent: &Intent, patch: &SubnetPatch) -> Result<(), ApiError> {
        if caller.is_admin() || patch.use_default_subnetpool != Some(true) {
            return Ok(());
        }
        let ip_version = patch.ip_version()?;
        match prefix::default_pool(intent, ip_version) {
            Some(pool) if !caller.may_read(intent, &**pool) => Err(prefix::no_default(ip_version)),
            Some(_) | None => Ok(()),
        }
    }
}

impl Exceptions for Port {
    fn may_create(caller: &Caller, intent: &Intent, patch: &PortPatch) -> Result<(), ApiError> {
        match (&patch.device_owner, &patch.device_id) {
            (Some(owner), Some(device)) => refuse_foreign_router(caller, intent, owner, device),
            _ => Ok(()),
        }
    }

    fn may_update(
        &self,
        caller: &Caller,
        intent: &Intent,
        patch: &PortPatch,
    ) -> Result<(), ApiError> {
        let owner = patch.device_owner.as_ref().unwrap_or(&self.device_owner);
        let device = patch.device_id.as_ref().unwrap_or(&self.device_id);
        refuse_foreign_router(caller, intent, owner, device)
    }
}

/// Nobody makes a port for another project's router.
fn refuse_foreign_router(
    caller: &Caller,
    intent: &Intent,
    owner: &str,
    device: &str,
) -> Result<(), ApiError> {
    if caller.is_admin() || !owner.starts_with("network:router_") {
        return Ok(());
    }
    match Router::find(intent, device) {
        Some(router) if !caller.is_of(&router.meta.project_id) => Err(ApiError::conflict(
            "DeviceIDNotOwnedByTenant",
            format!(
                "The following device_id {device} is not owned by your tenant or matches another tenants router."
            ),
        )),
        Some(_) | None => Ok(()),
    }
}

impl Exceptions for RbacPolicy {
    fn may_create(
        caller: &Caller,
        intent: &Intent,
        patch: &RbacPolicyPatch,
    ) -> Result<(), ApiError> {
        refuse_foreign_object(caller, intent, patch.object()?)
    }

    fn may_update(
        &self,
        caller: &Caller,
        intent: &Intent,
        _: &RbacPolicyPatch,
    ) -> Result<(), ApiError> {
        refuse_foreign_object(caller, intent, self.object)
    }
}

/// Only admins share other projects' objects.
fn refuse_foreign_object(
    caller: &Caller,
    intent: &Intent,
    object: RbacObject,
) -> Result<(), ApiError> {
    let Some(owner) = rbac::owner(intent, object) else {
        return Err(rbac::missing(object));
    };
    if caller.is_admin() || caller.is_of(owner) {
        return Ok(());
    }
    let what = match object {
        RbacObject::Network(_) => "networks",
        RbacObject::SecurityGroup(_) | RbacObject::SubnetPool(_) | RbacObject::AddressScope(_) => {
            "objects"
        }
    };
    Err(ApiError::invalid_input(format!(
        "Only admins can manipulate policies on {what} they do not own"
    )))
}

impl Exceptions for SecurityGroup {
    /// Only admins remove a default group; its project gets another when it needs one.
    fn may_delete(&self, caller: &Caller, intent: &Intent) -> Result<(), ApiError> {
        if caller.is_admin() || !security_group::is_default(self) {
            return Ok(());
        }
        security_group::refuse_members(intent, self.id)?;
        Err(ApiError::conflict(
            "SecurityGroupCannotRemoveDefault",
            "Insufficient rights for removing default security group.",
        ))
    }
}

impl Exceptions for SubnetPool {
    fn may_update(
        &self,
        caller: &Caller,
        intent: &Intent,
        _: &SubnetPoolPatch,
    ) -> Result<(), ApiError> {
        refuse_foreign_scope(caller, intent, self)
    }
}

impl ActionExceptions for AddPrefixes {
    fn may_act(&self, caller: &Caller, intent: &Intent, pool: &SubnetPool) -> Result<(), ApiError> {
        may_have_prefixes(caller, intent, pool, &self.prefixes(pool)?)
    }
}

impl ActionExceptions for RemovePrefixes {
    fn may_act(&self, caller: &Caller, intent: &Intent, pool: &SubnetPool) -> Result<(), ApiError> {
        may_have_prefixes(caller, intent, pool, &self.prefixes(intent, pool)?)
    }
}

fn may_have_prefixes(
    caller: &Caller,
    intent: &Intent,
    pool: &SubnetPool,
    prefixes: &[IpNet],
) -> Result<(), ApiError> {
    match prefixes == pool.prefixes {
        true => Ok(()),
        false => refuse_foreign_scope(caller, intent, pool),
    }
}

/// A pool in another project's scope follows that project's plan, so only admins change it.
fn refuse_foreign_scope(
    caller: &Caller,
    intent: &Intent,
    pool: &SubnetPool,
) -> Result<(), ApiError> {
    let scope = pool.address_scope_id;
    let scope = scope.and_then(|id| intent.address_scopes.get(&id));
    match scope.filter(|scope| !caller.is_admin() && !caller.is_of(&scope.meta.project_id)) {
        None => Ok(()),
        Some(scope) => Err(ApiError::bad(
            "IllegalSubnetPoolUpdate",
            format!(
                "Illegal subnetpool update : subnetpool {} cannot be updated when associated with shared address scope {}.",
                pool.id, scope.id
            ),
        )),
    }
}

impl ActionExceptions for AddRouterInterface {
    fn may_act(&self, caller: &Caller, intent: &Intent, _: &Router) -> Result<(), ApiError> {
        if let Some(port) = self.0.port {
            caller.find::<Port>(intent, port)?;
        }
        may_attach(caller, intent, self.0.subnet)
    }
}

impl ActionExceptions for RemoveRouterInterface {
    fn may_act(&self, caller: &Caller, intent: &Intent, router: &Router) -> Result<(), ApiError> {
        if let Some(port) = self.0.port {
            let found = caller.find::<Port>(intent, port);
            found.map_err(|_| no_interface(router, port))?;
        }
        may_attach(caller, intent, self.0.subnet)
    }
}

/// Whether a router may have an interface on a subnet. It may if the caller owns the subnet, or if its network is
/// shared with the caller's project. A network shared with every project is not enough.
fn may_attach(caller: &Caller, intent: &Intent, subnet: Option<SubnetId>) -> Result<(), ApiError> {
    let Some(id) = subnet else {
        return Ok(());
    };
    let subnet = caller.find::<Subnet>(intent, id)?;
    let mut policies = intent.policies_for(RbacObject::Network(subnet.network_id));
    if caller.is_admin()
        || caller.is_of(&subnet.meta.project_id)
        || policies.any(|policy| {
            policy.action == RbacAction::AccessAsShared && caller.is_of(&policy.target)
        })
    {
        return Ok(());
    }
    Err(refused(format!(
        "Cannot add interface to router because subnet {id} is not owned by project making the request"
    )))
}
