//! Names of actions that are carried as they came: those that OpenFlow 1.3 has another way to say, and those that use tunnel
//! metadata, whose fields have no fixed width.

use std::fmt::{self, Display, Formatter};

use bytes::Bytes;

use super::values::Hex;
use crate::actions::Learn;
use crate::actions::learn::{
    FROM_IMMEDIATE, LearnSpec, TO_LOAD, TO_OUTPUT, WIDTH, WRITE_RESULT, immediate_bytes,
};
use crate::error::DecodeError;
use crate::fields::{Field, NICIRA, ONF};
use crate::oxm::{FieldId, Header};
use crate::subfield::Subfield;
use crate::wire::Reader;

const SET_FIELD: u16 = 25;
const EXPERIMENTER: u16 = 0xffff;
// `NXAST_*`, and `ONFACT_RAW13_COPY_FIELD` (`lib/ofp-actions.c`).
const SET_TUNNEL: u16 = 2;
const REG_MOVE: u16 = 6;
const REG_LOAD: u16 = 7;
const SET_TUNNEL64: u16 = 9;
const OUTPUT_REG: u16 = 15;
const LEARN: u16 = 16;
const STACK_PUSH: u16 = 27;
const STACK_POP: u16 = 28;
const LEARN2: u16 = 45;
const COPY_FIELD: u16 = 3200;

/// What `ovs-ofctl` calls an action that is carried as bytes, if it is one of these.
pub(super) fn named(action: &Bytes) -> Option<String> {
    let mut reader = Reader::new(action);
    described(&mut reader).ok().flatten()
}

type Described = Result<Option<String>, DecodeError>;

fn described(reader: &mut Reader<'_>) -> Described {
    let kind = reader.u16()?;
    reader.skip(2)?;
    match kind {
        SET_FIELD => return set_field(reader),
        EXPERIMENTER => {}
        _ => return Ok(None),
    }
    match (reader.u32()?, reader.u16()?) {
        (NICIRA, SET_TUNNEL) => {
            reader.skip(2)?;
            let tunnel = reader.u32()?;
            Ok(Some(format!("set_tunnel:{}", Hex(tunnel.into()))))
        }
        (NICIRA, SET_TUNNEL64) => {
            reader.skip(6)?;
            let tunnel = reader.u64()?;
            Ok(Some(format!("set_tunnel64:{}", Hex(tunnel.into()))))
        }
        (NICIRA, REG_MOVE) => moved(reader, 0),
        (ONF, COPY_FIELD) => {
            reader.skip(2)?;
            moved(reader, 2)
        }
        (NICIRA, REG_LOAD) => {
            let part = packed(reader)?;
            let value = reader.u64()?;
            Ok(part.map(|part| format!("load:{}->{part}", Hex(value.into()))))
        }
        (NICIRA, OUTPUT_REG) => Ok(packed(reader)?.map(|part| format!("output:{part}"))),
        (NICIRA, kind @ (STACK_PUSH | STACK_POP)) => {
            let offset = reader.u16()?;
            let place = Place::read(reader)?;
            let bits = reader.u16()?;
            let name = if kind == STACK_PUSH { "push" } else { "pop" };
            Ok(place.map(|place| format!("{name}:{}", place.part(offset, bits))))
        }
        (NICIRA, LEARN) => learn(reader, false),
        (NICIRA, LEARN2) => learn(reader, true),
        _ => Ok(None),
    }
}

/// A field that a part of is used.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    Named(Field),
    /// An option of the tunnel.
    Tunnel(u8),
}

/// Some bits of it.
#[derive(Clone, Copy, PartialEq)]
struct Part {
    place: Place,
    offset: u16,
    bits: u16,
}

impl Place {
    fn read(reader: &mut Reader<'_>) -> Result<Option<Self>, DecodeError> {
        let mut raw = reader.clone();
        let header = Header::read(reader)?;
        if let Some(field) = Field::from_oxm(header.id) {
            return Ok(Some(Self::Named(field)));
        }
        let bytes = raw.bytes(raw.left() - reader.left())?;
        Ok(FieldId::Raw(bytes).as_tunnel_metadata().map(Self::Tunnel))
    }

    fn part(self, offset: u16, bits: u16) -> Part {
        Part {
            place: self,
            offset,
            bits,
        }
    }
}

impl Display for Part {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        /// Bits of an option of the tunnel.
        const WHOLE: u16 = 8 * 124;
        let (offset, bits) = (self.offset, self.bits);
        match self.place {
            Place::Named(field) => return Subfield::new(field, offset, bits).fmt(f),
            Place::Tunnel(number) => write!(f, "NXM_NX_TUN_METADATA{number}")?,
        }
        match (offset, bits) {
            (0, WHOLE) => f.write_str("[]"),
            (_, 1) => write!(f, "[{offset}]"),
            _ => write!(
                f,
                "[{offset}..{}]",
                (u32::from(offset) + u32::from(bits)).saturating_sub(1)
            ),
        }
    }
}

/// Nicira's `ofs_nbits`, and the field behind it.
fn packed(reader: &mut Reader<'_>) -> Result<Option<Part>, DecodeError> {
    let packed = reader.u16()?;
    let place = Place::read(reader)?;
    Ok(place.map(|place| place.part(packed >> 6, (packed & 0x3f) + 1)))
}

/// `gap` octets are between the numbers and the fields.
fn moved(reader: &mut Reader<'_>, gap: usize) -> Described {
    let (bits, from, to) = (reader.u16()?, reader.u16()?, reader.u16()?);
    reader.skip(gap)?;
    let places = Place::read(reader)?.zip(Place::read(reader)?);
    Ok(places.map(|(src, dst)| format!("move:{}->{}", src.part(from, bits), dst.part(to, bits))))
}

/// Only that of an option of the tunnel is carried as it came.
fn set_field(reader: &mut Reader<'_>) -> Described {
    let header = Header::read(&mut reader.clone())?;
    let Some(Place::Tunnel(option)) = Place::read(reader)? else {
        return Ok(None);
    };
    let value = reader.slice(header.payload)?;
    if header.masked {
        return Ok(None);
    }
    Ok(Some(format!(
        "set_field:{}->tun_metadata{option}",
        number(value)
    )))
}

fn learn(reader: &mut Reader<'_>, extended: bool) -> Described {
    let mut head = Learn::decode_fixed(reader)?;
    let mut result = None;
    if extended {
        head.limit = reader.u32()?;
        let offset = reader.u16()?;
        reader.skip(2)?;
        if head.flags & WRITE_RESULT != 0 {
            let Some(place) = Place::read(reader)? else {
                return Ok(None);
            };
            result = Some(place.part(offset, 1));
        }
    }
    head.flags &= !WRITE_RESULT;
    let text = head.to_string();
    let mut text = text.strip_suffix(')').unwrap_or(&text).to_owned();
    if let Some(result) = result {
        text += &format!(",result_dst={result}");
    }
    while reader.left() >= 2 {
        let header = reader.u16()?;
        if header == 0 {
            break;
        }
        let Some(spec) = spec(header, reader)? else {
            return Ok(None);
        };
        text = format!("{text},{spec}");
    }
    Ok(Some(text + ")"))
}

/// A part of a learned flow, in the words of one whose fields have names here where it has such.
fn spec(header: u16, reader: &mut Reader<'_>) -> Described {
    let mut ahead = reader.clone();
    if let Ok(Some(spec)) = LearnSpec::decode(header, &mut ahead) {
        reader.skip(reader.left() - ahead.left())?;
        return Ok(Some(spec.to_string()));
    }
    let bits = header & WIDTH;
    let src = match header & FROM_IMMEDIATE {
        0 => part_of(reader, bits)?.map(Source::Part),
        _ => Some(Source::Value(reader.slice(immediate_bytes(bits))?.to_vec())),
    };
    let Some(src) = src else {
        return Ok(None);
    };
    let kind = header & !(WIDTH | FROM_IMMEDIATE);
    if kind == TO_OUTPUT {
        return Ok(match src {
            Source::Part(part) => Some(format!("output:{part}")),
            Source::Value(_) => None,
        });
    }
    let Some(dst) = part_of(reader, bits)? else {
        return Ok(None);
    };
    Ok(match (kind, src) {
        (0, Source::Part(src)) if src == dst => Some(dst.to_string()),
        (0, src) => Some(format!("{dst}={src}")),
        (TO_LOAD, src) => Some(format!("load:{src}->{dst}")),
        _ => None,
    })
}

fn part_of(reader: &mut Reader<'_>, bits: u16) -> Result<Option<Part>, DecodeError> {
    let place = Place::read(reader)?;
    let offset = reader.u16()?;
    Ok(place.map(|place| place.part(offset, bits)))
}

enum Source {
    Part(Part),
    Value(Vec<u8>),
}

impl Display for Source {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Part(part) => part.fmt(f),
            Self::Value(value) => f.write_str(&number(value)),
        }
    }
}

/// A number of any length in hexadecimal.
fn number(octets: &[u8]) -> String {
    let digits: String = octets.iter().map(|octet| format!("{octet:02x}")).collect();
    match digits.trim_start_matches('0') {
        "" => "0".to_owned(),
        digits => format!("0x{digits}"),
    }
}
