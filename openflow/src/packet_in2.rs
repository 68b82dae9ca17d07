//! Nicira's newer packet-in: carries userdata, and a continuation with which a paused packet is resumed
//! (`NXT_PACKET_IN2`, `NXT_RESUME`, `include/openflow/nicira-ext.h`).

use bytes::{BufMut, Bytes, BytesMut};

use crate::error::DecodeError;
use crate::matches::Match;
use crate::numbers::{Cookie, TableId};
use crate::packets::PacketInReason;
use crate::property::{property, put_property};
use crate::wire::{Reader, pad_to_8, set_length};

/// How packets come up (`NXT_SET_PACKET_IN_FORMAT`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PacketInFormat {
    /// As OpenFlow 1.3 has it.
    Standard,
    /// As Nicira's first extension has it.
    Nicira,
    /// As [`PacketIn2`].
    Nicira2,
}

impl PacketInFormat {
    pub(crate) fn encode(self, buffer: &mut BytesMut) {
        buffer.put_u32(self as u32);
    }

    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match u32::from_be_bytes(reader.peek()?) {
            0 => reader.skip(4).map(|()| PacketInFormat::Standard),
            1 => reader.skip(4).map(|()| PacketInFormat::Nicira),
            2 => reader.skip(4).map(|()| PacketInFormat::Nicira2),
            other => Err(reader.bad_value("packet-in format", other)),
        }
    }
}

const PACKET: u16 = 0;
const FULL_LENGTH: u16 = 1;
const BUFFER_ID: u16 = 2;
const TABLE: u16 = 3;
const COOKIE: u16 = 4;
const REASON: u16 = 5;
const METADATA: u16 = 6;
const USERDATA: u16 = 7;
const CONTINUATION: u16 = 8;

/// A packet sent up, or, as a resume, sent back to go on where it paused.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PacketIn2 {
    /// The Ethernet frame.
    pub data: Bytes,
    /// Bytes of the whole packet where `data` is cut.
    pub full_length: Option<u32>,
    /// Where the switch keeps the whole packet.
    pub buffer_id: Option<u32>,
    /// The table that sent it.
    pub table: Option<TableId>,
    /// The cookie of the flow that sent it.
    pub cookie: Option<Cookie>,
    /// Why it came up.
    pub reason: Option<PacketInReason>,
    /// The packet's metadata: input port, registers, tunnel.
    pub metadata: Match,
    /// What the flow's controller action says.
    pub userdata: Bytes,
    /// The switch's own state of a paused packet.
    pub continuation: Bytes,
    /// Properties without a name here: type and value.
    pub unknown: Vec<(u16, Bytes)>,
}

impl PacketIn2 {
    /// Properties in the order in which Open vSwitch sends them.
    pub(crate) fn encode(&self, buffer: &mut BytesMut) {
        put_property(buffer, PACKET, &self.data);
        put_number(buffer, FULL_LENGTH, self.full_length.map(u32::to_be_bytes));
        put_number(buffer, BUFFER_ID, self.buffer_id.map(u32::to_be_bytes));
        put_number(buffer, TABLE, self.table.map(|table| [table.0]));
        if let Some(cookie) = self.cookie {
            // 64-bit numbers are aligned to 8 bytes.
            buffer.put_u16(COOKIE);
            buffer.put_u16(16);
            buffer.put_u32(0);
            buffer.put_u64(cookie.0);
        }
        put_number(buffer, REASON, self.reason.map(|reason| [reason.number()]));
        self.put_metadata(buffer);
        if !self.userdata.is_empty() {
            put_property(buffer, USERDATA, &self.userdata);
        }
        self.put_continuation(buffer);
        self.unknown
            .iter()
            .for_each(|(kind, value)| put_property(buffer, *kind, value));
    }

    fn put_metadata(&self, buffer: &mut BytesMut) {
        if self.metadata.is_empty() {
            return;
        }
        let start = buffer.len();
        buffer.put_u32(u32::from(METADATA) << 16);
        self.metadata.encode_entries(buffer);
        set_length(buffer, start, start + 2);
        pad_to_8(buffer, start);
    }

    /// The continuation is made of properties itself, and aligned as they are.
    fn put_continuation(&self, buffer: &mut BytesMut) {
        if !self.continuation.is_empty() {
            buffer.put_u16(CONTINUATION);
            buffer.put_u16(4 + self.continuation.len() as u16);
            buffer.put_slice(&self.continuation);
            pad_to_8(buffer, buffer.len() - 4 - self.continuation.len());
        }
    }

    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut found = PacketIn2::default();
        while !reader.is_empty() {
            let (kind, mut value) = property(reader)?;
            found.take(kind, &mut value)?;
        }
        Ok(found)
    }

    fn take(&mut self, kind: u16, value: &mut Reader<'_>) -> Result<(), DecodeError> {
        match kind {
            PACKET => self.data = value.remainder(),
            FULL_LENGTH => self.full_length = Some(value.u32()?),
            BUFFER_ID => self.buffer_id = Some(value.u32()?),
            TABLE => self.table = Some(value.table()?),
            COOKIE => {
                value.skip(4)?;
                self.cookie = Some(value.cookie()?);
            }
            REASON => self.reason = Some(PacketInReason::from_number(value.u8()?)),
            METADATA => self.metadata = Match::decode_entries(value)?,
            USERDATA => self.userdata = value.remainder(),
            CONTINUATION => self.continuation = value.remainder(),
            _ => self.unknown.push((kind, value.remainder())),
        }
        Ok(())
    }
}

fn put_number<const N: usize>(buffer: &mut BytesMut, kind: u16, value: Option<[u8; N]>) {
    if let Some(value) = value {
        put_property(buffer, kind, &value);
    }
}
