//! Security groups.
//!
//! A group and its rules change together: whoever makes, changes or removes a rule stores the group again. So of two
//! writers who add the same rule, the second sees the first one's.

pub(crate) mod provided;
pub(crate) mod rule;

pub(crate) use provided::default_of;

use crate::api::contract::attributes::{Patch, attributes, named, read_only, writable};
use crate::api::contract::draft::Draft;
use crate::api::contract::error::ApiError;
use crate::api::contract::index::{self, Ids};
use crate::api::contract::rbac;
use crate::api::contract::resource::{Resource, WritePlan};
use crate::api::contract::ties::Ties;
use crate::api::contract::values::{self, Invalid};
use crate::api::contract::view::ResourceView;
use serde_json::Value;
use sextant_model::{
    Claim, DEFAULT_SECURITY_GROUP, Intent, Key, Mark, Meta, Object, ObjectKey, RbacAction,
    RbacObject, SecurityGroup, SecurityGroupId, Span,
};
use std::sync::Arc;

#[rustfmt::skip]
attributes! {
    /// What a request says about a security group.
    SecurityGroupPatch of SecurityGroup:
    writable("name").index(named::<SecurityGroup>).read(read_name), |group| &group.meta.name;
    writable("stateful") => stored stateful: bool = values::boolean;
    read_only("shared").index(rbac::shared::<SecurityGroup>), |group, view| is_shared(group, view);
    read_only("security_group_rules").no_filter(), |group, view| rules(group, view);
}

impl Resource for SecurityGroup {
    type Patch = SecurityGroupPatch;
    const WITHOUT: &'static [&'static str] = &["name"];
    const FIRST_REVISION: u64 = 1;

    fn before_list(intent: &Intent, project: &str) -> Option<WritePlan> {
        provided::missing_default(intent, project)
    }

    fn ties(&self) -> Ties {
        Ties::Object(RbacObject::SecurityGroup(self.id))
    }

    fn tied_to<'a>(
        _: &'a Intent,
        object: RbacObject,
        span: Span<SecurityGroupId>,
    ) -> Option<Ids<'a, SecurityGroupId>> {
        match object {
            RbacObject::SecurityGroup(id) => Some(index::one(id, span)),
            RbacObject::Network(_) | RbacObject::SubnetPool(_) | RbacObject::AddressScope(_) => {
                None
            }
        }
    }

    fn create(
        draft: &mut Draft,
        meta: Meta,
        patch: &SecurityGroupPatch,
    ) -> Result<SecurityGroupId, ApiError> {
        default_of(draft, &meta.project_id)?;
        let group = Self {
            id: SecurityGroupId(draft.uuid()),
            meta,
            stateful: patch.stateful.unwrap_or(true),
        };
        let id = group.id;
        let rules = group.egress_rules(draft.now, || draft.uuid());
        provided::put_with_rules(draft, group, rules)?;
        Ok(id)
    }

    fn update(
        &self,
        changed: Self,
        draft: &mut Draft,
        patch: &SecurityGroupPatch,
    ) -> Result<(), ApiError> {
        if patch.meta().name.is_some() && is_default(self) {
            return Err(ApiError::conflict(
                "SecurityGroupCannotUpdateDefault",
                "Updating default security group not allowed.",
            ));
        }
        if changed.stateful != self.stateful {
            refuse_used(draft, self.id)?;
        }
        draft.put(Object::SecurityGroup(Arc::new(changed)));
        Ok(())
    }

    /// Removes it with its rules, and with rules of other groups that name it.
    fn delete(&self, draft: &mut Draft) -> Result<(), ApiError> {
        refuse_used(draft, self.id)?;
        if is_default(self) {
            draft.delete(Claim::DefaultSecurityGroup(self.meta.project_id.clone()));
        }
        let about: Vec<_> = draft.intent.rules_about(self.id).cloned().collect();
        for rule in about
            .iter()
            .filter(|rule| rule.security_group_id != self.id)
        {
            rule.delete(draft)?;
        }
        let own = draft.intent.rules_of(self.id);
        let own: Vec<Key> = own
            .map(|rule| Key::Object(ObjectKey::SecurityGroupRule(rule.id)))
            .collect();
        own.into_iter().for_each(|key| draft.delete(key));
        draft.delete(Mark::UsesOf(self.id));
        draft.delete(ObjectKey::SecurityGroup(self.id));
        Ok(())
    }
}

/// Whether the caller may use it by an access policy.
fn is_shared(group: &SecurityGroup, view: ResourceView<'_>) -> bool {
    let object = RbacObject::SecurityGroup(group.id);
    view.caller
        .is_granted(view.intent, object, RbacAction::AccessAsShared)
}

fn rules(group: &SecurityGroup, view: ResourceView<'_>) -> Vec<Value> {
    let rules = view.intent.rules_of(group.id);
    rules.map(|rule| rule::within_group(rule, view)).collect()
}

/// Whether it is its project's default group.
pub(crate) fn is_default(group: &SecurityGroup) -> bool {
    group.meta.name == DEFAULT_SECURITY_GROUP
}

/// Reads a name, which cannot be the default group's.
fn read_name(patch: &mut SecurityGroupPatch, value: &Value) -> Result<(), Invalid> {
    let name = values::text(values::LONG)(value)?;
    if name.to_lowercase() == DEFAULT_SECURITY_GROUP {
        return Err(Invalid::Own(ApiError::conflict(
            "SecurityGroupDefaultAlreadyExists",
            "Default security group already exists.",
        )));
    }
    patch.meta_mut().name = Some(name);
    Ok(())
}

/// Requires that no port is under the group, and that none is put under it before this is committed.
fn refuse_used(draft: &mut Draft, group: SecurityGroupId) -> Result<(), ApiError> {
    draft.relies_on(Mark::UsesOf(group));
    refuse_members(&draft.intent, group)
}

pub(crate) fn refuse_members(intent: &Intent, group: SecurityGroupId) -> Result<(), ApiError> {
    if intent.ports_under(group).next().is_none() {
        return Ok(());
    }
    Err(ApiError::conflict(
        "SecurityGroupInUse",
        format!("Security Group {group} in use."),
    ))
}
