//! Adds what old objects depend on and lack: access policies and security groups.
//!
//! Ports with port security get the default group of their project, as new ones would. Without a group they would be
//! cut off.

use super::Rows;
use sextant_model::{
    Claim, Key, Object, Port, RbacAction, RbacObject, RbacPolicy, RbacPolicyId, SecurityGroup,
    SecurityGroupId,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use uuid::Uuid;

/// What new objects need from outside: the time, and ids.
pub(in crate::store) struct Newness {
    /// Seconds since 1970.
    now: i64,
    id: fn() -> Uuid,
}

impl Newness {
    pub(in crate::store) fn now() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let seconds = since.unwrap_or_default().as_secs();
        Self::at(i64::try_from(seconds).unwrap_or(i64::MAX))
    }

    pub(super) fn at(now: i64) -> Self {
        let id = Uuid::new_v4;
        Self { now, id }
    }

    fn policy(&self, object: RbacObject, action: RbacAction, project: &str) -> Object {
        let id = RbacPolicyId((self.id)());
        let policy = RbacPolicy::for_everyone(id, object, action, project, self.now);
        Object::RbacPolicy(Arc::new(policy))
    }
}

/// Adds what rows of today's format lack.
pub(super) fn complete(mut rows: Rows, newness: Newness) -> serde_json::Result<Rows> {
    let stored: Vec<Object> = rows
        .values()
        .map(serde::Deserialize::deserialize)
        .collect::<Result<_, _>>()?;
    let policies = stored.iter().flat_map(|object| policies(object, &newness));
    for object in policies.chain(grouped(&stored, &newness)) {
        rows.insert(
            serde_json::to_vec(&object.key())?,
            serde_json::to_value(&object)?,
        );
    }
    Ok(rows)
}

/// The policies that an object's attributes stand for.
fn policies(object: &Object, newness: &Newness) -> Vec<Object> {
    let Some((object, project, shared, external)) = sharing(object) else {
        return Vec::new();
    };
    let actions = [
        (shared, RbacAction::AccessAsShared),
        (external, RbacAction::AccessAsExternal),
    ];
    let actions = actions.into_iter().filter(|(granted, _)| *granted);
    actions
        .map(|(_, action)| newness.policy(object, action, project))
        .collect()
}

/// An object that can be shared: its project, whether it is shared, and whether it is external.
fn sharing(object: &Object) -> Option<(RbacObject, &str, bool, bool)> {
    let (object, meta, shared, external) = if let Object::Network(network) = object {
        let object = RbacObject::Network(network.id);
        (object, &network.meta, network.shared, network.external)
    } else if let Object::SubnetPool(pool) = object {
        let object = RbacObject::SubnetPool(pool.id);
        (object, &pool.meta, pool.shared, false)
    } else if let Object::AddressScope(scope) = object {
        let object = RbacObject::AddressScope(scope.id);
        (object, &scope.meta, scope.shared, false)
    } else {
        return None;
    };
    Some((object, &meta.project_id, shared, external))
}

/// Guests' ports under their projects' default groups, and these groups.
fn grouped(stored: &[Object], newness: &Newness) -> Vec<Object> {
    let mut groups: BTreeMap<&str, SecurityGroupId> = BTreeMap::new();
    let mut added = Vec::new();
    for port in stored.iter().filter_map(ungrouped) {
        let project = port.meta.project_id.as_str();
        let group = *groups.entry(project).or_insert_with(|| {
            let (group, objects) = default_group(project, newness);
            added.extend(objects);
            group
        });
        added.push(Object::Port(Arc::new(Port {
            security_groups: BTreeSet::from([group]),
            ..port.clone()
        })));
    }
    added
}

/// A port that would have a group if it were made today.
fn ungrouped(object: &Object) -> Option<&Port> {
    let Object::Port(port) = object else {
        return None;
    };
    let guests = port.port_security_enabled && !port.is_of_network();
    Some(&**port).filter(|port| guests && port.security_groups.is_empty())
}

fn default_group(project: &str, newness: &Newness) -> (SecurityGroupId, Vec<Object>) {
    let (group, rules) = SecurityGroup::default_of(project, newness.now, newness.id);
    let id = group.id;
    let claim = Object::Claim(Key::Claim(Claim::DefaultSecurityGroup(project.to_owned())));
    let rules = rules.into_iter().map(Arc::new);
    let mut objects: Vec<Object> = rules.map(Object::SecurityGroupRule).collect();
    objects.extend([Object::SecurityGroup(Arc::new(group)), claim]);
    (id, objects)
}
