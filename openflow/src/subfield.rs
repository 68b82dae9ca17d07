//! A range of bits of a field: `NXM_NX_REG0[0..15]`.

use bytes::{BufMut, BytesMut};

use crate::error::DecodeError;
use crate::fields::Field;
use crate::oxm::{self, Header};
use crate::wire::Reader;

/// Bits `offset` … `offset + bits - 1` of a field, counted from the least significant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Subfield {
    /// The field.
    pub field: Field,
    /// The lowest bit.
    pub offset: u16,
    /// How many bits, at least 1.
    pub bits: u16,
}

impl Subfield {
    /// All bits of `field`.
    pub fn whole(field: Field) -> Self {
        Subfield {
            field,
            offset: 0,
            bits: field.bits(),
        }
    }

    /// `bits` bits from `offset` on.
    pub fn new(field: Field, offset: u16, bits: u16) -> Self {
        Subfield {
            field,
            offset,
            bits,
        }
    }

    /// Nicira's `ofs_nbits`: offset in the upper 10 bits, width less one in the lower 6.
    pub(crate) fn packed(self) -> u16 {
        self.offset << 6 | (self.bits.wrapping_sub(1) & 0x3f)
    }

    pub(crate) fn unpack(field: Field, packed: u16) -> Self {
        Subfield {
            field,
            offset: packed >> 6,
            bits: (packed & 0x3f) + 1,
        }
    }

    /// The field's header of 4 (or, with an experimenter, 8) bytes.
    pub(crate) fn put_header(self, buffer: &mut BytesMut) {
        oxm::put_header(buffer, self.field.nxm(), self.field.bytes(), false);
    }
}

/// Reads the header of a field; `None` for one that this crate has no name for.
pub(crate) fn read_field(reader: &mut Reader<'_>) -> Result<Option<Field>, DecodeError> {
    let header = Header::read(reader)?;
    Ok(match header.masked {
        true => None,
        false => Field::from_oxm(header.id),
    })
}

/// Reads a header where only 4 bytes have room; `None` for a field without a name here or with a longer header.
pub(crate) fn read_short_field(reader: &mut Reader<'_>) -> Result<Option<Field>, DecodeError> {
    Ok(read_field(reader)?.filter(|field| field.nxm().experimenter == 0))
}

/// The 4-byte header of `field`; fields that need 8 bytes are written as 0, which a switch refuses.
pub(crate) fn put_short_header(buffer: &mut BytesMut, field: Field) {
    let id = field.nxm();
    if id.experimenter == 0 {
        oxm::put_header(buffer, id, field.bytes(), false);
    } else {
        buffer.put_u32(0);
    }
}
