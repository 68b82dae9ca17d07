//! Who depends on an access policy. The policy stays while somebody does.

use super::parts;
use crate::api::contract::draft::Draft;
use crate::api::contract::error::ApiError;
use sextant_model::{
    EVERY_PROJECT, Intent, NetworkId, ObjectKey, PrefixSource, RbacAction, RbacObject, RbacPolicy,
};
use std::collections::BTreeSet;

/// Whether a policy can go, or be for another project.
pub(super) fn refuse_removal(
    intent: &Intent,
    policy: &RbacPolicy,
    instead: Option<&str>,
) -> Result<(), ApiError> {
    if is_default(intent, policy) && instead != Some(EVERY_PROJECT) {
        let details = "Default external networks must be shared to everyone.";
        return Err(in_use(policy, details));
    }
    if dependants(intent, policy, instead).is_empty() {
        return Ok(());
    }
    let details = match (policy.action, policy.object) {
        (RbacAction::AccessAsExternal, _) => {
            "There are routers attached to this network that depend on this policy for access."
                .to_owned()
        }
        (RbacAction::AccessAsShared, RbacObject::Network(id)) => reconfigure(&id.to_string()),
        (RbacAction::AccessAsShared, _) => format!("project_id={}", policy.target),
    };
    Err(in_use(policy, &details))
}

/// Whether a policy is what lets every project use the default external network.
fn is_default(intent: &Intent, policy: &RbacPolicy) -> bool {
    let RbacObject::Network(id) = policy.object else {
        return false;
    };
    let network = intent.networks.get(&id);
    policy.action == RbacAction::AccessAsExternal
        && policy.target == EVERY_PROJECT
        && network.is_some_and(|network| network.is_default)
}

fn in_use(policy: &RbacPolicy, details: &str) -> ApiError {
    let id = parts(policy.object).1;
    ApiError::conflict(
        "RbacPolicyInUse",
        format!(
            "RBAC policy on object {id} cannot be removed because other objects depend on it.\nDetails: {details}"
        ),
    )
}

/// Whoever may use a pool must be able to use its address scope. Another writer may take that away meanwhile.
pub(super) fn refuse_without_scope(
    draft: &mut Draft,
    object: RbacObject,
    target: &str,
) -> Result<(), ApiError> {
    let RbacObject::SubnetPool(id) = object else {
        return Ok(());
    };
    let pool = draft.intent.subnet_pools.get(&id);
    let Some(scope) = pool.and_then(|pool| pool.address_scope_id) else {
        return Ok(());
    };
    draft.relies_on(ObjectKey::AddressScope(scope));
    let mut policies = draft.intent.policies_for(RbacObject::AddressScope(scope));
    if policies.any(|policy| policy.target == EVERY_PROJECT || policy.target == target) {
        return Ok(());
    }
    Err(ApiError::invalid_input(format!(
        "Failed to create RBAC policy on object {id} because target project doesn't have access to associated address \
         scope"
    )))
}

/// A network that is not to be shared any more.
pub(super) fn multiple_tenants(intent: &Intent, object: RbacObject) -> ApiError {
    let name = match object {
        RbacObject::Network(id) => intent
            .networks
            .get(&id)
            .map(|network| network.meta.name.clone()),
        RbacObject::SecurityGroup(_) | RbacObject::SubnetPool(_) | RbacObject::AddressScope(_) => {
            None
        }
    };
    let name = name.unwrap_or_else(|| parts(object).1);
    ApiError::conflict("InvalidSharedSetting", reconfigure(&name))
}

fn reconfigure(network: &str) -> String {
    format!(
        "Unable to reconfigure sharing settings for network {network}. Multiple tenants are using it."
    )
}

/// The projects that use an object by this policy and by no other.
pub(super) fn dependants(
    intent: &Intent,
    policy: &RbacPolicy,
    instead: Option<&str>,
) -> BTreeSet<String> {
    let others = intent
        .policies_for(policy.object)
        .filter(|other| other.id != policy.id && other.action == policy.action)
        .map(|other| other.target.as_str());
    let targets: BTreeSet<&str> = others.chain(instead).collect();
    let owner = super::owner(intent, policy.object);
    let mut users = users(intent, policy);
    users.retain(|project| {
        let by_this = policy.target == EVERY_PROJECT || policy.target == *project;
        let by_other = targets.contains(EVERY_PROJECT) || targets.contains(project.as_str());
        by_this && !by_other && Some(project.as_str()) != owner && !project.is_empty()
    });
    users
}

/// The projects that use an object in the way that a policy allows.
fn users(intent: &Intent, policy: &RbacPolicy) -> BTreeSet<String> {
    match (policy.action, policy.object) {
        (RbacAction::AccessAsExternal, RbacObject::Network(id)) => {
            let routers = intent.ports_of(id).filter_map(|port| port.gateway_of());
            let routers = routers.filter_map(|router| intent.routers.get(&router));
            routers
                .map(|router| router.meta.project_id.clone())
                .collect()
        }
        (_, RbacObject::Network(id)) => {
            let ports = intent
                .ports_of(id)
                .filter(|port| port.gateway_of().is_none());
            ports.map(|port| port.meta.project_id.clone()).collect()
        }
        (_, RbacObject::SecurityGroup(id)) => {
            let ports = intent.ports_under(id);
            ports.map(|port| port.meta.project_id.clone()).collect()
        }
        (_, RbacObject::SubnetPool(id)) => {
            let subnets = intent.subnets.values();
            let subnets = subnets.filter(|subnet| subnet.prefix_source == PrefixSource::Pool(id));
            subnets
                .map(|subnet| subnet.meta.project_id.clone())
                .collect()
        }
        (_, RbacObject::AddressScope(id)) => {
            let pools = intent.subnet_pools.values();
            let pools = pools.filter(|pool| pool.address_scope_id == Some(id));
            pools.map(|pool| pool.meta.project_id.clone()).collect()
        }
    }
}

/// Whether routers have their gateways on a network.
pub(super) fn has_gateways(intent: &Intent, network: NetworkId) -> bool {
    intent
        .ports_of(network)
        .any(|port| port.gateway_of().is_some())
}
