//! Quotas: how many objects of a kind a project may have.
//!
//! The limit is exact however many write at the same time, and only those near it are in each other's way. Whoever makes
//! something counted writes the mark [`Mark::CountOf`]. A writer *near* the limit demands that this mark has not changed
//! since it counted, so its count is right; and it writes [`Mark::NearQuota`]. A writer *far* from the limit demands that
//! this second mark has not changed since it counted. So once a writer near the limit has committed, those that counted
//! before and believed to be far count again. Before the first such commit, the writers that passed the border without
//! knowing are at most as many as write at the same time ([`WRITERS_AT_ONCE`], which the turns in `commit` see to), one
//! object each; near is who has less than this left. The bound is one process's.

use crate::api::contract::draft::Draft;
use crate::api::contract::draft::WRITERS_AT_ONCE;
use crate::api::contract::error::ApiError;
use crate::api::contract::python;
use sextant_model::{Counted, Mark, ObjectKey};

/// Sees to it that a project gets so many more of a kind only if it may have them.
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

/// The same for what a project gets whether it may have it or not: others see that it came.
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
