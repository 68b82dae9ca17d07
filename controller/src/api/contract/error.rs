//! Errors as Neutron words them: `{"NeutronError": {"type", "message", "detail"}}`.

use crate::snapshot::Stopping;
use crate::store::CommitError;
use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// Why a request was refused. The caller is at fault, except for status 500 and above.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ApiError {
    pub(crate) status: StatusCode,
    /// The class of exception in Neutron.
    pub(crate) kind: &'static str,
    pub(crate) message: String,
}

impl ApiError {
    pub(crate) fn new(status: StatusCode, kind: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            kind,
            message: message.into(),
        }
    }

    /// 400 of a given class.
    pub(crate) fn bad(kind: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, kind, message)
    }

    /// 409 of a given class.
    pub(crate) fn conflict(kind: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, kind, message)
    }

    /// 404 of a given class.
    pub(crate) fn not_found(kind: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, kind, message)
    }

    /// The request has the wrong form.
    pub(crate) fn malformed(message: impl Into<String>) -> Self {
        Self::bad("HTTPBadRequest", message)
    }

    /// The request lacks an attribute.
    pub(crate) fn missing(attribute: &str) -> Self {
        Self::malformed(format!(
            "Failed to parse request. Required attribute '{attribute}' not specified"
        ))
    }

    /// The request's values contradict each other.
    pub(crate) fn invalid_input(message: impl std::fmt::Display) -> Self {
        Self::bad(
            "InvalidInput",
            format!("Invalid input for operation: {message}."),
        )
    }

    /// This kind of resource cannot do what is requested.
    pub(crate) fn bad_request(resource: &str, message: impl std::fmt::Display) -> Self {
        Self::bad("BadRequest", format!("Bad {resource} request: {message}."))
    }

    pub(crate) fn unavailable(message: impl Into<String>) -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "ServiceUnavailable",
            message,
        )
    }
}

impl From<Stopping> for ApiError {
    fn from(stopping: Stopping) -> Self {
        Self::unavailable(stopping.to_string())
    }
}

impl From<CommitError> for ApiError {
    fn from(error: CommitError) -> Self {
        let message = error.to_string();
        match error {
            CommitError::TooLarge(_) => Self::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "RequestEntityTooLarge",
                message,
            ),
            CommitError::Conflict(_) | CommitError::Unavailable(_) | CommitError::Uncertain(_) => {
                Self::unavailable(message)
            }
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let body =
            json!({"NeutronError": {"type": self.kind, "message": self.message, "detail": ""}});
        (self.status, Json(body)).into_response()
    }
}
