//! Choosing by hash: `multipath(…)` and `bundle(…)` (ovs-actions(7)).

use bytes::{BufMut, BytesMut};

use crate::error::DecodeError;
use crate::subfield::{Subfield, put_short_header, read_short_field};
use crate::wire::{Reader, padding};

/// `NXM_OF_IN_PORT`: what Open vSwitch says the members of a bundle are.
const MEMBER_IS_PORT: u32 = 0x0000_0002;

/// What of a packet is hashed (`enum nx_hash_fields`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HashFields {
    /// The source MAC address.
    EthSrc,
    /// Layers 2 to 4, the same in both directions.
    SymmetricL4,
    /// Layers 3 and 4, the same in both directions.
    SymmetricL3L4,
    /// The same with UDP ports.
    SymmetricL3L4Udp,
    /// The source IP address.
    NwSrc,
    /// The destination IP address.
    NwDst,
    /// Both IP addresses, the same in both directions.
    SymmetricL3,
    /// A later kind.
    Other(u16),
}

impl HashFields {
    const ALL: [HashFields; 7] = [
        HashFields::EthSrc,
        HashFields::SymmetricL4,
        HashFields::SymmetricL3L4,
        HashFields::SymmetricL3L4Udp,
        HashFields::NwSrc,
        HashFields::NwDst,
        HashFields::SymmetricL3,
    ];

    fn number(self) -> u16 {
        match self {
            HashFields::EthSrc => 0,
            HashFields::SymmetricL4 => 1,
            HashFields::SymmetricL3L4 => 2,
            HashFields::SymmetricL3L4Udp => 3,
            HashFields::NwSrc => 4,
            HashFields::NwDst => 5,
            HashFields::SymmetricL3 => 6,
            HashFields::Other(number) => number,
        }
    }

    fn from_number(number: u16) -> Self {
        Self::ALL
            .get(usize::from(number))
            .copied()
            .unwrap_or(HashFields::Other(number))
    }
}

/// Chooses a number from 0 to `links - 1` by hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Multipath {
    /// What is hashed.
    pub fields: HashFields,
    /// Seed of the hash.
    pub basis: u16,
    /// `NX_MP_ALG_*`: 0 modulo_n, 1 hash_threshold, 2 hrw, 3 iter_hash.
    pub algorithm: u16,
    /// The highest number that can be chosen.
    pub max_link: u16,
    /// Argument of the algorithm.
    pub argument: u32,
    /// Where the number goes.
    pub dst: Subfield,
}

impl Multipath {
    pub(super) fn encode(&self, buffer: &mut BytesMut) {
        let numbers = [
            self.fields.number(),
            self.basis,
            0,
            self.algorithm,
            self.max_link,
        ];
        numbers
            .into_iter()
            .for_each(|number| buffer.put_u16(number));
        buffer.put_u32(self.argument);
        buffer.put_u16(0);
        buffer.put_u16(self.dst.packed());
        put_short_header(buffer, self.dst.field);
    }

    pub(super) fn decode(part: &mut Reader<'_>) -> Result<Option<Self>, DecodeError> {
        let (fields, basis) = (HashFields::from_number(part.u16()?), part.u16()?);
        part.skip(2)?;
        let (algorithm, max_link, argument) = (part.u16()?, part.u16()?, part.u32()?);
        part.skip(2)?;
        let packed = part.u16()?;
        let field = read_short_field(part)?;
        Ok(field.map(|field| {
            let dst = Subfield::unpack(field, packed);
            Multipath {
                fields,
                basis,
                algorithm,
                max_link,
                argument,
                dst,
            }
        }))
    }
}

/// Chooses a live port by hash; outputs to it, or stores its number.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BundleAction {
    /// `NX_BD_ALG_*`: 0 active_backup, 1 hrw.
    pub algorithm: u16,
    /// What is hashed.
    pub fields: HashFields,
    /// Seed of the hash.
    pub basis: u16,
    /// The ports, as 16-bit numbers.
    pub members: Vec<u16>,
    /// Where the chosen number goes; `None` to output.
    pub dst: Option<Subfield>,
}

impl BundleAction {
    pub(super) fn encode(&self, buffer: &mut BytesMut) {
        [self.algorithm, self.fields.number(), self.basis]
            .into_iter()
            .for_each(|number| buffer.put_u16(number));
        buffer.put_u32(MEMBER_IS_PORT);
        buffer.put_u16(self.members.len() as u16);
        match self.dst {
            Some(dst) => {
                buffer.put_u16(dst.packed());
                put_short_header(buffer, dst.field);
            }
            None => buffer.put_bytes(0, 6),
        }
        buffer.put_bytes(0, 4);
        self.members.iter().for_each(|port| buffer.put_u16(*port));
    }

    pub(super) fn decode(part: &mut Reader<'_>, load: bool) -> Result<Option<Self>, DecodeError> {
        let (algorithm, fields, basis) = (
            part.u16()?,
            HashFields::from_number(part.u16()?),
            part.u16()?,
        );
        let kind = part.u32()?;
        let count = usize::from(part.u16()?);
        let packed = part.u16()?;
        let field = read_short_field(part)?;
        part.skip(4)?;
        let mut list = part.part(2 * count)?;
        part.skip(padding(2 * count))?;
        let members = (0..count).map(|_| list.u16()).collect::<Result<_, _>>()?;
        if kind != MEMBER_IS_PORT || (load && field.is_none()) {
            return Ok(None);
        }
        let dst = match field {
            Some(field) if load => Some(Subfield::unpack(field, packed)),
            Some(_) | None => None,
        };
        Ok(Some(BundleAction {
            algorithm,
            fields,
            basis,
            members,
            dst,
        }))
    }
}
