//! The options (RFC 9915 §21 and the RFCs named): their codes, and their values as types that cannot be invalid.
//!
//! [`DecodedDhcpv6Option::decode`] borrows from the message. Lists stay octets: their length is checked once, and they are read
//! while iterating. Unknown options survive as [`DecodedDhcpv6Option::Other`].

mod code;
mod ia;
mod status;
mod value;

pub use code::*;
pub use ia::{Ia, IaAddress, IaKind, IaPrefix};
pub use status::Status;
pub use value::{Codes, Dhcpv6Fqdn, Ipv6List};

use super::codec::{RawDhcpv6Option, RawDhcpv6Options, put_option};
use super::domain;
use crate::answer::Malformed;
use value::{fixed, list, whole, within, wrong};

/// An option.
#[derive(Clone, Copy, Debug)]
pub enum DecodedDhcpv6Option<'a> {
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
    /// The server's preference: higher is better.
    Preference(u8),
    /// For how long the client has been trying, in hundredths of a second.
    ElapsedTime(u16),
    /// The message that is relayed.
    RelayMessage(&'a [u8]),
    /// The result of the message or association.
    StatusCode {
        /// The status. It may be a number outside of [`Status`].
        code: u16,
        /// For a person.
        message: &'a [u8],
    },
    /// The client accepts a Reply to its Solicit, or the server gave one.
    RapidCommit,
    /// The client's user class as received: parts, each after its length.
    UserClass(&'a [u8]),
    /// Where a relay agent heard the client.
    InterfaceId(&'a [u8]),
    /// DNS servers.
    DnsServers(Ipv6List<'a>),
    /// The domain search list; well-formed names in wire format.
    DomainList(&'a [u8]),
    /// SNTP servers.
    SntpServers(Ipv6List<'a>),
    /// When to ask again, in seconds.
    InformationRefreshTime(u32),
    /// The client's name.
    ClientFqdn(Dhcpv6Fqdn<'a>),
    /// NTP servers, as sub-options.
    NtpServer(RawDhcpv6Options<'a>),
    /// What to boot.
    BootFileUrl(&'a [u8]),
    /// Its parameters, each after its length.
    BootFileParameters(&'a [u8]),
    /// The client's architectures, in order of preference.
    ClientArchitectures(Codes<'a>),
    /// The longest time between two Solicits, in seconds.
    SolMaxRt(u32),
    /// The longest time between two Information-requests, in seconds.
    InfMaxRt(u32),
    /// Any other option.
    Other {
        /// Its code.
        code: u16,
        /// Its value.
        value: &'a [u8],
    },
}

impl<'a> DecodedDhcpv6Option<'a> {
    /// The option's value as a type.
    ///
    /// # Errors
    /// Where and why the value is not what the option's definition says, options inside of it included.
    pub fn decode(option: RawDhcpv6Option<'a>) -> Result<Self, Malformed> {
        let RawDhcpv6Option { code, value, .. } = option;
        Ok(match code {
            CLIENT_ID => Self::ClientId(duid(option)?),
            SERVER_ID => Self::ServerId(duid(option)?),
            IA_NA => Self::Ia(Ia::decode(IaKind::NonTemporary, option)?),
            IA_TA => Self::Ia(Ia::decode(IaKind::Temporary, option)?),
            IA_PD => Self::Ia(Ia::decode(IaKind::Prefixes, option)?),
            IA_ADDRESS => Self::IaAddress(ia_address(option)?),
            IA_PREFIX => Self::IaPrefix(ia_prefix(option)?),
            OPTION_REQUEST => Self::OptionRequest(Codes(list(option)?)),
            PREFERENCE => Self::Preference(u8::from_be_bytes(fixed(option)?)),
            ELAPSED_TIME => Self::ElapsedTime(u16::from_be_bytes(fixed(option)?)),
            RELAY_MESSAGE => Self::RelayMessage(value),
            STATUS_CODE => status_code(option)?,
            RAPID_COMMIT => rapid_commit(option)?,
            USER_CLASS => Self::UserClass(value),
            INTERFACE_ID => Self::InterfaceId(value),
            DNS_SERVERS => Self::DnsServers(Ipv6List(list(option)?)),
            DOMAIN_LIST => Self::DomainList(names(option)?),
            SNTP_SERVERS => Self::SntpServers(Ipv6List(list(option)?)),
            INFORMATION_REFRESH_TIME => Self::InformationRefreshTime(seconds(option)?),
            CLIENT_FQDN => Self::ClientFqdn(Dhcpv6Fqdn::decode(option)?),
            NTP_SERVER => Self::NtpServer(sub_options(option)?),
            BOOT_FILE_URL => Self::BootFileUrl(value),
            BOOT_FILE_PARAMETERS => Self::BootFileParameters(texts(option)?),
            CLIENT_ARCHITECTURES => Self::ClientArchitectures(Codes(list(option)?)),
            SOL_MAX_RT => Self::SolMaxRt(seconds(option)?),
            INF_MAX_RT => Self::InfMaxRt(seconds(option)?),
            code => Self::Other { code, value },
        })
    }

    /// Appends the option in wire format.
    pub fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::ClientId(duid) => put(out, CLIENT_ID, &[duid]),
            Self::ServerId(duid) => put(out, SERVER_ID, &[duid]),
            Self::Ia(ia) => put_ia(out, ia),
            Self::IaAddress(ia) => put_ia_address(out, ia),
            Self::IaPrefix(ia) => put_ia_prefix(out, ia),
            Self::OptionRequest(codes) => put(out, OPTION_REQUEST, &[codes.0.as_flattened()]),
            Self::Preference(preference) => put(out, PREFERENCE, &[&[*preference]]),
            Self::ElapsedTime(time) => put(out, ELAPSED_TIME, &[&time.to_be_bytes()]),
            Self::RelayMessage(message) => put(out, RELAY_MESSAGE, &[message]),
            Self::StatusCode { code, message } => {
                put(out, STATUS_CODE, &[&code.to_be_bytes(), message]);
            }
            Self::RapidCommit => put(out, RAPID_COMMIT, &[]),
            Self::UserClass(class) => put(out, USER_CLASS, &[class]),
            Self::InterfaceId(id) => put(out, INTERFACE_ID, &[id]),
            Self::DnsServers(servers) => put(out, DNS_SERVERS, &[servers.0.as_flattened()]),
            Self::DomainList(names) => put(out, DOMAIN_LIST, &[names]),
            Self::SntpServers(servers) => put(out, SNTP_SERVERS, &[servers.0.as_flattened()]),
            Self::InformationRefreshTime(time) => {
                put(out, INFORMATION_REFRESH_TIME, &[&time.to_be_bytes()]);
            }
            Self::ClientFqdn(fqdn) => put(out, CLIENT_FQDN, &[&[fqdn.flags], fqdn.name]),
            Self::NtpServer(options) => put(out, NTP_SERVER, &[options.bytes()]),
            Self::BootFileUrl(url) => put(out, BOOT_FILE_URL, &[url]),
            Self::BootFileParameters(texts) => put(out, BOOT_FILE_PARAMETERS, &[texts]),
            Self::ClientArchitectures(kinds) => {
                put(out, CLIENT_ARCHITECTURES, &[kinds.0.as_flattened()]);
            }
            Self::SolMaxRt(time) => put(out, SOL_MAX_RT, &[&time.to_be_bytes()]),
            Self::InfMaxRt(time) => put(out, INF_MAX_RT, &[&time.to_be_bytes()]),
            Self::Other { code, value } => put(out, *code, &[value]),
        }
    }
}

fn put(out: &mut Vec<u8>, code: u16, parts: &[&[u8]]) {
    put_option(out, code, |out| {
        for part in parts {
            out.extend_from_slice(part);
        }
    });
}

fn put_ia(out: &mut Vec<u8>, ia: &Ia<'_>) {
    let [iaid, t1, t2] = [ia.iaid, ia.t1, ia.t2].map(u32::to_be_bytes);
    match ia.kind {
        IaKind::Temporary => put(out, IA_TA, &[&iaid, ia.options.bytes()]),
        IaKind::NonTemporary => put(out, IA_NA, &[&iaid, &t1, &t2, ia.options.bytes()]),
        IaKind::Prefixes => put(out, IA_PD, &[&iaid, &t1, &t2, ia.options.bytes()]),
    }
}

fn put_ia_address(out: &mut Vec<u8>, ia: &IaAddress<'_>) {
    let [preferred, valid] = [ia.preferred, ia.valid].map(u32::to_be_bytes);
    let address = ia.address.octets();
    put(
        out,
        IA_ADDRESS,
        &[&address, &preferred, &valid, ia.options.bytes()],
    );
}

fn put_ia_prefix(out: &mut Vec<u8>, ia: &IaPrefix<'_>) {
    let [preferred, valid] = [ia.preferred, ia.valid].map(u32::to_be_bytes);
    let prefix = ia.prefix.octets();
    put(
        out,
        IA_PREFIX,
        &[
            &preferred,
            &valid,
            &[ia.length],
            &prefix,
            ia.options.bytes(),
        ],
    );
}

fn ia_address(option: RawDhcpv6Option<'_>) -> Result<IaAddress<'_>, Malformed> {
    let address = IaAddress::decode(option)?;
    whole(address.options)?;
    Ok(address)
}

fn ia_prefix(option: RawDhcpv6Option<'_>) -> Result<IaPrefix<'_>, Malformed> {
    let prefix = IaPrefix::decode(option)?;
    whole(prefix.options)?;
    Ok(prefix)
}

fn duid(option: RawDhcpv6Option<'_>) -> Result<&[u8], Malformed> {
    match option.value.len() {
        3..=130 => Ok(option.value),
        _ => Err(wrong(option, "DUID not of 3 to 130 octets")),
    }
}

fn status_code(option: RawDhcpv6Option<'_>) -> Result<DecodedDhcpv6Option<'_>, Malformed> {
    let (code, message) = option
        .value
        .split_first_chunk()
        .ok_or_else(|| wrong(option, "status code shorter than 2 octets"))?;
    let code = u16::from_be_bytes(*code);
    Ok(DecodedDhcpv6Option::StatusCode { code, message })
}

fn rapid_commit(option: RawDhcpv6Option<'_>) -> Result<DecodedDhcpv6Option<'_>, Malformed> {
    let [] = fixed(option)?;
    Ok(DecodedDhcpv6Option::RapidCommit)
}

fn seconds(option: RawDhcpv6Option<'_>) -> Result<u32, Malformed> {
    fixed(option).map(u32::from_be_bytes)
}

fn sub_options(option: RawDhcpv6Option<'_>) -> Result<RawDhcpv6Options<'_>, Malformed> {
    let options = within(option, option.value);
    whole(options)?;
    Ok(options)
}

fn names(option: RawDhcpv6Option<'_>) -> Result<&[u8], Malformed> {
    let mut rest = option.value;
    while !rest.is_empty() {
        let (_name, tail) = domain::take(rest).map_err(|reason| wrong(option, reason))?;
        rest = tail;
    }
    Ok(option.value)
}

fn texts(option: RawDhcpv6Option<'_>) -> Result<&[u8], Malformed> {
    let mut rest = option.value;
    while !rest.is_empty() {
        rest = rest
            .split_first_chunk()
            .and_then(|(length, rest)| rest.get(usize::from(u16::from_be_bytes(*length))..))
            .ok_or_else(|| wrong(option, "parameter cut short"))?;
    }
    Ok(option.value)
}
