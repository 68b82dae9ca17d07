//! JSON-RPC 1.0 as OVSDB speaks it (RFC 7047 §4): both sides may send requests, replies and notifications.

use crate::value;
use bytes::{BufMut, BytesMut};
use serde_json::{Value as Json, json};
use thiserror::Error;

/// Identifies a request of ours among those that are unanswered; unique within a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub(crate) u64);

impl std::fmt::Display for RequestId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// One message of the peer.
#[derive(Debug, Clone, PartialEq)]
pub enum Message {
    /// The peer asks something and expects a reply.
    Request {
        /// The method's name.
        method: String,
        /// The arguments.
        params: Json,
        /// What the reply has to carry.
        id: Json,
    },
    /// The peer tells something.
    Notification {
        /// The method's name.
        method: String,
        /// The arguments.
        params: Json,
    },
    /// The peer answers a request of ours.
    Reply {
        /// The request's id.
        id: RequestId,
        /// The result, or the error if that is not null.
        result: Result<Json, Json>,
    },
}

/// The peer sent JSON that is not a JSON-RPC 1.0 message.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RpcError {
    /// Neither a method nor a result nor an error.
    #[error("the peer's message is neither a request nor a reply")]
    UnknownKind,
    /// `method` is not a string, or `params` is not an array.
    #[error("the peer's request has no textual method or no array of parameters")]
    MalformedRequest,
    /// A reply's id is not one that this side could have sent.
    #[error("the peer replied to a request that was never sent (id {id})")]
    UnexpectedReply {
        /// The id found, as JSON.
        id: String,
    },
}

impl Message {
    /// Sorts a JSON object into the kinds of message.
    ///
    /// # Errors
    /// [`RpcError`] when it is none of them.
    pub fn parse(mut json: Json) -> Result<Self, RpcError> {
        let id = json.get_mut("id").map(Json::take).unwrap_or_default();
        if let Some(method) = json.get_mut("method").map(Json::take) {
            let params = json.get_mut("params").map(Json::take).unwrap_or_default();
            return Self::call(method, params, id);
        }
        let error = json.get_mut("error").map(Json::take).unwrap_or_default();
        let result = match (json.get_mut("result").map(Json::take), error) {
            (Some(result), Json::Null) => Ok(result),
            (None, Json::Null) => return Err(RpcError::UnknownKind),
            (_, error) => Err(error),
        };
        match value::count(&id) {
            Some(id) => Ok(Self::Reply {
                id: RequestId(id),
                result,
            }),
            None => Err(RpcError::UnexpectedReply { id: id.to_string() }),
        }
    }

    fn call(method: Json, params: Json, id: Json) -> Result<Self, RpcError> {
        match (method, params, id) {
            (Json::String(method), params @ Json::Array(_), Json::Null) => {
                Ok(Self::Notification { method, params })
            }
            (Json::String(method), params @ Json::Array(_), id) => {
                Ok(Self::Request { method, params, id })
            }
            _ => Err(RpcError::MalformedRequest),
        }
    }
}

/// Appends a request to `out`.
pub fn write_request(out: &mut BytesMut, method: &str, params: &Json, id: RequestId) {
    write_json(
        out,
        &json!({"method": method, "params": params, "id": id.0}),
    );
}

/// Appends a notification to `out`.
pub fn write_notification(out: &mut BytesMut, method: &str, params: &Json) {
    write_json(
        out,
        &json!({"method": method, "params": params, "id": null}),
    );
}

/// Appends the successful reply to the peer's request `id` to `out`.
pub fn write_result(out: &mut BytesMut, result: &Json, id: &Json) {
    write_json(out, &json!({"result": result, "error": null, "id": id}));
}

/// Appends the refusal of the peer's request `id` to `out`.
pub fn write_error(out: &mut BytesMut, error: &str, id: &Json) {
    write_json(out, &json!({"result": null, "error": error, "id": id}));
}

fn write_json(out: &mut BytesMut, json: &Json) {
    // Writing JSON values into memory has no way to fail.
    let _ = serde_json::to_writer(out.writer(), json);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_kinds_are_told_apart() {
        let request = json!({"id": "echo", "method": "echo", "params": []});
        assert_eq!(
            Message::parse(request),
            Ok(Message::Request {
                method: "echo".into(),
                params: json!([]),
                id: json!("echo")
            })
        );
        let notification = json!({"id": null, "method": "update", "params": [null, {}]});
        assert_eq!(
            Message::parse(notification),
            Ok(Message::Notification {
                method: "update".into(),
                params: json!([null, {}])
            })
        );
        let reply = json!({"id": 3, "result": null, "error": null});
        assert_eq!(
            Message::parse(reply),
            Ok(Message::Reply {
                id: RequestId(3),
                result: Ok(Json::Null)
            })
        );
        let refusal = json!({"id": 4, "result": null, "error": "unknown method"});
        assert_eq!(
            Message::parse(refusal),
            Ok(Message::Reply {
                id: RequestId(4),
                result: Err(json!("unknown method"))
            })
        );
    }

    #[test]
    fn what_is_none_of_them_is_refused() {
        assert_eq!(Message::parse(json!({"id": 1})), Err(RpcError::UnknownKind));
        assert_eq!(
            Message::parse(json!({"method": 5, "params": []})),
            Err(RpcError::MalformedRequest)
        );
        assert_eq!(
            Message::parse(json!({"method": "echo", "params": {}, "id": 1})),
            Err(RpcError::MalformedRequest)
        );
        assert_eq!(
            Message::parse(json!({"id": "x", "result": {}})),
            Err(RpcError::UnexpectedReply { id: "\"x\"".into() })
        );
    }
}
