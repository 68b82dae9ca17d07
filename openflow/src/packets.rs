//! Packets to and from the controller: the hot path.
//!
//! A packet-in's frame is a slice of the receive buffer; nothing of it is copied.

use bytes::{BufMut, Bytes, BytesMut};

use crate::actions::{self, Action};
use crate::error::DecodeError;
use crate::fields::Field;
use crate::flow_mod::NO_BUFFER;
use crate::matches::Match;
use crate::numbers::{Cookie, PortNo, TableId};
use crate::wire::{Reader, set_length};

/// Why a packet came up (`OFPR_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PacketInReason {
    /// The table-miss flow.
    NoMatch,
    /// An action of a flow.
    Action,
    /// Its hop limit ran out.
    InvalidTtl,
    /// Another reason of Open vSwitch or a later standard.
    Other(u8),
}

impl PacketInReason {
    pub(crate) fn number(self) -> u8 {
        match self {
            PacketInReason::NoMatch => 0,
            PacketInReason::Action => 1,
            PacketInReason::InvalidTtl => 2,
            PacketInReason::Other(number) => number,
        }
    }

    pub(crate) fn from_number(number: u8) -> Self {
        match number {
            0 => PacketInReason::NoMatch,
            1 => PacketInReason::Action,
            2 => PacketInReason::InvalidTtl,
            other => PacketInReason::Other(other),
        }
    }
}

/// A packet sent up to the controller (`ofp_packet_in`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PacketIn {
    /// Where the switch keeps the whole packet, or [`NO_BUFFER`].
    pub buffer_id: u32,
    /// Bytes of the whole packet; `data` may be cut to the action's `max_len`.
    pub total_len: u16,
    /// Why it came up.
    pub reason: PacketInReason,
    /// The table that sent it.
    pub table: TableId,
    /// The cookie of the flow that sent it.
    pub cookie: Cookie,
    /// The packet's metadata: input port, registers, tunnel.
    pub matches: Match,
    /// The Ethernet frame.
    pub data: Bytes,
}

impl PacketIn {
    /// The port that the packet came in by.
    pub fn in_port(&self) -> Option<PortNo> {
        self.matches
            .value(Field::IN_PORT)
            .map(|port| PortNo(port as u32))
    }

    pub(crate) fn encode(&self, buffer: &mut BytesMut) {
        buffer.put_u32(self.buffer_id);
        buffer.put_u16(self.total_len);
        buffer.put_u8(self.reason.number());
        buffer.put_u8(self.table.0);
        buffer.put_u64(self.cookie.0);
        self.matches.encode(buffer);
        buffer.put_u16(0);
        buffer.put_slice(&self.data);
    }

    #[inline]
    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let buffer_id = reader.u32()?;
        let total_len = reader.u16()?;
        let reason = PacketInReason::from_number(reader.u8()?);
        let (table, cookie) = (reader.table()?, reader.cookie()?);
        let matches = Match::decode(reader)?;
        reader.skip(2)?;
        Ok(PacketIn {
            buffer_id,
            total_len,
            reason,
            table,
            cookie,
            matches,
            data: reader.remainder(),
        })
    }
}

/// A packet to send from the switch (`ofp_packet_out`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PacketOut {
    /// A packet kept at the switch, or [`NO_BUFFER`] when `data` is the packet.
    pub buffer_id: u32,
    /// The port that the packet counts as coming from; `ports::CONTROLLER` for none.
    pub in_port: PortNo,
    /// What to do with it.
    pub actions: Vec<Action>,
    /// The Ethernet frame.
    pub data: Bytes,
}

impl PacketOut {
    /// Sends `data` out of one port.
    pub fn to_port(port: impl Into<PortNo>, data: Bytes) -> Self {
        let actions = vec![Action::output(port)];
        PacketOut {
            buffer_id: NO_BUFFER,
            in_port: crate::ports::CONTROLLER,
            actions,
            data,
        }
    }

    #[inline]
    pub(crate) fn encode(&self, buffer: &mut BytesMut) {
        buffer.reserve(16 + 32 * self.actions.len() + self.data.len());
        buffer.put_u32(self.buffer_id);
        buffer.put_u32(self.in_port.0);
        let length_at = buffer.len();
        buffer.put_u64(0);
        let start = buffer.len();
        actions::encode_list(buffer, &self.actions);
        set_length(buffer, start, length_at);
        buffer.put_slice(&self.data);
    }

    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (buffer_id, in_port) = (reader.u32()?, reader.port()?);
        let length = usize::from(reader.u16()?);
        reader.skip(6)?;
        let actions = actions::decode_list(&mut reader.part(length)?)?;
        Ok(PacketOut {
            buffer_id,
            in_port,
            actions,
            data: reader.remainder(),
        })
    }
}
