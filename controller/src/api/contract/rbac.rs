//! Access policies: a project lets others use what it owns.
//!
//! `shared` and `router:external` of an object stand for policies. Setting one makes the policy for every project, and
//! it is true while such a policy exists. Every change of an object's policies stores the object again. So of two
//! simultaneous changes the second is checked again.

mod granted;
mod usage;

pub(crate) use granted::{granted, is_true, shared};

use crate::api::contract::attributes::{attributes, required};
use crate::api::contract::draft::Draft;
use crate::api::contract::error::ApiError;
use crate::api::contract::index::{self, Ids};
use crate::api::contract::kind::Kind;
use crate::api::contract::python;
use crate::api::contract::resource::Resource;
use crate::api::contract::values::{self, Invalid};
use crate::api::contract::view::ResourceView;
use serde_json::Value;
use sextant_model::{
    AddressScope, AddressScopeId, EVERY_PROJECT, IndexedValue, Intent, Mark, Meta, Network,
    NetworkId, Object, ObjectKey, RbacAction, RbacObject, RbacPolicy, RbacPolicyId, SecurityGroup,
    SecurityGroupId, Span, SubnetPool, SubnetPoolId,
};
use std::sync::Arc;
use uuid::Uuid;

#[rustfmt::skip]
attributes! {
    /// What a request says about an access policy.
    RbacPolicyPatch of RbacPolicy:
    required("object_type") => required object_type: fn(Uuid) -> RbacObject = object_type, |policy| parts(policy.object).0;
    required("object_id").index(for_object) => required object_id: Uuid = values::uuid, |policy| parts(policy.object).1;
    required("target_tenant").index(for_target).changeable() => required target_tenant: String = target, |policy| &policy.target;
    required("action") => required action: String = values::text(values::LONG), |policy| action_name(policy.action);
}

impl Resource for RbacPolicy {
    type Patch = RbacPolicyPatch;
    const WITHOUT: &'static [&'static str] = &[
        "name",
        "description",
        "created_at",
        "updated_at",
        "revision_number",
        "tags",
    ];

    fn create(
        draft: &mut Draft,
        meta: Meta,
        patch: &RbacPolicyPatch,
    ) -> Result<RbacPolicyId, ApiError> {
        let object = patch.object()?;
        let action = action(&patch.action()?, object)?;
        let id = make(
            draft,
            meta.project_id,
            object,
            action,
            patch.target_tenant()?,
        )?;
        count(draft, object);
        Ok(id)
    }

    fn update(
        &self,
        mut changed: Self,
        draft: &mut Draft,
        patch: &RbacPolicyPatch,
    ) -> Result<(), ApiError> {
        let target = patch.target_tenant.as_ref();
        let Some(target) = target.filter(|target| **target != self.target) else {
            return Ok(());
        };
        usage::refuse_removal(&draft.intent, self, Some(target))?;
        refuse_duplicate(&draft.intent, self.object, self.action, target)?;
        changed.target.clone_from(target);
        draft.put(Object::RbacPolicy(Arc::new(changed)));
        settle(draft, self.object);
        count(draft, self.object);
        Ok(())
    }

    fn delete(&self, draft: &mut Draft) -> Result<(), ApiError> {
        usage::refuse_removal(&draft.intent, self, None)?;
        draft.delete(ObjectKey::RbacPolicy(self.id));
        settle(draft, self.object);
        count(draft, self.object);
        Ok(())
    }
}

/// Counts a change of a network's policies as a change of the network, as Neutron does. It does so only for networks.
fn count(draft: &mut Draft, object: RbacObject) {
    let RbacObject::Network(id) = object else {
        return;
    };
    if let Some(network) = draft.intent.networks.get(&id).cloned() {
        network.store_revised(draft);
    }
}

fn make(
    draft: &mut Draft,
    project: String,
    object: RbacObject,
    action: RbacAction,
    target: String,
) -> Result<RbacPolicyId, ApiError> {
    usage::refuse_without_scope(draft, object, &target)?;
    refuse_duplicate(&draft.intent, object, action, &target)?;
    let policy = RbacPolicy {
        id: RbacPolicyId(draft.uuid()),
        meta: draft.meta(String::new(), String::new(), project, 0),
        object,
        action,
        target,
    };
    let id = policy.id;
    draft.put(Object::RbacPolicy(Arc::new(policy)));
    settle(draft, object);
    Ok(id)
}

fn refuse_duplicate(
    intent: &Intent,
    object: RbacObject,
    action: RbacAction,
    target: &str,
) -> Result<(), ApiError> {
    match find(intent, object, action, target) {
        None => Ok(()),
        Some(_) => Err(ApiError::conflict(
            "DuplicateRbacPolicy",
            "An RBAC policy already exists with those values.",
        )),
    }
}

fn find<'a>(
    intent: &'a Intent,
    object: RbacObject,
    action: RbacAction,
    target: &str,
) -> Option<&'a Arc<RbacPolicy>> {
    let mut policies = intent.policies_for(object);
    policies.find(|policy| policy.action == action && policy.target == target)
}

/// Stores an object with the attributes that follow from its policies. It requires that no port that depends on the
/// lost access has come meanwhile, on the network or under the group.
fn settle(draft: &mut Draft, object: RbacObject) {
    let all = find(
        &draft.intent,
        object,
        RbacAction::AccessAsShared,
        EVERY_PROJECT,
    )
    .is_some();
    match object {
        RbacObject::Network(id) => {
            let Some(network) = draft.intent.networks.get(&id).cloned() else {
                return;
            };
            let external = draft
                .intent
                .policies_for(object)
                .any(|policy| policy.action == RbacAction::AccessAsExternal);
            draft.relies_on(Mark::PortsOf(id));
            draft.put(Object::Network(Arc::new(Network {
                shared: all,
                external,
                ..Network::clone(&network)
            })));
        }
        RbacObject::SubnetPool(id) => {
            if let Some(pool) = draft.intent.subnet_pools.get(&id).cloned() {
                draft.put(Object::SubnetPool(Arc::new(SubnetPool {
                    shared: all,
                    ..SubnetPool::clone(&pool)
                })));
            }
        }
        RbacObject::AddressScope(id) => {
            if let Some(scope) = draft.intent.address_scopes.get(&id).cloned() {
                draft.put(Object::AddressScope(Arc::new(AddressScope {
                    shared: all,
                    ..AddressScope::clone(&scope)
                })));
            }
        }
        RbacObject::SecurityGroup(id) => {
            draft.relies_on(Mark::UsesOf(id));
            if let Some(group) = draft.intent.security_groups.get(&id).cloned() {
                draft.put(Object::SecurityGroup(group));
            }
        }
    }
}

/// Shares an object with every project, or stops sharing it, as its attribute `shared` says.
pub(crate) fn share(
    draft: &mut Draft,
    object: RbacObject,
    project: &str,
    shared: bool,
) -> Result<(), ApiError> {
    let action = RbacAction::AccessAsShared;
    match find(&draft.intent, object, action, EVERY_PROJECT).cloned() {
        None if shared => make(
            draft,
            project.to_owned(),
            object,
            action,
            EVERY_PROJECT.to_owned(),
        )
        .map(|_| ()),
        Some(policy) if !shared => {
            if !usage::dependants(&draft.intent, &policy, None).is_empty() {
                return Err(usage::multiple_tenants(&draft.intent, object));
            }
            draft.delete(ObjectKey::RbacPolicy(policy.id));
            settle(draft, object);
            Ok(())
        }
        None | Some(_) => Ok(()),
    }
}

/// Makes a network external for every project, or for none, as its attribute `router:external` says.
pub(crate) fn expose(
    draft: &mut Draft,
    network: NetworkId,
    project: &str,
    external: bool,
) -> Result<(), ApiError> {
    let (object, action) = (RbacObject::Network(network), RbacAction::AccessAsExternal);
    let policies: Vec<Arc<RbacPolicy>> = draft
        .intent
        .policies_for(object)
        .filter(|policy| policy.action == action)
        .cloned()
        .collect();
    if external != policies.is_empty() {
        return Ok(());
    }
    if external {
        return make(
            draft,
            project.to_owned(),
            object,
            action,
            EVERY_PROJECT.to_owned(),
        )
        .map(|_| ());
    }
    if usage::has_gateways(&draft.intent, network) {
        return Err(ApiError::conflict(
            "ExternalNetworkInUse",
            format!(
                "External network {network} cannot be updated to be made non-external, since it has existing gateway ports."
            ),
        ));
    }
    for policy in policies {
        draft.delete(ObjectKey::RbacPolicy(policy.id));
    }
    settle(draft, object);
    Ok(())
}

/// Removes the policies for an object that is gone.
pub(crate) fn forget(draft: &mut Draft, object: RbacObject) {
    let ids: Vec<RbacPolicyId> = draft
        .intent
        .policies_for(object)
        .map(|policy| policy.id)
        .collect();
    ids.into_iter()
        .for_each(|id| draft.delete(ObjectKey::RbacPolicy(id)));
}

/// The project that owns an object. `None` if the object does not exist.
pub(crate) fn owner(intent: &Intent, object: RbacObject) -> Option<&str> {
    let meta = match object {
        RbacObject::Network(id) => &intent.networks.get(&id)?.meta,
        RbacObject::SecurityGroup(id) => &intent.security_groups.get(&id)?.meta,
        RbacObject::SubnetPool(id) => &intent.subnet_pools.get(&id)?.meta,
        RbacObject::AddressScope(id) => &intent.address_scopes.get(&id)?.meta,
    };
    Some(&meta.project_id)
}

/// The error that the object does not exist.
pub(crate) fn missing(object: RbacObject) -> ApiError {
    match object {
        RbacObject::Network(id) => Network::missing(&id.to_string()),
        RbacObject::SubnetPool(id) => SubnetPool::missing(&id.to_string()),
        RbacObject::SecurityGroup(id) => SecurityGroup::missing(&id.to_string()),
        RbacObject::AddressScope(id) => AddressScope::missing(&id.to_string()),
    }
}

fn parts(object: RbacObject) -> (&'static str, String) {
    match object {
        RbacObject::Network(id) => ("network", id.to_string()),
        RbacObject::SecurityGroup(id) => ("security_group", id.to_string()),
        RbacObject::SubnetPool(id) => ("subnetpool", id.to_string()),
        RbacObject::AddressScope(id) => ("address_scope", id.to_string()),
    }
}

/// An id does not say what kind of object has it.
fn for_object<'a>(
    view: ResourceView<'a>,
    objects: &[String],
    span: Span<RbacPolicyId>,
) -> Option<Vec<Ids<'a, RbacPolicyId>>> {
    index::parsed(objects, |id: Uuid| {
        let kinds = [
            RbacObject::Network(NetworkId(id)),
            RbacObject::SecurityGroup(SecurityGroupId(id)),
            RbacObject::SubnetPool(SubnetPoolId(id)),
            RbacObject::AddressScope(AddressScopeId(id)),
        ];
        let policies = kinds.map(|object| view.intent.policy_ids_for(object, span));
        index::unordered(policies.into_iter().flatten(), span)
    })
}

fn for_target<'a>(
    view: ResourceView<'a>,
    targets: &[String],
    span: Span<RbacPolicyId>,
) -> Option<Vec<Ids<'a, RbacPolicyId>>> {
    index::texts::<RbacPolicy>(view, targets, span, |target| IndexedValue::Target(target))
}

fn action_name(action: RbacAction) -> &'static str {
    match action {
        RbacAction::AccessAsShared => "access_as_shared",
        RbacAction::AccessAsExternal => "access_as_external",
    }
}

impl RbacPolicyPatch {
    /// What a new policy is for.
    pub(crate) fn object(&self) -> Result<RbacObject, ApiError> {
        let of_type = self.object_type()?;
        Ok(of_type(self.object_id()?))
    }
}

fn object_type(value: &Value) -> Result<fn(Uuid) -> RbacObject, Invalid> {
    let name = python::text(value);
    match name.trim().to_lowercase().as_str() {
        "network" => Ok(|id| RbacObject::Network(NetworkId(id))),
        "security_group" => Ok(|id| RbacObject::SecurityGroup(SecurityGroupId(id))),
        "subnetpool" => Ok(|id| RbacObject::SubnetPool(SubnetPoolId(id))),
        "address_scope" => Ok(|id| RbacObject::AddressScope(AddressScopeId(id))),
        _ => Err(Invalid::Input(format!(
            "'{name}' is not a valid RBAC object type"
        ))),
    }
}

/// Only networks can be external.
fn action(name: &str, object: RbacObject) -> Result<RbacAction, ApiError> {
    let is_network = matches!(object, RbacObject::Network(_));
    match name {
        "access_as_shared" => Ok(RbacAction::AccessAsShared),
        "access_as_external" if is_network => Ok(RbacAction::AccessAsExternal),
        _ => {
            let valid = match is_network {
                true => "('access_as_shared', 'access_as_external')",
                false => "('access_as_shared',)",
            };
            let kind = parts(object).0;
            Err(ApiError::bad(
                "InvalidActionForType",
                format!("Invalid action '{name}' for object type '{kind}'. Valid actions: {valid}"),
            ))
        }
    }
}

/// A project's id of any form, or every project.
fn target(value: &Value) -> Result<String, Invalid> {
    let target = values::text(values::LONG)(value)?;
    match target.trim().is_empty() {
        true => Err(Invalid::Input(format!(
            "'{target}' is not a valid target project ID; expected a UUID or '*'"
        ))),
        false => Ok(target),
    }
}
