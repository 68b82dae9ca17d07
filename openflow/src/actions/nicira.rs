//! Nicira's extension actions (`include/openflow/nicira-ext.h` and `lib/ofp-actions.c` of Open vSwitch).
//!
//! All share one header: type 0xffff, length, experimenter 0x2320, subtype. Fields inside them are named by their NXM
//! header where they have one.

mod controller;

use super::{Action, conntrack, learn, selection};
use crate::error::DecodeError;
use crate::fields::{Field, NICIRA};
use crate::matches::decode_value;
use crate::numbers::{PortNo, TableId};
use crate::oxm::{self, FieldId, Header};
use crate::subfield::{Subfield, put_short_header, read_field, read_short_field};
use crate::wire::{Reader, pad_to_8, padding, put_uint, set_length};
use bytes::{BufMut, BytesMut};

const RESUBMIT: u16 = 1;
const POP_QUEUE: u16 = 5;
const REG_MOVE: u16 = 6;
const REG_LOAD: u16 = 7;
const NOTE: u16 = 8;
const MULTIPATH: u16 = 10;
const BUNDLE: u16 = 12;
const BUNDLE_LOAD: u16 = 13;
const RESUBMIT_TABLE: u16 = 14;
const OUTPUT_REG: u16 = 15;
const LEARN: u16 = 16;
const EXIT: u16 = 17;
const CONTROLLER: u16 = 20;
const DEC_TTL_IDS: u16 = 21;
const STACK_PUSH: u16 = 27;
const STACK_POP: u16 = 28;
const OUTPUT_REG2: u16 = 32;
const REG_LOAD2: u16 = 33;
const CONJUNCTION: u16 = 34;
const CT: u16 = 35;
const NAT: u16 = 36;
const CONTROLLER2: u16 = 37;
const OUTPUT_TRUNC: u16 = 39;
const CLONE: u16 = 42;
const CT_CLEAR: u16 = 43;
const RESUBMIT_TABLE_CT: u16 = 44;
const LEARN2: u16 = 45;
const CHECK_PKT_LARGER: u16 = 49;
const DELETE_FIELD: u16 = 50;

/// `OFPP_IN_PORT` in 16 bits.
const SAME_PORT: u16 = 0xfff8;
/// The current table, in resubmit.
const SAME_TABLE: TableId = TableId(0xff);

pub(super) fn encode(buffer: &mut BytesMut, action: &Action) {
    let start = buffer.len();
    buffer.put_u64(0xffff_0000_0000_0000 | u64::from(NICIRA));
    encode_body(buffer, action);
    pad_to_8(buffer, start);
    set_length(buffer, start, start + 2);
}

fn encode_body(buffer: &mut BytesMut, action: &Action) {
    match action {
        Action::SetField { field, value, mask } => set_masked(buffer, *field, *value, *mask),
        Action::OutputReg { src, max_len } => output_reg(buffer, *src, *max_len),
        Action::OutputTrunc { port, max_len } => output_trunc(buffer, *port, *max_len),
        Action::Controller { .. } => controller::encode(buffer, action),
        Action::PopQueue => put_bare(buffer, POP_QUEUE),
        Action::CtClear => put_bare(buffer, CT_CLEAR),
        Action::Exit => put_bare(buffer, EXIT),
        Action::Move { src, dst } => move_field(buffer, *src, *dst),
        Action::Load { value, dst } => load(buffer, *value, *dst),
        Action::DeleteField(field) => delete_field(buffer, field),
        Action::Resubmit { in_port, table } => resubmit(buffer, RESUBMIT_TABLE, *in_port, *table),
        Action::ResubmitCt { in_port, table } => {
            resubmit(buffer, RESUBMIT_TABLE_CT, *in_port, *table)
        }
        Action::DecTtlIds(ids) => dec_ttl_ids(buffer, ids),
        Action::Conjunction {
            id,
            clause,
            clauses,
        } => conjunction(buffer, *id, *clause, *clauses),
        Action::CheckPktLarger { length, dst } => check_pkt_larger(buffer, *length, *dst),
        Action::Note(note) => put_note(buffer, note),
        Action::Clone(list) => put_clone(buffer, list),
        Action::Ct(ct) => ct.encode(subtype(buffer, CT)),
        Action::Nat(nat) => nat.encode(subtype(buffer, NAT)),
        Action::Learn(learn) => {
            let kind = if learn.is_extended() { LEARN2 } else { LEARN };
            learn.encode(subtype(buffer, kind));
        }
        Action::Multipath(multipath) => multipath.encode(subtype(buffer, MULTIPATH)),
        Action::Bundle(bundle) => {
            let loads = bundle.dst.is_some();
            bundle.encode(subtype(buffer, if loads { BUNDLE_LOAD } else { BUNDLE }));
        }
        Action::StackPush(part) => stack(buffer, STACK_PUSH, *part),
        Action::StackPop(part) => stack(buffer, STACK_POP, *part),
        // The standard's own, which never come here.
        Action::Output { .. }
        | Action::Group(_)
        | Action::SetQueue(_)
        | Action::DecTtl
        | Action::SetTtl(_)
        | Action::PushVlan(_)
        | Action::PopVlan
        | Action::PushMpls(_)
        | Action::PopMpls(_)
        | Action::SetMplsTtl(_)
        | Action::DecMplsTtl
        | Action::Raw(_) => {}
    }
}

/// The action whose body `part` is, from the experimenter id on; `None` for one without a name here.
pub(super) fn decode(part: &mut Reader<'_>, depth: usize) -> Result<Option<Action>, DecodeError> {
    if part.u32()? != NICIRA {
        return Ok(None);
    }
    Ok(Some(match part.u16()? {
        RESUBMIT => Action::Resubmit {
            in_port: Some(part.u16()?),
            table: None,
        },
        RESUBMIT_TABLE => {
            let (in_port, table) = decode_resubmit(part)?;
            Action::Resubmit { in_port, table }
        }
        RESUBMIT_TABLE_CT => {
            let (in_port, table) = decode_resubmit(part)?;
            Action::ResubmitCt { in_port, table }
        }
        POP_QUEUE => Action::PopQueue,
        CT_CLEAR => Action::CtClear,
        EXIT => Action::Exit,
        REG_MOVE => return decode_move(part),
        REG_LOAD => return decode_load(part),
        REG_LOAD2 => return decode_load2(part),
        NOTE => Action::Note(part.remainder()),
        MULTIPATH => return Ok(selection::Multipath::decode(part)?.map(Action::Multipath)),
        kind @ (BUNDLE | BUNDLE_LOAD) => {
            return Ok(
                selection::BundleAction::decode(part, kind == BUNDLE_LOAD)?.map(Action::Bundle)
            );
        }
        OUTPUT_REG => return decode_output_reg(part),
        OUTPUT_REG2 => return decode_output_reg2(part),
        OUTPUT_TRUNC => Action::OutputTrunc {
            port: PortNo::from_short(part.u16()?),
            max_len: part.u32()?,
        },
        kind @ (LEARN | LEARN2) => {
            return Ok(learn::Learn::decode(part, kind == LEARN2)?
                .map(|learn| Action::Learn(Box::new(learn))));
        }
        CONTROLLER => controller::decode(part)?,
        CONTROLLER2 => return controller::decode2(part),
        DEC_TTL_IDS => decode_dec_ttl_ids(part)?,
        kind @ (STACK_PUSH | STACK_POP) => return decode_stack(part, kind == STACK_PUSH),
        CONJUNCTION => decode_conjunction(part)?,
        CT => return Ok(conntrack::Ct::decode(part, depth)?.map(Action::Ct)),
        NAT => return Ok(conntrack::Nat::decode(part)?.map(Action::Nat)),
        CLONE => {
            part.skip(6)?;
            Action::Clone(super::decode_nested(part, depth + 1)?)
        }
        CHECK_PKT_LARGER => return decode_check_pkt_larger(part),
        DELETE_FIELD => return decode_delete_field(part),
        _ => return Ok(None),
    }))
}

/// Starts the body of a subtype, which follows.
fn subtype(buffer: &mut BytesMut, subtype: u16) -> &mut BytesMut {
    buffer.put_u16(subtype);
    buffer
}

fn put_note(buffer: &mut BytesMut, note: &[u8]) {
    buffer.put_u16(NOTE);
    buffer.put_slice(note);
}

fn put_clone(buffer: &mut BytesMut, list: &[Action]) {
    put_bare(buffer, CLONE);
    super::encode_list(buffer, list);
}

/// A subtype without arguments, in 16 bytes.
fn put_bare(buffer: &mut BytesMut, subtype: u16) {
    buffer.put_u16(subtype);
    buffer.put_bytes(0, 6);
}

fn put_padded_header(buffer: &mut BytesMut, field: Field, room: usize) {
    let start = buffer.len();
    oxm::put_header(buffer, field.nxm(), field.bytes(), false);
    let used = buffer.len() - start;
    buffer.put_bytes(0, room - used);
}

/// `reg_load2`: an OXM entry with a mask.
fn set_masked(buffer: &mut BytesMut, field: Field, value: u128, mask: u128) {
    buffer.put_u16(REG_LOAD2);
    oxm::put_header(buffer, field.nxm(), field.bytes(), true);
    put_uint(buffer, value, field.bytes());
    put_uint(buffer, mask, field.bytes());
}

fn decode_load2(part: &mut Reader<'_>) -> Result<Option<Action>, DecodeError> {
    let header = Header::read(part)?;
    let (Some(field), true) = (Field::from_oxm(header.id), header.masked) else {
        return Ok(None);
    };
    let entry = decode_value(part, field, header)?;
    Ok((!entry.is_exact()).then_some(Action::SetField {
        field,
        value: entry.value,
        mask: entry.mask,
    }))
}

fn load(buffer: &mut BytesMut, value: u64, dst: Subfield) {
    buffer.put_u16(REG_LOAD);
    buffer.put_u16(dst.packed());
    put_short_header(buffer, dst.field);
    buffer.put_u64(value);
}

fn decode_load(part: &mut Reader<'_>) -> Result<Option<Action>, DecodeError> {
    let packed = part.u16()?;
    let field = read_short_field(part)?;
    let value = part.u64()?;
    Ok(field.map(|field| Action::Load {
        value,
        dst: Subfield::unpack(field, packed),
    }))
}

fn move_field(buffer: &mut BytesMut, src: Subfield, dst: Subfield) {
    [REG_MOVE, dst.bits, src.offset, dst.offset]
        .into_iter()
        .for_each(|number| buffer.put_u16(number));
    src.put_header(buffer);
    dst.put_header(buffer);
}

fn decode_move(part: &mut Reader<'_>) -> Result<Option<Action>, DecodeError> {
    let (bits, from, to) = (part.u16()?, part.u16()?, part.u16()?);
    let (src, dst) = (read_field(part)?, read_field(part)?);
    Ok(src.zip(dst).map(|(src, dst)| Action::Move {
        src: Subfield::new(src, from, bits),
        dst: Subfield::new(dst, to, bits),
    }))
}

fn output_reg(buffer: &mut BytesMut, src: Subfield, max_len: u16) {
    let short = src.field.nxm().experimenter == 0;
    buffer.put_u16(if short { OUTPUT_REG } else { OUTPUT_REG2 });
    buffer.put_u16(src.packed());
    if short {
        put_short_header(buffer, src.field);
        buffer.put_u16(max_len);
        buffer.put_bytes(0, 6);
    } else {
        buffer.put_u16(max_len);
        put_padded_header(buffer, src.field, 10);
    }
}

fn decode_output_reg(part: &mut Reader<'_>) -> Result<Option<Action>, DecodeError> {
    let packed = part.u16()?;
    let field = read_short_field(part)?;
    let max_len = part.u16()?;
    Ok(field.map(|field| Action::OutputReg {
        src: Subfield::unpack(field, packed),
        max_len,
    }))
}

fn decode_output_reg2(part: &mut Reader<'_>) -> Result<Option<Action>, DecodeError> {
    let (packed, max_len) = (part.u16()?, part.u16()?);
    let field = read_field(part)?.filter(|field| field.nxm().experimenter != 0);
    Ok(field.map(|field| Action::OutputReg {
        src: Subfield::unpack(field, packed),
        max_len,
    }))
}

fn output_trunc(buffer: &mut BytesMut, port: PortNo, max_len: u32) {
    buffer.put_u16(OUTPUT_TRUNC);
    buffer.put_u16(port.to_short());
    buffer.put_u32(max_len);
}

fn resubmit(buffer: &mut BytesMut, subtype: u16, in_port: Option<u16>, table: Option<TableId>) {
    let plain = table.is_none() && in_port.is_some() && subtype == RESUBMIT_TABLE;
    buffer.put_u16(if plain { RESUBMIT } else { subtype });
    buffer.put_u16(in_port.unwrap_or(SAME_PORT));
    buffer.put_u32(if plain {
        0
    } else {
        u32::from(table.unwrap_or(SAME_TABLE).0) << 24
    });
}

fn decode_resubmit(part: &mut Reader<'_>) -> Result<(Option<u16>, Option<TableId>), DecodeError> {
    let (port, table) = (part.u16()?, part.table()?);
    let in_port = (port != SAME_PORT).then_some(port);
    // With a port and no table there is an older form, which this one is to be told apart from.
    let table = (table != SAME_TABLE || in_port.is_some()).then_some(table);
    Ok((in_port, table))
}

fn stack(buffer: &mut BytesMut, subtype: u16, part: Subfield) {
    buffer.put_u16(subtype);
    buffer.put_u16(part.offset);
    let start = buffer.len();
    part.put_header(buffer);
    buffer.put_u16(part.bits);
    let used = buffer.len() - start;
    buffer.put_bytes(0, 12 - used);
}

fn decode_stack(part: &mut Reader<'_>, push: bool) -> Result<Option<Action>, DecodeError> {
    let offset = part.u16()?;
    let field = read_field(part)?;
    let bits = part.u16()?;
    let make = if push {
        Action::StackPush
    } else {
        Action::StackPop
    };
    Ok(field.map(|field| make(Subfield::new(field, offset, bits))))
}

fn dec_ttl_ids(buffer: &mut BytesMut, ids: &[u16]) {
    buffer.put_u16(DEC_TTL_IDS);
    buffer.put_u16(ids.len() as u16);
    buffer.put_u32(0);
    ids.iter().for_each(|id| buffer.put_u16(*id));
}

fn decode_dec_ttl_ids(part: &mut Reader<'_>) -> Result<Action, DecodeError> {
    let count = usize::from(part.u16()?);
    part.skip(4)?;
    let mut ids = part.part(2 * count)?;
    part.skip(padding(2 * count))?;
    (0..count)
        .map(|_| ids.u16())
        .collect::<Result<_, _>>()
        .map(Action::DecTtlIds)
}

fn conjunction(buffer: &mut BytesMut, id: u32, clause: u8, clauses: u8) {
    buffer.put_u16(CONJUNCTION);
    buffer.put_u8(clause);
    buffer.put_u8(clauses);
    buffer.put_u32(id);
}

fn decode_conjunction(part: &mut Reader<'_>) -> Result<Action, DecodeError> {
    let (clause, clauses) = (part.u8()?, part.u8()?);
    Ok(Action::Conjunction {
        id: part.u32()?,
        clause,
        clauses,
    })
}

fn check_pkt_larger(buffer: &mut BytesMut, length: u16, dst: Subfield) {
    [CHECK_PKT_LARGER, length, dst.offset]
        .into_iter()
        .for_each(|number| buffer.put_u16(number));
    put_padded_header(buffer, dst.field, 10);
}

fn decode_check_pkt_larger(part: &mut Reader<'_>) -> Result<Option<Action>, DecodeError> {
    let (length, offset) = (part.u16()?, part.u16()?);
    let field = read_field(part)?;
    Ok(field.map(|field| Action::CheckPktLarger {
        length,
        dst: Subfield::new(field, offset, 1),
    }))
}

fn delete_field(buffer: &mut BytesMut, field: &FieldId) {
    buffer.put_u16(DELETE_FIELD);
    let start = buffer.len();
    field.encode(buffer);
    buffer.put_bytes(0, 14usize.saturating_sub(buffer.len() - start));
}

fn decode_delete_field(part: &mut Reader<'_>) -> Result<Option<Action>, DecodeError> {
    let field = FieldId::decode(part)?;
    part.remainder();
    Ok(Some(Action::DeleteField(field)))
}
