//! What is there without being asked for: every project's default group, and the rules that groups begin with.

use super::super::draft::Draft;
use super::super::error::ApiError;
use super::super::resource::Plan;
use sextant_model::{
    DEFAULT_SECURITY_GROUP, Direction, Ethertype, Intent, Key, Object, RemoteEnd, SecurityGroup,
    SecurityGroupId, SecurityGroupRule, SecurityGroupRuleId,
};
use std::sync::Arc;

const FAMILIES: [Ethertype; 2] = [Ethertype::Ipv4, Ethertype::Ipv6];

/// Makes the project's default group, if it does not have it yet.
pub(super) fn missing_default(intent: &Intent, project: &str) -> Option<Plan> {
    match intent.default_group_of(project) {
        Some(_) => None,
        None => Some(|draft, project| default_of(draft, project).map(drop)),
    }
}

/// The project's default group, made on first need: guests may send, and take what comes from each other. The claim sees to
/// it that of many who need it at the same time one makes it.
pub(in super::super) fn default_of(
    draft: &mut Draft,
    project: &str,
) -> Result<SecurityGroupId, ApiError> {
    if let Some(group) = draft.intent.default_group_of(project) {
        return Ok(group);
    }
    if !draft.claim(Key::DefaultSecurityGroup(project.to_owned())) {
        let message = format!("The default security group of project {project} is being made.");
        return Err(ApiError::unavailable(message));
    }
    let (name, description) = (DEFAULT_SECURITY_GROUP, "Default security group");
    let group = SecurityGroup {
        id: SecurityGroupId(draft.uuid()),
        meta: draft.meta(
            name.to_owned(),
            description.to_owned(),
            project.to_owned(),
            1,
        ),
        stateful: true,
    };
    let id = group.id;
    put_egress_rules(draft, &group);
    for ethertype in FAMILIES {
        put_rule(
            draft,
            &group,
            Direction::Ingress,
            ethertype,
            RemoteEnd::Group(id),
        );
    }
    draft.put(Object::SecurityGroup(Arc::new(group)));
    Ok(id)
}

/// Lets guests send, as every new group does.
pub(super) fn put_egress_rules(draft: &mut Draft, group: &SecurityGroup) {
    for ethertype in FAMILIES {
        put_rule(
            draft,
            group,
            Direction::Egress,
            ethertype,
            RemoteEnd::Anybody,
        );
    }
}

fn put_rule(
    draft: &mut Draft,
    group: &SecurityGroup,
    direction: Direction,
    ethertype: Ethertype,
    remote: RemoteEnd,
) {
    let project = group.meta.project_id.clone();
    let rule = SecurityGroupRule {
        id: SecurityGroupRuleId(draft.uuid()),
        security_group_id: group.id,
        meta: draft.meta(String::new(), String::new(), project, 0),
        direction,
        ethertype,
        protocol: None,
        port_range_min: None,
        port_range_max: None,
        remote,
    };
    draft.put(Object::SecurityGroupRule(Arc::new(rule)));
}
