//! Cutting a byte stream into JSON objects.
//!
//! OVSDB sends JSON-RPC objects back to back, with nothing but optional white space between them (RFC 7047 §4), so the
//! end of a message is found by following strings, escapes and brackets. [`Framer`] looks at every byte once, however
//! the stream was cut into reads, and enforces its limits before any memory is spent on parsing.

use bytes::{Buf, BytesMut};
use serde_json::Value as Json;
use thiserror::Error;

/// What one message may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The longest message, in bytes.
    pub size: usize,
    /// The most memory that a message may take once it is parsed, in bytes. What it will take is estimated from above
    /// before it is parsed: about fifteen times its length where it is rows of a database, up to a hundred times where it
    /// is made to do harm.
    pub memory: usize,
    /// The deepest nesting of objects and arrays. At most 120, which the JSON parser can take.
    pub depth: usize,
}

impl Default for Limits {
    /// 64 MiB and 512 MiB, which hold any Open_vSwitch database many times over, and a depth of 64 (OVSDB itself needs
    /// about ten).
    fn default() -> Self {
        Self {
            size: 64 << 20,
            memory: 512 << 20,
            depth: 64,
        }
    }
}

/// The peer sent something that is not a sequence of acceptable JSON objects; the stream cannot be read any further.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FramingError {
    /// A message is longer than [`Limits::size`].
    #[error("the peer's message is longer than {limit} bytes")]
    TooLong {
        /// The limit in bytes.
        limit: usize,
    },
    /// A message would take more than [`Limits::memory`].
    #[error("the peer's message would take more than {limit} bytes of memory")]
    TooHeavy {
        /// The limit in bytes.
        limit: usize,
    },
    /// A message nests deeper than [`Limits::depth`].
    #[error("the peer's message nests deeper than {limit} levels")]
    TooDeep {
        /// The limit in levels.
        limit: usize,
    },
    /// A message does not begin with `{`.
    #[error("the peer's message begins with byte {byte:#04x} instead of an opening brace")]
    NotAnObject {
        /// The byte found.
        byte: u8,
    },
    /// The brackets match but the content is not JSON (RFC 8259).
    #[error("the peer's message is not JSON: {reason}")]
    Syntax {
        /// What the JSON parser said.
        reason: String,
    },
    /// The stream ended inside a message.
    #[error("the stream ended inside a message, {received} bytes into it")]
    Truncated {
        /// How much of the message had arrived, in bytes.
        received: usize,
    },
}

/// What a part of a message costs in memory once it is parsed, in bytes, beside its text: from above, as the standard
/// library's collections and a 64-bit allocator have it.
mod cost {
    /// An object's first node.
    pub(super) const OBJECT: usize = 640;
    /// A member's share of the nodes, which may be half empty.
    pub(super) const MEMBER: usize = 160;
    /// An array's first four places.
    pub(super) const ARRAY: usize = 160;
    /// A place in an array that grows by doubling, beside the one that it grows out of.
    pub(super) const ELEMENT: usize = 96;
    /// The least that a string is given.
    pub(super) const STRING: usize = 32;
}

/// A buffer that held a longer message than this, in bytes, is not kept for the next one.
const KEPT: usize = 256 << 10;
/// The same where no other message has begun to arrive: most that come later are short, and there may be thousands of buffers.
const KEPT_EMPTY: usize = 4 << 10;

/// Where the scanner stands inside the message that is being received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Structure,
    String,
    Escape,
}

/// An incremental splitter of a byte stream into JSON objects.
#[derive(Debug)]
pub struct Framer {
    limits: Limits,
    buffer: BytesMut,
    /// How many bytes of `buffer` have been looked at; they all belong to one unfinished message.
    scanned: usize,
    /// What the parts scanned will cost beside their text.
    weight: usize,
    depth: usize,
    place: Place,
    failure: Option<FramingError>,
}

impl Default for Framer {
    fn default() -> Self {
        Self::new(Limits::default())
    }
}

impl Framer {
    /// A framer at the beginning of a stream.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits: Limits {
                depth: limits.depth.clamp(1, 120),
                ..limits
            },
            buffer: BytesMut::new(),
            scanned: 0,
            weight: 0,
            depth: 0,
            place: Place::Structure,
            failure: None,
        }
    }

    /// Appends bytes as they were received. Call [`Framer::next_message`] until it has nothing more. After an error,
    /// what is received is of no use, and not kept.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.failure.is_none() {
            self.buffer.extend_from_slice(bytes);
        }
    }

    /// The next complete message, or `None` until more bytes arrive.
    ///
    /// # Errors
    /// [`FramingError`] when the stream is unusable; every later call repeats it.
    pub fn next_message(&mut self) -> Result<Option<Json>, FramingError> {
        if let Some(error) = &self.failure {
            return Err(error.clone());
        }
        let message = self.advance();
        if let Err(error) = &message {
            self.failure = Some(error.clone());
            self.buffer = BytesMut::new();
        }
        message
    }

    fn advance(&mut self) -> Result<Option<Json>, FramingError> {
        if self.scanned == 0 && !self.begin()? {
            return Ok(None);
        }
        let end = self.find_end()?;
        end.map(|end| self.take(end)).transpose()
    }

    /// Tells whether the stream may end here.
    ///
    /// # Errors
    /// [`FramingError::Truncated`] when a message is unfinished.
    pub fn finish(&self) -> Result<(), FramingError> {
        match self.buffer.iter().any(|byte| !is_space(*byte)) {
            false => Ok(()),
            true => Err(FramingError::Truncated {
                received: self.buffer.len(),
            }),
        }
    }

    /// Skips white space; tells whether a message has begun.
    fn begin(&mut self) -> Result<bool, FramingError> {
        let spaces = self
            .buffer
            .iter()
            .take_while(|byte| is_space(**byte))
            .count();
        self.buffer.advance(spaces);
        match self.buffer.first() {
            None => Ok(false),
            Some(b'{') => Ok(true),
            Some(&byte) => Err(FramingError::NotAnObject { byte }),
        }
    }

    /// Scans what is new, up to the limits; gives the length of the message if its last bracket is there.
    fn find_end(&mut self) -> Result<Option<usize>, FramingError> {
        while let Some(&byte) = self.buffer.get(self.scanned) {
            if self.scanned == self.limits.size {
                return Err(FramingError::TooLong {
                    limit: self.limits.size,
                });
            }
            self.scanned += 1;
            self.place = match (self.place, byte) {
                (Place::Structure, _) => self.structure(byte)?,
                (Place::String, b'\\') => Place::Escape,
                (Place::String, b'"') => Place::Structure,
                (Place::Escape | Place::String, _) => Place::String,
            };
            if self.depth == 0 {
                return Ok(Some(self.scanned));
            }
        }
        Ok(None)
    }

    /// Takes a byte outside strings; the message ends where the depth is back at zero.
    fn structure(&mut self, byte: u8) -> Result<Place, FramingError> {
        match byte {
            b'"' => {
                self.weigh(cost::STRING)?;
                return Ok(Place::String);
            }
            b'{' => self.open(cost::OBJECT)?,
            b'[' => self.open(cost::ARRAY)?,
            b':' => self.weigh(cost::MEMBER)?,
            b',' => self.weigh(cost::ELEMENT)?,
            b'}' | b']' => self.depth -= 1,
            _ => {}
        }
        Ok(Place::Structure)
    }

    fn open(&mut self, cost: usize) -> Result<(), FramingError> {
        if self.depth == self.limits.depth {
            return Err(FramingError::TooDeep {
                limit: self.limits.depth,
            });
        }
        self.depth += 1;
        self.weigh(cost)
    }

    /// Adds to what the message will cost. Its text is in memory twice while it is parsed.
    fn weigh(&mut self, cost: usize) -> Result<(), FramingError> {
        self.weight = self.weight.saturating_add(cost);
        match self.weight.saturating_add(2 * self.scanned) > self.limits.memory {
            true => Err(FramingError::TooHeavy {
                limit: self.limits.memory,
            }),
            false => Ok(()),
        }
    }

    /// Parses and removes the message of `length` bytes at the front of the buffer.
    fn take(&mut self, length: usize) -> Result<Json, FramingError> {
        let message = self.buffer.split_to(length);
        let kept = match self.buffer.is_empty() {
            true => KEPT_EMPTY,
            false => KEPT,
        };
        if length > kept {
            self.buffer = BytesMut::from(&self.buffer[..]);
        }
        (self.scanned, self.weight) = (0, 0);
        serde_json::from_slice(&message).map_err(|error| FramingError::Syntax {
            reason: error.to_string(),
        })
    }
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn frame(pieces: &[&[u8]]) -> Result<Vec<Json>, FramingError> {
        let mut framer = Framer::default();
        let mut messages = Vec::new();
        for piece in pieces {
            framer.push(piece);
            while let Some(message) = framer.next_message()? {
                messages.push(message);
            }
        }
        framer.finish().map(|()| messages)
    }

    #[test]
    fn brackets_and_quotes_inside_strings_do_not_end_a_message() {
        let text = br#"{"a":"}\"]{\\"}{"b":[1,{"c":"\\\\"}]}
            {"d":"\u00e9"}"#;
        assert_eq!(
            frame(&[text]).unwrap(),
            [
                json!({"a": "}\"]{\\"}),
                json!({"b": [1, {"c": "\\\\"}]}),
                json!({"d": "é"})
            ]
        );
    }

    #[test]
    fn what_is_not_an_object_is_refused_at_once() {
        assert_eq!(
            frame(&[b" [1]"]),
            Err(FramingError::NotAnObject { byte: b'[' })
        );
        assert!(matches!(frame(&[b"{]"]), Err(FramingError::Syntax { .. })));
        assert!(matches!(
            frame(&[b"{\"a\":\"\xff\"}"]),
            Err(FramingError::Syntax { .. })
        ));
    }

    #[test]
    fn a_stream_that_ends_inside_a_message_is_truncated() {
        assert_eq!(
            frame(&[b"{} {\"a\""]),
            Err(FramingError::Truncated { received: 4 })
        );
        assert_eq!(frame(&[b"{} \n"]), Ok(vec![json!({})]));
    }

    #[test]
    fn limits_hold_before_the_message_is_complete() {
        let limits = Limits {
            size: 10,
            memory: 2000,
            depth: 3,
        };
        let refused = |limits, text: &[u8]| {
            let mut framer = Framer::new(limits);
            framer.push(text);
            framer.next_message().unwrap_err()
        };
        assert_eq!(
            refused(limits, b"{\"a\":\"12345"),
            FramingError::TooLong { limit: 10 }
        );
        let limits = Limits { size: 99, ..limits };
        assert_eq!(
            refused(limits, b"{\"a\":[[["),
            FramingError::TooDeep { limit: 3 }
        );
        assert_eq!(
            refused(limits, b"{\"a\":[{},{},"),
            FramingError::TooHeavy { limit: 2000 }
        );
    }

    #[test]
    fn the_costs_are_those_of_the_parsed_form() {
        // A node of the standard library's map has eleven places, a vector begins with four.
        let slot = size_of::<Json>();
        let place = size_of::<String>() + slot;
        assert!(11 * place + 16 <= cost::OBJECT);
        assert!(4 * slot <= cost::ARRAY);
        assert!(3 * slot <= cost::ELEMENT);
        assert!(2 * (place + 2) <= cost::MEMBER);
    }

    #[test]
    fn what_follows_an_error_is_not_kept() {
        let mut framer = Framer::default();
        framer.push(b"x");
        assert!(framer.next_message().is_err());
        framer.push(&[b'y'; 1000]);
        assert_eq!(framer.buffer.capacity(), 0);
    }

    #[test]
    fn an_empty_buffer_is_given_back_sooner() {
        let mut framer = Framer::default();
        framer.push(format!("{{\"a\":\"{}\"}}", "b".repeat(2 * KEPT_EMPTY)).as_bytes());
        assert!(framer.next_message().unwrap().is_some());
        assert_eq!(framer.buffer.capacity(), 0);
    }

    #[test]
    fn a_long_message_s_memory_is_given_back() {
        let mut framer = Framer::default();
        framer.push(format!("{{\"a\":\"{}\"}}{{", "b".repeat(2 * KEPT)).as_bytes());
        assert!(framer.next_message().unwrap().is_some());
        assert!(framer.buffer.capacity() < KEPT);
        framer.push(b"}");
        assert_eq!(framer.next_message(), Ok(Some(json!({}))));
    }

    #[test]
    fn the_deepest_message_allowed_parses() {
        let mut framer = Framer::new(Limits {
            size: 4096,
            depth: usize::MAX,
            ..Limits::default()
        });
        let text = format!("{{\"a\":{}{}}}", "[".repeat(119), "]".repeat(119));
        framer.push(text.as_bytes());
        assert!(framer.next_message().unwrap().is_some());
    }

    fn documents() -> impl Strategy<Value = Json> {
        let leaf = prop_oneof![
            any::<i64>().prop_map(Json::from),
            any::<bool>().prop_map(Json::from),
            "\\PC*[\"\\\\{}\\[\\]]*".prop_map(Json::from),
        ];
        let value = leaf.prop_recursive(4, 24, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Json::from),
                prop::collection::btree_map("\\PC*", inner, 0..5)
                    .prop_map(|map| Json::Object(map.into_iter().collect())),
            ]
        });
        prop::collection::btree_map("[a-z\"\\\\]*", value, 0..4)
            .prop_map(|map| Json::Object(map.into_iter().collect()))
    }

    proptest! {
        #[test]
        fn messages_are_the_same_wherever_the_stream_is_cut(
            messages in prop::collection::vec(documents(), 1..5),
            gap in "[ \t\r\n]{0,3}",
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
        ) {
            let stream: String = messages.iter().map(|message| format!("{message}{gap}")).collect();
            let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
            places.extend([0, stream.len()]);
            places.sort_unstable();
            let pieces: Vec<&[u8]> = places.windows(2).map(|pair| &stream.as_bytes()[pair[0]..pair[1]]).collect();
            prop_assert_eq!(frame(&pieces).unwrap(), messages);
        }

        #[test]
        fn any_bytes_give_messages_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut framer = Framer::default();
            framer.push(b"{");
            framer.push(&bytes);
            while let Ok(Some(_)) = framer.next_message() {}
        }
    }
}
