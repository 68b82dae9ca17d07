//! OXM/NXM headers (OpenFlow 1.3.5, 7.2.3.2).
//!
//! ```text
//!  class:16  field:7 mask:1  length:8  [experimenter:32]  value  [mask]
//! ```

use bytes::{BufMut, Bytes, BytesMut};

use crate::error::DecodeError;
use crate::fields::{Field, OxmId};
use crate::matches::FieldMatch;
use crate::wire::Reader;

/// The class that says that an experimenter id follows.
const EXPERIMENTER: u16 = 0xffff;

/// A header as read, before anyone asks whether its field is known.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Header {
    pub(crate) id: OxmId,
    pub(crate) masked: bool,
    /// Bytes of value and mask together.
    pub(crate) payload: usize,
}

impl Header {
    #[inline]
    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Header, DecodeError> {
        let [high, low, field, length] = reader.array()?;
        let class = u16::from_be_bytes([high, low]);
        let mut payload = usize::from(length);
        let mut experimenter = 0;
        if class == EXPERIMENTER {
            experimenter = reader.u32()?;
            payload = payload
                .checked_sub(4)
                .ok_or_else(|| reader.bad_length("experimenter OXM", payload))?;
        }
        let id = OxmId {
            class,
            number: field >> 1,
            experimenter,
        };
        Ok(Header {
            id,
            masked: field & 1 == 1,
            payload,
        })
    }
}

/// The usual entry, on the hot path: a field with a name, a header of 4 bytes, and all of it there. `None` leaves the entry
/// to those who say what is wrong with it.
#[inline]
pub(crate) fn usual(rest: &[u8]) -> Option<(FieldMatch, &[u8])> {
    let ([high, low, number, length], rest) = rest.split_first_chunk::<4>()?;
    let field = Field::from_short_header(u16::from_be_bytes([*high, *low]), number >> 1)?;
    let (bytes, mut mask) = (field.bytes(), field.full_mask());
    let (value, mut rest) = number_of(rest, bytes)?;
    let mut expected = bytes;
    if number & 1 == 1 {
        (mask, rest) = number_of(rest, bytes)?;
        expected += bytes;
    }
    (usize::from(*length) == expected).then_some((FieldMatch { field, value, mask }, rest))
}

/// A right-aligned number of this many bytes, and what follows.
#[inline]
fn number_of(rest: &[u8], bytes: usize) -> Option<(u128, &[u8])> {
    let (raw, left) = rest.split_at_checked(bytes)?;
    let value = match *raw {
        [a] => a.into(),
        [a, b] => u16::from_be_bytes([a, b]).into(),
        [a, b, c, d] => u32::from_be_bytes([a, b, c, d]).into(),
        [a, b, c, d, e, f] => u64::from_be_bytes([0, 0, a, b, c, d, e, f]).into(),
        [a, b, c, d, e, f, g, h] => u64::from_be_bytes([a, b, c, d, e, f, g, h]).into(),
        _ => u128::from_be_bytes(raw.try_into().ok()?),
    };
    Some((value, left))
}

/// Writes the header of a value of `bytes` bytes; `masked` says that as many bytes of mask follow.
#[inline]
pub(crate) fn put_header(buffer: &mut BytesMut, id: OxmId, bytes: usize, masked: bool) {
    let values = if masked { 2 * bytes } else { bytes };
    let experimenter = id.class == EXPERIMENTER;
    let length = if experimenter { values + 4 } else { values } as u32;
    buffer.put_u32(
        u32::from(id.class) << 16 | u32::from(id.number) << 9 | u32::from(masked) << 8 | length,
    );
    if experimenter {
        buffer.put_u32(id.experimenter);
    }
}

/// An OXM entry whose field this crate has no name for, kept byte for byte: header, value and mask.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnknownOxm(Bytes);

impl UnknownOxm {
    /// The entry's bytes, header included.
    pub fn bytes(&self) -> &Bytes {
        &self.0
    }

    /// An entry that is complete as it stands.
    ///
    /// # Errors
    /// `None` when `bytes` is not exactly one entry.
    pub fn new(bytes: Bytes) -> Option<Self> {
        let length = usize::from(*bytes.get(3)?);
        (bytes.len() == 4 + length).then_some(UnknownOxm(bytes))
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let [_, _, _, length] = reader.peek()?;
        Ok(UnknownOxm(reader.bytes(4 + usize::from(length))?))
    }
}

/// A field by its header alone, and whether that header says that a mask follows, or may follow.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum FieldId {
    /// A field with a name.
    Field {
        /// The field.
        field: Field,
        /// The mask bit.
        masked: bool,
    },
    /// An OXM header of 4 or 8 bytes without a name here.
    Raw(Bytes),
}

/// `NXM_NX_TUN_METADATA0`
const TUN_METADATA: u8 = 40;
/// Octets that tunnel metadata may have.
const TUN_METADATA_LENGTH: u8 = 124;

impl FieldId {
    /// `tun_metadata0` … `tun_metadata63`, an option of the tunnel's header; numbers wrap there.
    pub fn tunnel_metadata(number: u8) -> Self {
        let header = [0, 1, (TUN_METADATA + number % 64) << 1, TUN_METADATA_LENGTH];
        FieldId::Raw(Bytes::copy_from_slice(&header))
    }

    /// The number of the tunnel's option that this is.
    pub(crate) fn as_tunnel_metadata(&self) -> Option<u8> {
        match self {
            FieldId::Raw(bytes) => match **bytes {
                [0, 1, number, _] => (number >> 1).checked_sub(TUN_METADATA),
                _ => None,
            },
            FieldId::Field { .. } => None,
        }
        .filter(|number| *number < 64)
    }

    pub(crate) fn encode(&self, buffer: &mut BytesMut) {
        match self {
            FieldId::Field { field, masked } => {
                put_header(buffer, field.oxm(), field.bytes(), *masked);
            }
            FieldId::Raw(bytes) => buffer.put_slice(bytes),
        }
    }

    /// A header that a field would not get back again stays as it came: an NXM one, or of another length.
    pub(crate) fn decode(value: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut raw = value.clone();
        let header = Header::read(value)?;
        let bytes = raw.bytes(raw.left() - value.left())?;
        let named = Field::from_oxm(header.id).filter(|field| {
            let values = if header.masked { 2 } else { 1 };
            field.oxm() == header.id && header.payload == values * field.bytes()
        });
        Ok(match named {
            Some(field) => FieldId::Field {
                field,
                masked: header.masked,
            },
            None => FieldId::Raw(bytes),
        })
    }
}
