//! Identity associations (RFC 9915 §12, §21.4, §21.21) with the addresses and prefixes in them.

use super::super::codec::{RawDhcpv6Option, RawDhcpv6Options};
use super::code;
use super::value::{number, whole, within, wrong};
use crate::answer::Malformed;
use std::net::Ipv6Addr;

/// The type of an identity association.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum IaKind {
    /// Non-temporary addresses.
    NonTemporary = code::IA_NA,
    /// Temporary addresses.
    Temporary = code::IA_TA,
    /// Delegated prefixes.
    Prefixes = code::IA_PD,
}

/// An identity association. Its options were checked when it was decoded.
#[derive(Clone, Copy, Debug)]
pub struct Ia<'a> {
    /// The type.
    pub kind: IaKind,
    /// Chosen by the client; any number, 0 too.
    pub iaid: u32,
    /// When the client contacts its server again, in seconds. 0 in IA_TA, which has no such time.
    pub t1: u32,
    /// When the client contacts any server, in seconds. 0 in IA_TA, which has no such time.
    pub t2: u32,
    /// The options in it.
    pub options: RawDhcpv6Options<'a>,
}

impl<'a> Ia<'a> {
    /// The identity association in a well-formed option. `None` for other options.
    #[must_use]
    pub fn of(option: RawDhcpv6Option<'a>) -> Option<Self> {
        Self::decode(kind(option.code)?, option).ok()
    }

    /// The addresses in it.
    pub fn addresses(&self) -> impl Iterator<Item = IaAddress<'a>> + use<'a> {
        self.options
            .flatten()
            .filter(|option| option.code == code::IA_ADDRESS)
            .filter_map(|option| IaAddress::decode(option).ok())
    }

    /// The prefixes in it.
    pub fn prefixes(&self) -> impl Iterator<Item = IaPrefix<'a>> + use<'a> {
        self.options
            .flatten()
            .filter(|option| option.code == code::IA_PREFIX)
            .filter_map(|option| IaPrefix::decode(option).ok())
    }

    pub(super) fn decode(kind: IaKind, option: RawDhcpv6Option<'a>) -> Result<Self, Malformed> {
        let (iaid, t1, t2, rest) = match kind {
            IaKind::Temporary => untimed(option.value)
                .ok_or_else(|| wrong(option, "identity association shorter than 4 octets"))?,
            IaKind::NonTemporary | IaKind::Prefixes => timed(option.value)
                .ok_or_else(|| wrong(option, "identity association shorter than 12 octets"))?,
        };
        let options = within(option, rest);
        check(options)?;
        Ok(Self {
            kind,
            iaid,
            t1,
            t2,
            options,
        })
    }
}

fn kind(code: u16) -> Option<IaKind> {
    match code {
        code::IA_NA => Some(IaKind::NonTemporary),
        code::IA_TA => Some(IaKind::Temporary),
        code::IA_PD => Some(IaKind::Prefixes),
        _ => None,
    }
}

fn untimed(value: &[u8]) -> Option<(u32, u32, u32, &[u8])> {
    let (iaid, rest) = number(value)?;
    Some((iaid, 0, 0, rest))
}

fn timed(value: &[u8]) -> Option<(u32, u32, u32, &[u8])> {
    let (iaid, rest) = number(value)?;
    let (t1, rest) = number(rest)?;
    let (t2, rest) = number(rest)?;
    Some((iaid, t1, t2, rest))
}

/// Checks addresses and prefixes of an association, and their options. A nested association stays octets, so the depth
/// is bounded whatever a sender nests.
fn check(options: RawDhcpv6Options<'_>) -> Result<(), Malformed> {
    for option in options {
        let option = option?;
        match option.code {
            code::IA_ADDRESS => whole(IaAddress::decode(option)?.options)?,
            code::IA_PREFIX => whole(IaPrefix::decode(option)?.options)?,
            _ => {}
        }
    }
    Ok(())
}

/// An address of an identity association.
#[derive(Clone, Copy, Debug)]
pub struct IaAddress<'a> {
    /// The address.
    pub address: Ipv6Addr,
    /// Preferred lifetime in seconds.
    pub preferred: u32,
    /// Valid lifetime in seconds.
    pub valid: u32,
    /// The options in it.
    pub options: RawDhcpv6Options<'a>,
}

impl<'a> IaAddress<'a> {
    pub(super) fn decode(option: RawDhcpv6Option<'a>) -> Result<Self, Malformed> {
        Self::read(option).ok_or_else(|| wrong(option, "IA address shorter than 24 octets"))
    }

    fn read(option: RawDhcpv6Option<'a>) -> Option<Self> {
        let (address, rest) = option.value.split_first_chunk::<16>()?;
        let (preferred, rest) = number(rest)?;
        let (valid, rest) = number(rest)?;
        Some(Self {
            address: Ipv6Addr::from(*address),
            preferred,
            valid,
            options: within(option, rest),
        })
    }
}

/// A prefix of an identity association.
#[derive(Clone, Copy, Debug)]
pub struct IaPrefix<'a> {
    /// Preferred lifetime in seconds.
    pub preferred: u32,
    /// Valid lifetime in seconds.
    pub valid: u32,
    /// The prefix length, 0 to 128 bits.
    pub length: u8,
    /// The prefix.
    pub prefix: Ipv6Addr,
    /// The options in it.
    pub options: RawDhcpv6Options<'a>,
}

impl<'a> IaPrefix<'a> {
    pub(super) fn decode(option: RawDhcpv6Option<'a>) -> Result<Self, Malformed> {
        let prefix =
            Self::read(option).ok_or_else(|| wrong(option, "IA prefix shorter than 25 octets"))?;
        if prefix.length > 128 {
            return Err(wrong(option, "IA prefix longer than 128 bits"));
        }
        Ok(prefix)
    }

    fn read(option: RawDhcpv6Option<'a>) -> Option<Self> {
        let (preferred, rest) = number(option.value)?;
        let (valid, rest) = number(rest)?;
        let (length, rest) = rest.split_first()?;
        let (prefix, rest) = rest.split_first_chunk::<16>()?;
        Some(Self {
            preferred,
            valid,
            length: *length,
            prefix: Ipv6Addr::from(*prefix),
            options: within(option, rest),
        })
    }
}
