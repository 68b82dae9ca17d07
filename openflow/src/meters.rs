//! Meters: rate limits that flows pass (OpenFlow 1.3.5, 7.3.4.4).

use bytes::{BufMut, Bytes, BytesMut};

use crate::error::DecodeError;
use crate::failure::ErrorCode;
use crate::flags::MeterFlags;
use crate::wire::Reader;

/// Every meter, in requests and deletions.
pub const METER_ALL: u32 = 0xffff_ffff;

/// What to do with a meter (`OFPMC_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MeterCommand {
    /// Make it.
    Add,
    /// Replace it.
    Modify,
    /// Delete it, and the flows that use it.
    Delete,
}

/// What happens to packets above a rate.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Band {
    /// They are dropped.
    Drop {
        /// In the unit that the meter's flags say.
        rate: u32,
        /// Kilobits or packets.
        burst: u32,
    },
    /// Their drop precedence is raised.
    DscpRemark {
        /// As above.
        rate: u32,
        /// As above.
        burst: u32,
        /// Steps of precedence.
        levels: u8,
    },
    /// A band without a name here.
    Raw(Bytes),
}

const DROP: u16 = 1;
const DSCP_REMARK: u16 = 2;
const BAND_LENGTH: u16 = 16;

impl Band {
    fn encode(&self, buffer: &mut BytesMut) {
        let (kind, rate, burst, levels) = match self {
            Band::Drop { rate, burst } => (DROP, rate, burst, 0),
            Band::DscpRemark {
                rate,
                burst,
                levels,
            } => (DSCP_REMARK, rate, burst, *levels),
            Band::Raw(bytes) => return buffer.put_slice(bytes),
        };
        buffer.put_u16(kind);
        buffer.put_u16(BAND_LENGTH);
        buffer.put_u32(*rate);
        buffer.put_u32(*burst);
        buffer.put_u32(u32::from(levels) << 24);
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let [a, b, c, d] = reader.peek()?;
        let (kind, length) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
        if length < 12 || (matches!(kind, DROP | DSCP_REMARK) && length != BAND_LENGTH) {
            return Err(reader.bad_length("meter band", length.into()));
        }
        let mut part = reader.part(length.into())?;
        let whole = part.clone().remainder();
        part.skip(4)?;
        let (rate, burst) = (part.u32()?, part.u32()?);
        Ok(match kind {
            DROP => Band::Drop { rate, burst },
            DSCP_REMARK => Band::DscpRemark {
                rate,
                burst,
                levels: part.u8()?,
            },
            _ => Band::Raw(whole),
        })
    }
}

pub(crate) fn encode_bands(buffer: &mut BytesMut, bands: &[Band]) {
    bands.iter().for_each(|band| band.encode(buffer));
}

pub(crate) fn decode_bands(reader: &mut Reader<'_>) -> Result<Vec<Band>, DecodeError> {
    let mut found = Vec::new();
    while !reader.is_empty() {
        found.push(Band::decode(reader)?);
    }
    Ok(found)
}

/// Makes, changes or deletes a meter.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MeterMod {
    /// What to do.
    pub command: MeterCommand,
    /// How it measures.
    pub flags: MeterFlags,
    /// The meter's number.
    pub meter: u32,
    /// Its rates.
    pub bands: Vec<Band>,
}

impl MeterMod {
    /// Makes a meter that drops packets above `rate` packets/s, after bursts of `burst` packets.
    pub fn packet_rate(meter: u32, rate: u32, burst: u32) -> Self {
        let flags = MeterFlags::PKTPS | MeterFlags::BURST | MeterFlags::STATS;
        MeterMod {
            command: MeterCommand::Add,
            flags,
            meter,
            bands: vec![Band::Drop { rate, burst }],
        }
    }

    /// Deletes a meter.
    pub fn delete(meter: u32) -> Self {
        MeterMod {
            command: MeterCommand::Delete,
            flags: MeterFlags::NONE,
            meter,
            bands: Vec::new(),
        }
    }

    pub(crate) fn encode(&self, buffer: &mut BytesMut) {
        buffer.put_u16(match self.command {
            MeterCommand::Add => 0,
            MeterCommand::Modify => 1,
            MeterCommand::Delete => 2,
        });
        buffer.put_u16(self.flags.0);
        buffer.put_u32(self.meter);
        encode_bands(buffer, &self.bands);
    }

    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let command = match u16::from_be_bytes(reader.peek()?) {
            0 => MeterCommand::Add,
            1 => MeterCommand::Modify,
            2 => MeterCommand::Delete,
            other => {
                let error = reader.bad_value("meter-mod command", other);
                return Err(error.answered_with(ErrorCode::BAD_METER_COMMAND));
            }
        };
        reader.skip(2)?;
        Ok(MeterMod {
            command,
            flags: MeterFlags(reader.u16()?),
            meter: reader.u32()?,
            bands: decode_bands(reader)?,
        })
    }
}
