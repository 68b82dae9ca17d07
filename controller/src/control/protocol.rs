//! The protocol on the socket: one line of JSON for each message.
//!
//! The request is a [`super::Request`], as in `{"flows":{"chassis":"h1"}}`. The answer is rows, `{"row":{…}}`, and then
//! `"end"` or `{"refused":"why"}`. An answer without one of these two was cut off.

use serde::{Deserialize, Serialize};

/// The longest request in octets, with its newline.
pub(crate) const LONGEST_REQUEST: usize = 64 << 10;

/// A line of an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum AnswerLine<R> {
    /// Part of the answer.
    Row(R),
    /// It is complete.
    End,
    /// The answer ends early, for this reason.
    Refused(String),
}

impl<R: Serialize> AnswerLine<R> {
    /// The line, with its end.
    pub(super) fn encode(&self) -> Vec<u8> {
        // Rows are plain data with text keys, which always encode.
        let mut line = serde_json::to_vec(self).unwrap_or_default();
        line.push(b'\n');
        line
    }
}
