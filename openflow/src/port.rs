//! What a switch says of its ports, and changes to them (OpenFlow 1.3.5, 7.2.1, 7.4.3).

use bytes::{BufMut, BytesMut};

use crate::error::DecodeError;
use crate::flags::{PortConfig, PortState};
use crate::numbers::PortNo;
use crate::wire::{Reader, put_text};

/// Bytes of an `ofp_port`.
const PORT_LENGTH: usize = 64;

/// What a switch says of one of its ports (`ofp_port`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortDesc {
    /// Port number.
    pub number: PortNo,
    /// MAC address.
    pub address: [u8; 6],
    /// Interface name, at most 15 bytes.
    pub name: String,
    /// What is set of it.
    pub config: PortConfig,
    /// Its state.
    pub state: PortState,
    /// Current features, `OFPPF_*` bits.
    pub current: u32,
    /// Features being advertised.
    pub advertised: u32,
    /// Features supported.
    pub supported: u32,
    /// Features that the link's other end advertises.
    pub peer: u32,
    /// Current bit rate in kbit/s.
    pub current_speed: u32,
    /// Highest bit rate in kbit/s.
    pub max_speed: u32,
}

impl PortDesc {
    pub(crate) fn encode(&self, buffer: &mut BytesMut) {
        buffer.put_u32(self.number.0);
        buffer.put_bytes(0, 4);
        buffer.put_slice(&self.address);
        buffer.put_bytes(0, 2);
        put_text(buffer, &self.name, 16);
        let numbers = [
            self.config.0,
            self.state.0,
            self.current,
            self.advertised,
            self.supported,
            self.peer,
        ];
        numbers
            .into_iter()
            .for_each(|number| buffer.put_u32(number));
        buffer.put_u32(self.current_speed);
        buffer.put_u32(self.max_speed);
    }

    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut part = reader.part(PORT_LENGTH)?;
        let number = part.port()?;
        part.skip(4)?;
        let address = part.array()?;
        part.skip(2)?;
        Ok(PortDesc {
            number,
            address,
            name: part.text(16)?,
            config: PortConfig(part.u32()?),
            state: PortState(part.u32()?),
            current: part.u32()?,
            advertised: part.u32()?,
            supported: part.u32()?,
            peer: part.u32()?,
            current_speed: part.u32()?,
            max_speed: part.u32()?,
        })
    }
}

/// What happened to a port (`OFPPR_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PortReason {
    /// It was added.
    Add,
    /// It was removed.
    Delete,
    /// Something about it changed.
    Modify,
}

/// A port came, went or changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortStatus {
    /// What happened.
    pub reason: PortReason,
    /// The port as it is, or was.
    pub port: PortDesc,
}

impl PortStatus {
    pub(crate) fn encode(&self, buffer: &mut BytesMut) {
        buffer.put_u8(match self.reason {
            PortReason::Add => 0,
            PortReason::Delete => 1,
            PortReason::Modify => 2,
        });
        buffer.put_bytes(0, 7);
        self.port.encode(buffer);
    }

    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let reason = match reader.peek::<1>()?[0] {
            0 => PortReason::Add,
            1 => PortReason::Delete,
            2 => PortReason::Modify,
            other => return Err(reader.bad_value("port-status reason", other)),
        };
        reader.skip(8)?;
        Ok(PortStatus {
            reason,
            port: PortDesc::decode(reader)?,
        })
    }
}

/// Changes a port's configuration (`ofp_port_mod`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortMod {
    /// Port number.
    pub number: PortNo,
    /// Its MAC address, which the switch compares.
    pub address: [u8; 6],
    /// The bits wanted.
    pub config: PortConfig,
    /// Which of them to change.
    pub mask: PortConfig,
    /// Features to advertise; 0 leaves them.
    pub advertise: u32,
}

impl PortMod {
    pub(crate) fn encode(&self, buffer: &mut BytesMut) {
        buffer.put_u32(self.number.0);
        buffer.put_bytes(0, 4);
        buffer.put_slice(&self.address);
        buffer.put_bytes(0, 2);
        buffer.put_u32(self.config.0);
        buffer.put_u32(self.mask.0);
        buffer.put_u32(self.advertise);
        buffer.put_bytes(0, 4);
    }

    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let number = reader.port()?;
        reader.skip(4)?;
        let address = reader.array()?;
        reader.skip(2)?;
        let found = PortMod {
            number,
            address,
            config: PortConfig(reader.u32()?),
            mask: PortConfig(reader.u32()?),
            advertise: reader.u32()?,
        };
        reader.skip(4)?;
        Ok(found)
    }
}
