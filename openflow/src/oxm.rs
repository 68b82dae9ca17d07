//! OXM/NXM headers (OpenFlow 1.3.5, 7.2.3.2).
//!
//! ```text
//!  class:16  field:7 mask:1  length:8  [experimenter:32]  value  [mask]
//! ```

use bytes::{BufMut, Bytes, BytesMut};

use crate::error::DecodeError;
use crate::fields::OxmId;
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
