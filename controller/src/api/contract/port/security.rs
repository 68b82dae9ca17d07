//! The security groups of a port.
//!
//! A port without port security has no groups. A port of the network itself, a router's or a DHCP server's, has none
//! either.

use crate::api::contract::draft::Draft;
use crate::api::contract::error::ApiError;
use crate::api::contract::kind::Kind;
use crate::api::contract::security_group;
use crate::api::contract::values::{self, Invalid};
use serde_json::Value;
use sextant_model::{Intent, Port, SecurityGroup, SecurityGroupId};
use std::collections::BTreeSet;

type Groups = BTreeSet<SecurityGroupId>;

/// The groups that a request names, each once.
pub(super) fn groups(value: &Value) -> Result<Groups, Invalid> {
    let mut groups = Groups::new();
    for id in values::list(values::id(SecurityGroupId))(value)? {
        if !groups.insert(id) {
            let reason = format!("Duplicate items in the list: '{id}'");
            return Err(Invalid::Reason(reason));
        }
    }
    Ok(groups)
}

/// Puts a new port under its groups.
pub(super) fn assign(
    draft: &mut Draft,
    port: &mut Port,
    asked: Option<&Groups>,
) -> Result<(), ApiError> {
    let default = security_group::default_of(draft, &port.meta.project_id)?;
    if !port.port_security_enabled {
        return match asked {
            Some(groups) if !groups.is_empty() => Err(security_required()),
            Some(_) | None => Ok(()),
        };
    }
    if port.is_of_network() {
        return Ok(());
    }
    let groups = asked.cloned();
    put_under(
        draft,
        port,
        groups.unwrap_or_else(|| Groups::from([default])),
    )
}

/// Puts a port under the requested groups. Other changes of the port are already applied.
pub(super) fn change(
    draft: &mut Draft,
    port: &mut Port,
    asked: Option<&Groups>,
) -> Result<(), ApiError> {
    if !port.port_security_enabled {
        refuse_without_security(port, asked)?;
    }
    if !port.port_security_enabled || port.is_of_network() {
        port.security_groups.clear();
        return Ok(());
    }
    asked.map_or(Ok(()), |groups| put_under(draft, port, groups.clone()))
}

fn refuse_without_security(port: &Port, asked: Option<&Groups>) -> Result<(), ApiError> {
    match asked {
        Some(groups) if !groups.is_empty() => Err(security_required()),
        None if !port.security_groups.is_empty() => Err(ApiError::conflict(
            "PortSecurityPortHasSecurityGroup",
            "Port has security group associated. Cannot disable port security or IP address until security group is removed.",
        )),
        Some(_) | None => Ok(()),
    }
}

fn security_required() -> ApiError {
    ApiError::bad(
        "PortSecurityAndIPRequiredForSecurityGroups",
        "Port security must be enabled and port must have an IP address in order to use security groups.",
    )
}

fn put_under(draft: &mut Draft, port: &mut Port, groups: Groups) -> Result<(), ApiError> {
    let missing: Vec<String> = groups
        .iter()
        .filter(|group| !draft.intent.security_groups.contains_key(*group))
        .map(ToString::to_string)
        .collect();
    if !missing.is_empty() {
        return Err(SecurityGroup::missing(&missing.join(", ")));
    }
    refuse_mixture(&draft.intent, &groups)?;
    for group in groups.difference(&port.security_groups) {
        draft.use_group(*group);
    }
    port.security_groups = groups;
    Ok(())
}

/// A port's connections are all tracked, or none are.
fn refuse_mixture(intent: &Intent, groups: &Groups) -> Result<(), ApiError> {
    let groups = groups
        .iter()
        .filter_map(|group| intent.security_groups.get(group));
    let kinds: BTreeSet<bool> = groups.map(|group| group.stateful).collect();
    if kinds.len() < 2 {
        return Ok(());
    }
    Err(ApiError::conflict(
        "SecurityGroupConflict",
        "Error Cannot apply both stateful and stateless security groups on the same port at the same time while \
         attempting the operation.",
    ))
}
