//! The options (RFC 2132 and the RFCs named): their codes, and their values as types that cannot be invalid.
//!
//! [`DecodedDhcpv4Option::decode`] borrows from the message. Texts may be empty: §3 forbids it, but clients send them. Unknown
//! options survive as [`DecodedDhcpv4Option::Other`].

use super::codec::{Dhcpv4MessageType, Overload, RawDhcpv4Option, put_option};
use crate::answer::Malformed;
use std::net::Ipv4Addr;

/// Fills up (RFC 2132 §3.1).
pub const PAD: u8 = 0;
/// Subnet mask (§3.3).
pub const SUBNET_MASK: u8 = 1;
/// Routers (§3.5).
pub const ROUTERS: u8 = 3;
/// DNS servers (§3.8).
pub const DNS_SERVERS: u8 = 6;
/// The client's name (§3.14).
pub const HOST_NAME: u8 = 12;
/// The domain (§3.17).
pub const DOMAIN_NAME: u8 = 15;
/// MTU (§5.1).
pub const MTU: u8 = 26;
/// The broadcast address (§5.3).
pub const BROADCAST_ADDRESS: u8 = 28;
/// The address that the client would like (§9.1).
pub const REQUESTED_ADDRESS: u8 = 50;
/// For how long an address is leased, in seconds (§9.2).
pub const LEASE_TIME: u8 = 51;
/// Which fields hold options (§9.3).
pub const OVERLOAD: u8 = 52;
/// The type of the message (§9.6).
pub const MESSAGE_TYPE: u8 = 53;
/// The server's address (§9.7).
pub const SERVER_ID: u8 = 54;
/// The options that the client asks for (§9.8).
pub const PARAMETER_REQUEST: u8 = 55;
/// Why a request was refused, for a person (§9.9).
pub const MESSAGE: u8 = 56;
/// Octets of the longest message that the client takes (§9.10).
pub const MAX_MESSAGE_SIZE: u8 = 57;
/// T1, in seconds (§9.11).
pub const RENEWAL_TIME: u8 = 58;
/// T2, in seconds (§9.12).
pub const REBINDING_TIME: u8 = 59;
/// The client's identifier (§9.14).
pub const CLIENT_ID: u8 = 61;
/// The file to boot (§9.5).
pub const BOOT_FILE: u8 = 67;
/// The client's user class (RFC 3004).
pub const USER_CLASS: u8 = 77;
/// Two messages instead of four (RFC 4039).
pub const RAPID_COMMIT: u8 = 80;
/// The client's name, in full (RFC 4702).
pub const CLIENT_FQDN: u8 = 81;
/// The client's processor architectures (RFC 4578 §2.1).
pub const CLIENT_ARCHITECTURES: u8 = 93;
/// The domains to search (RFC 3397).
pub const DOMAIN_SEARCH: u8 = 119;
/// Routes with their prefix lengths (RFC 3442).
pub const CLASSLESS_ROUTES: u8 = 121;
/// The same, as Windows asks for it ([MS-DHCPE] §2.2.8).
pub const CLASSLESS_ROUTES_MICROSOFT: u8 = 249;
/// No more options in this area (RFC 2132 §3.2).
pub const END: u8 = 255;

/// An option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecodedDhcpv4Option<'a> {
    /// Subnet mask.
    SubnetMask(Ipv4Addr),
    /// Routers.
    Routers(Ipv4List<'a>),
    /// DNS servers.
    DnsServers(Ipv4List<'a>),
    /// The client's name.
    HostName(&'a [u8]),
    /// The domain.
    DomainName(&'a [u8]),
    /// MTU in octets.
    Mtu(u16),
    /// The broadcast address.
    BroadcastAddress(Ipv4Addr),
    /// The address that the client would like.
    RequestedAddress(Ipv4Addr),
    /// For how long an address is leased, in seconds.
    LeaseTime(u32),
    /// Which fields hold options.
    Overload(Overload),
    /// The type of the message.
    MessageType(Dhcpv4MessageType),
    /// The server's address.
    ServerId(Ipv4Addr),
    /// The options that the client asks for.
    ParameterRequest(&'a [u8]),
    /// Why a request was refused, for a person.
    Message(&'a [u8]),
    /// Octets of the longest message that the client takes.
    MaxMessageSize(u16),
    /// T1, in seconds.
    RenewalTime(u32),
    /// T2, in seconds.
    RebindingTime(u32),
    /// The client's identifier: 2 octets at least.
    ClientId(&'a [u8]),
    /// The file to boot.
    BootFile(&'a [u8]),
    /// The client's user class.
    UserClass(&'a [u8]),
    /// Two messages instead of four.
    RapidCommit,
    /// The client's name, in full.
    ClientFqdn(Dhcpv4Fqdn<'a>),
    /// The client's processor architectures.
    ClientArchitectures(&'a [[u8; 2]]),
    /// Classless routes, each complete.
    ClasslessRoutes(&'a [u8]),
    /// Any other option.
    Other {
        /// Its code.
        code: u8,
        /// Its value.
        value: &'a [u8],
    },
}

/// A list of addresses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ipv4List<'a>(&'a [[u8; 4]]);

impl Ipv4List<'_> {
    /// The addresses, in the sender's order.
    pub fn iter(&self) -> impl Iterator<Item = Ipv4Addr> {
        self.0.iter().map(|address| Ipv4Addr::from(*address))
    }
}

/// A client's name (RFC 4702 §2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dhcpv4Fqdn<'a> {
    /// N, E, O and S, from the fourth lowest bit to the lowest.
    pub flags: u8,
    /// RCODE1 and RCODE2. They have no meaning.
    pub codes: [u8; 2],
    /// The name as received.
    pub name: &'a [u8],
}

impl Dhcpv4Fqdn<'_> {
    /// S: the server updates the DNS.
    pub const SERVER_UPDATES: u8 = 1;
    /// O: the server did not follow the client's S.
    pub const OVERRIDDEN: u8 = 2;
    /// E: the name is in wire format, else it is text.
    pub const ENCODED: u8 = 4;
    /// N: the server updates nothing.
    pub const NO_UPDATES: u8 = 8;
}

impl<'a> DecodedDhcpv4Option<'a> {
    /// The option's value as a type.
    ///
    /// # Errors
    /// Where and why the value is not what the option's definition says.
    pub fn decode(option: RawDhcpv4Option<'a>) -> Result<Self, Malformed> {
        let RawDhcpv4Option { code, value, .. } = option;
        Ok(match code {
            SUBNET_MASK => Self::SubnetMask(address(option)?),
            ROUTERS => Self::Routers(Ipv4List(list(option)?)),
            DNS_SERVERS => Self::DnsServers(Ipv4List(list(option)?)),
            HOST_NAME => Self::HostName(value),
            DOMAIN_NAME => Self::DomainName(value),
            MTU => Self::Mtu(fixed(option).map(u16::from_be_bytes)?),
            BROADCAST_ADDRESS => Self::BroadcastAddress(address(option)?),
            REQUESTED_ADDRESS => Self::RequestedAddress(address(option)?),
            LEASE_TIME => Self::LeaseTime(seconds(option)?),
            OVERLOAD => Self::Overload(overload(option)?),
            MESSAGE_TYPE => Self::MessageType(message_type(option)?),
            SERVER_ID => Self::ServerId(address(option)?),
            PARAMETER_REQUEST => Self::ParameterRequest(value),
            MESSAGE => Self::Message(value),
            MAX_MESSAGE_SIZE => Self::MaxMessageSize(fixed(option).map(u16::from_be_bytes)?),
            RENEWAL_TIME => Self::RenewalTime(seconds(option)?),
            REBINDING_TIME => Self::RebindingTime(seconds(option)?),
            CLIENT_ID => Self::ClientId(client_id(option)?),
            BOOT_FILE => Self::BootFile(value),
            USER_CLASS => Self::UserClass(value),
            RAPID_COMMIT => rapid_commit(option)?,
            CLIENT_FQDN => Self::ClientFqdn(fqdn(option)?),
            CLIENT_ARCHITECTURES => Self::ClientArchitectures(list(option)?),
            CLASSLESS_ROUTES => Self::ClasslessRoutes(routes(option)?),
            code => Self::Other { code, value },
        })
    }

    /// Appends the option in wire format.
    pub fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::SubnetMask(mask) => put(out, SUBNET_MASK, &mask.octets()),
            Self::Routers(routers) => put(out, ROUTERS, routers.0.as_flattened()),
            Self::DnsServers(servers) => put(out, DNS_SERVERS, servers.0.as_flattened()),
            Self::HostName(name) => put(out, HOST_NAME, name),
            Self::DomainName(name) => put(out, DOMAIN_NAME, name),
            Self::Mtu(mtu) => put(out, MTU, &mtu.to_be_bytes()),
            Self::BroadcastAddress(address) => put(out, BROADCAST_ADDRESS, &address.octets()),
            Self::RequestedAddress(address) => put(out, REQUESTED_ADDRESS, &address.octets()),
            Self::LeaseTime(time) => put(out, LEASE_TIME, &time.to_be_bytes()),
            Self::Overload(overload) => put(out, OVERLOAD, &[*overload as u8]),
            Self::MessageType(kind) => put(out, MESSAGE_TYPE, &[*kind as u8]),
            Self::ServerId(address) => put(out, SERVER_ID, &address.octets()),
            Self::ParameterRequest(codes) => put(out, PARAMETER_REQUEST, codes),
            Self::Message(text) => put(out, MESSAGE, text),
            Self::MaxMessageSize(size) => put(out, MAX_MESSAGE_SIZE, &size.to_be_bytes()),
            Self::RenewalTime(time) => put(out, RENEWAL_TIME, &time.to_be_bytes()),
            Self::RebindingTime(time) => put(out, REBINDING_TIME, &time.to_be_bytes()),
            Self::ClientId(id) => put(out, CLIENT_ID, id),
            Self::BootFile(name) => put(out, BOOT_FILE, name),
            Self::UserClass(class) => put(out, USER_CLASS, class),
            Self::RapidCommit => put(out, RAPID_COMMIT, &[]),
            Self::ClientFqdn(fqdn) => put_option(out, CLIENT_FQDN, |out| {
                out.push(fqdn.flags);
                out.extend(fqdn.codes);
                out.extend_from_slice(fqdn.name);
            }),
            Self::ClientArchitectures(kinds) => {
                put(out, CLIENT_ARCHITECTURES, kinds.as_flattened());
            }
            Self::ClasslessRoutes(routes) => put(out, CLASSLESS_ROUTES, routes),
            Self::Other { code, value } => put(out, *code, value),
        }
    }
}

fn put(out: &mut Vec<u8>, code: u8, value: &[u8]) {
    put_option(out, code, |out| out.extend_from_slice(value));
}

/// The option's value is wrong, for this reason.
fn wrong(option: RawDhcpv4Option<'_>, reason: &'static str) -> Malformed {
    let offset = option.offset;
    Malformed { offset, reason }
}

fn fixed<const N: usize>(option: RawDhcpv4Option<'_>) -> Result<[u8; N], Malformed> {
    option
        .value
        .try_into()
        .map_err(|_| wrong(option, "option of a wrong length"))
}

fn address(option: RawDhcpv4Option<'_>) -> Result<Ipv4Addr, Malformed> {
    fixed::<4>(option).map(Ipv4Addr::from)
}

fn seconds(option: RawDhcpv4Option<'_>) -> Result<u32, Malformed> {
    fixed(option).map(u32::from_be_bytes)
}

/// A value of at least one octet.
fn something(option: RawDhcpv4Option<'_>) -> Result<&[u8], Malformed> {
    match option.value {
        [] => Err(wrong(option, "option without value")),
        value => Ok(value),
    }
}

/// A value that consists of items of this many octets.
fn list<const N: usize>(option: RawDhcpv4Option<'_>) -> Result<&[[u8; N]], Malformed> {
    match something(option)?.as_chunks() {
        (items, []) => Ok(items),
        _ => Err(wrong(option, "list that ends within an item")),
    }
}

fn overload(option: RawDhcpv4Option<'_>) -> Result<Overload, Malformed> {
    let [number] = fixed(option)?;
    Overload::from_u8(number).ok_or_else(|| wrong(option, "overload not from 1 to 3"))
}

fn message_type(option: RawDhcpv4Option<'_>) -> Result<Dhcpv4MessageType, Malformed> {
    let [number] = fixed(option)?;
    Dhcpv4MessageType::from_u8(number).ok_or_else(|| wrong(option, "unknown message type"))
}

fn client_id(option: RawDhcpv4Option<'_>) -> Result<&[u8], Malformed> {
    match option.value.len() {
        0 | 1 => Err(wrong(option, "client identifier shorter than 2 octets")),
        _ => Ok(option.value),
    }
}

fn rapid_commit(option: RawDhcpv4Option<'_>) -> Result<DecodedDhcpv4Option<'_>, Malformed> {
    let [] = fixed(option)?;
    Ok(DecodedDhcpv4Option::RapidCommit)
}

fn fqdn(option: RawDhcpv4Option<'_>) -> Result<Dhcpv4Fqdn<'_>, Malformed> {
    let Some(([flags, codes @ ..], name)) = option.value.split_first_chunk::<3>() else {
        return Err(wrong(option, "client name shorter than 3 octets"));
    };
    Ok(Dhcpv4Fqdn {
        flags: *flags,
        codes: *codes,
        name,
    })
}

fn routes(option: RawDhcpv4Option<'_>) -> Result<&[u8], Malformed> {
    let mut rest = something(option)?;
    while let Some((&length, tail)) = rest.split_first() {
        if length > 32 {
            return Err(wrong(option, "route of more than 32 bits"));
        }
        let octets = usize::from(length).div_ceil(8) + 4;
        rest = tail
            .get(octets..)
            .ok_or_else(|| wrong(option, "route cut short"))?;
    }
    Ok(option.value)
}
