//! Values that several options share, read in place.

use super::super::codec::{RawDhcpv6Option, RawDhcpv6Options};
use crate::answer::Malformed;
use std::net::Ipv6Addr;

/// A list of 16-bit codes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Codes<'a>(pub(super) &'a [[u8; 2]]);

impl Codes<'_> {
    /// The codes, in the sender's order.
    pub fn iter(&self) -> impl Iterator<Item = u16> {
        self.0.iter().map(|code| u16::from_be_bytes(*code))
    }

    /// Whether a code is in it.
    #[must_use]
    pub fn contains(&self, code: u16) -> bool {
        self.0.contains(&code.to_be_bytes())
    }
}

/// A list of addresses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ipv6List<'a>(pub(super) &'a [[u8; 16]]);

impl Ipv6List<'_> {
    /// The addresses, in the sender's order.
    pub fn iter(&self) -> impl Iterator<Item = Ipv6Addr> {
        self.0.iter().map(|address| Ipv6Addr::from(*address))
    }
}

/// A client's name (RFC 4704 §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dhcpv6Fqdn<'a> {
    /// N, O and S, from the third lowest bit to the lowest.
    pub flags: u8,
    /// The name as received: labels, without the root if the client knows only the beginning.
    pub name: &'a [u8],
}

impl<'a> Dhcpv6Fqdn<'a> {
    /// S: the server updates the DNS.
    pub const SERVER_UPDATES: u8 = 1;
    /// O: the server did not follow the client's S.
    pub const OVERRIDDEN: u8 = 2;
    /// N: the server updates nothing.
    pub const NO_UPDATES: u8 = 4;

    pub(super) fn decode(option: RawDhcpv6Option<'a>) -> Result<Self, Malformed> {
        let (flags, name) = option
            .value
            .split_first()
            .ok_or_else(|| wrong(option, "client name without flags"))?;
        let flags = *flags;
        Ok(Self { flags, name })
    }
}

/// The option's value is wrong, for this reason.
pub(super) fn wrong(option: RawDhcpv6Option<'_>, reason: &'static str) -> Malformed {
    let offset = option.offset;
    Malformed { offset, reason }
}

/// The options in `rest`, the end of an option's value.
pub(super) fn within<'a>(option: RawDhcpv6Option<'a>, rest: &'a [u8]) -> RawDhcpv6Options<'a> {
    RawDhcpv6Options::new(rest, option.offset + option.value.len() - rest.len())
}

/// The leading 32-bit number, and what follows.
pub(super) fn number(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (number, rest) = bytes.split_first_chunk()?;
    Some((u32::from_be_bytes(*number), rest))
}

/// A value of exactly this many octets.
pub(super) fn fixed<const N: usize>(option: RawDhcpv6Option<'_>) -> Result<[u8; N], Malformed> {
    option
        .value
        .try_into()
        .map_err(|_| wrong(option, "option of a wrong length"))
}

/// A value that consists of items of this many octets.
pub(super) fn list<const N: usize>(option: RawDhcpv6Option<'_>) -> Result<&[[u8; N]], Malformed> {
    match option.value.as_chunks() {
        (items, []) => Ok(items),
        _ => Err(wrong(option, "list that ends within an item")),
    }
}

/// Checks that options are complete, whatever they contain.
pub(super) fn whole(mut options: RawDhcpv6Options<'_>) -> Result<(), Malformed> {
    options.try_for_each(|option| option.map(drop))
}
