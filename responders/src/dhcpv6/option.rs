//! The options (RFC 9915 §21 and the RFCs named): their codes, and their values as types that cannot be wrong.
//!
//! [`DhcpOption::decode`] borrows from the message. Lists stay octets whose length was checked once and are read as
//! they are walked. What is not known here survives as [`DhcpOption::Other`].

use super::codec::{Options, RawOption, put_option};
use crate::answer::Malformed;
use std::net::Ipv6Addr;

/// Client Identifier (RFC 9915 §21.2).
pub const CLIENT_ID: u16 = 1;
/// Server Identifier (RFC 9915 §21.3).
pub const SERVER_ID: u16 = 2;
/// Identity Association for Non-temporary Addresses (RFC 9915 §21.4).
pub const IA_NA: u16 = 3;
/// Identity Association for Temporary Addresses (RFC 8415 §21.5, obsolete).
pub const IA_TA: u16 = 4;
/// IA Address (RFC 9915 §21.6).
pub const IA_ADDRESS: u16 = 5;
/// Option Request (RFC 9915 §21.7).
pub const OPTION_REQUEST: u16 = 6;
/// Preference (RFC 9915 §21.8).
pub const PREFERENCE: u16 = 7;
/// Elapsed Time (RFC 9915 §21.9).
pub const ELAPSED_TIME: u16 = 8;
/// Status Code (RFC 9915 §21.13).
pub const STATUS_CODE: u16 = 13;
/// Rapid Commit (RFC 9915 §21.14).
pub const RAPID_COMMIT: u16 = 14;
/// DNS Recursive Name Server (RFC 3646 §3).
pub const DNS_SERVERS: u16 = 23;
/// Domain Search List (RFC 3646 §4).
pub const DOMAIN_LIST: u16 = 24;
/// Identity Association for Prefix Delegation (RFC 9915 §21.21).
pub const IA_PD: u16 = 25;
/// IA Prefix (RFC 9915 §21.22).
pub const IA_PREFIX: u16 = 26;

/// A status (RFC 9915 §21.13).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum Status {
    /// Success.
    Success = 0,
    /// The server has no addresses to assign to the IA.
    NoAddrsAvail = 2,
    /// Client record (binding) unavailable.
    NoBinding = 3,
    /// The prefix of the address is not appropriate for the link to which the client is attached.
    NotOnLink = 4,
    /// The server has no prefixes to assign to the IA_PD.
    NoPrefixAvail = 6,
}

impl Status {
    /// The words for a person, as a client may log them.
    pub fn message(self) -> &'static str {
        match self {
            Self::Success => "",
            Self::NoAddrsAvail => "no address for this association",
            Self::NoBinding => "nothing leased to this association",
            Self::NotOnLink => "an address is not of this link",
            Self::NoPrefixAvail => "no prefix for this association",
        }
    }
}

/// Which of the identity associations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum IaKind {
    /// Non-temporary addresses.
    NonTemporary = IA_NA,
    /// Temporary addresses.
    Temporary = IA_TA,
    /// Delegated prefixes.
    Prefixes = IA_PD,
}

/// An identity association. Its options were checked when it was decoded.
#[derive(Clone, Copy, Debug)]
pub struct Ia<'a> {
    /// Of what.
    pub kind: IaKind,
    /// Chosen by the client; any number, 0 too.
    pub iaid: u32,
    /// When the client comes back to its server, in seconds. 0 in IA_TA, which has none.
    pub t1: u32,
    /// When the client turns to any server, in seconds. 0 in IA_TA, which has none.
    pub t2: u32,
    /// What it contains.
    pub options: Options<'a>,
}

impl<'a> Ia<'a> {
    /// The identity association that a well-formed option is; none if it is another.
    pub fn of(option: RawOption<'a>) -> Option<Self> {
        match option.code {
            IA_NA => timed_ia(IaKind::NonTemporary, option).ok(),
            IA_PD => timed_ia(IaKind::Prefixes, option).ok(),
            IA_TA => temporary_ia(option).ok(),
            _ => None,
        }
    }

    /// The addresses in it.
    pub fn addresses(&self) -> impl Iterator<Item = IaAddress<'a>> + use<'a> {
        self.options
            .flatten()
            .filter(|option| option.code == IA_ADDRESS)
            .filter_map(|option| IaAddress::decode(option).ok())
    }
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
    /// What it contains.
    pub options: Options<'a>,
}

impl<'a> IaAddress<'a> {
    fn decode(option: RawOption<'a>) -> Result<Self, Malformed> {
        let (address, preferred, valid, rest) = (|| {
            let (address, rest) = option.value.split_first_chunk::<16>()?;
            let (preferred, rest) = number(rest)?;
            let (valid, rest) = number(rest)?;
            Some((Ipv6Addr::from(*address), preferred, valid, rest))
        })()
        .ok_or_else(|| short(option, "IA address shorter than 24 octets"))?;
        Ok(Self {
            address,
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
    /// What it contains.
    pub options: Options<'a>,
}

impl<'a> IaPrefix<'a> {
    fn decode(option: RawOption<'a>) -> Result<Self, Malformed> {
        let (preferred, valid, length, prefix, rest) = (|| {
            let (preferred, rest) = number(option.value)?;
            let (valid, rest) = number(rest)?;
            let (length, rest) = rest.split_first()?;
            let (prefix, rest) = rest.split_first_chunk::<16>()?;
            Some((preferred, valid, *length, Ipv6Addr::from(*prefix), rest))
        })()
        .ok_or_else(|| short(option, "IA prefix shorter than 25 octets"))?;
        if length > 128 {
            return Err(short(option, "IA prefix longer than 128 bits"));
        }
        Ok(Self {
            preferred,
            valid,
            length,
            prefix,
            options: within(option, rest),
        })
    }
}

/// A list of option codes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Codes<'a>(&'a [[u8; 2]]);

impl Codes<'_> {
    /// The codes, in the sender's order.
    pub fn iter(&self) -> impl Iterator<Item = u16> {
        self.0.iter().map(|code| u16::from_be_bytes(*code))
    }

    /// Whether a code is in it.
    pub fn contains(&self, code: u16) -> bool {
        self.0.contains(&code.to_be_bytes())
    }
}

/// A list of addresses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Addresses<'a>(&'a [[u8; 16]]);

impl Addresses<'_> {
    /// The addresses, in the sender's order.
    pub fn iter(&self) -> impl Iterator<Item = Ipv6Addr> {
        self.0.iter().map(|address| Ipv6Addr::from(*address))
    }
}

/// An option.
#[derive(Clone, Copy, Debug)]
pub enum DhcpOption<'a> {
    /// The client's DUID: 3 to 130 octets (RFC 9915 §11.1).
    ClientId(&'a [u8]),
    /// The server's DUID: 3 to 130 octets.
    ServerId(&'a [u8]),
    /// An identity association.
    Ia(Ia<'a>),
    /// An address of an identity association.
    IaAddress(IaAddress<'a>),
    /// A prefix of an identity association.
    IaPrefix(IaPrefix<'a>),
    /// What the client asks for.
    OptionRequest(Codes<'a>),
    /// How much a server wants the client, more is more.
    Preference(u8),
    /// For how long the client has tried, in hundredths of a second.
    ElapsedTime(u16),
    /// How it went.
    StatusCode {
        /// The status; numbers beyond [`Status`] occur.
        code: u16,
        /// For a person.
        message: &'a [u8],
    },
    /// The client takes a Reply for its Solicit, or the server gave it.
    RapidCommit,
    /// DNS servers.
    DnsServers(Addresses<'a>),
    /// The domain search list; well-formed names in wire format.
    DomainList(&'a [u8]),
    /// Anything else.
    Other {
        /// Its code.
        code: u16,
        /// Its value.
        value: &'a [u8],
    },
}

impl<'a> DhcpOption<'a> {
    /// The option's value as a type.
    ///
    /// # Errors
    /// Where and why the value is not what the option's definition says, options inside of it included.
    pub fn decode(option: RawOption<'a>) -> Result<Self, Malformed> {
        let RawOption { code, value, .. } = option;
        Ok(match code {
            CLIENT_ID => Self::ClientId(duid(option)?),
            SERVER_ID => Self::ServerId(duid(option)?),
            IA_NA => Self::Ia(timed_ia(IaKind::NonTemporary, option)?),
            IA_PD => Self::Ia(timed_ia(IaKind::Prefixes, option)?),
            IA_TA => Self::Ia(temporary_ia(option)?),
            IA_ADDRESS => {
                let address = IaAddress::decode(option)?;
                check_inside(address.options)?;
                Self::IaAddress(address)
            }
            IA_PREFIX => {
                let prefix = IaPrefix::decode(option)?;
                check_inside(prefix.options)?;
                Self::IaPrefix(prefix)
            }
            OPTION_REQUEST => Self::OptionRequest(Codes(list(option)?)),
            PREFERENCE => Self::Preference(u8::from_be_bytes(fixed(option)?)),
            ELAPSED_TIME => Self::ElapsedTime(u16::from_be_bytes(fixed(option)?)),
            STATUS_CODE => {
                let (code, message) = value
                    .split_first_chunk()
                    .ok_or_else(|| short(option, "status code shorter than 2 octets"))?;
                let code = u16::from_be_bytes(*code);
                Self::StatusCode { code, message }
            }
            RAPID_COMMIT => {
                let [] = fixed(option)?;
                Self::RapidCommit
            }
            DNS_SERVERS => Self::DnsServers(Addresses(list(option)?)),
            DOMAIN_LIST => Self::DomainList(names(option)?),
            code => Self::Other { code, value },
        })
    }

    /// Appends the option in wire format.
    pub fn put(&self, out: &mut Vec<u8>) {
        let mut put = |code, parts: &[&[u8]]| {
            put_option(out, code, |out| {
                for part in parts {
                    out.extend_from_slice(part);
                }
            });
        };
        match self {
            Self::ClientId(duid) => put(CLIENT_ID, &[duid]),
            Self::ServerId(duid) => put(SERVER_ID, &[duid]),
            Self::Ia(ia) => {
                let times = [ia.t1.to_be_bytes(), ia.t2.to_be_bytes()].concat();
                let times: &[u8] = match ia.kind {
                    IaKind::Temporary => &[],
                    IaKind::NonTemporary | IaKind::Prefixes => &times,
                };
                let iaid = ia.iaid.to_be_bytes();
                put(ia.kind as u16, &[&iaid, times, ia.options.bytes()]);
            }
            Self::IaAddress(ia) => put(
                IA_ADDRESS,
                &[
                    &ia.address.octets(),
                    &ia.preferred.to_be_bytes(),
                    &ia.valid.to_be_bytes(),
                    ia.options.bytes(),
                ],
            ),
            Self::IaPrefix(ia) => put(
                IA_PREFIX,
                &[
                    &ia.preferred.to_be_bytes(),
                    &ia.valid.to_be_bytes(),
                    &[ia.length],
                    &ia.prefix.octets(),
                    ia.options.bytes(),
                ],
            ),
            Self::OptionRequest(codes) => put(OPTION_REQUEST, &[codes.0.as_flattened()]),
            Self::Preference(preference) => put(PREFERENCE, &[&[*preference]]),
            Self::ElapsedTime(time) => put(ELAPSED_TIME, &[&time.to_be_bytes()]),
            Self::StatusCode { code, message } => {
                put(STATUS_CODE, &[&code.to_be_bytes(), message]);
            }
            Self::RapidCommit => put(RAPID_COMMIT, &[]),
            Self::DnsServers(servers) => put(DNS_SERVERS, &[servers.0.as_flattened()]),
            Self::DomainList(names) => put(DOMAIN_LIST, &[names]),
            Self::Other { code, value } => put(*code, &[value]),
        }
    }
}

fn short(option: RawOption<'_>, reason: &'static str) -> Malformed {
    let offset = option.offset;
    Malformed { offset, reason }
}

/// The options in `rest`, the end of an option's value.
fn within<'a>(option: RawOption<'a>, rest: &'a [u8]) -> Options<'a> {
    Options::new(rest, option.offset + option.value.len() - rest.len())
}

fn number(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (number, rest) = bytes.split_first_chunk()?;
    Some((u32::from_be_bytes(*number), rest))
}

fn fixed<const N: usize>(option: RawOption<'_>) -> Result<[u8; N], Malformed> {
    option
        .value
        .try_into()
        .map_err(|_| short(option, "option of a wrong length"))
}

fn list<const N: usize>(option: RawOption<'_>) -> Result<&[[u8; N]], Malformed> {
    match option.value.as_chunks() {
        (items, []) => Ok(items),
        _ => Err(short(option, "list that ends within an item")),
    }
}

fn duid(option: RawOption<'_>) -> Result<&[u8], Malformed> {
    match option.value.len() {
        3..=130 => Ok(option.value),
        _ => Err(short(option, "DUID not of 3 to 130 octets")),
    }
}

fn names(option: RawOption<'_>) -> Result<&[u8], Malformed> {
    let mut rest = option.value;
    while !rest.is_empty() {
        rest = super::domain::take(rest)
            .map_err(|reason| short(option, reason))?
            .1;
    }
    Ok(option.value)
}

fn timed_ia(kind: IaKind, option: RawOption<'_>) -> Result<Ia<'_>, Malformed> {
    let (iaid, t1, t2, rest) = (|| {
        let (iaid, rest) = number(option.value)?;
        let (t1, rest) = number(rest)?;
        let (t2, rest) = number(rest)?;
        Some((iaid, t1, t2, rest))
    })()
    .ok_or_else(|| short(option, "identity association shorter than 12 octets"))?;
    let options = within(option, rest);
    check_ia(options)?;
    Ok(Ia {
        kind,
        iaid,
        t1,
        t2,
        options,
    })
}

fn temporary_ia(option: RawOption<'_>) -> Result<Ia<'_>, Malformed> {
    let (iaid, rest) = number(option.value)
        .ok_or_else(|| short(option, "identity association shorter than 4 octets"))?;
    let options = within(option, rest);
    check_ia(options)?;
    Ok(Ia {
        kind: IaKind::Temporary,
        iaid,
        t1: 0,
        t2: 0,
        options,
    })
}

/// Addresses and prefixes of an identity association and what they contain. An association within another is no
/// more than octets, so that depth is bounded whatever a sender nests.
fn check_ia(options: Options<'_>) -> Result<(), Malformed> {
    for option in options {
        let option = option?;
        match option.code {
            IA_ADDRESS => check_inside(IaAddress::decode(option)?.options)?,
            IA_PREFIX => check_inside(IaPrefix::decode(option)?.options)?,
            _ => {}
        }
    }
    Ok(())
}

fn check_inside(mut options: Options<'_>) -> Result<(), Malformed> {
    options.try_for_each(|option| option.map(drop))
}
