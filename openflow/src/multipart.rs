//! Requests whose replies may come in several messages (OpenFlow 1.3.5, 7.3.5).
//!
//! A reply is complete when a part without [`MultipartReply::more`] has come; parts carry the xid of the request.

use bytes::{BufMut, Bytes, BytesMut};

use crate::error::DecodeError;
use crate::numbers::PortNo;
use crate::wire::Reader;

mod flow;
mod group;
mod meter;
mod port;
mod table;

pub use flow::{Aggregate, FlowStats, FlowStatsRequest};
pub use group::{GroupDesc, GroupFeatures, GroupStats};
pub use meter::{MeterBandStats, MeterConfig, MeterFeatures, MeterStats};
pub use port::{Description, PortStats, QueueStats};
pub use table::{FeatureId, FlowKind, TableFeatures, TableProperty, TableStats};

const DESC: u16 = 0;
const FLOW: u16 = 1;
const AGGREGATE: u16 = 2;
const TABLE: u16 = 3;
const PORT_STATS: u16 = 4;
const QUEUE: u16 = 5;
const GROUP: u16 = 6;
const GROUP_DESC: u16 = 7;
const GROUP_FEATURES: u16 = 8;
const METER: u16 = 9;
const METER_CONFIG: u16 = 10;
const METER_FEATURES: u16 = 11;
const TABLE_FEATURES: u16 = 12;
const PORT_DESC: u16 = 13;
/// `OFPMPF_REQ_MORE`, `OFPMPF_REPLY_MORE`
const MORE: u16 = 1;

/// Asks for something that may take several messages to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MultipartRequest {
    /// Who made the switch.
    Desc,
    /// The flows that match.
    Flow(FlowStatsRequest),
    /// Their number and counters.
    Aggregate(FlowStatsRequest),
    /// Counters of the flow tables.
    Table,
    /// Counters of a port, or of all with `ports::ANY`.
    PortStats(PortNo),
    /// Counters of queues.
    Queue {
        /// The port, or `ports::ANY`.
        port: PortNo,
        /// The queue, or 0xffffffff.
        queue: u32,
    },
    /// Counters of a group, or of all with `GROUP_ALL`.
    Group(u32),
    /// What the groups are.
    GroupDesc,
    /// Which groups the switch can have.
    GroupFeatures,
    /// Counters of a meter, or of all with `METER_ALL`.
    Meter(u32),
    /// What a meter is, or all with `METER_ALL`.
    MeterConfig(u32),
    /// Which meters the switch can have.
    MeterFeatures,
    /// Asks what the tables can do, or, with entries, tells.
    TableFeatures(Vec<TableFeatures>),
    /// The ports.
    PortDesc,
    /// A part of a request that the next message goes on with (`OFPMPF_REQ_MORE`).
    More(Box<MultipartRequest>),
    /// A request without a name here.
    Raw {
        /// `OFPMP_*`
        kind: u16,
        /// The body.
        body: Bytes,
    },
}

/// One part of the answer to a [`MultipartRequest`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MultipartReply {
    /// Whether another part follows.
    pub more: bool,
    /// This part.
    pub body: MultipartBody,
}

/// What a part of a reply says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MultipartBody {
    /// Who made the switch.
    Desc(Box<Description>),
    /// Flows.
    Flow(Vec<FlowStats>),
    /// Number and counters of flows.
    Aggregate(Aggregate),
    /// Counters of tables.
    Table(Vec<TableStats>),
    /// Counters of ports.
    PortStats(Vec<PortStats>),
    /// Counters of queues.
    Queue(Vec<QueueStats>),
    /// Counters of groups.
    Group(Vec<GroupStats>),
    /// Groups.
    GroupDesc(Vec<GroupDesc>),
    /// Which groups the switch can have.
    GroupFeatures(GroupFeatures),
    /// Counters of meters.
    Meter(Vec<MeterStats>),
    /// Meters.
    MeterConfig(Vec<MeterConfig>),
    /// Which meters the switch can have.
    MeterFeatures(MeterFeatures),
    /// What tables can do.
    TableFeatures(Vec<TableFeatures>),
    /// Ports.
    PortDesc(Vec<crate::port::PortDesc>),
    /// A reply without a name here.
    Raw {
        /// `OFPMP_*`
        kind: u16,
        /// The body.
        body: Bytes,
    },
}

impl MultipartRequest {
    pub(crate) fn kind(&self) -> u16 {
        match self {
            MultipartRequest::Desc => DESC,
            MultipartRequest::Flow(_) => FLOW,
            MultipartRequest::Aggregate(_) => AGGREGATE,
            MultipartRequest::Table => TABLE,
            MultipartRequest::PortStats(_) => PORT_STATS,
            MultipartRequest::Queue { .. } => QUEUE,
            MultipartRequest::Group(_) => GROUP,
            MultipartRequest::GroupDesc => GROUP_DESC,
            MultipartRequest::GroupFeatures => GROUP_FEATURES,
            MultipartRequest::Meter(_) => METER,
            MultipartRequest::MeterConfig(_) => METER_CONFIG,
            MultipartRequest::MeterFeatures => METER_FEATURES,
            MultipartRequest::TableFeatures(_) => TABLE_FEATURES,
            MultipartRequest::PortDesc => PORT_DESC,
            MultipartRequest::More(part) => part.kind(),
            MultipartRequest::Raw { kind, .. } => *kind,
        }
    }

    pub(crate) fn encode(&self, buffer: &mut BytesMut) {
        put_header(
            buffer,
            self.kind(),
            matches!(self, MultipartRequest::More(_)),
        );
        self.encode_part(buffer);
    }

    fn encode_part(&self, buffer: &mut BytesMut) {
        match self {
            MultipartRequest::More(part) => part.encode_part(buffer),
            MultipartRequest::Desc
            | MultipartRequest::Table
            | MultipartRequest::GroupDesc
            | MultipartRequest::GroupFeatures
            | MultipartRequest::MeterFeatures
            | MultipartRequest::PortDesc => {}
            MultipartRequest::Flow(request) | MultipartRequest::Aggregate(request) => {
                request.encode(buffer)
            }
            MultipartRequest::PortStats(port) => buffer.put_u64(u64::from(port.0) << 32),
            MultipartRequest::Group(number)
            | MultipartRequest::Meter(number)
            | MultipartRequest::MeterConfig(number) => buffer.put_u64(u64::from(*number) << 32),
            MultipartRequest::Queue { port, queue } => {
                buffer.put_u64(u64::from(port.0) << 32 | u64::from(*queue))
            }
            MultipartRequest::TableFeatures(tables) => {
                tables.iter().for_each(|table| table.encode(buffer))
            }
            MultipartRequest::Raw { body, .. } => buffer.put_slice(body),
        }
    }

    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (kind, more) = read_header(reader)?;
        let part = Self::decode_part(kind, reader)?;
        Ok(match more {
            true => MultipartRequest::More(Box::new(part)),
            false => part,
        })
    }

    fn decode_part(kind: u16, reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match kind {
            DESC => MultipartRequest::Desc,
            FLOW => MultipartRequest::Flow(FlowStatsRequest::decode(reader)?),
            AGGREGATE => MultipartRequest::Aggregate(FlowStatsRequest::decode(reader)?),
            TABLE => MultipartRequest::Table,
            PORT_STATS => MultipartRequest::PortStats(PortNo(padded_number(reader)?)),
            QUEUE => MultipartRequest::Queue {
                port: reader.port()?,
                queue: reader.u32()?,
            },
            GROUP => MultipartRequest::Group(padded_number(reader)?),
            GROUP_DESC => MultipartRequest::GroupDesc,
            GROUP_FEATURES => MultipartRequest::GroupFeatures,
            METER => MultipartRequest::Meter(padded_number(reader)?),
            METER_CONFIG => MultipartRequest::MeterConfig(padded_number(reader)?),
            METER_FEATURES => MultipartRequest::MeterFeatures,
            TABLE_FEATURES => MultipartRequest::TableFeatures(list(reader, TableFeatures::decode)?),
            PORT_DESC => MultipartRequest::PortDesc,
            kind => MultipartRequest::Raw {
                kind,
                body: reader.remainder(),
            },
        })
    }
}

impl MultipartBody {
    pub(crate) fn kind(&self) -> u16 {
        match self {
            MultipartBody::Desc(_) => DESC,
            MultipartBody::Flow(_) => FLOW,
            MultipartBody::Aggregate(_) => AGGREGATE,
            MultipartBody::Table(_) => TABLE,
            MultipartBody::PortStats(_) => PORT_STATS,
            MultipartBody::Queue(_) => QUEUE,
            MultipartBody::Group(_) => GROUP,
            MultipartBody::GroupDesc(_) => GROUP_DESC,
            MultipartBody::GroupFeatures(_) => GROUP_FEATURES,
            MultipartBody::Meter(_) => METER,
            MultipartBody::MeterConfig(_) => METER_CONFIG,
            MultipartBody::MeterFeatures(_) => METER_FEATURES,
            MultipartBody::TableFeatures(_) => TABLE_FEATURES,
            MultipartBody::PortDesc(_) => PORT_DESC,
            MultipartBody::Raw { kind, .. } => *kind,
        }
    }
}

impl MultipartReply {
    pub(crate) fn encode(&self, buffer: &mut BytesMut) {
        put_header(buffer, self.body.kind(), self.more);
        match &self.body {
            MultipartBody::Desc(description) => description.encode(buffer),
            MultipartBody::Flow(flows) => flows.iter().for_each(|flow| flow.encode(buffer)),
            MultipartBody::Aggregate(aggregate) => aggregate.encode(buffer),
            MultipartBody::Table(tables) => tables.iter().for_each(|table| table.encode(buffer)),
            MultipartBody::PortStats(ports) => ports.iter().for_each(|port| port.encode(buffer)),
            MultipartBody::Queue(queues) => queues.iter().for_each(|queue| queue.encode(buffer)),
            MultipartBody::Group(groups) => groups.iter().for_each(|group| group.encode(buffer)),
            MultipartBody::GroupDesc(groups) => {
                groups.iter().for_each(|group| group.encode(buffer))
            }
            MultipartBody::GroupFeatures(features) => features.encode(buffer),
            MultipartBody::Meter(meters) => meters.iter().for_each(|meter| meter.encode(buffer)),
            MultipartBody::MeterConfig(meters) => {
                meters.iter().for_each(|meter| meter.encode(buffer))
            }
            MultipartBody::MeterFeatures(features) => features.encode(buffer),
            MultipartBody::TableFeatures(tables) => {
                tables.iter().for_each(|table| table.encode(buffer))
            }
            MultipartBody::PortDesc(ports) => ports.iter().for_each(|port| port.encode(buffer)),
            MultipartBody::Raw { body, .. } => buffer.put_slice(body),
        }
    }

    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (kind, more) = read_header(reader)?;
        let body = match kind {
            DESC => MultipartBody::Desc(Box::new(Description::decode(reader)?)),
            FLOW => MultipartBody::Flow(list(reader, FlowStats::decode)?),
            AGGREGATE => MultipartBody::Aggregate(Aggregate::decode(reader)?),
            TABLE => MultipartBody::Table(list(reader, TableStats::decode)?),
            PORT_STATS => MultipartBody::PortStats(list(reader, PortStats::decode)?),
            QUEUE => MultipartBody::Queue(list(reader, QueueStats::decode)?),
            GROUP => MultipartBody::Group(list(reader, GroupStats::decode)?),
            GROUP_DESC => MultipartBody::GroupDesc(list(reader, GroupDesc::decode)?),
            GROUP_FEATURES => MultipartBody::GroupFeatures(GroupFeatures::decode(reader)?),
            METER => MultipartBody::Meter(list(reader, MeterStats::decode)?),
            METER_CONFIG => MultipartBody::MeterConfig(list(reader, MeterConfig::decode)?),
            METER_FEATURES => MultipartBody::MeterFeatures(MeterFeatures::decode(reader)?),
            TABLE_FEATURES => MultipartBody::TableFeatures(list(reader, TableFeatures::decode)?),
            PORT_DESC => MultipartBody::PortDesc(list(reader, crate::port::PortDesc::decode)?),
            kind => MultipartBody::Raw {
                kind,
                body: reader.remainder(),
            },
        };
        Ok(MultipartReply { more, body })
    }
}

fn put_header(buffer: &mut BytesMut, kind: u16, more: bool) {
    buffer.put_u16(kind);
    buffer.put_u16(if more { MORE } else { 0 });
    buffer.put_u32(0);
}

fn read_header(reader: &mut Reader<'_>) -> Result<(u16, bool), DecodeError> {
    let (kind, flags) = (reader.u16()?, reader.u16()?);
    reader.skip(4)?;
    Ok((kind, flags & MORE != 0))
}

fn padded_number(reader: &mut Reader<'_>) -> Result<u32, DecodeError> {
    let number = reader.u32()?;
    reader.skip(4)?;
    Ok(number)
}

fn list<'a, T>(
    reader: &mut Reader<'a>,
    decode: impl Fn(&mut Reader<'a>) -> Result<T, DecodeError>,
) -> Result<Vec<T>, DecodeError> {
    let mut found = Vec::new();
    while !reader.is_empty() {
        found.push(decode(reader)?);
    }
    Ok(found)
}

/// The part of an entry that begins with its own 16-bit length, which is skipped.
fn entry<'a>(
    reader: &mut Reader<'a>,
    what: &'static str,
    least: usize,
) -> Result<Reader<'a>, DecodeError> {
    let length = usize::from(u16::from_be_bytes(reader.peek()?));
    if length < least {
        return Err(reader.bad_length(what, length));
    }
    let mut part = reader.part(length)?;
    part.skip(2)?;
    Ok(part)
}
