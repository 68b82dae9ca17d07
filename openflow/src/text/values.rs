//! Values of fields: numbers, addresses, flags.

use std::fmt::{self, Display, Formatter, Write};
use std::net::{Ipv4Addr, Ipv6Addr};

use crate::fields::{Field, Format};
use crate::numbers::PortNo;

/// A number in hexadecimal; zero without the prefix, as C's `%#x`.
pub(super) struct Hex(pub(super) u128);

impl Display for Hex {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            f.write_char('0')
        } else {
            write!(f, "{:#x}", self.0)
        }
    }
}

/// Bytes as `0a.1b.2c`.
pub(super) struct Dotted<'a>(pub(super) &'a [u8]);

impl Display for Dotted<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (position, byte) in self.0.iter().enumerate() {
            write!(f, "{}{byte:02x}", if position == 0 { "" } else { "." })?;
        }
        Ok(())
    }
}

/// A value with its mask; a mask of all the field's bits is not written.
pub(super) struct Masked {
    pub(super) format: Format,
    pub(super) value: u128,
    pub(super) mask: u128,
    pub(super) full: u128,
}

impl Masked {
    pub(super) fn of(field: Field, value: u128, mask: u128) -> Self {
        Masked {
            format: field.format(),
            value,
            mask,
            full: field.full_mask(),
        }
    }
}

impl Display for Masked {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Masked {
            format,
            value,
            mask,
            full,
        } = *self;
        let exact = mask == full;
        if mask == 0 {
            return f.write_str("ANY");
        }
        match format {
            Format::Ipv4 => with_prefix(
                f,
                Ipv4Addr::from(value as u32),
                mask << 96,
                32,
                &Ipv4Addr::from(mask as u32),
            ),
            Format::Ipv6 => with_prefix(f, Ipv6(value), mask, 128, &Ipv6(mask)),
            Format::Mac if exact => write!(f, "{}", Mac(value)),
            Format::Mac => write!(f, "{}/{}", Mac(value), Mac(mask)),
            Format::Port if exact => write!(f, "{}", port(value, full)),
            Format::CtState => flags(f, CT_STATE, value, mask & 0xff, 0xff),
            Format::TcpFlags => flags(f, TCP_FLAGS, value, mask & 0xfff, 0xfff),
            Format::TunFlags => flags(f, TUN_FLAGS, value, mask & 1, 1),
            Format::Frag => f.write_str(fragment(value & 3, mask & 3)),
            Format::PacketType => packet_type(f, value, mask),
            Format::Hex => with_mask(f, &Hex(value), mask, exact),
            Format::Decimal | Format::Port => with_mask(f, &value, mask, exact),
        }
    }
}

/// A port number in a field of 16 or 32 bits.
fn port(value: u128, full: u128) -> PortNo {
    if full == 0xffff {
        PortNo::from_short(value as u16)
    } else {
        PortNo(value as u32)
    }
}

fn with_mask(f: &mut Formatter<'_>, value: &dyn Display, mask: u128, exact: bool) -> fmt::Result {
    if exact {
        write!(f, "{value}")
    } else {
        write!(f, "{value}/{}", Hex(mask))
    }
}

/// `mask` is aligned to the left of 128 bits.
fn with_prefix(
    f: &mut Formatter<'_>,
    address: impl Display,
    mask: u128,
    bits: u32,
    spelled: &dyn Display,
) -> fmt::Result {
    let length = mask.leading_ones();
    write!(f, "{address}")?;
    if length == bits {
        Ok(())
    } else if length < 128 && mask << length == 0 {
        write!(f, "/{length}")
    } else {
        write!(f, "/{spelled}")
    }
}

/// An IPv6 address as the C library writes it: the last 32 bits of `::/96` as an IPv4 address, when they use the upper half.
struct Ipv6(u128);

impl Display for Ipv6 {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            0x1_0000..=0xffff_ffff => write!(f, "::{}", Ipv4Addr::from(self.0 as u32)),
            other => Ipv6Addr::from(other).fmt(f),
        }
    }
}

pub(super) struct Mac(pub(super) u128);

impl Display for Mac {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let [.., a, b, c, d, e, g] = self.0.to_be_bytes();
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

/// Names of bits from the lowest on.
pub(super) type Names = &'static [&'static str];
pub(super) const CT_STATE: Names = &["new", "est", "rel", "rpl", "inv", "trk", "snat", "dnat"];
pub(super) const TCP_FLAGS: Names = &[
    "fin", "syn", "rst", "psh", "ack", "urg", "ece", "cwr", "ns", "[200]", "[400]", "[800]",
];
pub(super) const TUN_FLAGS: Names = &["oam"];

/// `a|b` where all bits are compared, `+a-b` where some are.
pub(super) fn flags(
    f: &mut dyn Write,
    names: Names,
    value: u128,
    mask: u128,
    full: u128,
) -> fmt::Result {
    if mask == full {
        return joined_flags(f, names, value);
    }
    if mask == 0 {
        return f.write_str("0/0");
    }
    for bit in (0..128).filter(|bit| mask & 1 << bit != 0) {
        let sign = if value & 1 << bit != 0 { '+' } else { '-' };
        write!(f, "{sign}{}", names.get(bit).unwrap_or(&"[Unknown]"))?;
    }
    Ok(())
}

fn joined_flags(f: &mut dyn Write, names: Names, value: u128) -> fmt::Result {
    let known = value & crate::fields::ones(names.len() as u32);
    let mut parts: Vec<_> = names
        .iter()
        .enumerate()
        .filter(|(bit, _)| known & 1 << bit != 0)
        .map(|(_, name)| (*name).to_owned())
        .collect();
    if value != known {
        parts.push(format!("{:#x}", value & !known));
    }
    f.write_str(if parts.is_empty() { "0" } else { "" })?;
    f.write_str(&parts.join("|"))
}

/// Bit 0 says that the packet is a fragment, bit 1 that it is not the first.
pub(super) fn fragment(value: u128, mask: u128) -> &'static str {
    match (value, mask) {
        (0, 3 | 1) => "no",
        (1, 1) => "yes",
        (1, 3) => "first",
        (3, 3) | (2, 2) => "later",
        (0, 2) => "not_later",
        _ => "<error>",
    }
}

fn packet_type(f: &mut Formatter<'_>, value: u128, mask: u128) -> fmt::Result {
    if value == 0 && mask == 0xffff_ffff {
        return f.write_str("eth");
    }
    f.write_str("packet_type=(")?;
    half(f, value >> 16, mask >> 16)?;
    f.write_char(',')?;
    half(f, value & 0xffff, mask & 0xffff)?;
    f.write_char(')')
}

fn half(f: &mut Formatter<'_>, value: u128, mask: u128) -> fmt::Result {
    match (value, mask) {
        (_, 0) => f.write_char('*'),
        (0..=9, 0xffff) => write!(f, "{value}"),
        (_, 0xffff) => write!(f, "{value:#x}"),
        _ => write!(f, "{value:#x}/{mask:#x}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(field: Field, value: u128, mask: u128) -> String {
        Masked::of(field, value, mask).to_string()
    }

    #[test]
    fn prefixes_are_lengths_and_other_masks_are_spelled() {
        let address = u128::from("2001:db8::".parse::<Ipv6Addr>().unwrap());
        assert_eq!(
            text(Field::IPV6_SRC, address, u128::MAX << 96),
            "2001:db8::/32"
        );
        assert_eq!(text(Field::IPV6_SRC, address, u128::MAX), "2001:db8::");
        assert_eq!(text(Field::IPV6_SRC, 1, 0xff), "::1/::ff");
        assert_eq!(
            text(Field::IPV4_SRC, 0xc000_0200, 0xffff_ff00),
            "192.0.2.0/24"
        );
        assert_eq!(text(Field::IPV4_SRC, 0xc000_0201, 0xffff_ffff), "192.0.2.1");
        assert_eq!(text(Field::IPV4_SRC, 1, 0xff), "0.0.0.1/0.0.0.255");
    }

    #[test]
    fn flags_say_what_is_compared() {
        assert_eq!(text(Field::CT_STATE, 0x22, 0x26), "+est-rel+trk");
        assert_eq!(text(Field::TCP_FLAGS, 0x12, 0xffff), "syn|ack");
        assert_eq!(text(Field::TCP_FLAGS, 0, 0xffff), "0");
    }
}
