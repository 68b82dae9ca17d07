//! Reads a request: its body, its project, and the address that it was sent to.

use crate::api::contract::attributes::MetaPatch;
use crate::api::contract::caller::Caller;
use crate::api::contract::error::ApiError;
use crate::api::contract::limits;
use crate::api::requests::api::Api;
use crate::api::requests::asked;
use crate::api::requests::identity;
use axum::body::{Body as Stream, to_bytes};
use axum::http::header::{HOST, IF_MATCH};
use axum::http::{HeaderMap, StatusCode};
use serde_json::{Map, Value};
use std::time::Duration;
use tokio::time::timeout;

/// The longest body in octets, far above any useful bulk request.
const LONGEST: usize = 2 << 20;
/// The length in octets from which reading a body counts as long work.
const LONG: usize = 32 << 10;

/// How long a body may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// The body as JSON. It is empty if there is none, and its lists are within their limits. `about` is an id, or what is
/// to be made.
pub(crate) async fn json(
    api: &Api,
    stream: Stream,
    about: &str,
) -> Result<Map<String, Value>, ApiError> {
    let read = timeout(PATIENCE, to_bytes(stream, LONGEST)).await;
    let octets = read.map_err(|_| too_slow())?.map_err(|_| {
        let message = format!("The body is longer than {LONGEST} octets, or was cut off.");
        ApiError::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "RequestEntityTooLarge",
            message,
        )
    })?;
    if octets.is_empty() {
        return Ok(Map::new());
    }
    let body = match octets.len() < LONG {
        true => parsed(&octets, about),
        false => api.gate.pass(|| parsed(&octets, about)).await,
    }?;
    asked::note_body(&body);
    Ok(body)
}

fn parsed(octets: &[u8], about: &str) -> Result<Map<String, Value>, ApiError> {
    match serde_json::from_slice(octets) {
        Ok(Value::Object(fields)) => limits::check(&fields, about).map(|()| fields),
        Ok(_) | Err(_) => Err(ApiError::malformed("Body contains invalid data")),
    }
}

fn too_slow() -> ApiError {
    let message = format!("The body has not come within {PATIENCE:?}.");
    ApiError::new(StatusCode::REQUEST_TIMEOUT, "HTTPRequestTimeout", message)
}

/// The project that a request is for: the one in the body, which only admins may choose freely, else the caller's.
pub(crate) fn project(caller: &Caller, patch: &MetaPatch) -> Result<String, ApiError> {
    match (&patch.project_id, &patch.tenant_id) {
        (Some(project), Some(tenant)) if project != tenant => {
            let message = "'project_id' and 'tenant_id' do not match";
            Err(ApiError::malformed(message))
        }
        (Some(project), _) | (None, Some(project)) => match caller.may_make_for(project) {
            true => Ok(project.clone()),
            false => Err(ApiError::malformed(
                "Specifying 'project_id' or 'tenant_id' other than the authenticated project in request is not allowed for \
                 current user.",
            )),
        },
        (None, None) => caller.project.clone().ok_or_else(identity::project_needed),
    }
}

/// The `scheme://authority` that the caller uses for this service.
pub(crate) fn origin(headers: &HeaderMap) -> String {
    let scheme = header(headers, "x-forwarded-proto").unwrap_or("http");
    let host = header(headers, HOST.as_str()).unwrap_or("localhost");
    format!("{scheme}://{host}")
}

/// The revision that the object must have (`If-Match: revision_number=…`).
pub(crate) fn expected_revision(headers: &HeaderMap) -> Result<Option<u64>, ApiError> {
    let Some(condition) = header(headers, IF_MATCH.as_str()) else {
        return Ok(None);
    };
    let number = condition
        .strip_prefix("revision_number=")
        .and_then(|number| number.parse().ok());
    number.map(Some).ok_or_else(|| {
        ApiError::bad_request(
            "revision_number",
            format!("Can't find or parse revision number in '{condition}'"),
        )
    })
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers
        .get(name)?
        .to_str()
        .ok()
        .filter(|value| !value.is_empty())
}
