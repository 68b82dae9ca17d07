//! Flow tables: counters, and what they can do (OpenFlow 1.3.5, 7.3.5.4 and 7.3.5.5).

use bytes::{BufMut, Bytes, BytesMut};

use super::entry;
use crate::error::DecodeError;
use crate::failure::ErrorCode;
use crate::numbers::TableId;
use crate::oxm::FieldId;
use crate::property::property;
use crate::wire::{Reader, pad_to_8, put_text, set_length};

/// Counters of a flow table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableStats {
    /// The table.
    pub table: TableId,
    /// Flows in it.
    pub active: u32,
    /// Packets looked up.
    pub lookups: u64,
    /// Packets that matched a flow.
    pub matched: u64,
}

impl TableStats {
    pub(super) fn encode(&self, buffer: &mut BytesMut) {
        buffer.put_u32(u32::from(self.table.0) << 24);
        buffer.put_u32(self.active);
        buffer.put_u64(self.lookups);
        buffer.put_u64(self.matched);
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let table = reader.table()?;
        reader.skip(3)?;
        Ok(TableStats {
            table,
            active: reader.u32()?,
            lookups: reader.u64()?,
            matched: reader.u64()?,
        })
    }
}

/// What a flow table can do (`ofp_table_features`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableFeatures {
    /// The table.
    pub table: TableId,
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
    /// What its flows can match and do.
    pub properties: Vec<TableProperty>,
}

/// Whose abilities a [`TableProperty`] lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FlowKind {
    /// Flows of the table.
    Ordinary,
    /// The table-miss flow: priority 0, matching everything.
    Miss,
}

/// One list of what the flows of a table can match or do (`OFPTFPT_*`).
///
/// A property of the table-miss flow that is left out is the same as that of the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TableProperty {
    /// Instructions.
    Instructions(FlowKind, Vec<FeatureId>),
    /// Tables that they can go to.
    NextTables(FlowKind, Vec<u8>),
    /// Actions for the action set.
    WriteActions(FlowKind, Vec<FeatureId>),
    /// Actions done at once.
    ApplyActions(FlowKind, Vec<FeatureId>),
    /// Fields that they can match.
    Match(Vec<FieldId>),
    /// Fields that they need not match.
    Wildcards(Vec<FieldId>),
    /// Fields that they can set in the action set.
    WriteSetField(FlowKind, Vec<FieldId>),
    /// Fields that they can set at once.
    ApplySetField(FlowKind, Vec<FieldId>),
    /// A property without a name here.
    Raw {
        /// `OFPTFPT_*`
        kind: u16,
        /// All after its header, without padding.
        value: Bytes,
    },
}

/// An instruction or action by its type.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum FeatureId {
    /// `OFPIT_*` or `OFPAT_*`
    Standard(u16),
    /// An experimenter's, or one with more than a type to say: header included.
    Raw(Bytes),
}

impl TableFeatures {
    pub(super) fn encode(&self, buffer: &mut BytesMut) {
        let start = buffer.len();
        buffer.put_u16(0);
        buffer.put_u8(self.table.0);
        buffer.put_bytes(0, 5);
        put_text(buffer, &self.name, 32);
        buffer.put_u64(self.metadata_match);
        buffer.put_u64(self.metadata_write);
        buffer.put_u32(self.config);
        buffer.put_u32(self.max_entries);
        self.properties
            .iter()
            .for_each(|property| property.encode(buffer));
        set_length(buffer, start, start);
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Self::decode_entry(reader)
            .map_err(|error| error.inside(ErrorCode::BAD_TABLE_FEATURES_LENGTH))
    }

    fn decode_entry(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut part = entry(reader, "table features", 64)?;
        let table = part.table()?;
        part.skip(5)?;
        Ok(TableFeatures {
            table,
            name: part.text(32)?,
            metadata_match: part.u64()?,
            metadata_write: part.u64()?,
            config: part.u32()?,
            max_entries: part.u32()?,
            properties: decode_properties(&mut part)?,
        })
    }
}

fn decode_properties(part: &mut Reader<'_>) -> Result<Vec<TableProperty>, DecodeError> {
    let mut found = Vec::new();
    while !part.is_empty() {
        let (kind, mut value) = property(part)?;
        found.push(TableProperty::decode(kind, &mut value)?);
    }
    Ok(found)
}

const INSTRUCTIONS: u16 = 0;
const NEXT_TABLES: u16 = 2;
const WRITE_ACTIONS: u16 = 4;
const APPLY_ACTIONS: u16 = 6;
const MATCH: u16 = 8;
const WILDCARDS: u16 = 10;
const WRITE_SETFIELD: u16 = 12;
const APPLY_SETFIELD: u16 = 14;

impl FlowKind {
    /// The type of a property is even for ordinary flows, and one more for the table-miss flow.
    fn offset(self) -> u16 {
        match self {
            FlowKind::Ordinary => 0,
            FlowKind::Miss => 1,
        }
    }
}

impl TableProperty {
    fn kind(&self) -> u16 {
        match self {
            TableProperty::Instructions(flows, _) => INSTRUCTIONS + flows.offset(),
            TableProperty::NextTables(flows, _) => NEXT_TABLES + flows.offset(),
            TableProperty::WriteActions(flows, _) => WRITE_ACTIONS + flows.offset(),
            TableProperty::ApplyActions(flows, _) => APPLY_ACTIONS + flows.offset(),
            TableProperty::Match(_) => MATCH,
            TableProperty::Wildcards(_) => WILDCARDS,
            TableProperty::WriteSetField(flows, _) => WRITE_SETFIELD + flows.offset(),
            TableProperty::ApplySetField(flows, _) => APPLY_SETFIELD + flows.offset(),
            TableProperty::Raw { kind, .. } => *kind,
        }
    }

    fn encode(&self, buffer: &mut BytesMut) {
        let start = buffer.len();
        buffer.put_u32(u32::from(self.kind()) << 16);
        match self {
            TableProperty::Instructions(_, list)
            | TableProperty::WriteActions(_, list)
            | TableProperty::ApplyActions(_, list) => list.iter().for_each(|id| id.encode(buffer)),
            TableProperty::NextTables(_, tables) => buffer.put_slice(tables),
            TableProperty::Match(fields)
            | TableProperty::Wildcards(fields)
            | TableProperty::WriteSetField(_, fields)
            | TableProperty::ApplySetField(_, fields) => {
                fields.iter().for_each(|id| id.encode(buffer))
            }
            TableProperty::Raw { value, .. } => buffer.put_slice(value),
        }
        set_length(buffer, start, start + 2);
        pad_to_8(buffer, start);
    }

    fn decode(kind: u16, value: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let flows = if kind.is_multiple_of(2) {
            FlowKind::Ordinary
        } else {
            FlowKind::Miss
        };
        Ok(match (kind - kind % 2, flows) {
            (INSTRUCTIONS, _) => TableProperty::Instructions(flows, ids(value, FeatureId::decode)?),
            (NEXT_TABLES, _) => TableProperty::NextTables(flows, value.remainder().to_vec()),
            (WRITE_ACTIONS, _) => {
                TableProperty::WriteActions(flows, ids(value, FeatureId::decode)?)
            }
            (APPLY_ACTIONS, _) => {
                TableProperty::ApplyActions(flows, ids(value, FeatureId::decode)?)
            }
            (MATCH, FlowKind::Ordinary) => TableProperty::Match(ids(value, FieldId::decode)?),
            (WILDCARDS, FlowKind::Ordinary) => {
                TableProperty::Wildcards(ids(value, FieldId::decode)?)
            }
            (WRITE_SETFIELD, _) => {
                TableProperty::WriteSetField(flows, ids(value, FieldId::decode)?)
            }
            (APPLY_SETFIELD, _) => {
                TableProperty::ApplySetField(flows, ids(value, FieldId::decode)?)
            }
            _ => TableProperty::Raw {
                kind,
                value: value.remainder(),
            },
        })
    }
}

fn ids<'a, T>(
    value: &mut Reader<'a>,
    decode: impl Fn(&mut Reader<'a>) -> Result<T, DecodeError>,
) -> Result<Vec<T>, DecodeError> {
    let mut found = Vec::new();
    while !value.is_empty() {
        found.push(decode(value)?);
    }
    Ok(found)
}

impl FeatureId {
    fn encode(&self, buffer: &mut BytesMut) {
        match self {
            FeatureId::Standard(kind) => buffer.put_u32(u32::from(*kind) << 16 | 4),
            FeatureId::Raw(bytes) => buffer.put_slice(bytes),
        }
    }

    fn decode(value: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let [a, b, c, d] = value.peek()?;
        let length = usize::from(u16::from_be_bytes([c, d]));
        match length {
            0..4 => Err(value.bad_length("instruction or action id", length)),
            4 => value
                .skip(4)
                .map(|()| FeatureId::Standard(u16::from_be_bytes([a, b]))),
            _ => value.bytes(length).map(FeatureId::Raw),
        }
    }
}
