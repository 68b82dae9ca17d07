//! A cursor over a frame, and padding: the only two things that every codec needs.

use bytes::{BufMut, Bytes, BytesMut};

use crate::error::{DecodeError, Reason};
use crate::numbers::{Cookie, PortNo, TableId, Xid};

/// Reads a part of a frame from front to back; knows its place in the frame, for errors and for slicing without copying.
#[derive(Clone, Debug)]
pub(crate) struct Reader<'a> {
    frame: &'a Bytes,
    /// What is not read yet, a part of `frame`.
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(frame: &'a Bytes) -> Self {
        Reader { frame, rest: frame }
    }

    pub(crate) fn left(&self) -> usize {
        self.rest.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// What is not read yet.
    #[inline]
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Skips up to `rest`, which is an end of what is not read yet.
    #[inline]
    pub(crate) fn go_on_at(&mut self, rest: &'a [u8]) {
        self.rest = rest;
    }

    /// An error about what was just about to be read.
    pub(crate) fn error(&self, reason: Reason) -> DecodeError {
        DecodeError::new(
            self.rest.as_ptr().addr() - self.frame.as_ptr().addr(),
            reason,
        )
    }

    /// An error about a length field of `what`.
    pub(crate) fn bad_length(&self, what: &'static str, length: usize) -> DecodeError {
        self.error(Reason::Length { what, length })
    }

    /// An error about the value of `what`.
    pub(crate) fn bad_value(&self, what: &'static str, value: impl Into<u64>) -> DecodeError {
        self.error(Reason::Value {
            what,
            value: value.into(),
        })
    }

    #[inline]
    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        match self.rest.split_first_chunk::<N>() {
            Some((found, rest)) => {
                self.rest = rest;
                Ok(*found)
            }
            None => Err(self.truncated(N)),
        }
    }

    #[inline]
    pub(crate) fn peek<const N: usize>(&self) -> Result<[u8; N], DecodeError> {
        match self.rest.first_chunk::<N>() {
            Some(found) => Ok(*found),
            None => Err(self.truncated(N)),
        }
    }

    #[cold]
    fn truncated(&self, needed: usize) -> DecodeError {
        let left = self.left();
        self.error(Reason::Truncated { needed, left })
    }

    #[inline]
    pub(crate) fn u8(&mut self) -> Result<u8, DecodeError> {
        Ok(self.array::<1>()?[0])
    }

    #[inline]
    pub(crate) fn u16(&mut self) -> Result<u16, DecodeError> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    #[inline]
    pub(crate) fn u32(&mut self) -> Result<u32, DecodeError> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    pub(crate) fn u32s<const N: usize>(&mut self) -> Result<[u32; N], DecodeError> {
        let mut numbers = [0; N];
        for number in &mut numbers {
            *number = self.u32()?;
        }
        Ok(numbers)
    }

    #[inline]
    pub(crate) fn u64(&mut self) -> Result<u64, DecodeError> {
        Ok(u64::from_be_bytes(self.array()?))
    }

    /// A right-aligned big-endian number of `bytes` bytes, at most 16.
    #[inline]
    pub(crate) fn xid(&mut self) -> Result<Xid, DecodeError> {
        self.u32().map(Xid)
    }

    #[inline]
    pub(crate) fn port(&mut self) -> Result<PortNo, DecodeError> {
        self.u32().map(PortNo)
    }

    #[inline]
    pub(crate) fn table(&mut self) -> Result<TableId, DecodeError> {
        self.u8().map(TableId)
    }

    #[inline]
    pub(crate) fn cookie(&mut self) -> Result<Cookie, DecodeError> {
        self.u64().map(Cookie)
    }

    #[inline]
    pub(crate) fn uint(&mut self, bytes: usize) -> Result<u128, DecodeError> {
        Ok(match bytes {
            1 => self.u8()?.into(),
            2 => self.u16()?.into(),
            4 => self.u32()?.into(),
            8 => self.u64()?.into(),
            16 => u128::from_be_bytes(self.array()?),
            _ => self
                .slice(bytes)?
                .iter()
                .fold(0, |value, byte| value << 8 | u128::from(*byte)),
        })
    }

    #[inline]
    pub(crate) fn skip(&mut self, bytes: usize) -> Result<(), DecodeError> {
        self.slice(bytes).map(|_| ())
    }

    #[inline]
    pub(crate) fn slice(&mut self, bytes: usize) -> Result<&'a [u8], DecodeError> {
        match self.rest.split_at_checked(bytes) {
            Some((found, rest)) => {
                self.rest = rest;
                Ok(found)
            }
            None => Err(self.truncated(bytes)),
        }
    }

    /// The next `bytes` bytes, shared with the frame.
    pub(crate) fn bytes(&mut self, bytes: usize) -> Result<Bytes, DecodeError> {
        let found = self.slice(bytes)?;
        Ok(self.frame.slice_ref(found))
    }

    /// Everything left, shared with the frame.
    pub(crate) fn remainder(&mut self) -> Bytes {
        let (found, end) = self.rest.split_at(self.rest.len());
        self.rest = end;
        self.frame.slice_ref(found)
    }

    /// A reader over the next `bytes` bytes, which this one skips.
    #[inline]
    pub(crate) fn part(&mut self, bytes: usize) -> Result<Reader<'a>, DecodeError> {
        Ok(Reader {
            frame: self.frame,
            rest: self.slice(bytes)?,
        })
    }

    /// Skips what remains up to a multiple of 8 of a structure of `length` bytes, as far as it is there.
    pub(crate) fn skip_padding(&mut self, length: usize) {
        self.rest = &self.rest[padding(length).min(self.left())..];
    }

    /// A name in a fixed field of `bytes` bytes, ended by the first zero; bytes that are no UTF-8 become `\u{fffd}`.
    /// What would not fit the field again is cut off.
    pub(crate) fn text(&mut self, bytes: usize) -> Result<String, DecodeError> {
        let raw = self.slice(bytes)?;
        let text = raw.split(|byte| *byte == 0).next().unwrap_or(raw);
        Ok(fitting(&String::from_utf8_lossy(text), bytes).to_owned())
    }
}

/// Bytes from `length` up to the next multiple of 8.
pub(crate) const fn padding(length: usize) -> usize {
    length.wrapping_neg() % 8
}

/// Zeros from `start` of a structure up to a multiple of 8.
pub(crate) fn pad_to_8(buffer: &mut BytesMut, start: usize) {
    let length = buffer.len() - start;
    buffer.put_bytes(0, padding(length));
}

/// Writes a 16-bit length at `at`, of all that follows `start`; a length that does not fit is caught for the whole message.
pub(crate) fn set_length(buffer: &mut BytesMut, start: usize, at: usize) {
    let length = (buffer.len() - start) as u16;
    buffer[at..at + 2].copy_from_slice(&length.to_be_bytes());
}

/// A right-aligned big-endian number of `bytes` bytes, at most 16.
#[inline]
pub(crate) fn put_uint(buffer: &mut BytesMut, value: u128, bytes: usize) {
    match bytes {
        1 => buffer.put_u8(value as u8),
        2 => buffer.put_u16(value as u16),
        4 => buffer.put_u32(value as u32),
        8 => buffer.put_u64(value as u64),
        16 => buffer.put_u128(value),
        _ => buffer.put_slice(&value.to_be_bytes()[16 - bytes..]),
    }
}

/// A name in a fixed field of `bytes` bytes, cut so that a zero follows.
pub(crate) fn put_text(buffer: &mut BytesMut, text: &str, bytes: usize) {
    let kept = fitting(text, bytes);
    buffer.put_slice(kept.as_bytes());
    buffer.put_bytes(0, bytes - kept.len());
}

/// As many whole characters of `text` as leave room for a zero in a field of `bytes` bytes.
fn fitting(text: &str, bytes: usize) -> &str {
    let room = text.len().min(bytes.saturating_sub(1));
    let whole = (0..=room).rfind(|length| text.is_char_boundary(*length));
    &text[..whole.unwrap_or(0)]
}
