//! Groups: sets of action lists of which a packet takes all, one, or the first that lives (OpenFlow 1.3.5, 7.3.4.3).

use bytes::{BufMut, BytesMut};

use crate::actions::{self, Action};
use crate::error::DecodeError;
use crate::failure::ErrorCode;
use crate::numbers::PortNo;
use crate::ports;
use crate::wire::{Reader, pad_to_8, set_length};

/// Every group, in requests and deletions.
pub const GROUP_ALL: u32 = 0xffff_fffc;
/// No restriction on groups, or no group.
pub const GROUP_ANY: u32 = 0xffff_ffff;

/// Which buckets a packet takes (`OFPGT_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GroupType {
    /// All of them.
    All,
    /// One, by hash.
    Select,
    /// The only one.
    Indirect,
    /// The first that lives.
    FastFailover,
}

/// What to do with a group (`OFPGC_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GroupCommand {
    /// Make it.
    Add,
    /// Replace it.
    Modify,
    /// Delete it, and the flows that use it.
    Delete,
    /// Make or replace it; Open vSwitch's own.
    AddOrModify,
}

/// One action list of a group.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Bucket {
    /// Its share in a select group.
    pub weight: u16,
    /// The port that must be live, in a fast-failover group.
    pub watch_port: PortNo,
    /// The group that must be live.
    pub watch_group: u32,
    /// What it does.
    pub actions: Vec<Action>,
}

impl Bucket {
    /// A bucket that watches nothing.
    pub fn new(actions: Vec<Action>) -> Self {
        Bucket {
            weight: 0,
            watch_port: ports::ANY,
            watch_group: GROUP_ANY,
            actions,
        }
    }

    fn encode(&self, buffer: &mut BytesMut) {
        let start = buffer.len();
        buffer.put_u16(0);
        buffer.put_u16(self.weight);
        buffer.put_u32(self.watch_port.0);
        buffer.put_u32(self.watch_group);
        buffer.put_u32(0);
        actions::encode_list(buffer, &self.actions);
        pad_to_8(buffer, start);
        set_length(buffer, start, start);
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let length = usize::from(u16::from_be_bytes(reader.peek()?));
        if length < 16 {
            return Err(reader.bad_length("bucket", length));
        }
        let mut part = reader.part(length)?;
        part.skip(2)?;
        let (weight, watch_port, watch_group) = (part.u16()?, part.port()?, part.u32()?);
        part.skip(4)?;
        Ok(Bucket {
            weight,
            watch_port,
            watch_group,
            actions: actions::decode_list(&mut part)?,
        })
    }
}

pub(crate) fn encode_buckets(buffer: &mut BytesMut, buckets: &[Bucket]) {
    buckets.iter().for_each(|bucket| bucket.encode(buffer));
}

pub(crate) fn decode_buckets(reader: &mut Reader<'_>) -> Result<Vec<Bucket>, DecodeError> {
    let mut found = Vec::new();
    while !reader.is_empty() {
        let bucket = Bucket::decode(reader);
        found.push(bucket.map_err(|error| error.inside(ErrorCode::BAD_BUCKET))?);
    }
    Ok(found)
}

/// Makes, changes or deletes a group.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct GroupMod {
    /// What to do.
    pub command: GroupCommand,
    /// Which buckets a packet takes.
    pub kind: GroupType,
    /// The group's number.
    pub group: u32,
    /// Its action lists.
    pub buckets: Vec<Bucket>,
}

impl GroupMod {
    pub(crate) fn encode(&self, buffer: &mut BytesMut) {
        buffer.put_u16(match self.command {
            GroupCommand::Add => 0,
            GroupCommand::Modify => 1,
            GroupCommand::Delete => 2,
            GroupCommand::AddOrModify => 0x8000,
        });
        buffer.put_u8(self.kind.number());
        buffer.put_u8(0);
        buffer.put_u32(self.group);
        encode_buckets(buffer, &self.buckets);
    }

    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let command = match u16::from_be_bytes(reader.peek()?) {
            0 => GroupCommand::Add,
            1 => GroupCommand::Modify,
            2 => GroupCommand::Delete,
            0x8000 => GroupCommand::AddOrModify,
            other => {
                let error = reader.bad_value("group-mod command", other);
                return Err(error.answered_with(ErrorCode::BAD_GROUP_COMMAND));
            }
        };
        reader.skip(2)?;
        let kind = GroupType::decode(reader)?;
        reader.skip(1)?;
        Ok(GroupMod {
            command,
            kind,
            group: reader.u32()?,
            buckets: decode_buckets(reader)?,
        })
    }
}

impl GroupType {
    pub(crate) fn number(self) -> u8 {
        match self {
            GroupType::All => 0,
            GroupType::Select => 1,
            GroupType::Indirect => 2,
            GroupType::FastFailover => 3,
        }
    }

    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let found = match reader.peek::<1>()?[0] {
            0 => GroupType::All,
            1 => GroupType::Select,
            2 => GroupType::Indirect,
            3 => GroupType::FastFailover,
            other => {
                let error = reader.bad_value("group type", other);
                return Err(error.answered_with(ErrorCode::BAD_GROUP_TYPE));
            }
        };
        reader.skip(1)?;
        Ok(found)
    }
}
