//! The actions of the OpenFlow standard; those of experimenters are passed on.

use bytes::{BufMut, BytesMut};

use super::{Action, nicira};
use crate::error::DecodeError;
use crate::fields::Field;
use crate::matches::{FieldMatch, decode_value, encode_field};
use crate::oxm::{self, Header};
use crate::wire::{Reader, pad_to_8, set_length};

const OUTPUT: u16 = 0;
const SET_MPLS_TTL: u16 = 15;
const DEC_MPLS_TTL: u16 = 16;
const PUSH_VLAN: u16 = 17;
const POP_VLAN: u16 = 18;
const PUSH_MPLS: u16 = 19;
const POP_MPLS: u16 = 20;
const SET_QUEUE: u16 = 21;
const GROUP: u16 = 22;
const SET_NW_TTL: u16 = 23;
const DEC_NW_TTL: u16 = 24;
const SET_FIELD: u16 = 25;
const EXPERIMENTER: u16 = 0xffff;

#[inline]
pub(super) fn encode(buffer: &mut BytesMut, action: &Action) {
    match action {
        Action::Output { port, max_len } => {
            put_short(buffer, OUTPUT, 16, port.0);
            buffer.put_u64(u64::from(*max_len) << 48);
        }
        Action::SetField { field, value, mask } if *mask == field.full_mask() => {
            set_field(buffer, *field, *value)
        }
        Action::SetMplsTtl(ttl) => put_short(buffer, SET_MPLS_TTL, 8, u32::from(*ttl) << 24),
        Action::DecMplsTtl => put_short(buffer, DEC_MPLS_TTL, 8, 0),
        Action::PushVlan(kind) => put_short(buffer, PUSH_VLAN, 8, u32::from(*kind) << 16),
        Action::PopVlan => put_short(buffer, POP_VLAN, 8, 0),
        Action::PushMpls(kind) => put_short(buffer, PUSH_MPLS, 8, u32::from(*kind) << 16),
        Action::PopMpls(kind) => put_short(buffer, POP_MPLS, 8, u32::from(*kind) << 16),
        Action::SetQueue(queue) => put_short(buffer, SET_QUEUE, 8, *queue),
        Action::Group(group) => put_short(buffer, GROUP, 8, *group),
        Action::SetTtl(ttl) => put_short(buffer, SET_NW_TTL, 8, u32::from(*ttl) << 24),
        Action::DecTtl => put_short(buffer, DEC_NW_TTL, 8, 0),
        Action::Raw(bytes) => buffer.put_slice(bytes),
        Action::SetField { .. }
        | Action::OutputReg { .. }
        | Action::OutputTrunc { .. }
        | Action::Controller { .. }
        | Action::PopQueue
        | Action::Move { .. }
        | Action::Load { .. }
        | Action::DeleteField(_)
        | Action::Resubmit { .. }
        | Action::ResubmitCt { .. }
        | Action::DecTtlIds(_)
        | Action::Ct(_)
        | Action::Nat(_)
        | Action::CtClear
        | Action::Learn(_)
        | Action::Note(_)
        | Action::Conjunction { .. }
        | Action::Clone(_)
        | Action::Multipath(_)
        | Action::Bundle(_)
        | Action::CheckPktLarger { .. }
        | Action::StackPush(_)
        | Action::StackPop(_)
        | Action::Exit => nicira::encode(buffer, action),
    }
}

/// The action of this type whose body `part` is; `None` for one without a name here.
#[inline]
pub(super) fn decode(
    kind: u16,
    part: &mut Reader<'_>,
    depth: usize,
) -> Result<Option<Action>, DecodeError> {
    Ok(Some(match kind {
        OUTPUT => {
            let found = Action::Output {
                port: part.port()?,
                max_len: part.u16()?,
            };
            part.skip(6)?;
            found
        }
        SET_MPLS_TTL => Action::SetMplsTtl(part.u8()?),
        DEC_MPLS_TTL => Action::DecMplsTtl,
        PUSH_VLAN => Action::PushVlan(part.u16()?),
        POP_VLAN => Action::PopVlan,
        PUSH_MPLS => Action::PushMpls(part.u16()?),
        POP_MPLS => Action::PopMpls(part.u16()?),
        SET_QUEUE => Action::SetQueue(part.u32()?),
        GROUP => Action::Group(part.u32()?),
        SET_NW_TTL => Action::SetTtl(part.u8()?),
        DEC_NW_TTL => Action::DecTtl,
        SET_FIELD => return decode_set_field(part),
        EXPERIMENTER => return nicira::decode(part, depth),
        _ => return Ok(None),
    }))
}

fn put_short(buffer: &mut BytesMut, kind: u16, length: u16, argument: u32) {
    buffer.put_u64(u64::from(kind) << 48 | u64::from(length) << 32 | u64::from(argument));
}

fn set_field(buffer: &mut BytesMut, field: Field, value: u128) {
    let start = buffer.len();
    buffer.put_u32(u32::from(SET_FIELD) << 16);
    encode_field(
        buffer,
        &FieldMatch {
            field,
            value,
            mask: field.full_mask(),
        },
    );
    pad_to_8(buffer, start);
    set_length(buffer, start, start + 2);
}

fn decode_set_field(part: &mut Reader<'_>) -> Result<Option<Action>, DecodeError> {
    if let [_, _, number, ..] = part.rest()
        && number & 1 == 0
        && let Some((FieldMatch { field, value, mask }, rest)) = oxm::usual(part.rest())
    {
        part.go_on_at(rest);
        return Ok(Some(Action::SetField { field, value, mask }));
    }
    let header = Header::read(part)?;
    let (Some(field), false) = (Field::from_oxm(header.id), header.masked) else {
        return Ok(None);
    };
    let FieldMatch { value, mask, .. } = decode_value(part, field, header)?;
    Ok(Some(Action::SetField { field, value, mask }))
}
