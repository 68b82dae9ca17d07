//! Flow tables: counters, and what they can do (OpenFlow 1.3.5, 7.3.5.4 and 7.3.5.5).

use bytes::{BufMut, Bytes, BytesMut};

use super::entry;
use crate::error::DecodeError;
use crate::wire::{Reader, put_text, set_length};

/// Counters of a flow table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableStats {
    /// The table.
    pub table: u8,
    /// Flows in it.
    pub active: u32,
    /// Packets looked up.
    pub lookups: u64,
    /// Packets that matched a flow.
    pub matched: u64,
}

impl TableStats {
    pub(super) fn encode(&self, buffer: &mut BytesMut) {
        buffer.put_u32(u32::from(self.table) << 24);
        buffer.put_u32(self.active);
        buffer.put_u64(self.lookups);
        buffer.put_u64(self.matched);
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let table = reader.u8()?;
        reader.skip(3)?;
        Ok(TableStats {
            table,
            active: reader.u32()?,
            lookups: reader.u64()?,
            matched: reader.u64()?,
        })
    }
}

/// What a flow table can do. Its properties are kept as they came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableFeatures {
    /// The table.
    pub table: u8,
    /// Its name, at most 31 bytes.
    pub name: String,
    /// Bits of metadata that it can match.
    pub metadata_match: u64,
    /// Bits of metadata that it can write.
    pub metadata_write: u64,
    /// `OFPTC_*` bits.
    pub config: u32,
    /// Most flows.
    pub max_entries: u32,
    /// `OFPTFPT_*` properties, padding included.
    pub properties: Bytes,
}

impl TableFeatures {
    pub(super) fn encode(&self, buffer: &mut BytesMut) {
        let start = buffer.len();
        buffer.put_u16(0);
        buffer.put_u8(self.table);
        buffer.put_bytes(0, 5);
        put_text(buffer, &self.name, 32);
        buffer.put_u64(self.metadata_match);
        buffer.put_u64(self.metadata_write);
        buffer.put_u32(self.config);
        buffer.put_u32(self.max_entries);
        buffer.put_slice(&self.properties);
        set_length(buffer, start, start);
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut part = entry(reader, "table features", 64)?;
        let table = part.u8()?;
        part.skip(5)?;
        Ok(TableFeatures {
            table,
            name: part.text(32)?,
            metadata_match: part.u64()?,
            metadata_write: part.u64()?,
            config: part.u32()?,
            max_entries: part.u32()?,
            properties: part.remainder(),
        })
    }
}
