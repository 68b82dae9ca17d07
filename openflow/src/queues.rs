//! Queues of a port, as the switch is configured to have them (OpenFlow 1.3.5, 7.2.2 and 7.3.6).

use bytes::{BufMut, Bytes, BytesMut};

use crate::error::DecodeError;
use crate::numbers::PortNo;
use crate::wire::{Reader, set_length};

const MIN_RATE: u16 = 1;
const MAX_RATE: u16 = 2;
/// Bytes of a queue without properties.
const QUEUE: usize = 16;
/// Bytes of a property's header, and of one that says a rate.
const PROPERTY: usize = 8;
const RATE: usize = 16;

/// The queues of a port (`ofp_queue_get_config_reply`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueConfig {
    /// The port that was asked about, or `ports::ANY`.
    pub port: PortNo,
    /// Its queues.
    pub queues: Vec<PacketQueue>,
}

/// One queue (`ofp_packet_queue`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PacketQueue {
    /// Its number.
    pub queue: u32,
    /// Its port.
    pub port: PortNo,
    /// What it guarantees and allows.
    pub properties: Vec<QueueProperty>,
}

/// What a queue guarantees or allows (`OFPQT_*`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QueueProperty {
    /// At least so many thousandths of the link's rate; above 1000 means that none is guaranteed.
    MinRate(u16),
    /// At most so many thousandths of the link's rate; above 1000 means that there is no limit.
    MaxRate(u16),
    /// A property without a name here, header included.
    Raw(Bytes),
}

impl QueueConfig {
    pub(crate) fn encode(&self, buffer: &mut BytesMut) {
        buffer.put_u64(u64::from(self.port.0) << 32);
        self.queues.iter().for_each(|queue| queue.encode(buffer));
    }

    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let port = reader.port()?;
        reader.skip(4)?;
        let mut queues = Vec::new();
        while !reader.is_empty() {
            queues.push(PacketQueue::decode(reader)?);
        }
        Ok(QueueConfig { port, queues })
    }
}

impl PacketQueue {
    fn encode(&self, buffer: &mut BytesMut) {
        let start = buffer.len();
        buffer.put_u32(self.queue);
        buffer.put_u32(self.port.0);
        let length_at = buffer.len();
        buffer.put_u64(0);
        self.properties
            .iter()
            .for_each(|property| property.encode(buffer));
        set_length(buffer, start, length_at);
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let header: [u8; 10] = reader.peek()?;
        let length = usize::from(u16::from_be_bytes([header[8], header[9]]));
        if length < QUEUE {
            return Err(reader.bad_length("queue", length));
        }
        let mut part = reader.part(length)?;
        let (queue, port) = (part.u32()?, part.port()?);
        part.skip(8)?;
        let mut properties = Vec::new();
        while !part.is_empty() {
            properties.push(QueueProperty::decode(&mut part)?);
        }
        Ok(PacketQueue {
            queue,
            port,
            properties,
        })
    }
}

impl QueueProperty {
    fn encode(&self, buffer: &mut BytesMut) {
        let (kind, rate) = match self {
            QueueProperty::MinRate(rate) => (MIN_RATE, *rate),
            QueueProperty::MaxRate(rate) => (MAX_RATE, *rate),
            QueueProperty::Raw(bytes) => return buffer.put_slice(bytes),
        };
        buffer.put_u64(u64::from(kind) << 48 | (RATE as u64) << 32);
        buffer.put_u64(u64::from(rate) << 48);
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let [a, b, c, d] = reader.peek()?;
        let (kind, length) = (
            u16::from_be_bytes([a, b]),
            usize::from(u16::from_be_bytes([c, d])),
        );
        if length < PROPERTY || (matches!(kind, MIN_RATE | MAX_RATE) && length != RATE) {
            return Err(reader.bad_length("queue property", length));
        }
        let mut part = reader.part(length)?;
        let whole = part.clone().remainder();
        part.skip(PROPERTY)?;
        Ok(match kind {
            MIN_RATE => QueueProperty::MinRate(part.u16()?),
            MAX_RATE => QueueProperty::MaxRate(part.u16()?),
            _ => QueueProperty::Raw(whole),
        })
    }
}
