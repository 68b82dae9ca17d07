//! What etcd's answers mean.

use std::time::Duration;

/// How long a request may take before another member is asked. A healthy cluster answers in milliseconds, and elects a
/// leader within about two seconds.
pub(super) const CALL: Duration = Duration::from_secs(2);

/// Why a request has no result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum CallError {
    /// No answer, or none of the cluster's: another member may answer, or the same one later. What was asked for may
    /// have been done.
    #[error("{0}")]
    NoAnswer(String),
    /// It was refused, and would be again.
    #[error("{0}")]
    Refused(String),
    /// It is larger than the cluster takes.
    #[error("it is larger than {0} of etcd allows")]
    TooLarge(Setting),
    /// The revision is too old: its history was compacted.
    #[error("its history was compacted")]
    Compacted,
    /// The lease has expired.
    #[error("the lease has expired")]
    LeaseExpired,
}

/// The setting of etcd that bounds a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Setting {
    MaxTxnOps,
    MaxRequestBytes,
}

impl std::fmt::Display for Setting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::MaxTxnOps => "--max-txn-ops",
            Self::MaxRequestBytes => "--max-request-bytes",
        })
    }
}

/// Codes of gRPC (its `statuscodes.md`) with which a request is refused for good.
const REFUSALS: [i32; 4] = [
    3, // INVALID_ARGUMENT: a wrong password as well
    7, // PERMISSION_DENIED
    8, // RESOURCE_EXHAUSTED: the quota of the database, or too many requests
    9, // FAILED_PRECONDITION: users are not enabled
];

/// Errors by their texts in etcd's `rpctypes` and gRPC for Go, since several share a code.
const BY_TEXT: [(&str, CallError); 5] = [
    (
        "too many operations in txn request",
        CallError::TooLarge(Setting::MaxTxnOps),
    ),
    (
        "request is too large",
        CallError::TooLarge(Setting::MaxRequestBytes),
    ),
    (
        "received message larger than max",
        CallError::TooLarge(Setting::MaxRequestBytes),
    ),
    ("required revision has been compacted", CallError::Compacted),
    ("lease not found", CallError::LeaseExpired),
];

/// Other users' doing, or the cluster's: the same request may succeed.
const TEMPORARY: [&str; 2] = ["revision of auth store is old", "too many requests"];

impl From<etcd_client::Error> for CallError {
    fn from(error: etcd_client::Error) -> Self {
        let text = text_of(&error);
        let known = BY_TEXT.iter().find(|(part, _)| text.contains(part));
        if let Some((_, meaning)) = known {
            return meaning.clone();
        }
        let is_temporary = TEMPORARY.iter().any(|part| text.contains(part));
        if let etcd_client::Error::GRpcStatus(status) = &error
            && REFUSALS.contains(&i32::from(status.code()))
            && !is_temporary
        {
            return Self::Refused(text);
        }
        Self::NoAnswer(text)
    }
}

/// The reason in etcd's words, or the last one in the chain.
fn text_of(error: &etcd_client::Error) -> String {
    let etcd_client::Error::GRpcStatus(status) = error else {
        return error.to_string();
    };
    let mut text = status.message().to_owned();
    let mut source = std::error::Error::source(status);
    while let Some(error) = source {
        text = error.to_string();
        source = error.source();
    }
    text
}

/// The answer to a request, if it comes in time.
pub(super) async fn timely<T>(
    request: impl Future<Output = Result<T, etcd_client::Error>>,
) -> Result<T, CallError> {
    match tokio::time::timeout(CALL, request).await {
        Ok(answer) => answer.map_err(CallError::from),
        Err(_) => Err(CallError::NoAnswer(format!("no answer within {CALL:?}"))),
    }
}
