//! Security groups.
//!
//! A group and its rules are looked at together: whoever makes, changes or removes a rule stores the group again, so that
//! of two who add the same rule the second sees the first. Whoever uses a group leaves a mark (`Key::UsesOf`), so that a
//! group is only removed, or its tracking changed, while nobody comes to use it.

mod provided;
mod rule;

pub(crate) use provided::default_of;

use crate::api::contract::attributes::{Attribute, Body, free, shown};
use crate::api::contract::caller::Caller;
use crate::api::contract::draft::Draft;
use crate::api::contract::error::ApiError;
use crate::api::contract::resource::{Plan, Resource, View};
use crate::api::contract::shown::Shown;
use crate::api::contract::values::{self, Invalid};
use crate::api::rights::Ties;
use imbl::OrdMap;
use serde_json::Value;
use sextant_model::{
    DEFAULT_SECURITY_GROUP, Intent, Key, Meta, Object, RbacAction, RbacObject, SecurityGroup,
    SecurityGroupId,
};
use std::sync::Arc;

impl Resource for SecurityGroup {
    const NAME: &'static str = "security_group";
    const COLLECTION: &'static str = "security_groups";
    const PATH: &'static str = "security-groups";
    const ATTRIBUTES: &'static [Attribute] = &[
        free("stateful"),
        shown("shared"),
        shown("security_group_rules").no_filter(),
    ];
    type Id = SecurityGroupId;

    fn id(&self) -> SecurityGroupId {
        self.id
    }

    fn meta(&self) -> &Meta {
        &self.meta
    }

    fn put_with_meta(&self, draft: &mut Draft, meta: Meta) {
        draft.put(Object::SecurityGroup(Arc::new(Self {
            meta,
            ..self.clone()
        })));
    }

    fn missing(id: &str) -> ApiError {
        ApiError::not_found(
            "SecurityGroupNotFound",
            format!("Security group {id} does not exist"),
        )
    }

    fn table(intent: &Intent) -> &OrdMap<Self::Id, Arc<Self>> {
        &intent.security_groups
    }

    fn before_list(intent: &Intent, project: &str) -> Option<Plan> {
        provided::missing_default(intent, project)
    }

    fn ties(&self) -> Ties {
        Ties::Object(RbacObject::SecurityGroup(self.id))
    }

    fn render(&self, view: View<'_>, shown: &mut Shown<'_>) {
        let rules = view.intent.rules_of(self.id);
        shown.put("stateful", self.stateful);
        shown.put_with("shared", || {
            let (object, shared) = (
                RbacObject::SecurityGroup(self.id),
                RbacAction::AccessAsShared,
            );
            view.caller.is_granted(view.intent, object, shared)
        });
        shown.put_with("security_group_rules", || {
            rules
                .map(|rule| rule::within_group(rule, view))
                .collect::<Vec<_>>()
        });
    }

    fn create(
        draft: &mut Draft,
        project: String,
        body: &Body,
    ) -> Result<SecurityGroupId, ApiError> {
        let name = body.read("name", name)?.unwrap_or_default();
        let description = body
            .read("description", values::text(values::LONG))?
            .unwrap_or_default();
        let stateful = body.read("stateful", values::boolean)?.unwrap_or(true);
        default_of(draft, &project)?;
        let group = Self {
            id: SecurityGroupId(draft.uuid()),
            meta: draft.meta(name, description, project, 1),
            stateful,
        };
        let id = group.id;
        let rules = group.egress_rules(draft.now, || draft.uuid());
        provided::put_with_rules(draft, group, rules)?;
        Ok(id)
    }

    fn update(&self, draft: &mut Draft, body: &Body) -> Result<(), ApiError> {
        let mut group = self.clone();
        if body.read("name", name)?.is_some() && is_default(self) {
            return Err(ApiError::conflict(
                "SecurityGroupCannotUpdateDefault",
                "Updating default security group not allowed.",
            ));
        }
        crate::api::contract::attributes::change_names(&mut group.meta, body)?;
        group.stateful = body
            .read("stateful", values::boolean)?
            .unwrap_or(self.stateful);
        if group.stateful != self.stateful {
            refuse_used(draft, self.id)?;
        }
        draft.revise(&mut group.meta);
        draft.put(Object::SecurityGroup(Arc::new(group)));
        Ok(())
    }

    /// A default group is for admins to remove; its project gets another when it needs one.
    fn permits_removal(&self, caller: &Caller, intent: &Intent) -> Result<(), ApiError> {
        if caller.is_admin() || !is_default(self) {
            return Ok(());
        }
        refuse_members(intent, self.id)?;
        Err(ApiError::conflict(
            "SecurityGroupCannotRemoveDefault",
            "Insufficient rights for removing default security group.",
        ))
    }

    /// Removes it with its rules, and with those of others that have its ports at the other end.
    fn delete(&self, draft: &mut Draft) -> Result<(), ApiError> {
        refuse_used(draft, self.id)?;
        if is_default(self) {
            draft.delete(Key::DefaultSecurityGroup(self.meta.project_id.clone()));
        }
        let about: Vec<_> = draft.intent.rules_about(self.id).cloned().collect();
        for rule in about
            .iter()
            .filter(|rule| rule.security_group_id != self.id)
        {
            rule.delete(draft)?;
        }
        let own = draft.intent.rules_of(self.id);
        let own: Vec<Key> = own.map(|rule| Key::SecurityGroupRule(rule.id)).collect();
        own.into_iter().for_each(|key| draft.delete(key));
        draft.delete(Key::UsesOf(self.id));
        draft.delete(Key::SecurityGroup(self.id));
        Ok(())
    }
}

/// Whether it is the one that its project has without asking.
fn is_default(group: &SecurityGroup) -> bool {
    group.meta.name == DEFAULT_SECURITY_GROUP
}

/// A name that is not the default group's.
fn name(value: &Value) -> Result<String, Invalid> {
    let name = values::text(values::LONG)(value)?;
    if name.to_lowercase() == DEFAULT_SECURITY_GROUP {
        return Err(Invalid::Own(ApiError::conflict(
            "SecurityGroupDefaultAlreadyExists",
            "Default security group already exists.",
        )));
    }
    Ok(name)
}

/// No port may be under it, nor come under it until this is committed.
fn refuse_used(draft: &mut Draft, group: SecurityGroupId) -> Result<(), ApiError> {
    draft.relies_on(Key::UsesOf(group));
    refuse_members(&draft.intent, group)
}

fn refuse_members(intent: &Intent, group: SecurityGroupId) -> Result<(), ApiError> {
    if intent.ports_under(group).next().is_none() {
        return Ok(());
    }
    Err(ApiError::conflict(
        "SecurityGroupInUse",
        format!("Security Group {group} in use."),
    ))
}

/// Stores a group again because one of its rules comes, changes or goes.
fn revise(draft: &mut Draft, group: &SecurityGroup) {
    let mut meta = group.meta.clone();
    draft.revise(&mut meta);
    group.put_with_meta(draft, meta);
}
