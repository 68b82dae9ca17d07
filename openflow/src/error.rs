//! What can be wrong with bytes that came in, and with values that are to go out.

use thiserror::Error;

use crate::failure::ErrorCode;

/// A message that does not follow the specification: the peer's fault.
///
/// Unknown types, fields and actions are no error: they are carried as bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("malformed OpenFlow at byte {offset}: {reason}")]
#[non_exhaustive]
pub struct DecodeError {
    /// Bytes from the start of the frame.
    pub offset: usize,
    /// What is wrong there.
    pub reason: Reason,
    code: ErrorCode,
}

/// Why a message is malformed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Reason {
    /// The bytes end inside a structure.
    #[error("{needed} bytes needed, {left} left")]
    Truncated {
        /// Bytes that the structure needs.
        needed: usize,
        /// Bytes that are there.
        left: usize,
    },
    /// Another version than 1.3 (4) in a header.
    #[error("version {0:#04x} where OpenFlow 1.3 (0x04) was negotiated")]
    Version(u8),
    /// A length field that contradicts its structure.
    #[error("length {length} of {what} is impossible")]
    Length {
        /// The structure.
        what: &'static str,
        /// The length it gives.
        length: usize,
    },
    /// A value that the specification does not define.
    #[error("{what} cannot be {value:#x}")]
    Value {
        /// The field of the structure.
        what: &'static str,
        /// The value found.
        value: u64,
    },
    /// A field matched twice.
    #[error("field matched twice")]
    Duplicate,
    /// Actions or messages inside each other beyond any use.
    #[error("nested more than {0} deep")]
    Nesting(usize),
}

impl DecodeError {
    pub(crate) fn new(offset: usize, reason: Reason) -> Self {
        let code = match reason {
            Reason::Version(_) => ErrorCode::BAD_VERSION,
            Reason::Duplicate => ErrorCode::DUPLICATE_FIELD,
            Reason::Truncated { .. } | Reason::Length { .. } => ErrorCode::BAD_LENGTH,
            Reason::Value { .. } => ErrorCode::BAD_TYPE,
            Reason::Nesting(_) => ErrorCode::TOO_MANY_ACTIONS,
        };
        DecodeError {
            offset,
            reason,
            code,
        }
    }

    /// The same, where the specification has an error of its own for it.
    pub(crate) fn answered_with(self, code: ErrorCode) -> Self {
        DecodeError { code, ..self }
    }

    /// The same inside a structure whose bad lengths have an error of their own.
    pub(crate) fn inside(self, bad_length: ErrorCode) -> Self {
        if self.code == ErrorCode::BAD_LENGTH {
            self.answered_with(bad_length)
        } else {
            self
        }
    }

    /// The error to answer the message with (OpenFlow 1.3.5, 7.4.4).
    pub fn to_error_code(self) -> ErrorCode {
        self.code
    }
}

/// A value that has no OpenFlow encoding: the caller's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// A message's length is a 16-bit field.
    #[error("a message of {0} bytes does not fit OpenFlow's limit of 65535")]
    TooLong(usize),
}
