//! What a session tells its owner, and why it ends.

use std::time::Duration;

use serde_json::Value as Json;
use thiserror::Error;

use crate::cluster::MemberError;
use crate::framing::FramingError;
use crate::monitor::{RequestMismatch, UpdateError};
use crate::replica::RowChange;
use crate::rpc::{RequestId, RpcError};
use crate::schema::SchemaError;
use crate::transaction::{TransactionResult, read_error};

/// What happened.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// The contents of the monitored tables are in the replica. If it held an earlier state, the difference came before
    /// as [`Event::Changed`].
    Synced,
    /// The replica has the rows that meet the conditions last given by
    /// [`Session::change_conditions`](crate::Session::change_conditions). Those that came and went came before as
    /// [`Event::Changed`].
    Selected,
    /// The server's rows changed, and the replica with them: one transaction's changes.
    Changed(Vec<RowChange>),
    /// A transaction was answered. The changes that it made came before as [`Event::Changed`].
    Reply {
        /// The transaction.
        id: RequestId,
        /// What its operations did, or why it had no effect.
        result: TransactionResult,
    },
    /// A request made by [`Session::request`](crate::Session::request) was answered.
    Answer {
        /// The request.
        id: RequestId,
        /// The method's result.
        result: Result<Json, Refusal>,
    },
    /// This session owns the lock.
    Locked {
        /// The lock's name.
        lock: String,
    },
    /// Another session took the lock.
    Stolen {
        /// The lock's name.
        lock: String,
    },
}

/// The server refused a request.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the server refused the request: {error}{}", details.as_ref().map(|details| format!(" ({details})")).unwrap_or_default())]
#[non_exhaustive]
pub struct Refusal {
    /// The kind of error, such as `unknown database`.
    pub error: String,
    /// More about it, for people.
    pub details: Option<String>,
}

impl From<Json> for Refusal {
    fn from(json: Json) -> Self {
        let (error, details) = read_error(&json);
        Self { error, details }
    }
}

/// Why a session cannot go on.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SessionError {
    /// The peer's bytes are not JSON objects.
    #[error(transparent)]
    Framing(#[from] FramingError),
    /// The peer's objects are not JSON-RPC.
    #[error(transparent)]
    Rpc(#[from] RpcError),
    /// The peer's schema is malformed.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// The peer's update is malformed or contradicts the ones before.
    #[error(transparent)]
    Update(#[from] UpdateError),
    /// The database lacks what is to be monitored.
    #[error(transparent)]
    Mismatch(#[from] RequestMismatch),
    /// The server does not let the database be monitored.
    #[error("the server refused to monitor {database}: {error}")]
    MonitorRefused {
        /// The database.
        database: String,
        /// The server's reason.
        error: String,
    },
    /// The server is a member of a cluster that will not do.
    #[error(transparent)]
    Member(#[from] MemberError),
    /// The peer was silent although probed.
    #[error("the peer is dead: it was silent for {} s in spite of a probe", .silence.as_secs_f64())]
    PeerDead {
        /// How long nothing was heard.
        silence: Duration,
    },
}
