//! What a flow matches: a set of fields with values and masks.
//!
//! The order of entries is kept, so that a decoded match encodes to the same bytes, but it has no meaning: equality, order
//! and hash do not depend on it.

use std::cmp::Ordering;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::Ipv6Addr;

use bytes::{BufMut, BytesMut};
use thiserror::Error;

use crate::error::{DecodeError, Reason};
use crate::failure::ErrorCode;
use crate::fields::{Field, Prerequisite, ones};
use crate::oxm::{self, Header, UnknownOxm};
use crate::wire::{Reader, pad_to_8, put_uint, set_length};

/// `OFPMT_OXM`: the only match type of OpenFlow 1.3.
const OXM: u16 = 1;

/// A set of field matches. The empty set matches every packet.
#[derive(Clone, Debug, Default)]
pub struct Match {
    entries: Vec<Entry>,
}

/// One entry of a match.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Entry {
    /// A field with a name.
    Field(FieldMatch),
    /// A field without one, kept as bytes.
    Unknown(UnknownOxm),
}

/// Bits of a field that a packet must have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FieldMatch {
    /// The field.
    pub field: Field,
    /// The bits wanted, right-aligned.
    pub value: u128,
    /// The bits compared; [`Field::full_mask`] for all of them.
    pub mask: u128,
}

impl FieldMatch {
    /// Whether all bits are compared.
    pub fn is_exact(&self) -> bool {
        self.mask == self.field.full_mask()
    }
}

/// A match that a switch would refuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum MatchError {
    /// `OFPBMC_BAD_PREREQ`
    #[error("{field} needs a match on {prerequisite}")]
    Prerequisite {
        /// The field matched.
        field: Field,
        /// What the match does not say.
        prerequisite: Prerequisite,
    },
    /// `OFPBMC_BAD_MASK`
    #[error("{0} cannot be matched with a mask")]
    NotMaskable(Field),
    /// `OFPBMC_BAD_VALUE`
    #[error("the value of {0} has more bits than the field")]
    TooWide(Field),
    /// `OFPBMC_BAD_WILDCARDS`
    #[error("the value of {0} has bits outside its mask")]
    OutsideMask(Field),
}

impl Match {
    /// Matches every packet.
    pub fn new() -> Self {
        Self::default()
    }

    /// And `field` is exactly `value`. A match on the same field is replaced.
    #[must_use]
    pub fn with(mut self, field: Field, value: impl Into<u128>) -> Self {
        self.insert(FieldMatch {
            field,
            value: value.into(),
            mask: field.full_mask(),
        });
        self
    }

    /// And the bits of `field` in `mask` are those of `value`. A mask of zero compares nothing and adds nothing.
    #[must_use]
    pub fn masked(mut self, field: Field, value: impl Into<u128>, mask: impl Into<u128>) -> Self {
        let mask = mask.into();
        let exact = mask & field.match_bits() == field.match_bits();
        let mask = if exact { field.full_mask() } else { mask };
        if mask != 0 {
            self.insert(FieldMatch {
                field,
                value: value.into() & mask,
                mask,
            });
        }
        self
    }

    /// And `field` is exactly `address`.
    #[must_use]
    pub fn ipv6(self, field: Field, address: Ipv6Addr) -> Self {
        self.with(field, address)
    }

    /// And `field` starts with the first `length` bits of `address`; 128 and more mean the whole address.
    #[must_use]
    pub fn ipv6_prefix(self, field: Field, address: Ipv6Addr, length: u8) -> Self {
        let host_bits = 128 - u32::from(length.min(128));
        self.masked(field, address, !ones(host_bits))
    }

    /// And `field` is exactly the MAC address.
    #[must_use]
    pub fn mac(self, field: Field, address: [u8; 6]) -> Self {
        let [a, b, c, d, e, f] = address;
        self.with(field, u64::from_be_bytes([0, 0, a, b, c, d, e, f]))
    }

    /// And all that `entry` says.
    pub fn insert(&mut self, entry: FieldMatch) {
        match self
            .entries
            .iter_mut()
            .find(|present| present.field() == Some(entry.field))
        {
            Some(present) => *present = Entry::Field(entry),
            None => self.entries.push(Entry::Field(entry)),
        }
    }

    /// And a field without a name here.
    pub fn insert_unknown(&mut self, entry: UnknownOxm) {
        self.entries.push(Entry::Unknown(entry));
    }

    /// What is said of `field`.
    pub fn get(&self, field: Field) -> Option<FieldMatch> {
        self.fields().find(|entry| entry.field == field).copied()
    }

    /// The value of `field` where all of it is compared, as in the fields that come with a packet-in.
    pub fn value(&self, field: Field) -> Option<u128> {
        self.get(field)
            .filter(FieldMatch::is_exact)
            .map(|entry| entry.value)
    }

    /// Entries in the order they were added or decoded.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The entries whose field has a name.
    pub fn fields(&self) -> impl Iterator<Item = &FieldMatch> {
        self.entries.iter().filter_map(|entry| match entry {
            Entry::Field(found) => Some(found),
            Entry::Unknown(_) => None,
        })
    }

    /// Whether every packet matches.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The same match with its entries in the order of the fields: equal matches become equal bytes.
    #[must_use]
    pub fn canonical(mut self) -> Self {
        self.entries.sort();
        self
    }

    /// Checks what a switch checks before it takes a flow (ovs-fields(7), OpenFlow 1.3.5, 7.2.3.6).
    ///
    /// # Errors
    /// The first entry that a switch would refuse.
    pub fn check(&self) -> Result<(), MatchError> {
        self.fields().try_for_each(|entry| self.check_entry(entry))
    }

    fn check_entry(&self, entry: &FieldMatch) -> Result<(), MatchError> {
        let field = entry.field;
        let prerequisite = field.prerequisite();
        if !self.meets(prerequisite) {
            Err(MatchError::Prerequisite {
                field,
                prerequisite,
            })
        } else if !entry.is_exact() && !field.maskable() {
            Err(MatchError::NotMaskable(field))
        } else if entry.value & !field.match_bits() != 0 {
            Err(MatchError::TooWide(field))
        } else if entry.value & !entry.mask != 0 {
            Err(MatchError::OutsideMask(field))
        } else {
            Ok(())
        }
    }

    fn meets(&self, prerequisite: Prerequisite) -> bool {
        match prerequisite {
            Prerequisite::None => true,
            Prerequisite::Ct => self.is_tracked(),
            Prerequisite::Vlan => {
                self.has_bit(Field::VLAN_VID, 0x1000) || self.has_bit(Field::VLAN_TCI, 0x1000)
            }
            Prerequisite::Mpls => self.is(Field::ETH_TYPE, &[0x8847, 0x8848]),
            Prerequisite::Ipv4 => self.is(Field::ETH_TYPE, &[0x0800]),
            Prerequisite::Ipv6 => self.is(Field::ETH_TYPE, &[0x86dd]),
            Prerequisite::Ip => self.is(Field::ETH_TYPE, &[0x0800, 0x86dd]),
            Prerequisite::Arp => self.is(Field::ETH_TYPE, &[0x0806, 0x8035]),
            Prerequisite::Tcp => self.is_of(Prerequisite::Ip, 6),
            Prerequisite::Udp => self.is_of(Prerequisite::Ip, 17),
            Prerequisite::Sctp => self.is_of(Prerequisite::Ip, 132),
            Prerequisite::Icmpv4 => self.is_of(Prerequisite::Ipv4, 1),
            Prerequisite::Icmpv6 => self.is_of(Prerequisite::Ipv6, 58),
            Prerequisite::Nd => self.is_nd(&[135, 136]),
            Prerequisite::NdSolicit => self.is_nd(&[135]),
            Prerequisite::NdAdvert => self.is_nd(&[136]),
            Prerequisite::Nsh => self.is(Field::ETH_TYPE, &[0x894f]),
        }
    }

    fn is_of(&self, version: Prerequisite, protocol: u128) -> bool {
        self.meets(version) && self.is(Field::IP_PROTO, &[protocol])
    }

    fn is_nd(&self, types: &[u128]) -> bool {
        self.meets(Prerequisite::Icmpv6)
            && self.is(Field::ICMPV6_TYPE, types)
            && self.is(Field::ICMPV6_CODE, &[0])
    }

    /// At least one state that only a valid connection has, or tracked and explicitly not invalid (`is_ct_valid()`).
    fn is_tracked(&self) -> bool {
        const VALID: u128 = 0xcf;
        const TRACKED: u128 = 0x20;
        const INVALID: u128 = 0x10;
        self.get(Field::CT_STATE).is_some_and(|state| {
            let set = state.value & state.mask;
            set & VALID != 0
                || (set & TRACKED != 0 && state.mask & INVALID != 0 && set & INVALID == 0)
        })
    }

    fn is(&self, field: Field, values: &[u128]) -> bool {
        self.value(field)
            .is_some_and(|value| values.contains(&value))
    }

    fn has_bit(&self, field: Field, bit: u128) -> bool {
        self.get(field)
            .is_some_and(|entry| entry.value & entry.mask & bit != 0)
    }

    fn sorted(&self) -> Vec<&Entry> {
        let mut entries: Vec<_> = self.entries.iter().collect();
        entries.sort_unstable();
        entries
    }
}

impl Entry {
    fn field(&self) -> Option<Field> {
        match self {
            Entry::Field(found) => Some(found.field),
            Entry::Unknown(_) => None,
        }
    }
}

impl std::fmt::Display for Prerequisite {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Prerequisite::None => "nothing",
            Prerequisite::Ct => "ct_state=+trk-inv",
            Prerequisite::Vlan => "a VLAN tag",
            Prerequisite::Mpls => "mpls",
            Prerequisite::Ipv4 => "ip",
            Prerequisite::Ipv6 => "ipv6",
            Prerequisite::Ip => "ip or ipv6",
            Prerequisite::Arp => "arp",
            Prerequisite::Tcp => "tcp",
            Prerequisite::Udp => "udp",
            Prerequisite::Sctp => "sctp",
            Prerequisite::Icmpv4 => "icmp",
            Prerequisite::Icmpv6 => "icmp6",
            Prerequisite::Nd => "icmp6 with type 135 or 136 and code 0",
            Prerequisite::NdSolicit => "icmp6 with type 135 and code 0",
            Prerequisite::NdAdvert => "icmp6 with type 136 and code 0",
            Prerequisite::Nsh => "nsh",
        })
    }
}

impl PartialEq for Match {
    fn eq(&self, other: &Self) -> bool {
        self.entries == other.entries
            || (self.entries.len() == other.entries.len() && self.sorted() == other.sorted())
    }
}

impl Eq for Match {}

impl Ord for Match {
    fn cmp(&self, other: &Self) -> Ordering {
        self.sorted().cmp(&other.sorted())
    }
}

impl PartialOrd for Match {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Hash for Match {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let sum = self.entries.iter().fold(0u64, |sum, entry| {
            let mut hasher = DefaultHasher::new();
            entry.hash(&mut hasher);
            sum.wrapping_add(hasher.finish())
        });
        state.write_u64(sum);
    }
}

impl Match {
    /// `ofp_match`: type, length, entries, padding to 8 bytes.
    pub(crate) fn encode(&self, buffer: &mut BytesMut) {
        let start = buffer.len();
        buffer.put_u16(OXM);
        buffer.put_u16(0);
        self.encode_entries(buffer);
        set_length(buffer, start, start + 2);
        pad_to_8(buffer, start);
    }

    /// The entries alone.
    pub(crate) fn encode_entries(&self, buffer: &mut BytesMut) {
        for entry in &self.entries {
            match entry {
                Entry::Field(entry) => encode_field(buffer, entry),
                Entry::Unknown(entry) => buffer.put_slice(entry.bytes()),
            }
        }
    }

    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Match, DecodeError> {
        Self::decode_structure(reader).map_err(|error| error.inside(ErrorCode::BAD_MATCH_LENGTH))
    }

    fn decode_structure(reader: &mut Reader<'_>) -> Result<Match, DecodeError> {
        let [first, second, high, low] = reader.peek()?;
        let kind = u16::from_be_bytes([first, second]);
        let length = usize::from(u16::from_be_bytes([high, low]));
        if kind != OXM {
            let error = reader.bad_value("match type", kind);
            return Err(error.answered_with(ErrorCode::BAD_MATCH_TYPE));
        }
        if length < 4 {
            return Err(reader.bad_length("match", length));
        }
        let mut part = reader.part(length)?;
        part.skip(4)?;
        reader.skip_padding(length);
        Self::decode_entries(&mut part)
    }

    /// Entries up to the end of `reader`.
    pub(crate) fn decode_entries(reader: &mut Reader<'_>) -> Result<Match, DecodeError> {
        // The shortest entry takes five bytes.
        let mut entries = Vec::with_capacity(reader.left() / 5);
        let mut seen = [0; 2];
        while !reader.is_empty() {
            if let Some((entry, rest)) = oxm::usual(reader.rest()) {
                reader.go_on_at(rest);
                note(&mut seen, entry.field, reader)?;
                entries.push(Entry::Field(entry));
                continue;
            }
            let entry = decode_entry(reader)?;
            if let Some(field) = entry.field() {
                note(&mut seen, field, reader)?;
            }
            entries.push(entry);
        }
        Ok(Match { entries })
    }
}

/// Marks `field` as seen; a field matched twice is `OFPBMC_DUP_FIELD`.
#[inline]
fn note(seen: &mut [u64; 2], field: Field, reader: &Reader<'_>) -> Result<(), DecodeError> {
    let (word, bit) = (field.index() / 64 % 2, 1 << (field.index() % 64));
    if seen[word] & bit != 0 {
        return Err(reader.error(Reason::Duplicate));
    }
    seen[word] |= bit;
    Ok(())
}

#[inline]
pub(crate) fn encode_field(buffer: &mut BytesMut, entry: &FieldMatch) {
    let exact = entry.is_exact();
    let bytes = entry.field.bytes();
    oxm::put_header(buffer, entry.field.oxm(), bytes, !exact);
    put_uint(buffer, entry.value, bytes);
    if !exact {
        put_uint(buffer, entry.mask, bytes);
    }
}

/// Any entry: those that [`oxm::usual`] leaves.
fn decode_entry(reader: &mut Reader<'_>) -> Result<Entry, DecodeError> {
    let mut ahead = reader.clone();
    let header = Header::read(&mut ahead)?;
    let Some(field) = Field::from_oxm(header.id) else {
        return UnknownOxm::read(reader).map(Entry::Unknown);
    };
    let entry = decode_value(&mut ahead, field, header)?;
    *reader = ahead;
    Ok(Entry::Field(entry))
}

/// Value and mask of a field whose header was just read.
#[inline]
pub(crate) fn decode_value(
    reader: &mut Reader<'_>,
    field: Field,
    header: Header,
) -> Result<FieldMatch, DecodeError> {
    let bytes = field.bytes();
    let expected = if header.masked { 2 * bytes } else { bytes };
    if header.payload != expected {
        return Err(reader.bad_length("OXM", header.payload));
    }
    let value = reader.uint(bytes)?;
    let mask = if header.masked {
        reader.uint(bytes)?
    } else {
        field.full_mask()
    };
    Ok(FieldMatch { field, value, mask })
}
