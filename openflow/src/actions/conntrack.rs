//! The connection tracker: `ct(…)` and the `nat(…)` inside it (ovs-actions(7), `struct nx_action_conntrack`, `nx_action_nat`).

use std::net::IpAddr;

use bytes::{BufMut, BytesMut};

use super::{Action, decode_nested, encode_list};
use crate::error::DecodeError;
use crate::numbers::TableId;
use crate::subfield::{Subfield, put_short_header, read_short_field};
use crate::wire::Reader;

const COMMIT: u16 = 1;
const FORCE: u16 = 2;
const NO_TABLE: TableId = TableId(0xff);

/// Sends a packet through the connection tracker.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Ct {
    /// Remember the connection.
    pub commit: bool,
    /// Remember it even if it is known in the other direction.
    pub force: bool,
    /// The zone that the connection belongs to.
    pub zone: Zone,
    /// Where a copy of the packet goes on with its `ct_*` fields filled in.
    pub table: Option<TableId>,
    /// The port of the protocol whose related connections are followed (21 for FTP), 0 for none.
    pub alg: u16,
    /// What is done within the tracker, with `commit`: set `ct_mark` or `ct_label`, and NAT, which comes first.
    pub exec: Vec<Action>,
}

/// Where a connection's zone comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Zone {
    /// A number.
    Value(u16),
    /// Up to 16 bits of a field.
    Field(Subfield),
}

impl Default for Zone {
    fn default() -> Self {
        Zone::Value(0)
    }
}

impl Ct {
    pub(super) fn encode(&self, buffer: &mut BytesMut) {
        let commit = if self.commit { COMMIT } else { 0 };
        buffer.put_u16(commit | if self.force { FORCE } else { 0 });
        match self.zone {
            Zone::Value(zone) => {
                buffer.put_u32(0);
                buffer.put_u16(zone);
            }
            Zone::Field(part) => {
                put_short_header(buffer, part.field);
                buffer.put_u16(part.packed());
            }
        }
        buffer.put_u8(self.table.unwrap_or(NO_TABLE).0);
        buffer.put_bytes(0, 3);
        buffer.put_u16(self.alg);
        encode_list(buffer, &self.exec);
    }

    pub(super) fn decode(part: &mut Reader<'_>, depth: usize) -> Result<Option<Self>, DecodeError> {
        let flags = part.u16()?;
        let zone = decode_zone(part)?;
        let table = part.table()?;
        part.skip(3)?;
        let alg = part.u16()?;
        let exec = decode_nested(part, depth + 1)?;
        let (Some(zone), 0) = (zone, flags & !(COMMIT | FORCE)) else {
            return Ok(None);
        };
        let table = (table != NO_TABLE).then_some(table);
        Ok(Some(Ct {
            commit: flags & COMMIT != 0,
            force: flags & FORCE != 0,
            zone,
            table,
            alg,
            exec,
        }))
    }
}

fn decode_zone(part: &mut Reader<'_>) -> Result<Option<Zone>, DecodeError> {
    if part.peek()? == [0; 4] {
        part.skip(4)?;
        return Ok(Some(Zone::Value(part.u16()?)));
    }
    let field = read_short_field(part)?;
    let packed = part.u16()?;
    Ok(field.map(|field| Zone::Field(Subfield::unpack(field, packed))))
}

const SOURCE: u16 = 1;
const DESTINATION: u16 = 2;
const PERSISTENT: u16 = 4;
const HASH: u16 = 8;
const RANDOM: u16 = 16;

/// Translates addresses of a connection.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Nat {
    /// Which end; `None` does to this packet what was decided for its connection.
    pub kind: Option<NatKind>,
    /// What the end becomes.
    pub range: NatRange,
    /// The same choice for a client after a restart.
    pub persistent: bool,
    /// Choose the port by hash.
    pub hash: bool,
    /// Choose the port at random.
    pub random: bool,
}

/// Which end of a connection is translated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NatKind {
    /// The source.
    Source,
    /// The destination.
    Destination,
}

/// Addresses and ports to choose from; the upper ends are inclusive.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct NatRange {
    /// The first address.
    pub min_address: Option<IpAddr>,
    /// The last, where there is more than one.
    pub max_address: Option<IpAddr>,
    /// The first port.
    pub min_port: Option<u16>,
    /// The last, where there is more than one.
    pub max_port: Option<u16>,
}

impl Nat {
    /// Translates the given end to one address.
    pub fn to(kind: NatKind, address: impl Into<IpAddr>) -> Self {
        let range = NatRange {
            min_address: Some(address.into()),
            ..NatRange::default()
        };
        Nat {
            kind: Some(kind),
            range,
            ..Nat::default()
        }
    }

    fn flags(&self) -> u16 {
        let kind = match self.kind {
            None => 0,
            Some(NatKind::Source) => SOURCE,
            Some(NatKind::Destination) => DESTINATION,
        };
        let flags = [
            (self.persistent, PERSISTENT),
            (self.hash, HASH),
            (self.random, RANDOM),
        ];
        let set = flags.into_iter().filter(|(is_set, _)| *is_set);
        set.fold(kind, |flags, (_, bit)| flags | bit)
    }

    pub(super) fn encode(&self, buffer: &mut BytesMut) {
        buffer.put_u16(0);
        buffer.put_u16(self.flags());
        let present_at = buffer.len();
        buffer.put_u16(0);
        let present = self.range.encode(buffer);
        buffer[present_at..present_at + 2].copy_from_slice(&present.to_be_bytes());
    }

    pub(super) fn decode(part: &mut Reader<'_>) -> Result<Option<Self>, DecodeError> {
        part.skip(2)?;
        let flags = part.u16()?;
        let Some(range) = NatRange::decode(part)? else {
            return Ok(None);
        };
        let kind = match flags & (SOURCE | DESTINATION) {
            0 => None,
            SOURCE => Some(NatKind::Source),
            DESTINATION => Some(NatKind::Destination),
            _ => return Ok(None),
        };
        let known = flags & !(SOURCE | DESTINATION | PERSISTENT | HASH | RANDOM) == 0;
        Ok(known.then_some(Nat {
            kind,
            range,
            persistent: flags & PERSISTENT != 0,
            hash: flags & HASH != 0,
            random: flags & RANDOM != 0,
        }))
    }
}

const IPV4_MIN: u16 = 1;
const IPV4_MAX: u16 = 2;
const IPV6_MIN: u16 = 4;
const IPV6_MAX: u16 = 8;
const PORT_MIN: u16 = 16;
const PORT_MAX: u16 = 32;

impl NatRange {
    /// Writes what is present and returns the bits that say so.
    fn encode(&self, buffer: &mut BytesMut) -> u16 {
        put_address(buffer, self.min_address, IPV4_MIN, IPV6_MIN)
            | put_address(buffer, self.max_address, IPV4_MAX, IPV6_MAX)
            | put_port(buffer, self.min_port, PORT_MIN)
            | put_port(buffer, self.max_port, PORT_MAX)
    }

    fn decode(part: &mut Reader<'_>) -> Result<Option<Self>, DecodeError> {
        let present = part.u16()?;
        let mixed = present & (IPV4_MIN | IPV4_MAX) != 0 && present & (IPV6_MIN | IPV6_MAX) != 0;
        if mixed || present > 0x3f {
            return Ok(None);
        }
        Ok(Some(NatRange {
            min_address: read_address(part, present, IPV4_MIN, IPV6_MIN)?,
            max_address: read_address(part, present, IPV4_MAX, IPV6_MAX)?,
            min_port: read_port(part, present & PORT_MIN)?,
            max_port: read_port(part, present & PORT_MAX)?,
        }))
    }
}

fn put_address(buffer: &mut BytesMut, address: Option<IpAddr>, v4: u16, v6: u16) -> u16 {
    match address {
        None => 0,
        Some(IpAddr::V4(address)) => {
            buffer.put_slice(&address.octets());
            v4
        }
        Some(IpAddr::V6(address)) => {
            buffer.put_slice(&address.octets());
            v6
        }
    }
}

fn put_port(buffer: &mut BytesMut, port: Option<u16>, bit: u16) -> u16 {
    port.map_or(0, |port| {
        buffer.put_u16(port);
        bit
    })
}

fn read_address(
    part: &mut Reader<'_>,
    present: u16,
    v4: u16,
    v6: u16,
) -> Result<Option<IpAddr>, DecodeError> {
    Ok(if present & v4 != 0 {
        Some(IpAddr::from(part.array::<4>()?))
    } else if present & v6 != 0 {
        Some(IpAddr::from(part.array::<16>()?))
    } else {
        None
    })
}

fn read_port(part: &mut Reader<'_>, present: u16) -> Result<Option<u16>, DecodeError> {
    if present == 0 {
        Ok(None)
    } else {
        part.u16().map(Some)
    }
}
