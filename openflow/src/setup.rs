//! Messages about the connection itself: hello, features, configuration, role, which messages come unasked.

use bytes::{BufMut, Bytes, BytesMut};

use crate::error::DecodeError;
use crate::failure::ErrorCode;
use crate::flags::Capabilities;
use crate::wire::Reader;

/// OpenFlow 1.3 on the wire.
pub const VERSION: u8 = 4;
/// `OFPHET_VERSIONBITMAP`
const VERSION_BITMAP: u16 = 1;

/// The first message of both sides (OpenFlow 1.3.5, 7.5.1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hello {
    /// Bit `n` says that wire version `n` is spoken, for versions below 32; `None` where the peer gave no bitmap.
    pub versions: Option<u32>,
}

impl Hello {
    /// Speaks OpenFlow 1.3 and nothing else.
    pub fn openflow13() -> Self {
        Hello {
            versions: Some(1 << VERSION),
        }
    }

    /// Whether a peer that sent this, with this version in its header, and one that speaks 1.3 alone agree on 1.3
    /// (OpenFlow 1.3.5, 6.3.1).
    pub fn accepts_13(&self, header_version: u8) -> bool {
        self.versions.map_or(header_version >= VERSION, |bitmap| {
            bitmap & 1 << VERSION != 0
        })
    }

    pub(crate) fn encode(&self, buffer: &mut BytesMut) {
        if let Some(bitmap) = self.versions {
            buffer.put_u16(VERSION_BITMAP);
            buffer.put_u16(8);
            buffer.put_u32(bitmap);
        }
    }

    /// Elements of other kinds are skipped, as the standard asks. What is no list of elements says nothing, from there on, as
    /// in Open vSwitch: whoever sent it speaks the version of its header.
    pub(crate) fn decode(reader: &mut Reader<'_>) -> Self {
        let mut found = Hello::default();
        while let Some((kind, mut element)) = element(reader) {
            if kind == VERSION_BITMAP && found.versions.is_none() {
                found.versions = element.u32().ok();
            }
        }
        reader.remainder();
        found
    }
}

/// The kind and the value of the next element, if it is one.
fn element<'a>(reader: &mut Reader<'a>) -> Option<(u16, Reader<'a>)> {
    let (kind, length) = (reader.u16().ok()?, usize::from(reader.u16().ok()?));
    let value = reader.part(length.checked_sub(4)?).ok()?;
    reader.skip_padding(length);
    Some((kind, value))
}

/// What a switch is (`ofp_switch_features`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Features {
    /// Identifies the bridge; the lower 48 bits are a MAC address.
    pub datapath_id: u64,
    /// Packets that it can keep for the controller; 0 for Open vSwitch.
    pub buffers: u32,
    /// Flow tables.
    pub tables: u8,
    /// 0 for the main connection.
    pub auxiliary_id: u8,
    /// What it can do.
    pub capabilities: Capabilities,
}

impl Features {
    pub(crate) fn encode(self, buffer: &mut BytesMut) {
        buffer.put_u64(self.datapath_id);
        buffer.put_u32(self.buffers);
        buffer.put_u8(self.tables);
        buffer.put_u8(self.auxiliary_id);
        buffer.put_u16(0);
        buffer.put_u32(self.capabilities.0);
        buffer.put_u32(0);
    }

    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (datapath_id, buffers, tables, auxiliary_id) =
            (reader.u64()?, reader.u32()?, reader.u8()?, reader.u8()?);
        reader.skip(2)?;
        let capabilities = Capabilities(reader.u32()?);
        reader.skip(4)?;
        Ok(Features {
            datapath_id,
            buffers,
            tables,
            auxiliary_id,
            capabilities,
        })
    }
}

/// How a switch treats fragments and packets it sends up (`ofp_switch_config`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SwitchConfig {
    /// `OFPC_FRAG_*`: 0 as any packet, 1 drop, 2 reassemble; 3, with ports and types of a first fragment matched as they are,
    /// is Open vSwitch's (`nx-match`, ovs-ofctl(8)).
    pub flags: u16,
    /// Bytes of a packet that no action sent up.
    pub miss_send_len: u16,
}

impl SwitchConfig {
    pub(crate) fn encode(self, buffer: &mut BytesMut) {
        buffer.put_u16(self.flags);
        buffer.put_u16(self.miss_send_len);
    }

    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(SwitchConfig {
            flags: reader.u16()?,
            miss_send_len: reader.u16()?,
        })
    }
}

/// Which of several controllers may do what (OpenFlow 1.3.5, 6.3.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// As it is; asks only.
    NoChange,
    /// Everything, like the others of this role.
    Equal,
    /// Everything; at most one.
    Primary,
    /// Read only.
    Secondary,
}

/// Asks for a role, or tells it (`ofp_role_request`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoleMessage {
    /// The role.
    pub role: Role,
    /// Counts elections of a primary; an older one is refused.
    pub generation: u64,
}

impl RoleMessage {
    pub(crate) fn encode(self, buffer: &mut BytesMut) {
        buffer.put_u32(self.role as u32);
        buffer.put_u32(0);
        buffer.put_u64(self.generation);
    }

    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let role = match reader.clone().u32()? {
            0 => Role::NoChange,
            1 => Role::Equal,
            2 => Role::Primary,
            3 => Role::Secondary,
            number => {
                let error = reader.bad_value("role", number);
                return Err(error.answered_with(ErrorCode::BAD_ROLE));
            }
        };
        reader.skip(8)?;
        Ok(RoleMessage {
            role,
            generation: reader.u64()?,
        })
    }
}

/// Which messages come unasked, for (primary or equal, secondary) connections; bit `n` is reason `n` (`ofp_async_config`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AsyncConfig {
    /// Packet-ins.
    pub packet_in: [u32; 2],
    /// Port changes.
    pub port_status: [u32; 2],
    /// Flows that went.
    pub flow_removed: [u32; 2],
}

impl AsyncConfig {
    pub(crate) fn encode(self, buffer: &mut BytesMut) {
        let masks = [self.packet_in, self.port_status, self.flow_removed];
        masks
            .into_iter()
            .flatten()
            .for_each(|mask| buffer.put_u32(mask));
    }

    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(AsyncConfig {
            packet_in: reader.u32s()?,
            port_status: reader.u32s()?,
            flow_removed: reader.u32s()?,
        })
    }
}

/// A message of an experimenter that has no name here (`ofp_experimenter_header`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Experimenter {
    /// Whose.
    pub experimenter: u32,
    /// Which.
    pub kind: u32,
    /// All after that.
    pub data: Bytes,
}

impl Experimenter {
    pub(crate) fn encode(&self, buffer: &mut BytesMut) {
        buffer.put_u32(self.experimenter);
        buffer.put_u32(self.kind);
        buffer.put_slice(&self.data);
    }
}
