//! Meters and their counters (OpenFlow 1.3.5, 7.3.5.12 to 7.3.5.14).

use bytes::{BufMut, BytesMut};

use super::entry;
use crate::error::DecodeError;
use crate::flags::MeterFlags;
use crate::meters::{Band, decode_bands, encode_bands};
use crate::wire::{Reader, set_length};

/// A meter as the switch has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MeterConfig {
    /// How it measures.
    pub flags: MeterFlags,
    /// The meter's number.
    pub meter: u32,
    /// Its rates.
    pub bands: Vec<Band>,
}

impl MeterConfig {
    pub(super) fn encode(&self, buffer: &mut BytesMut) {
        let start = buffer.len();
        buffer.put_u16(0);
        buffer.put_u16(self.flags.0);
        buffer.put_u32(self.meter);
        encode_bands(buffer, &self.bands);
        set_length(buffer, start, start);
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut part = entry(reader, "meter configuration", 8)?;
        Ok(MeterConfig {
            flags: MeterFlags(part.u16()?),
            meter: part.u32()?,
            bands: decode_bands(&mut part)?,
        })
    }
}

/// Counters of a meter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MeterStats {
    /// The meter's number.
    pub meter: u32,
    /// Flows that use it.
    pub flows: u32,
    /// Packets that came in.
    pub packets: u64,
    /// Bytes of these.
    pub bytes: u64,
    /// Seconds that it has been there.
    pub duration_sec: u32,
    /// And nanoseconds.
    pub duration_nsec: u32,
    /// Counters of each band.
    pub bands: Vec<MeterBandStats>,
}

/// Packets that a band acted on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MeterBandStats {
    /// Packets.
    pub packets: u64,
    /// Bytes of these.
    pub bytes: u64,
}

impl MeterStats {
    pub(super) fn encode(&self, buffer: &mut BytesMut) {
        let start = buffer.len();
        buffer.put_u32(self.meter);
        let length_at = buffer.len();
        buffer.put_u64(0);
        buffer.put_u32(self.flows);
        buffer.put_u64(self.packets);
        buffer.put_u64(self.bytes);
        buffer.put_u32(self.duration_sec);
        buffer.put_u32(self.duration_nsec);
        for band in &self.bands {
            buffer.put_u64(band.packets);
            buffer.put_u64(band.bytes);
        }
        set_length(buffer, start, length_at);
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let [_, _, _, _, high, low] = reader.peek()?;
        let length = usize::from(u16::from_be_bytes([high, low]));
        if length < 40 {
            return Err(reader.bad_length("meter statistics", length));
        }
        let mut part = reader.part(length)?;
        let meter = part.u32()?;
        part.skip(8)?;
        let (flows, packets, bytes) = (part.u32()?, part.u64()?, part.u64()?);
        let (duration_sec, duration_nsec) = (part.u32()?, part.u32()?);
        let mut bands = Vec::new();
        while !part.is_empty() {
            bands.push(MeterBandStats {
                packets: part.u64()?,
                bytes: part.u64()?,
            });
        }
        Ok(MeterStats {
            meter,
            flows,
            packets,
            bytes,
            duration_sec,
            duration_nsec,
            bands,
        })
    }
}

/// Which meters a switch can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MeterFeatures {
    /// Most meters.
    pub max_meters: u32,
    /// Bit `n` for band type `n`.
    pub band_types: u32,
    /// Bits of [`MeterFlags`] that it understands.
    pub capabilities: u32,
    /// Most bands of a meter.
    pub max_bands: u8,
    /// Most colours.
    pub max_color: u8,
}

impl MeterFeatures {
    pub(super) fn encode(self, buffer: &mut BytesMut) {
        buffer.put_u32(self.max_meters);
        buffer.put_u32(self.band_types);
        buffer.put_u32(self.capabilities);
        buffer.put_u8(self.max_bands);
        buffer.put_u8(self.max_color);
        buffer.put_u16(0);
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let found = MeterFeatures {
            max_meters: reader.u32()?,
            band_types: reader.u32()?,
            capabilities: reader.u32()?,
            max_bands: reader.u8()?,
            max_color: reader.u8()?,
        };
        reader.skip(2)?;
        Ok(found)
    }
}
