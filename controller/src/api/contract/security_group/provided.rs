//! What is there without being asked for: every project's default group, and the rules that groups begin with.

use crate::api::contract::draft::Draft;
use crate::api::contract::error::ApiError;
use crate::api::contract::quota;
use crate::api::contract::resource::Plan;
use sextant_model::{
    Claim, Counted, Intent, Object, SecurityGroup, SecurityGroupId, SecurityGroupRule,
};
use std::sync::Arc;

/// Makes the project's default group, if it does not have it yet.
pub(super) fn missing_default(intent: &Intent, project: &str) -> Option<Plan> {
    match intent.default_group_of(project) {
        Some(_) => None,
        None => Some(|draft, project| default_of(draft, project).map(drop)),
    }
}

/// The project's default group, made on first need. The claim sees to it that of many who need it at the same time one
/// makes it. It is there whatever the project's quota of groups, as with Neutron, but its rules need room.
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

/// Stores a new group with the rules that it begins with, which the project must be allowed to have.
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
