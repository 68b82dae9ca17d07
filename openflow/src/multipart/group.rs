//! Groups and their counters (OpenFlow 1.3.5, 7.3.5.9 to 7.3.5.11).

use bytes::{BufMut, BytesMut};

use super::entry;
use crate::error::DecodeError;
use crate::groups::{Bucket, GroupType, decode_buckets, encode_buckets};
use crate::wire::{Reader, set_length};

/// A group as the switch has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupDesc {
    /// Which buckets a packet takes.
    pub kind: GroupType,
    /// The group's number.
    pub group: u32,
    /// Its action lists.
    pub buckets: Vec<Bucket>,
}

impl GroupDesc {
    pub(super) fn encode(&self, buffer: &mut BytesMut) {
        let start = buffer.len();
        buffer.put_u16(0);
        buffer.put_u8(self.kind.number());
        buffer.put_u8(0);
        buffer.put_u32(self.group);
        encode_buckets(buffer, &self.buckets);
        set_length(buffer, start, start);
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut part = entry(reader, "group description", 8)?;
        let kind = GroupType::decode(&mut part)?;
        part.skip(1)?;
        Ok(GroupDesc {
            kind,
            group: part.u32()?,
            buckets: decode_buckets(&mut part)?,
        })
    }
}

/// Counters of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupStats {
    /// The group's number.
    pub group: u32,
    /// Flows and groups that use it.
    pub references: u32,
    /// Packets.
    pub packets: u64,
    /// Bytes.
    pub bytes: u64,
    /// Seconds that it has been there.
    pub duration_sec: u32,
    /// And nanoseconds.
    pub duration_nsec: u32,
    /// Packets and bytes of each bucket.
    pub buckets: Vec<(u64, u64)>,
}

impl GroupStats {
    pub(super) fn encode(&self, buffer: &mut BytesMut) {
        let start = buffer.len();
        buffer.put_u32(0);
        buffer.put_u32(self.group);
        buffer.put_u32(self.references);
        buffer.put_u32(0);
        buffer.put_u64(self.packets);
        buffer.put_u64(self.bytes);
        buffer.put_u32(self.duration_sec);
        buffer.put_u32(self.duration_nsec);
        for (packets, bytes) in &self.buckets {
            buffer.put_u64(*packets);
            buffer.put_u64(*bytes);
        }
        set_length(buffer, start, start);
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut part = entry(reader, "group statistics", 40)?;
        part.skip(2)?;
        let (group, references) = (part.u32()?, part.u32()?);
        part.skip(4)?;
        let (packets, bytes, duration_sec, duration_nsec) =
            (part.u64()?, part.u64()?, part.u32()?, part.u32()?);
        let mut buckets = Vec::new();
        while !part.is_empty() {
            buckets.push((part.u64()?, part.u64()?));
        }
        Ok(GroupStats {
            group,
            references,
            packets,
            bytes,
            duration_sec,
            duration_nsec,
            buckets,
        })
    }
}

/// Which groups a switch can have; the arrays are indexed by group type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupFeatures {
    /// Bit `n` for type `n`.
    pub types: u32,
    /// `OFPGFC_*` bits.
    pub capabilities: u32,
    /// Most groups of each type.
    pub max_groups: [u32; 4],
    /// `OFPAT_*` bits for each type.
    pub actions: [u32; 4],
}

impl GroupFeatures {
    pub(super) fn encode(self, buffer: &mut BytesMut) {
        buffer.put_u32(self.types);
        buffer.put_u32(self.capabilities);
        [self.max_groups, self.actions]
            .into_iter()
            .flatten()
            .for_each(|number| buffer.put_u32(number));
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (types, capabilities) = (reader.u32()?, reader.u32()?);
        Ok(GroupFeatures {
            types,
            capabilities,
            max_groups: reader.u32s()?,
            actions: reader.u32s()?,
        })
    }
}
