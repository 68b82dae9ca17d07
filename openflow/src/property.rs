//! Properties as Open vSwitch writes them (`lib/ofp-prop.c`): type, length without padding, value, padding to 8 bytes.

use bytes::{BufMut, BytesMut};

use crate::error::DecodeError;
use crate::wire::{Reader, pad_to_8};

pub(crate) fn put_property(buffer: &mut BytesMut, kind: u16, value: &[u8]) {
    let start = buffer.len();
    buffer.put_u16(kind);
    buffer.put_u16(4 + value.len() as u16);
    buffer.put_slice(value);
    pad_to_8(buffer, start);
}

/// A property whose value is a 16-bit number, which takes 4 bytes; one of 8 or 32 bits takes what it needs.
pub(crate) fn put_u16_property(buffer: &mut BytesMut, kind: u16, value: u16) {
    let [high, low] = value.to_be_bytes();
    put_property(buffer, kind, &[high, low, 0, 0]);
}

/// The next property's type and value.
pub(crate) fn property<'a>(reader: &mut Reader<'a>) -> Result<(u16, Reader<'a>), DecodeError> {
    let [a, b, c, d] = reader.peek()?;
    let length = usize::from(u16::from_be_bytes([c, d]));
    if length < 4 {
        return Err(reader.bad_length("property", length));
    }
    let mut value = reader.part(length)?;
    value.skip(4)?;
    reader.skip_padding(length);
    Ok((u16::from_be_bytes([a, b]), value))
}
