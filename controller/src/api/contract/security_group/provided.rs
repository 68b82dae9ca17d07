//! What exists without a request: every project's default group, and the first rules of new groups.

use crate::api::contract::draft::Draft;
use crate::api::contract::error::ApiError;
use crate::api::contract::quota;
use crate::api::contract::resource::WritePlan;
use sextant_model::{
    Claim, Counted, Intent, Object, SecurityGroup, SecurityGroupId, SecurityGroupRule,
};
use std::sync::Arc;

/// Makes the project's default group, if it does not have it yet.
pub(super) fn missing_default(intent: &Intent, project: &str) -> Option<WritePlan> {
    match intent.default_group_of(project) {
        Some(_) => None,
        None => Some(|draft, project| default_of(draft, project).map(drop)),
    }
}

/// The project's default group, made when it is first needed. A claim guarantees that only one of many simultaneous
/// writers makes it. It exists whatever the project's quota of groups is, as in Neutron, but its rules need room.
pub(crate) fn default_of(draft: &mut Draft, project: &str) -> Result<SecurityGroupId, ApiError> {
    if let Some(group) = draft.intent.default_group_of(project) {
        return Ok(group);
    }
    if !draft.claim(Claim::DefaultSecurityGroup(project.to_owned())) {
        let message = format!("The default security group of project {project} is being made.");
        return Err(ApiError::unavailable(message));
    }
    quota::note(draft, project, Counted::SecurityGroup, 1);
    let (group, rules) = SecurityGroup::default_of(project, draft.now, || draft.uuid());
    let id = group.id;
    put_with_rules(draft, group, rules)?;
    Ok(id)
}

/// Stores a new group with its first rules, if the project's quota has room for these.
pub(super) fn put_with_rules(
    draft: &mut Draft,
    group: SecurityGroup,
    rules: Vec<SecurityGroupRule>,
) -> Result<(), ApiError> {
    let (project, kind) = (&group.meta.project_id, Counted::SecurityGroupRule);
    quota::reserve(draft, project, kind, rules.len() as u64)?;
    for rule in rules {
        draft.put(Object::SecurityGroupRule(Arc::new(rule)));
    }
    draft.put(Object::SecurityGroup(Arc::new(group)));
    Ok(())
}
