//! Adding, changing and deleting flows (OpenFlow 1.3.5, 7.3.4.1).

use bytes::{BufMut, BytesMut};

use crate::error::DecodeError;
use crate::failure::ErrorCode;
use crate::flags::FlowFlags;
use crate::groups::GROUP_ANY;
use crate::instructions::{self, Instruction};
use crate::matches::Match;
use crate::numbers::{Cookie, PortNo, TableId};
use crate::ports;
use crate::wire::Reader;

/// No packet is buffered at the switch; a packet-out brings its own.
pub const NO_BUFFER: u32 = 0xffff_ffff;
/// Every table, where a command allows that.
pub const ALL_TABLES: TableId = TableId(0xff);

/// What to do with the flows that match (`OFPFC_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Command {
    /// Add, replacing the flow of the same match and priority.
    Add,
    /// Give all matching flows these instructions.
    Modify,
    /// Give the flow of exactly this match and priority these instructions.
    ModifyStrict,
    /// Delete all matching flows.
    Delete,
    /// Delete the flow of exactly this match and priority.
    DeleteStrict,
}

/// A change to the flow tables.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FlowMod {
    /// The flow's mark; with `cookie_mask`, which flows a change or deletion means.
    pub cookie: Cookie,
    /// Bits of `cookie` that a flow must have to be changed or deleted; 0 asks for none.
    pub cookie_mask: u64,
    /// The table; [`ALL_TABLES`] only in deletions.
    pub table: TableId,
    /// What to do.
    pub command: Command,
    /// Seconds without a packet after which the flow goes; 0 for never.
    pub idle_timeout: u16,
    /// Seconds after which the flow goes; 0 for never.
    pub hard_timeout: u16,
    /// Higher wins. A flow made by `ovs-ofctl` without one has 32768.
    pub priority: u16,
    /// A packet buffered at the switch to send through, or [`NO_BUFFER`].
    pub buffer_id: u32,
    /// Deletions: only flows that output here; [`ports::ANY`] for all.
    pub out_port: PortNo,
    /// Deletions: only flows that use this group; [`GROUP_ANY`] for all.
    pub out_group: u32,
    /// How the flow is treated.
    pub flags: FlowFlags,
    /// Which packets.
    pub matches: Match,
    /// What happens to them.
    pub instructions: Vec<Instruction>,
}

impl FlowMod {
    /// Adds a flow with cookie 0 that stays until it is deleted.
    pub fn add(
        table: impl Into<TableId>,
        priority: u16,
        matches: Match,
        instructions: Vec<Instruction>,
    ) -> Self {
        FlowMod {
            cookie: Cookie(0),
            cookie_mask: 0,
            table: table.into(),
            command: Command::Add,
            idle_timeout: 0,
            hard_timeout: 0,
            priority,
            buffer_id: NO_BUFFER,
            out_port: ports::ANY,
            out_group: GROUP_ANY,
            flags: FlowFlags::NONE,
            matches,
            instructions,
        }
    }

    /// Deletes the flows of a table that have exactly this cookie. Open vSwitch finds them by an index of cookies.
    pub fn delete_by_cookie(table: impl Into<TableId>, cookie: impl Into<Cookie>) -> Self {
        FlowMod {
            cookie: cookie.into(),
            cookie_mask: u64::MAX,
            command: Command::Delete,
            ..FlowMod::add(table, 0, Match::new(), Vec::new())
        }
    }

    /// Deletes every flow of every table.
    pub fn delete_all() -> Self {
        FlowMod {
            command: Command::Delete,
            ..FlowMod::add(ALL_TABLES, 0, Match::new(), Vec::new())
        }
    }

    /// The same change with another cookie.
    #[must_use]
    pub fn with_cookie(mut self, cookie: impl Into<Cookie>) -> Self {
        self.cookie = cookie.into();
        self
    }

    pub(crate) fn encode(&self, buffer: &mut BytesMut) {
        buffer.reserve(96 + 24 * self.matches.entries().len() + 64 * self.instructions.len());
        buffer.put_u64(self.cookie.0);
        buffer.put_u64(self.cookie_mask);
        buffer.put_u8(self.table.0);
        buffer.put_u8(self.command as u8);
        buffer.put_u16(self.idle_timeout);
        buffer.put_u16(self.hard_timeout);
        buffer.put_u16(self.priority);
        buffer.put_u32(self.buffer_id);
        buffer.put_u32(self.out_port.0);
        buffer.put_u32(self.out_group);
        buffer.put_u16(self.flags.0);
        buffer.put_u16(0);
        self.matches.encode(buffer);
        self.instructions
            .iter()
            .for_each(|instruction| instruction.encode(buffer));
    }

    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (cookie, cookie_mask, table) = (reader.cookie()?, reader.u64()?, reader.table()?);
        let command = decode_command(reader)?;
        let (idle_timeout, hard_timeout, priority) = (reader.u16()?, reader.u16()?, reader.u16()?);
        let (buffer_id, out_port, out_group, flags) =
            (reader.u32()?, reader.port()?, reader.u32()?, reader.u16()?);
        reader.skip(2)?;
        Ok(FlowMod {
            cookie,
            cookie_mask,
            table,
            command,
            idle_timeout,
            hard_timeout,
            priority,
            buffer_id,
            out_port,
            out_group,
            flags: FlowFlags(flags),
            matches: Match::decode(reader)?,
            instructions: instructions::decode_list(reader)?,
        })
    }
}

fn decode_command(reader: &mut Reader<'_>) -> Result<Command, DecodeError> {
    let found = match reader.peek::<1>()?[0] {
        0 => Command::Add,
        1 => Command::Modify,
        2 => Command::ModifyStrict,
        3 => Command::Delete,
        4 => Command::DeleteStrict,
        other => {
            let error = reader.bad_value("flow-mod command", other);
            return Err(error.answered_with(ErrorCode::BAD_FLOW_COMMAND));
        }
    };
    reader.skip(1)?;
    Ok(found)
}

/// Why a flow went (`OFPRR_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RemovedReason {
    /// No packet for its idle timeout.
    IdleTimeout,
    /// Its hard timeout passed.
    HardTimeout,
    /// It was deleted.
    Delete,
    /// A group it used was deleted.
    GroupDelete,
    /// Another reason of Open vSwitch or a later standard.
    Other(u8),
}

/// A flow that asked for it went (`ofp_flow_removed`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlowRemoved {
    /// The flow's mark.
    pub cookie: Cookie,
    /// The flow's priority.
    pub priority: u16,
    /// Why it went.
    pub reason: RemovedReason,
    /// The table it was in.
    pub table: TableId,
    /// Seconds that it lived.
    pub duration_sec: u32,
    /// And nanoseconds.
    pub duration_nsec: u32,
    /// Its idle timeout in seconds.
    pub idle_timeout: u16,
    /// Its hard timeout in seconds.
    pub hard_timeout: u16,
    /// Packets that it matched.
    pub packets: u64,
    /// Bytes of these.
    pub bytes: u64,
    /// What it matched.
    pub matches: Match,
}

impl FlowRemoved {
    pub(crate) fn encode(&self, buffer: &mut BytesMut) {
        buffer.put_u64(self.cookie.0);
        buffer.put_u16(self.priority);
        buffer.put_u8(self.reason.number());
        buffer.put_u8(self.table.0);
        buffer.put_u32(self.duration_sec);
        buffer.put_u32(self.duration_nsec);
        buffer.put_u16(self.idle_timeout);
        buffer.put_u16(self.hard_timeout);
        buffer.put_u64(self.packets);
        buffer.put_u64(self.bytes);
        self.matches.encode(buffer);
    }

    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(FlowRemoved {
            cookie: reader.cookie()?,
            priority: reader.u16()?,
            reason: RemovedReason::from_number(reader.u8()?),
            table: reader.table()?,
            duration_sec: reader.u32()?,
            duration_nsec: reader.u32()?,
            idle_timeout: reader.u16()?,
            hard_timeout: reader.u16()?,
            packets: reader.u64()?,
            bytes: reader.u64()?,
            matches: Match::decode(reader)?,
        })
    }
}

impl RemovedReason {
    fn number(self) -> u8 {
        match self {
            RemovedReason::IdleTimeout => 0,
            RemovedReason::HardTimeout => 1,
            RemovedReason::Delete => 2,
            RemovedReason::GroupDelete => 3,
            RemovedReason::Other(number) => number,
        }
    }

    fn from_number(number: u8) -> Self {
        match number {
            0 => RemovedReason::IdleTimeout,
            1 => RemovedReason::HardTimeout,
            2 => RemovedReason::Delete,
            3 => RemovedReason::GroupDelete,
            other => RemovedReason::Other(other),
        }
    }
}
