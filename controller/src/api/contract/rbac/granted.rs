//! What access policies let a project use.

use crate::api::contract::index::Ids;
use crate::api::contract::resource::Resource;
use crate::api::contract::view::ResourceView;
use sextant_model::{EVERY_PROJECT, IndexedValue, Intent, RbacObject, RbacPolicyId, Span};
use std::ops::Bound;

/// The ids within a span of the resources tied to an object that a policy lets a project use, for each policy.
pub(crate) fn granted<'a, R: Resource>(
    intent: &'a Intent,
    project: Option<&str>,
    span: Span<R::Id>,
) -> impl Iterator<Item = Ids<'a, R::Id>> {
    let targets = [EVERY_PROJECT].into_iter().chain(project);
    let objects = targets.flat_map(|target| objects(intent, target));
    objects.filter_map(move |object| R::tied_to(intent, object, span))
}

fn objects<'a>(intent: &'a Intent, target: &str) -> impl Iterator<Item = RbacObject> + use<'a> {
    let all = (Bound::Unbounded, Bound::Unbounded);
    let policies = intent.ids_with::<RbacPolicyId>(IndexedValue::Target(target), all);
    let policies = policies.into_iter().flatten();
    policies.filter_map(|id| Some(intent.rbac_policies.get(&id)?.object))
}

/// The index of `shared`, which is true of few: those that policies share with the caller.
pub(crate) fn shared<'a, R: Resource>(
    view: ResourceView<'a>,
    values: &[String],
    span: Span<R::Id>,
) -> Option<Vec<Ids<'a, R::Id>>> {
    let project = view.caller.project.as_deref();
    // The empty value is in no index.
    let is_indexed = project != Some("");
    (is_indexed && is_true(values)).then(|| granted::<R>(view.intent, project, span).collect())
}

/// Whether a filter asks for nothing but truth.
pub(crate) fn is_true(values: &[String]) -> bool {
    let mut values = values.iter();
    values.all(|value| value == "1" || value.eq_ignore_ascii_case("true"))
}
