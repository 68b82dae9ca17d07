//! `learn(…)`: a flow that adds flows (ovs-actions(7), `struct nx_action_learn`, `nx_action_learn2`).

use bytes::{BufMut, BytesMut};

use crate::error::DecodeError;
use crate::fields::ones;
use crate::numbers::{Cookie, TableId};
use crate::oxm;
use crate::subfield::{Subfield, put_short_header, read_field, read_short_field};
use crate::wire::{Reader, put_uint};

/// The learned flow reports when it goes.
pub const LEARN_SEND_FLOW_REMOVED: u16 = 1;
/// The learned flows go when this one does.
pub const LEARN_DELETE_LEARNED: u16 = 2;
pub(crate) const WRITE_RESULT: u16 = 4;

pub(crate) const FROM_IMMEDIATE: u16 = 1 << 13;
pub(crate) const TO_LOAD: u16 = 1 << 11;
pub(crate) const TO_OUTPUT: u16 = 2 << 11;
pub(crate) const WIDTH: u16 = 0x7ff;

/// Adds or refreshes a flow made from the packet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Learn {
    /// Seconds without a packet after which the learned flow goes; 0 for never.
    pub idle_timeout: u16,
    /// Seconds after which it goes; 0 for never.
    pub hard_timeout: u16,
    /// Its priority.
    pub priority: u16,
    /// Its cookie.
    pub cookie: Cookie,
    /// [`LEARN_SEND_FLOW_REMOVED`], [`LEARN_DELETE_LEARNED`].
    pub flags: u16,
    /// Its table.
    pub table: TableId,
    /// Its idle timeout after TCP FIN or RST, 0 for no change.
    pub fin_idle_timeout: u16,
    /// Its hard timeout after TCP FIN or RST, 0 for no change.
    pub fin_hard_timeout: u16,
    /// How many flows may be learned, 0 for any number.
    pub limit: u32,
    /// The bit that says whether learning succeeded.
    pub result: Option<Subfield>,
    /// What it matches and does.
    pub specs: Vec<LearnSpec>,
}

/// One part of a learned flow.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum LearnSpec {
    /// Bits taken from the packet.
    Field {
        /// Which bits.
        src: Subfield,
        /// What becomes of them.
        target: LearnTarget,
    },
    /// Bits given here.
    Value {
        /// The bits, right-aligned.
        value: u128,
        /// What becomes of them.
        target: LearnTarget,
    },
}

/// What becomes of bits in a learned flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LearnTarget {
    /// The learned flow matches them.
    Match(Subfield),
    /// The learned flow loads them.
    Load(Subfield),
    /// The learned flow outputs to the port with this number.
    Output,
}

impl Learn {
    /// Whether only the newer form (`learn2`) can say this.
    pub(super) fn is_extended(&self) -> bool {
        self.limit != 0 || self.result.is_some()
    }

    pub(super) fn encode(&self, buffer: &mut BytesMut) {
        [self.idle_timeout, self.hard_timeout, self.priority]
            .into_iter()
            .for_each(|number| buffer.put_u16(number));
        buffer.put_u64(self.cookie.0);
        buffer.put_u16(
            self.flags
                | if self.result.is_some() {
                    WRITE_RESULT
                } else {
                    0
                },
        );
        buffer.put_u8(self.table.0);
        buffer.put_u8(0);
        buffer.put_u16(self.fin_idle_timeout);
        buffer.put_u16(self.fin_hard_timeout);
        if self.is_extended() {
            buffer.put_u32(self.limit);
            buffer.put_u16(self.result.map_or(0, |bit| bit.offset));
            buffer.put_u16(0);
        }
        if let Some(bit) = self.result {
            oxm::put_header(buffer, bit.field.nxm(), bit.field.bytes(), false);
        }
        self.specs.iter().for_each(|spec| spec.encode(buffer));
    }

    pub(super) fn decode(
        part: &mut Reader<'_>,
        extended: bool,
    ) -> Result<Option<Self>, DecodeError> {
        let mut found = Learn::decode_fixed(part)?;
        let mut result_offset = 0;
        if extended {
            found.limit = part.u32()?;
            result_offset = part.u16()?;
            part.skip(2)?;
        }
        if found.flags & WRITE_RESULT != 0 {
            let field = read_field(part)?;
            let (Some(field), true) = (field, extended) else {
                return Ok(None);
            };
            found.flags &= !WRITE_RESULT;
            found.result = Some(Subfield::new(field, result_offset, 1));
        }
        if extended != found.is_extended() {
            return Ok(None);
        }
        found.decode_specs(part)
    }

    pub(crate) fn decode_fixed(part: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (idle_timeout, hard_timeout, priority) = (part.u16()?, part.u16()?, part.u16()?);
        let (cookie, flags, table) = (part.cookie()?, part.u16()?, part.table()?);
        part.skip(1)?;
        let (fin_idle_timeout, fin_hard_timeout) = (part.u16()?, part.u16()?);
        Ok(Learn {
            idle_timeout,
            hard_timeout,
            priority,
            cookie,
            flags,
            table,
            fin_idle_timeout,
            fin_hard_timeout,
            ..Learn::default()
        })
    }

    fn decode_specs(mut self, part: &mut Reader<'_>) -> Result<Option<Self>, DecodeError> {
        while part.left() >= 2 {
            let header = part.u16()?;
            if header == 0 {
                part.remainder();
                break;
            }
            match LearnSpec::decode(header, part)? {
                Some(spec) => self.specs.push(spec),
                None => return Ok(None),
            }
        }
        Ok(Some(self))
    }
}

impl LearnSpec {
    pub(crate) fn target(&self) -> LearnTarget {
        match self {
            LearnSpec::Field { target, .. } | LearnSpec::Value { target, .. } => *target,
        }
    }

    fn bits(&self) -> u16 {
        match (self, self.target()) {
            (LearnSpec::Field { src, .. }, _) => src.bits,
            (LearnSpec::Value { .. }, LearnTarget::Match(dst) | LearnTarget::Load(dst)) => dst.bits,
            (LearnSpec::Value { .. }, LearnTarget::Output) => 16,
        }
    }

    fn encode(&self, buffer: &mut BytesMut) {
        let bits = self.bits();
        let from = if matches!(self, LearnSpec::Value { .. }) {
            FROM_IMMEDIATE
        } else {
            0
        };
        buffer.put_u16((bits & WIDTH) | from | self.target().kind());
        match self {
            LearnSpec::Field { src, .. } => put_place(buffer, *src),
            LearnSpec::Value { value, .. } => put_uint(
                buffer,
                value & ones(bits.into()),
                immediate_bytes(bits).min(16),
            ),
        }
        if let LearnTarget::Match(dst) | LearnTarget::Load(dst) = self.target() {
            put_place(buffer, dst);
        }
    }

    pub(crate) fn decode(header: u16, part: &mut Reader<'_>) -> Result<Option<Self>, DecodeError> {
        let bits = header & WIDTH;
        if header & FROM_IMMEDIATE == 0 {
            let src = read_place(part, bits)?;
            let target = LearnTarget::decode(header, part, bits)?;
            return Ok(src
                .zip(target)
                .map(|(src, target)| LearnSpec::Field { src, target }));
        }
        let bytes = immediate_bytes(bits);
        if bytes > 16 {
            return Ok(None);
        }
        let value = part.uint(bytes)? & ones(bits.into());
        let target = LearnTarget::decode(header, part, bits)?
            .filter(|target| *target != LearnTarget::Output);
        Ok(target.map(|target| LearnSpec::Value { value, target }))
    }
}

impl LearnTarget {
    fn kind(self) -> u16 {
        match self {
            LearnTarget::Match(_) => 0,
            LearnTarget::Load(_) => TO_LOAD,
            LearnTarget::Output => TO_OUTPUT,
        }
    }

    fn decode(header: u16, part: &mut Reader<'_>, bits: u16) -> Result<Option<Self>, DecodeError> {
        Ok(match header & !(WIDTH | FROM_IMMEDIATE) {
            0 => read_place(part, bits)?.map(LearnTarget::Match),
            TO_LOAD => read_place(part, bits)?.map(LearnTarget::Load),
            TO_OUTPUT => Some(LearnTarget::Output),
            _ => None,
        })
    }
}

/// Immediate bits take a whole number of 16-bit words.
pub(crate) fn immediate_bytes(bits: u16) -> usize {
    2 * usize::from(bits).div_ceil(16)
}

fn put_place(buffer: &mut BytesMut, part: Subfield) {
    put_short_header(buffer, part.field);
    buffer.put_u16(part.offset);
}

fn read_place(part: &mut Reader<'_>, bits: u16) -> Result<Option<Subfield>, DecodeError> {
    let field = read_short_field(part)?;
    let offset = part.u16()?;
    Ok(field.map(|field| Subfield::new(field, offset, bits)))
}
