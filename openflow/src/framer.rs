//! Cuts a stream of bytes into messages by the length in each header.

use bytes::{Buf, Bytes, BytesMut};

use crate::error::{DecodeError, Reason};
use crate::message::HEADER;
use crate::setup::VERSION;

/// `OFPT_HELLO`, `OFPT_ERROR`: the two messages that may come in another version, before one is agreed.
const ANY_VERSION: [u8; 2] = [0, 1];

/// Finds message boundaries. It keeps nothing: what is incomplete stays in the caller's buffer.
#[derive(Clone, Copy, Debug, Default)]
pub struct Framer;

impl Framer {
    /// Takes the first message off `buffer`, or `None` while it is incomplete. The frame shares the buffer's memory.
    ///
    /// # Errors
    /// A length below 8, or another version than 1.3: nothing after that can be trusted.
    #[inline]
    pub fn next(self, buffer: &mut BytesMut) -> Result<Option<Bytes>, DecodeError> {
        let Some([version, kind, high, low]) = buffer.first_chunk::<4>().copied() else {
            return Ok(None);
        };
        let length = usize::from(u16::from_be_bytes([high, low]));
        if version != VERSION && !ANY_VERSION.contains(&kind) {
            return Err(DecodeError::new(0, Reason::Version(version)));
        }
        if length < HEADER {
            let what = "message";
            return Err(DecodeError::new(2, Reason::Length { what, length }));
        }
        if buffer.remaining() < length {
            return Ok(None);
        }
        Ok(Some(buffer.split_to(length).freeze()))
    }

    /// Bytes that must follow those in `buffer` before a message is complete, as far as can be told.
    pub fn missing(self, buffer: &[u8]) -> usize {
        let length = buffer.get(2..4).map_or(HEADER, |length| {
            usize::from(u16::from_be_bytes([length[0], length[1]]))
        });
        length.saturating_sub(buffer.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_comes_out_when_its_last_byte_is_in() {
        let mut buffer = BytesMut::new();
        for byte in [4, 20, 0, 8, 0, 0, 0] {
            buffer.extend_from_slice(&[byte]);
            assert_eq!(Framer.next(&mut buffer), Ok(None));
        }
        buffer.extend_from_slice(&[9, 4, 20]);
        assert_eq!(
            Framer.next(&mut buffer).unwrap().unwrap().as_ref(),
            [4, 20, 0, 8, 0, 0, 0, 9]
        );
        assert_eq!(buffer.as_ref(), [4, 20]);
        assert_eq!(Framer.missing(&buffer), 6);
    }

    #[test]
    fn short_lengths_and_foreign_versions_are_refused() {
        let refused = |bytes: &[u8]| {
            Framer
                .next(&mut BytesMut::from(bytes))
                .unwrap_err()
                .to_string()
        };
        assert_eq!(
            refused(&[4, 10, 0, 7]),
            "malformed OpenFlow at byte 2: length 7 of message is impossible"
        );
        assert_eq!(
            refused(&[1, 10, 0, 8]),
            "malformed OpenFlow at byte 0: version 0x01 where OpenFlow 1.3 (0x04) was negotiated"
        );
    }

    #[test]
    fn a_hello_may_be_of_another_version() {
        let mut buffer = BytesMut::from(&[6, 0, 0, 8, 0, 0, 0, 1][..]);
        assert!(Framer.next(&mut buffer).unwrap().is_some());
    }
}
