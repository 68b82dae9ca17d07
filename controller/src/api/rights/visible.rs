//! Which resources a caller can see at all, found from the caller's project instead of by looking at each.

use super::relations::{
    ADMIN, EXTERNAL, MANAGER, MEMBER, PARENT_MANAGER, PARENT_MEMBER, PARENT_READER, PROJECT,
    READER, SERVICE, SHARED, Who,
};
use super::table::{Operation, rule_of};
use crate::api::contract::caller::{Caller, Roles};
use crate::api::contract::index::Ids;
use crate::api::contract::rbac::granted;
use crate::api::contract::resource::Resource;
use sextant_model::{IndexedValue, Intent, NetworkId, ObjectId, RbacObject, SecurityGroupId, Span};
use std::ops::Bound;

/// Relations to resources within a project's own objects.
const PARENT: Who = PARENT_READER.or(PARENT_MEMBER).or(PARENT_MANAGER);
/// Relations by access policies.
const GRANTED: Who = SHARED.or(EXTERNAL);
/// Relations to a project's own resources.
const OWN: Who = READER.or(MEMBER).or(MANAGER).or(PROJECT);
const FOUND: Who = ADMIN.or(SERVICE).or(OWN).or(PARENT).or(GRANTED);

impl Caller {
    /// The ids within a span of all resources that the caller may see, and perhaps of others. `None` if every resource
    /// has to be looked at, as for admins.
    pub(crate) fn visible<'a, R: Resource>(
        &self,
        intent: &'a Intent,
        span: Span<R::Id>,
    ) -> Option<Vec<Ids<'a, R::Id>>> {
        let who = const { rule_of(R::NAME, Operation::Get) }.who;
        let sees_all = self.is_admin() || who.includes(SERVICE) && self.roles.has(Roles::SERVICE);
        // What an operator's rules let somebody see follows from no index.
        let by_operator = !self.policy.is_empty();
        if sees_all || by_operator || !who.is_within(FOUND) {
            return None;
        }
        let project = self.project.as_deref()?;
        let own = intent.ids_with(IndexedValue::Project(project), span)?;
        let mut found: Vec<Ids<'a, R::Id>> = vec![Box::new(own)];
        if who.includes(PARENT) {
            let owned = owned(intent, project);
            found.extend(owned.filter_map(|object| R::tied_to(intent, object, span)));
        }
        if who.includes(GRANTED) {
            found.extend(granted::<R>(intent, Some(project), span));
        }
        Some(found)
    }
}

/// The objects of a project that others can be within.
fn owned<'a>(intent: &'a Intent, project: &str) -> impl Iterator<Item = RbacObject> + use<'a> {
    let networks = in_project::<NetworkId>(intent, project).map(RbacObject::Network);
    let groups = in_project::<SecurityGroupId>(intent, project).map(RbacObject::SecurityGroup);
    networks.chain(groups)
}

fn in_project<'a, Id: ObjectId>(
    intent: &'a Intent,
    project: &str,
) -> impl Iterator<Item = Id> + use<'a, Id> {
    let all = (Bound::Unbounded, Bound::Unbounded);
    let ids = intent.ids_with(IndexedValue::Project(project), all);
    ids.into_iter().flatten()
}
