//! Instructions: what a flow does with a packet it matched (OpenFlow 1.3.5, 7.2.4).

use bytes::{BufMut, Bytes, BytesMut};

use crate::actions::{self, Action};
use crate::error::DecodeError;
use crate::failure::ErrorCode;
use crate::numbers::TableId;
use crate::wire::{Reader, set_length};

const GOTO_TABLE: u16 = 1;
const WRITE_METADATA: u16 = 2;
const WRITE_ACTIONS: u16 = 3;
const APPLY_ACTIONS: u16 = 4;
const CLEAR_ACTIONS: u16 = 5;
const METER: u16 = 6;

/// One instruction of a flow.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Instruction {
    /// Go on in a later table.
    GotoTable(TableId),
    /// Set the bits of the metadata register that `mask` names.
    WriteMetadata {
        /// The bits wanted.
        value: u64,
        /// The bits changed.
        mask: u64,
    },
    /// Add to the action set, which runs when the pipeline ends.
    Write(Vec<Action>),
    /// Do at once, in order.
    Apply(Vec<Action>),
    /// Empty the action set.
    Clear,
    /// Pass a meter or be dropped.
    Meter(u32),
    /// An instruction without a name here, header included.
    Raw(Bytes),
}

impl Instruction {
    pub(crate) fn encode(&self, buffer: &mut BytesMut) {
        match self {
            Instruction::GotoTable(table) => {
                put_header(buffer, GOTO_TABLE, 8);
                buffer.put_u32(u32::from(table.0) << 24);
            }
            Instruction::WriteMetadata { value, mask } => {
                put_header(buffer, WRITE_METADATA, 24);
                buffer.put_u32(0);
                buffer.put_u64(*value);
                buffer.put_u64(*mask);
            }
            Instruction::Write(list) => put_actions(buffer, WRITE_ACTIONS, list),
            Instruction::Apply(list) => put_actions(buffer, APPLY_ACTIONS, list),
            Instruction::Clear => put_actions(buffer, CLEAR_ACTIONS, &[]),
            Instruction::Meter(meter) => {
                put_header(buffer, METER, 8);
                buffer.put_u32(*meter);
            }
            Instruction::Raw(bytes) => buffer.put_slice(bytes),
        }
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let [a, b, c, d] = reader.peek()?;
        let (kind, length) = (
            u16::from_be_bytes([a, b]),
            usize::from(u16::from_be_bytes([c, d])),
        );
        if length < 8
            || !length.is_multiple_of(8)
            || fixed_length(kind).is_some_and(|fixed| fixed != length)
        {
            return Err(reader.bad_length("instruction", length));
        }
        let mut part = reader.part(length)?;
        let mut whole = part.clone();
        part.skip(4)?;
        Ok(match kind {
            GOTO_TABLE => Instruction::GotoTable(part.table()?),
            WRITE_METADATA => {
                part.skip(4)?;
                Instruction::WriteMetadata {
                    value: part.u64()?,
                    mask: part.u64()?,
                }
            }
            WRITE_ACTIONS => Instruction::Write(decode_actions(&mut part)?),
            APPLY_ACTIONS => Instruction::Apply(decode_actions(&mut part)?),
            CLEAR_ACTIONS => Instruction::Clear,
            METER => Instruction::Meter(part.u32()?),
            _ => Instruction::Raw(whole.remainder()),
        })
    }
}

/// The length of an instruction that has but one.
fn fixed_length(kind: u16) -> Option<usize> {
    match kind {
        GOTO_TABLE | CLEAR_ACTIONS | METER => Some(8),
        WRITE_METADATA => Some(24),
        _ => None,
    }
}

/// Instructions up to the end of `reader`.
pub(crate) fn decode_list(reader: &mut Reader<'_>) -> Result<Vec<Instruction>, DecodeError> {
    let mut found = Vec::with_capacity(if reader.is_empty() { 0 } else { 2 });
    while !reader.is_empty() {
        let instruction = Instruction::decode(reader);
        found.push(instruction.map_err(|error| error.inside(ErrorCode::BAD_INSTRUCTION_LENGTH))?);
    }
    Ok(found)
}

fn put_header(buffer: &mut BytesMut, kind: u16, length: u16) {
    buffer.put_u32(u32::from(kind) << 16 | u32::from(length));
}

fn put_actions(buffer: &mut BytesMut, kind: u16, list: &[Action]) {
    let start = buffer.len();
    put_header(buffer, kind, 0);
    buffer.put_u32(0);
    actions::encode_list(buffer, list);
    set_length(buffer, start, start + 2);
}

fn decode_actions(part: &mut Reader<'_>) -> Result<Vec<Action>, DecodeError> {
    part.skip(4)?;
    actions::decode_list(part)
}
