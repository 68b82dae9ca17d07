//! Quotas: how many objects of a kind a project may have.
//!
//! The limit is exact however many writers there are, and only those near it hinder each other. Whoever makes a counted
//! object writes the mark [`Mark::CountOf`]. A writer *near* the limit requires that this mark has not changed since it
//! counted, so its count is right, and it writes [`Mark::NearQuota`]. A writer *far* from the limit requires that this
//! second mark has not changed since it counted. So once a writer near the limit has committed, those that counted before
//! and believed to be far count again. Before the first such commit, some writers may have come near without knowing. They
//! are at most [`WRITERS_AT_ONCE`], one object each; the turns in `commit` see to that. So a writer is near if less than
//! this number is left. The bound holds for one process.

use crate::api::contract::draft::Draft;
use crate::api::contract::draft::WRITERS_AT_ONCE;
use crate::api::contract::error::ApiError;
use crate::api::contract::python;
use sextant_model::{Counted, Mark, ObjectKey};

/// Lets a project have this many more of a kind, if its quota allows that.
pub(crate) fn reserve(
    draft: &mut Draft,
    project: &str,
    kind: Counted,
    more: u64,
) -> Result<(), ApiError> {
    let after = draft.intent.count_of(project, kind) + more;
    note(draft, project, kind, more);
    match draft.intent.quota_of(project, kind) {
        Some(limit) if after > limit => {
            let kinds = python::names([kind.as_str()]);
            Err(ApiError::conflict(
                "OverQuota",
                format!("Quota exceeded for resources: {kinds}."),
            ))
        }
        Some(_) | None => Ok(()),
    }
}

/// Counts what a project gets whatever its quota is, so that other writers see it.
pub(crate) fn note(draft: &mut Draft, project: &str, kind: Counted, more: u64) {
    let count_of = Mark::CountOf(project.to_owned(), kind);
    let near_quota = Mark::NearQuota(project.to_owned(), kind);
    draft.relies_on(ObjectKey::Quota(project.to_owned()));
    draft.mark(count_of.clone());
    let Some(limit) = draft.intent.quota_of(project, kind) else {
        return;
    };
    let after = draft.intent.count_of(project, kind) + more;
    let is_near = more > 1 || after + WRITERS_AT_ONCE > limit;
    if is_near {
        draft.relies_on(count_of);
        draft.mark(near_quota);
    } else {
        draft.relies_on(near_quota);
    }
}

/// The kind that a resource of this name is counted as.
pub(crate) fn counted(resource: &str) -> Option<Counted> {
    Counted::ALL
        .into_iter()
        .find(|kind| kind.as_str() == resource)
}
