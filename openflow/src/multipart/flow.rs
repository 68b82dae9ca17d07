//! Flows and their counters (OpenFlow 1.3.5, 7.3.5.2 and 7.3.5.3).

use bytes::{BufMut, BytesMut};

use super::entry;
use crate::error::DecodeError;
use crate::flags::FlowFlags;
use crate::flow_mod::ALL_TABLES;
use crate::groups::GROUP_ANY;
use crate::instructions::{self, Instruction};
use crate::matches::Match;
use crate::numbers::{Cookie, PortNo, TableId};
use crate::ports;
use crate::wire::{Reader, set_length};

/// Which flows are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlowStatsRequest {
    /// The table, or [`ALL_TABLES`].
    pub table: TableId,
    /// Only flows that output here; `ports::ANY` for all.
    pub out_port: PortNo,
    /// Only flows that use this group; `GROUP_ANY` for all.
    pub out_group: u32,
    /// The mark wanted.
    pub cookie: Cookie,
    /// Its bits that count; 0 for any cookie.
    pub cookie_mask: u64,
    /// Only flows whose match is at least this narrow.
    pub matches: Match,
}

impl FlowStatsRequest {
    /// All flows of all tables.
    pub fn all() -> Self {
        FlowStatsRequest {
            table: ALL_TABLES,
            out_port: ports::ANY,
            out_group: GROUP_ANY,
            cookie: Cookie(0),
            cookie_mask: 0,
            matches: Match::new(),
        }
    }

    /// All flows of one table.
    pub fn table(table: impl Into<TableId>) -> Self {
        FlowStatsRequest {
            table: table.into(),
            ..Self::all()
        }
    }

    pub(super) fn encode(&self, buffer: &mut BytesMut) {
        buffer.put_u32(u32::from(self.table.0) << 24);
        buffer.put_u32(self.out_port.0);
        buffer.put_u32(self.out_group);
        buffer.put_u32(0);
        buffer.put_u64(self.cookie.0);
        buffer.put_u64(self.cookie_mask);
        self.matches.encode(buffer);
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let table = reader.table()?;
        reader.skip(3)?;
        let (out_port, out_group) = (reader.port()?, reader.u32()?);
        reader.skip(4)?;
        let (cookie, cookie_mask) = (reader.cookie()?, reader.u64()?);
        Ok(FlowStatsRequest {
            table,
            out_port,
            out_group,
            cookie,
            cookie_mask,
            matches: Match::decode(reader)?,
        })
    }
}

/// A flow as the switch has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlowStats {
    /// Its table.
    pub table: TableId,
    /// Seconds that it has been there.
    pub duration_sec: u32,
    /// And nanoseconds.
    pub duration_nsec: u32,
    /// Its priority.
    pub priority: u16,
    /// Its idle timeout in seconds.
    pub idle_timeout: u16,
    /// Its hard timeout in seconds.
    pub hard_timeout: u16,
    /// How the flow is treated.
    pub flags: FlowFlags,
    /// Its mark.
    pub cookie: Cookie,
    /// Packets that it matched; `u64::MAX` where they are not counted.
    pub packets: u64,
    /// Bytes of these.
    pub bytes: u64,
    /// Which packets.
    pub matches: Match,
    /// What happens to them.
    pub instructions: Vec<Instruction>,
}

impl FlowStats {
    pub(super) fn encode(&self, buffer: &mut BytesMut) {
        let start = buffer.len();
        buffer.put_u16(0);
        buffer.put_u8(self.table.0);
        buffer.put_u8(0);
        buffer.put_u32(self.duration_sec);
        buffer.put_u32(self.duration_nsec);
        let numbers = [
            self.priority,
            self.idle_timeout,
            self.hard_timeout,
            self.flags.0,
        ];
        numbers
            .into_iter()
            .for_each(|number| buffer.put_u16(number));
        buffer.put_u32(0);
        buffer.put_u64(self.cookie.0);
        buffer.put_u64(self.packets);
        buffer.put_u64(self.bytes);
        self.matches.encode(buffer);
        self.instructions
            .iter()
            .for_each(|instruction| instruction.encode(buffer));
        set_length(buffer, start, start);
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut part = entry(reader, "flow statistics", 56)?;
        let table = part.table()?;
        part.skip(1)?;
        let (duration_sec, duration_nsec) = (part.u32()?, part.u32()?);
        let (priority, idle_timeout, hard_timeout, flags) =
            (part.u16()?, part.u16()?, part.u16()?, part.u16()?);
        part.skip(4)?;
        Ok(FlowStats {
            table,
            duration_sec,
            duration_nsec,
            priority,
            idle_timeout,
            hard_timeout,
            flags: FlowFlags(flags),
            cookie: part.cookie()?,
            packets: part.u64()?,
            bytes: part.u64()?,
            matches: Match::decode(&mut part)?,
            instructions: instructions::decode_list(&mut part)?,
        })
    }
}

/// Number and counters of flows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Aggregate {
    /// Packets.
    pub packets: u64,
    /// Bytes.
    pub bytes: u64,
    /// Flows.
    pub flows: u32,
}

impl Aggregate {
    pub(super) fn encode(self, buffer: &mut BytesMut) {
        buffer.put_u64(self.packets);
        buffer.put_u64(self.bytes);
        buffer.put_u32(self.flows);
        buffer.put_u32(0);
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let found = Aggregate {
            packets: reader.u64()?,
            bytes: reader.u64()?,
            flows: reader.u32()?,
        };
        reader.skip(4)?;
        Ok(found)
    }
}
