//! All messages of an OpenFlow 1.3 connection, and the header around them (OpenFlow 1.3.5, 7.1).
//!
//! ```text
//!  version:8  type:8  length:16  xid:32  body
//! ```

use bytes::{BufMut, Bytes, BytesMut};

use crate::bundle_wire::{BundleAdd, BundleControl};
use crate::error::{DecodeError, EncodeError, Reason};
use crate::failure::ErrorMessage;
use crate::fields::{NICIRA, ONF};
use crate::flow_mod::{FlowMod, FlowRemoved};
use crate::groups::GroupMod;
use crate::meters::MeterMod;
use crate::multipart::{MultipartReply, MultipartRequest};
use crate::numbers::{PortNo, TableId, Xid};
use crate::packet_in2::{PacketIn2, PacketInFormat};
use crate::packets::{PacketIn, PacketOut};
use crate::port::{PortMod, PortStatus};
use crate::queues::QueueConfig;
use crate::setup::{
    AsyncConfig, Experimenter, Features, Hello, RoleMessage, SwitchConfig, VERSION,
};
use crate::wire::{Reader, set_length};

/// A message is no longer than a packet-in and a little.
const _: () = assert!(size_of::<Message>() <= 96);

/// Bytes of the header.
pub(crate) const HEADER: usize = 8;
/// Messages inside messages: a bundle holds flow-mods, never another bundle.
const MAX_DEPTH: usize = 1;

const NX_SET_PACKET_IN_FORMAT: u32 = 16;
const NX_RESUME: u32 = 28;
const NX_PACKET_IN2: u32 = 30;
const ONF_BUNDLE_CONTROL: u32 = 2300;
const ONF_BUNDLE_ADD: u32 = 2301;

/// One OpenFlow message, without its xid.
///
/// What is large and rare is boxed: each packet that comes up is moved as a message, several times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// The first message of both sides.
    Hello(Hello),
    /// A message was refused.
    Error(ErrorMessage),
    /// Are you there?
    EchoRequest(Bytes),
    /// Yes, with the same bytes.
    EchoReply(Bytes),
    /// An experimenter's message without a name here.
    Experimenter(Experimenter),
    /// What are you?
    FeaturesRequest,
    /// What the switch is.
    FeaturesReply(Features),
    /// How do you treat fragments?
    GetConfigRequest,
    /// So.
    GetConfigReply(SwitchConfig),
    /// Treat fragments so.
    SetConfig(SwitchConfig),
    /// A packet for the controller.
    PacketIn(PacketIn),
    /// A flow went.
    FlowRemoved(FlowRemoved),
    /// A port changed.
    PortStatus(PortStatus),
    /// A packet from the controller.
    PacketOut(PacketOut),
    /// Change flows.
    FlowMod(FlowMod),
    /// Change a group.
    GroupMod(GroupMod),
    /// Change a port.
    PortMod(PortMod),
    /// Change a table's configuration; the standard defines no bit of it.
    TableMod {
        /// The table, 0xff for all.
        table: TableId,
        /// `OFPTC_*` bits.
        config: u32,
    },
    /// Ask for something long.
    MultipartRequest(MultipartRequest),
    /// A part of the answer.
    MultipartReply(MultipartReply),
    /// Finish everything before this.
    BarrierRequest,
    /// Finished.
    BarrierReply,
    /// Which queues has a port? Open vSwitch answers from what QoS configures.
    QueueGetConfigRequest(PortNo),
    /// These.
    QueueGetConfigReply(QueueConfig),
    /// Take a role.
    RoleRequest(RoleMessage),
    /// The role.
    RoleReply(RoleMessage),
    /// Which messages come unasked?
    GetAsyncRequest,
    /// These.
    GetAsyncReply(AsyncConfig),
    /// Send these.
    SetAsync(AsyncConfig),
    /// Change a meter.
    MeterMod(MeterMod),
    /// Open or commit a bundle, or an answer to that.
    BundleControl(BundleControl),
    /// Put a message into a bundle.
    BundleAdd(BundleAdd),
    /// How packets are to come up.
    SetPacketInFormat(PacketInFormat),
    /// A packet for the controller, in Nicira's newer form.
    PacketIn2(Box<PacketIn2>),
    /// A packet that `controller(pause)` sent up goes on behind that action. It goes with the registers and metadata
    /// given here: Open vSwitch takes these fields from the message, the rest of the pipeline's state from the continuation.
    Resume(Box<PacketIn2>),
    /// A message of a type without a name here.
    Unknown {
        /// The type in its header.
        kind: u8,
        /// All after the header.
        body: Bytes,
    },
}

impl Message {
    /// Appends the message with its header to `buffer`.
    ///
    /// # Errors
    /// [`EncodeError::TooLong`] for more than 65535 bytes; `buffer` is as before then.
    #[inline]
    pub fn encode(&self, xid: impl Into<Xid>, buffer: &mut BytesMut) -> Result<(), EncodeError> {
        let start = buffer.len();
        self.encode_unchecked(xid.into(), buffer);
        let length = buffer.len() - start;
        if length > usize::from(u16::MAX) {
            buffer.truncate(start);
            return Err(EncodeError::TooLong(length));
        }
        Ok(())
    }

    /// Writes a length that does not fit modulo 2^16.
    #[inline]
    pub(crate) fn encode_unchecked(&self, xid: Xid, buffer: &mut BytesMut) {
        let start = buffer.len();
        put_header(self.kind(), 0, xid, buffer);
        self.encode_body(buffer);
        set_length(buffer, start, start + 2);
    }

    /// The message in `frame`, which a [`crate::Framer`] cut to its length. Packets and unknown parts share its memory.
    ///
    /// # Errors
    /// Where and why the message does not follow the specification.
    #[inline]
    pub fn decode(frame: &Bytes) -> Result<(Xid, Message), DecodeError> {
        let mut reader = Reader::new(frame);
        let found = Self::decode_part(&mut reader, 0)?;
        if !reader.is_empty() {
            return Err(reader.bad_length("frame", frame.len()));
        }
        Ok(found)
    }

    /// The message at the front of `reader`.
    pub(crate) fn decode_part(
        reader: &mut Reader<'_>,
        depth: usize,
    ) -> Result<(Xid, Message), DecodeError> {
        let [version, kind, high, low] = reader.peek()?;
        let length = usize::from(u16::from_be_bytes([high, low]));
        if length < HEADER {
            return Err(reader.bad_length("message", length));
        }
        let mut part = reader.part(length)?;
        let message = part.clone();
        part.skip(4)?;
        let xid = part.xid()?;
        // Hello and a refused hello come in the peer's own version (OpenFlow 1.3.5, 6.3.1).
        if version != VERSION && kind != Kind::Hello as u8 && kind != Kind::Error as u8 {
            return Err(message.error(Reason::Version(version)));
        }
        let found = Self::decode_body(kind, &mut part, depth)?;
        if !part.is_empty() {
            return Err(message.bad_length("message", length));
        }
        Ok((xid, found))
    }
}

/// `OFPT_*`
#[derive(Clone, Copy)]
enum Kind {
    Hello = 0,
    Error = 1,
    EchoRequest = 2,
    EchoReply = 3,
    Experimenter = 4,
    FeaturesRequest = 5,
    FeaturesReply = 6,
    GetConfigRequest = 7,
    GetConfigReply = 8,
    SetConfig = 9,
    PacketIn = 10,
    FlowRemoved = 11,
    PortStatus = 12,
    PacketOut = 13,
    FlowMod = 14,
    GroupMod = 15,
    PortMod = 16,
    TableMod = 17,
    MultipartRequest = 18,
    MultipartReply = 19,
    BarrierRequest = 20,
    BarrierReply = 21,
    QueueGetConfigRequest = 22,
    QueueGetConfigReply = 23,
    RoleRequest = 24,
    RoleReply = 25,
    GetAsyncRequest = 26,
    GetAsyncReply = 27,
    SetAsync = 28,
    MeterMod = 29,
}

const KINDS: [Kind; 30] = [
    Kind::Hello,
    Kind::Error,
    Kind::EchoRequest,
    Kind::EchoReply,
    Kind::Experimenter,
    Kind::FeaturesRequest,
    Kind::FeaturesReply,
    Kind::GetConfigRequest,
    Kind::GetConfigReply,
    Kind::SetConfig,
    Kind::PacketIn,
    Kind::FlowRemoved,
    Kind::PortStatus,
    Kind::PacketOut,
    Kind::FlowMod,
    Kind::GroupMod,
    Kind::PortMod,
    Kind::TableMod,
    Kind::MultipartRequest,
    Kind::MultipartReply,
    Kind::BarrierRequest,
    Kind::BarrierReply,
    Kind::QueueGetConfigRequest,
    Kind::QueueGetConfigReply,
    Kind::RoleRequest,
    Kind::RoleReply,
    Kind::GetAsyncRequest,
    Kind::GetAsyncReply,
    Kind::SetAsync,
    Kind::MeterMod,
];

impl Message {
    fn kind(&self) -> u8 {
        let kind = match self {
            Message::Hello(_) => Kind::Hello,
            Message::Error(_) => Kind::Error,
            Message::EchoRequest(_) => Kind::EchoRequest,
            Message::EchoReply(_) => Kind::EchoReply,
            Message::FeaturesRequest => Kind::FeaturesRequest,
            Message::FeaturesReply(_) => Kind::FeaturesReply,
            Message::GetConfigRequest => Kind::GetConfigRequest,
            Message::GetConfigReply(_) => Kind::GetConfigReply,
            Message::SetConfig(_) => Kind::SetConfig,
            Message::PacketIn(_) => Kind::PacketIn,
            Message::FlowRemoved(_) => Kind::FlowRemoved,
            Message::PortStatus(_) => Kind::PortStatus,
            Message::PacketOut(_) => Kind::PacketOut,
            Message::FlowMod(_) => Kind::FlowMod,
            Message::GroupMod(_) => Kind::GroupMod,
            Message::PortMod(_) => Kind::PortMod,
            Message::TableMod { .. } => Kind::TableMod,
            Message::MultipartRequest(_) => Kind::MultipartRequest,
            Message::MultipartReply(_) => Kind::MultipartReply,
            Message::BarrierRequest => Kind::BarrierRequest,
            Message::BarrierReply => Kind::BarrierReply,
            Message::QueueGetConfigRequest(_) => Kind::QueueGetConfigRequest,
            Message::QueueGetConfigReply(_) => Kind::QueueGetConfigReply,
            Message::RoleRequest(_) => Kind::RoleRequest,
            Message::RoleReply(_) => Kind::RoleReply,
            Message::GetAsyncRequest => Kind::GetAsyncRequest,
            Message::GetAsyncReply(_) => Kind::GetAsyncReply,
            Message::SetAsync(_) => Kind::SetAsync,
            Message::MeterMod(_) => Kind::MeterMod,
            Message::Experimenter(_)
            | Message::BundleControl(_)
            | Message::BundleAdd(_)
            | Message::SetPacketInFormat(_)
            | Message::PacketIn2(_)
            | Message::Resume(_) => Kind::Experimenter,
            Message::Unknown { kind, .. } => return *kind,
        };
        kind as u8
    }

    #[inline]
    fn encode_body(&self, buffer: &mut BytesMut) {
        match self {
            Message::Hello(hello) => hello.encode(buffer),
            Message::Error(error) => error.encode(buffer),
            Message::EchoRequest(bytes) | Message::EchoReply(bytes) => buffer.put_slice(bytes),
            Message::Experimenter(experimenter) => experimenter.encode(buffer),
            Message::FeaturesReply(features) => features.encode(buffer),
            Message::GetConfigReply(config) | Message::SetConfig(config) => config.encode(buffer),
            Message::PacketIn(packet) => packet.encode(buffer),
            Message::FlowRemoved(flow) => flow.encode(buffer),
            Message::PortStatus(status) => status.encode(buffer),
            Message::PacketOut(packet) => packet.encode(buffer),
            Message::FlowMod(flow) => flow.encode(buffer),
            Message::GroupMod(group) => group.encode(buffer),
            Message::PortMod(port) => port.encode(buffer),
            Message::TableMod { table, config } => {
                buffer.put_u64(u64::from(table.0) << 56 | u64::from(*config))
            }
            Message::MultipartRequest(request) => request.encode(buffer),
            Message::MultipartReply(reply) => reply.encode(buffer),
            Message::QueueGetConfigReply(config) => config.encode(buffer),
            Message::QueueGetConfigRequest(port) => buffer.put_u64(u64::from(port.0) << 32),
            Message::RoleRequest(role) | Message::RoleReply(role) => role.encode(buffer),
            Message::GetAsyncReply(config) | Message::SetAsync(config) => config.encode(buffer),
            Message::MeterMod(meter) => meter.encode(buffer),
            Message::BundleControl(control) => {
                put_experimenter(buffer, ONF, ONF_BUNDLE_CONTROL);
                control.encode(buffer);
            }
            Message::BundleAdd(add) => {
                put_experimenter(buffer, ONF, ONF_BUNDLE_ADD);
                add.encode(buffer);
            }
            Message::SetPacketInFormat(format) => {
                put_experimenter(buffer, NICIRA, NX_SET_PACKET_IN_FORMAT);
                format.encode(buffer);
            }
            Message::PacketIn2(packet) => {
                put_experimenter(buffer, NICIRA, NX_PACKET_IN2);
                packet.encode(buffer);
            }
            Message::Resume(packet) => {
                put_experimenter(buffer, NICIRA, NX_RESUME);
                packet.encode(buffer);
            }
            Message::Unknown { body, .. } => buffer.put_slice(body),
            Message::FeaturesRequest
            | Message::GetConfigRequest
            | Message::BarrierRequest
            | Message::BarrierReply
            | Message::GetAsyncRequest => {}
        }
    }

    #[inline]
    fn decode_body(
        kind: u8,
        reader: &mut Reader<'_>,
        depth: usize,
    ) -> Result<Message, DecodeError> {
        let Some(known) = KINDS.get(usize::from(kind)) else {
            return Ok(Message::Unknown {
                kind,
                body: reader.remainder(),
            });
        };
        Ok(match known {
            Kind::Hello => Message::Hello(Hello::decode(reader)),
            Kind::Error => Message::Error(ErrorMessage::decode(reader)?),
            Kind::EchoRequest => Message::EchoRequest(reader.remainder()),
            Kind::EchoReply => Message::EchoReply(reader.remainder()),
            Kind::Experimenter => decode_experimenter(reader, depth)?,
            Kind::FeaturesRequest => Message::FeaturesRequest,
            Kind::FeaturesReply => Message::FeaturesReply(Features::decode(reader)?),
            Kind::GetConfigRequest => Message::GetConfigRequest,
            Kind::GetConfigReply => Message::GetConfigReply(SwitchConfig::decode(reader)?),
            Kind::SetConfig => Message::SetConfig(SwitchConfig::decode(reader)?),
            Kind::PacketIn => Message::PacketIn(PacketIn::decode(reader)?),
            Kind::FlowRemoved => Message::FlowRemoved(FlowRemoved::decode(reader)?),
            Kind::PortStatus => Message::PortStatus(PortStatus::decode(reader)?),
            Kind::PacketOut => Message::PacketOut(PacketOut::decode(reader)?),
            Kind::FlowMod => Message::FlowMod(FlowMod::decode(reader)?),
            Kind::GroupMod => Message::GroupMod(GroupMod::decode(reader)?),
            Kind::PortMod => Message::PortMod(PortMod::decode(reader)?),
            Kind::TableMod => decode_table_mod(reader)?,
            Kind::MultipartRequest => Message::MultipartRequest(MultipartRequest::decode(reader)?),
            Kind::MultipartReply => Message::MultipartReply(MultipartReply::decode(reader)?),
            Kind::BarrierRequest => Message::BarrierRequest,
            Kind::BarrierReply => Message::BarrierReply,
            Kind::QueueGetConfigRequest => {
                let port = reader.port()?;
                reader.skip(4)?;
                Message::QueueGetConfigRequest(port)
            }
            Kind::QueueGetConfigReply => Message::QueueGetConfigReply(QueueConfig::decode(reader)?),
            Kind::RoleRequest => Message::RoleRequest(RoleMessage::decode(reader)?),
            Kind::RoleReply => Message::RoleReply(RoleMessage::decode(reader)?),
            Kind::GetAsyncRequest => Message::GetAsyncRequest,
            Kind::GetAsyncReply => Message::GetAsyncReply(AsyncConfig::decode(reader)?),
            Kind::SetAsync => Message::SetAsync(AsyncConfig::decode(reader)?),
            Kind::MeterMod => Message::MeterMod(MeterMod::decode(reader)?),
        })
    }
}

impl FlowMod {
    /// The flow-mod that is the whole of a frame.
    pub(crate) fn decode_message(frame: &Bytes) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(frame);
        reader.skip(HEADER)?;
        Self::decode(&mut reader)
    }
}

fn put_header(kind: u8, length: u16, xid: Xid, buffer: &mut BytesMut) {
    let front = u64::from(VERSION) << 56 | u64::from(kind) << 48 | u64::from(length) << 32;
    buffer.put_u64(front | u64::from(xid.0));
}

/// The header of a message that adds another one to a bundle.
pub(crate) fn put_bundle_add_header(length: u16, xid: Xid, buffer: &mut BytesMut) {
    put_header(Kind::Experimenter as u8, length, xid, buffer);
    put_experimenter(buffer, ONF, ONF_BUNDLE_ADD);
}

fn put_experimenter(buffer: &mut BytesMut, experimenter: u32, kind: u32) {
    buffer.put_u32(experimenter);
    buffer.put_u32(kind);
}

fn decode_experimenter(reader: &mut Reader<'_>, depth: usize) -> Result<Message, DecodeError> {
    let (experimenter, kind) = (reader.u32()?, reader.u32()?);
    Ok(match (experimenter, kind) {
        (ONF, ONF_BUNDLE_CONTROL) => Message::BundleControl(BundleControl::decode(reader)?),
        (ONF, ONF_BUNDLE_ADD) if depth < MAX_DEPTH => {
            Message::BundleAdd(BundleAdd::decode(reader, depth)?)
        }
        (NICIRA, NX_SET_PACKET_IN_FORMAT) => {
            Message::SetPacketInFormat(PacketInFormat::decode(reader)?)
        }
        (NICIRA, NX_PACKET_IN2) => Message::PacketIn2(Box::new(PacketIn2::decode(reader)?)),
        (NICIRA, NX_RESUME) => Message::Resume(Box::new(PacketIn2::decode(reader)?)),
        _ => Message::Experimenter(Experimenter {
            experimenter,
            kind,
            data: reader.remainder(),
        }),
    })
}

fn decode_table_mod(reader: &mut Reader<'_>) -> Result<Message, DecodeError> {
    let table = reader.table()?;
    reader.skip(3)?;
    Ok(Message::TableMod {
        table,
        config: reader.u32()?,
    })
}
