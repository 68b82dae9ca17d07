//! `X-Sextant-Revision`: what a caller has seen by one controller, it finds by every other.
//!
//! Each answer says which revision of the store it shows; that of a write contains the write. A request with such a number waits until its
//! controller has reached it.

use crate::api::contract::error::ApiError;
use crate::api::requests::api::Api;
use crate::metrics::RevisionWait;
use crate::snapshot::Stopping;
use crate::store::{OUT_OF_REACH, Revision};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use std::time::Duration;
use tokio::time::timeout;

const REVISION: HeaderName = HeaderName::from_static("x-sextant-revision");

/// How long a request waits. A controller that follows the store is behind by milliseconds.
const PATIENCE: Duration = Duration::from_secs(5);

/// Tells the caller what it has seen. Called after the request was served, so no answer shows more.
pub(crate) fn tell(api: &Api, answer: &mut HeaderMap) {
    let shown = api.store.last_commit(api.snapshots.revision());
    answer.insert(REVISION, HeaderValue::from(shown.0));
}

/// Waits until this controller has what the caller has seen.
///
/// # Errors
/// The caller's fault: the header is no number. Else this controller is behind.
pub(crate) async fn wait(api: &Api, request: &HeaderMap) -> Result<(), ApiError> {
    let Some(wanted) = wanted(request)? else {
        return Ok(());
    };
    if api.snapshots.revision() >= wanted {
        return Ok(());
    }
    let outcome = reach(api, wanted).await?;
    let waits = &api.metrics.api_revision_waits;
    waits.with_label_values(&[outcome.as_str()]).inc();
    let why = match outcome {
        RevisionWait::Reached => return Ok(()),
        RevisionWait::TooLate => "which has not come within 5 seconds",
        RevisionWait::OutOfReach => "and the store is out of reach",
    };
    let has = api.snapshots.revision();
    Err(ApiError::unavailable(format!(
        "This controller has revision {has} of the store and not {wanted}, {why}."
    )))
}

async fn reach(api: &Api, wanted: Revision) -> Result<RevisionWait, Stopping> {
    if api.store.age() >= OUT_OF_REACH {
        return Ok(RevisionWait::OutOfReach);
    }
    match timeout(PATIENCE, api.snapshots.reaching(wanted)).await {
        Ok(reached) => reached.map(|_| RevisionWait::Reached),
        Err(_) => Ok(RevisionWait::TooLate),
    }
}

/// The revision that a request asks for: the greatest, if there are several.
fn wanted(request: &HeaderMap) -> Result<Option<Revision>, ApiError> {
    let mut wanted = None;
    for value in request.get_all(REVISION) {
        let number = value.to_str().ok().and_then(|text| text.parse().ok());
        let number = number.ok_or_else(|| {
            ApiError::malformed(format!("X-Sextant-Revision is no number: {value:?}"))
        })?;
        wanted = wanted.max(Some(Revision(number)));
    }
    Ok(wanted)
}
