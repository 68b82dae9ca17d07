//! The fields of a packet on its way through the pipeline.

use rust_openflow::{Field, Match, Subfield};
use std::collections::BTreeMap;
use std::fmt;
use std::net::Ipv6Addr;

/// The fields of a packet, and the registers beside it. A field that was not set is 0, as in a switch.
///
/// Wide registers consist of narrow ones side by side (ovs-fields(7)). `xreg0` is `reg0` and `reg1`, `xxreg0` is `reg0`
/// to `reg3`, the first the most significant. The second value is the packet's length in octets, 0 unless it was set.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Packet(BTreeMap<Field, u128>, usize);

/// A match does not say the whole value of this field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} has a mask, but a packet has one value in each field")]
pub struct UnsettledField(pub Field);

impl Packet {
    /// The packet that has what a match says, and 0 in all other fields.
    ///
    /// # Errors
    /// [`UnsettledField`]: the match compares only some bits.
    pub fn of(matches: &Match) -> Result<Self, UnsettledField> {
        let mut packet = Self::default();
        for field in matches.fields() {
            if !field.is_exact() {
                return Err(UnsettledField(field.field));
            }
            packet.set(field.field, field.value);
        }
        // A switch shows the tag as one field, and the pipeline matches that field.
        let (vid, pcp) = (packet.get(Field::VLAN_VID), packet.get(Field::VLAN_PCP));
        if vid != 0 {
            packet.set(Field::VLAN_TCI, pcp << 13 | vid);
            packet.set(Field::VLAN_VID, 0);
            packet.set(Field::VLAN_PCP, 0);
        }
        Ok(packet)
    }

    /// A packet that came in by this OpenFlow port.
    #[must_use]
    pub fn new(in_port: u32) -> Self {
        Self::default().with(Field::IN_PORT, in_port)
    }

    /// The same packet with this value in a field.
    #[must_use]
    pub fn with(mut self, field: Field, value: impl Into<u128>) -> Self {
        self.set(field, value.into());
        self
    }

    /// The same packet with this MAC in a field.
    #[must_use]
    pub fn mac(self, field: Field, mac: [u8; 6]) -> Self {
        let value = mac
            .iter()
            .fold(0u64, |value, octet| value << 8 | u64::from(*octet));
        self.with(field, value)
    }

    /// The same packet with this address in a field.
    #[must_use]
    pub fn ipv6(self, field: Field, address: Ipv6Addr) -> Self {
        self.with(field, address.to_bits())
    }

    /// The same packet with this length in octets, with its Ethernet header.
    #[must_use]
    pub fn long(mut self, octets: usize) -> Self {
        self.1 = octets;
        self
    }

    /// How many octets long it is.
    pub(crate) fn length(&self) -> usize {
        self.1
    }

    /// The value of a field.
    #[must_use]
    pub fn get(&self, field: Field) -> u128 {
        let narrow = registers(field).into_iter().flatten();
        narrow.fold(0, |value, register| value << 32 | self.stored(register)) | self.stored(field)
    }

    /// The address in a field.
    #[must_use]
    pub fn address(&self, field: Field) -> Ipv6Addr {
        Ipv6Addr::from_bits(self.get(field))
    }

    /// Gives a field a value.
    pub fn set(&mut self, field: Field, value: u128) {
        let Some(narrow) = registers(field) else {
            self.store(field, value);
            return;
        };
        for (index, register) in narrow.into_iter().rev().enumerate() {
            self.store(register, value >> (32 * index) & u128::from(u32::MAX));
        }
    }

    /// The same packet without its registers and metadata: as it comes out at the other end of a wire.
    #[must_use]
    pub fn on_the_wire(mut self) -> Self {
        self.0.retain(|field, _| (Field::ETH_SRC..).contains(field));
        self
    }

    pub(crate) fn satisfies(&self, matches: &Match) -> bool {
        matches
            .fields()
            .all(|wanted| self.get(wanted.field) & wanted.mask == wanted.value)
    }

    pub(crate) fn bits(&self, range: Subfield) -> u128 {
        self.get(range.field) >> range.offset & ones(range.bits)
    }

    pub(crate) fn set_bits(&mut self, range: Subfield, value: u128) {
        let mask = ones(range.bits) << range.offset;
        self.set_masked(range.field, value << range.offset, mask);
    }

    pub(crate) fn set_masked(&mut self, field: Field, value: u128, mask: u128) {
        self.set(field, self.get(field) & !mask | value & mask);
    }

    /// A hash of addresses and ports, the same in both directions. It is not Open vSwitch's own, so it may choose
    /// another link. As in Open vSwitch, all packets of a connection get the same one.
    pub(crate) fn hash(&self) -> u128 {
        const ENDS: [Field; 10] = [
            Field::IPV4_SRC,
            Field::IPV4_DST,
            Field::IPV6_SRC,
            Field::IPV6_DST,
            Field::TCP_SRC,
            Field::TCP_DST,
            Field::UDP_SRC,
            Field::UDP_DST,
            Field::SCTP_SRC,
            Field::SCTP_DST,
        ];
        ENDS.iter().fold(0, |hash, field| hash ^ self.get(*field))
    }

    fn stored(&self, field: Field) -> u128 {
        self.0.get(&field).copied().unwrap_or_default()
    }

    fn store(&mut self, field: Field, value: u128) {
        if value == 0 {
            self.0.remove(&field);
        } else {
            self.0.insert(field, value);
        }
    }
}

/// The narrow registers that make up a wide one.
fn registers(field: Field) -> Option<Vec<Field>> {
    let wide = (0..8).find(|n| Field::xreg(*n) == field);
    let widest = (0..4).find(|n| Field::xxreg(*n) == field);
    let (first, count) = wide.map(|n| (2 * n, 2)).or(widest.map(|n| (4 * n, 4)))?;
    Some((first..first + count).map(Field::reg).collect())
}

fn ones(bits: u16) -> u128 {
    u128::MAX.checked_shr(128 - u32::from(bits)).unwrap_or(0)
}

/// As `ovs-ofctl` writes a match.
impl fmt::Display for Packet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = self.0.iter().map(|(field, value)| (*field, *value));
        let fields = all.fold(Match::new(), |fields, (field, value)| {
            fields.with(field, value)
        });
        write!(f, "{fields}")
    }
}

impl fmt::Debug for Packet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
