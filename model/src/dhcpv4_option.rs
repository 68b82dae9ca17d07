//! DHCPv4 options that a user gives a port: entries of `extra_dhcp_opts` with `ip_version` 4, as values that can be
//! sent.
//!
//! As for [`crate::Dhcpv6Option`], the names are dnsmasq's (`dnsmasq --help dhcp`), and numbers work as well. The API
//! refuses options that cannot be sent.

use crate::dhcp_tag::{DhcpTag, UnknownTag};
use crate::mac::hexadecimal_octet;
use crate::{DomainName, InvalidDomainName};
use ipnet::Ipv4Net;
use std::net::Ipv4Addr;

/// An option and its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dhcpv4Option {
    /// The clients that it is for. Without tags it is for all.
    pub tags: Vec<DhcpTag>,
    /// Where it goes in the message.
    pub place: Dhcpv4Place,
    /// The value in wire format.
    pub value: Vec<u8>,
}

/// Where a value goes in a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dhcpv4Place {
    /// The option of this code.
    Option(u8),
    /// `siaddr`, the address of the server to boot from (RFC 2131 §2).
    NextServer,
}

/// The option cannot be sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDhcpv4Option {
    /// The name is not known, and is not a number from 1 to 254.
    #[error("'{0}' is neither the name nor the number of a DHCPv4 option")]
    UnknownName(String),
    /// A tag is not known.
    #[error(transparent)]
    Tag(#[from] UnknownTag),
    /// The server alone decides on it.
    #[error("DHCPv4 option {0} is the server's own")]
    Reserved(u8),
    /// The value is empty.
    #[error("the value is empty")]
    Empty,
    /// An address was expected.
    #[error("'{0}' is not an IPv4 address")]
    Address(String),
    /// A prefix was expected.
    #[error("'{0}' is not an IPv4 prefix")]
    Prefix(String),
    /// Pairs were expected.
    #[error("the values are not pairs of {0}")]
    Pairs(&'static str),
    /// A domain name was expected.
    #[error("'{0}': {1}")]
    Name(String, InvalidDomainName),
    /// A number was expected.
    #[error("'{0}' is not a number from {1} to {2}")]
    Number(String, u32, u32),
    /// The value is longer than an option can be.
    #[error("the value is longer than {MAX_VALUE} octets")]
    Long,
}

/// The most octets of a value, since its length is one octet.
const MAX_VALUE: usize = 255;

/// How an option's value is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dhcpv4Format {
    /// Addresses.
    Addresses,
    /// Addresses by twos.
    AddressPairs,
    /// A text.
    Text,
    /// A name as text.
    Name,
    /// Names in wire format (RFC 3397).
    Names,
    /// 0 or 1.
    Flag,
    /// A number of one octet.
    Octet,
    /// A number of two octets.
    Short { least: u16 },
    /// A number of four octets.
    Long { least: u32 },
    /// Destination and next hop by turns (RFC 3442).
    Routes,
    /// As dnsmasq guesses: addresses, octets, or else text.
    Guess,
}

/// Name, code and format.
const KNOWN: [(&str, u8, Dhcpv4Format); 51] = [
    ("time-offset", 2, Dhcpv4Format::Long { least: 0 }),
    ("router", 3, Dhcpv4Format::Addresses),
    ("dns-server", 6, Dhcpv4Format::Addresses),
    ("log-server", 7, Dhcpv4Format::Addresses),
    ("lpr-server", 9, Dhcpv4Format::Addresses),
    ("hostname", 12, Dhcpv4Format::Name),
    ("boot-file-size", 13, Dhcpv4Format::Short { least: 0 }),
    ("domain-name", 15, Dhcpv4Format::Name),
    ("swap-server", 16, Dhcpv4Format::Addresses),
    ("root-path", 17, Dhcpv4Format::Text),
    ("extension-path", 18, Dhcpv4Format::Text),
    ("ip-forward-enable", 19, Dhcpv4Format::Flag),
    ("non-local-source-routing", 20, Dhcpv4Format::Flag),
    ("policy-filter", 21, Dhcpv4Format::AddressPairs),
    (
        "max-datagram-reassembly",
        22,
        Dhcpv4Format::Short { least: 576 },
    ),
    ("default-ttl", 23, Dhcpv4Format::Octet),
    // RFC 2132 §5.1.
    ("mtu", 26, Dhcpv4Format::Short { least: 68 }),
    ("all-subnets-local", 27, Dhcpv4Format::Flag),
    ("broadcast", 28, Dhcpv4Format::Addresses),
    ("router-discovery", 31, Dhcpv4Format::Flag),
    ("router-solicitation", 32, Dhcpv4Format::Addresses),
    ("static-route", 33, Dhcpv4Format::AddressPairs),
    ("trailer-encapsulation", 34, Dhcpv4Format::Flag),
    ("arp-timeout", 35, Dhcpv4Format::Long { least: 0 }),
    ("ethernet-encap", 36, Dhcpv4Format::Flag),
    ("tcp-ttl", 37, Dhcpv4Format::Octet),
    ("tcp-keepalive", 38, Dhcpv4Format::Long { least: 0 }),
    ("nis-domain", 40, Dhcpv4Format::Text),
    ("nis-server", 41, Dhcpv4Format::Addresses),
    ("ntp-server", 42, Dhcpv4Format::Addresses),
    ("netbios-ns", 44, Dhcpv4Format::Addresses),
    ("netbios-dd", 45, Dhcpv4Format::Addresses),
    ("netbios-nodetype", 46, Dhcpv4Format::Octet),
    ("netbios-scope", 47, Dhcpv4Format::Text),
    ("x-windows-fs", 48, Dhcpv4Format::Addresses),
    ("x-windows-dm", 49, Dhcpv4Format::Addresses),
    ("vendor-class", 60, Dhcpv4Format::Text),
    ("nis+-domain", 64, Dhcpv4Format::Text),
    ("nis+-server", 65, Dhcpv4Format::Addresses),
    ("tftp-server", 66, Dhcpv4Format::Text),
    ("bootfile-name", 67, Dhcpv4Format::Text),
    ("mobile-ip-home", 68, Dhcpv4Format::Addresses),
    ("smtp-server", 69, Dhcpv4Format::Addresses),
    ("pop3-server", 70, Dhcpv4Format::Addresses),
    ("nntp-server", 71, Dhcpv4Format::Addresses),
    ("irc-server", 74, Dhcpv4Format::Addresses),
    ("posix-timezone", 100, Dhcpv4Format::Text),
    ("tzdb-timezone", 101, Dhcpv4Format::Text),
    // MIN_V6ONLY_WAIT (RFC 8925 §3.4).
    ("ipv6-only", 108, Dhcpv4Format::Long { least: 300 }),
    ("domain-search", 119, Dhcpv4Format::Names),
    ("classless-static-route", 121, Dhcpv4Format::Routes),
];

/// Options that have a format but no name.
const NUMBERED: [(u8, Dhcpv4Format); 2] =
    [(150, Dhcpv4Format::Addresses), (249, Dhcpv4Format::Routes)];

/// Options that the server writes itself, or that only clients and relay agents send (RFC 2132, RFC 3046, RFC 4039, RFC
/// 4702).
const RESERVED: [u8; 20] = [
    1, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 61, 77, 80, 81, 82, 93, 94, 97, 118,
];

/// Options that an empty value suppresses: the router, and routes (neutron-lib's `VALID_BLANK_EXTRA_DHCP_OPTS`).
const SUPPRESSIBLE: [Dhcpv4Place; 2] = [Dhcpv4Place::Option(3), Dhcpv4Place::Option(121)];

impl Dhcpv4Option {
    /// Whether it suppresses an option that the server would send otherwise.
    #[must_use]
    pub fn is_suppressing(&self) -> bool {
        self.value.is_empty()
    }

    /// Reads an entry of `extra_dhcp_opts`. A name can begin with tags ([`DhcpTag`]) and `option:`; lists are separated
    /// by commas. The value of an option that is not known by name is addresses, octets as `01:02:0a`, or else a text.
    ///
    /// # Errors
    /// Why it cannot be sent.
    pub fn parse(name: &str, value: &str) -> Result<Self, InvalidDhcpv4Option> {
        let (tags, name) = DhcpTag::split(name)?;
        let (place, format) = find(name.strip_prefix("option:").unwrap_or(name))?;
        if value.trim().is_empty() && SUPPRESSIBLE.contains(&place) {
            let value = Vec::new();
            return Ok(Self { tags, place, value });
        }
        let value = read(format, value.trim())?;
        match value.len() {
            0 => Err(InvalidDhcpv4Option::Empty),
            1..=MAX_VALUE => Ok(Self { tags, place, value }),
            _ => Err(InvalidDhcpv4Option::Long),
        }
    }
}

fn find(name: &str) -> Result<(Dhcpv4Place, Dhcpv4Format), InvalidDhcpv4Option> {
    if matches!(name, "server-ip-address" | "255") {
        return Ok((Dhcpv4Place::NextServer, Dhcpv4Format::Addresses));
    }
    let number = name.parse::<u8>().ok().filter(|code| *code > 0);
    let known = KNOWN
        .iter()
        .find(|(known, code, _)| *known == name || Some(*code) == number)
        .map(|(_, code, format)| (*code, *format));
    let (code, format) = known
        .or_else(|| NUMBERED.into_iter().find(|(code, _)| Some(*code) == number))
        .or(number.map(|code| (code, Dhcpv4Format::Guess)))
        .ok_or_else(|| InvalidDhcpv4Option::UnknownName(name.to_owned()))?;
    if RESERVED.contains(&code) {
        return Err(InvalidDhcpv4Option::Reserved(code));
    }
    Ok((Dhcpv4Place::Option(code), format))
}

fn read(format: Dhcpv4Format, value: &str) -> Result<Vec<u8>, InvalidDhcpv4Option> {
    if value.is_empty() {
        return Err(InvalidDhcpv4Option::Empty);
    }
    match format {
        Dhcpv4Format::Addresses => addresses(value),
        Dhcpv4Format::AddressPairs => Some(addresses(value)?)
            .filter(|octets| octets.len() % 8 == 0)
            .ok_or(InvalidDhcpv4Option::Pairs("addresses")),
        Dhcpv4Format::Text => Ok(value.as_bytes().to_vec()),
        Dhcpv4Format::Name => Ok(domain_name(value)?.as_str().as_bytes().to_vec()),
        Dhcpv4Format::Names => names(value),
        Dhcpv4Format::Flag => Ok(vec![number(value, 0, 1)? as u8]),
        Dhcpv4Format::Octet => Ok(vec![number(value, 0, 255)? as u8]),
        Dhcpv4Format::Short { least } => {
            let short = number(value, least.into(), u16::MAX.into())? as u16;
            Ok(short.to_be_bytes().to_vec())
        }
        Dhcpv4Format::Long { least } => Ok(number(value, least, u32::MAX)?.to_be_bytes().to_vec()),
        Dhcpv4Format::Routes => routes(value),
        Dhcpv4Format::Guess => Ok(addresses(value)
            .ok()
            .or_else(|| octets(value))
            .unwrap_or_else(|| value.as_bytes().to_vec())),
    }
}

fn items(value: &str) -> impl Iterator<Item = &str> {
    value.split(',').map(str::trim)
}

fn address(text: &str) -> Result<Ipv4Addr, InvalidDhcpv4Option> {
    text.parse()
        .map_err(|_| InvalidDhcpv4Option::Address(text.to_owned()))
}

fn addresses(value: &str) -> Result<Vec<u8>, InvalidDhcpv4Option> {
    let addresses: Vec<_> = items(value).map(address).collect::<Result<_, _>>()?;
    Ok(addresses.iter().flat_map(Ipv4Addr::octets).collect())
}

fn domain_name(text: &str) -> Result<DomainName, InvalidDhcpv4Option> {
    text.parse()
        .map_err(|error| InvalidDhcpv4Option::Name(text.to_owned(), error))
}

fn names(value: &str) -> Result<Vec<u8>, InvalidDhcpv4Option> {
    let mut wire = Vec::new();
    for text in items(value) {
        for label in domain_name(text)?.as_str().split('.') {
            wire.push(label.len() as u8);
            wire.extend_from_slice(label.as_bytes());
        }
        wire.push(0);
    }
    Ok(wire)
}

fn number(text: &str, least: u32, most: u32) -> Result<u32, InvalidDhcpv4Option> {
    text.parse()
        .ok()
        .filter(|number| (least..=most).contains(number))
        .ok_or_else(|| InvalidDhcpv4Option::Number(text.to_owned(), least, most))
}

fn routes(value: &str) -> Result<Vec<u8>, InvalidDhcpv4Option> {
    let words: Vec<_> = items(value).collect();
    let (pairs, []) = words.as_chunks::<2>() else {
        return Err(InvalidDhcpv4Option::Pairs("a prefix and its next hop"));
    };
    let mut wire = Vec::new();
    for [prefix, next_hop] in pairs {
        let prefix: Ipv4Net = prefix
            .parse()
            .map_err(|_| InvalidDhcpv4Option::Prefix((*prefix).to_owned()))?;
        put_route(&mut wire, prefix, address(next_hop)?);
    }
    Ok(wire)
}

/// A route in the format of RFC 3442: only as many octets of the destination as its length needs.
pub fn put_route(out: &mut Vec<u8>, destination: Ipv4Net, next_hop: Ipv4Addr) {
    let significant = usize::from(destination.prefix_len()).div_ceil(8);
    out.push(destination.prefix_len());
    out.extend_from_slice(&destination.network().octets()[..significant]);
    out.extend(next_hop.octets());
}

fn octets(text: &str) -> Option<Vec<u8>> {
    text.contains(':')
        .then(|| text.split(':').map(hexadecimal_octet).collect())?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(name: &str, value: &str) -> Result<(Dhcpv4Place, Vec<u8>), String> {
        Dhcpv4Option::parse(name, value)
            .map(|option| (option.place, option.value))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn values_are_read_as_their_option_says() {
        use Dhcpv4Place::{NextServer, Option};
        for (name, value, place, wire) in [
            (
                "dns-server",
                "192.0.2.1, 192.0.2.2",
                Option(6),
                &[192, 0, 2, 1, 192, 0, 2, 2][..],
            ),
            ("option:mtu", "1400", Option(26), &[5, 0x78]),
            ("26", "1400", Option(26), &[5, 0x78]),
            ("tag:!ipxe,bootfile-name", "a.efi", Option(67), b"a.efi"),
            ("66", "tftp.example", Option(66), b"tftp.example"),
            ("150", "192.0.2.1", Option(150), &[192, 0, 2, 1]),
            ("224", "01:fF", Option(224), &[1, 255]),
            ("224", "192.0.2.1", Option(224), &[192, 0, 2, 1]),
            ("224", "some text", Option(224), b"some text"),
            (
                "server-ip-address",
                "192.0.2.1",
                NextServer,
                &[192, 0, 2, 1],
            ),
            ("domain-search", "a.b", Option(119), b"\x01a\x01b\0"),
            ("ipv6-only", "1800", Option(108), &[0, 0, 7, 8]),
            (
                "classless-static-route",
                "10.1.0.0/16,192.0.2.1,0.0.0.0/0,192.0.2.2",
                Option(121),
                &[16, 10, 1, 192, 0, 2, 1, 0, 192, 0, 2, 2],
            ),
        ] {
            assert_eq!(parse(name, value), Ok((place, wire.to_vec())), "{name}");
        }
    }

    #[test]
    fn what_cannot_be_sent_is_refused_with_the_reason() {
        let refused = |name, value| parse(name, value).unwrap_err();
        assert!(refused("dns-servers", "192.0.2.1").contains("neither the name nor the number"));
        assert!(refused("0", "1").starts_with("'0' is neither"));
        assert!(refused("256", "1").starts_with("'256' is neither"));
        assert_eq!(refused("51", "60"), "DHCPv4 option 51 is the server's own");
        assert_eq!(refused("router", "::1"), "'::1' is not an IPv4 address");
        assert_eq!(
            refused("mtu", "67"),
            "'67' is not a number from 68 to 65535"
        );
        assert_eq!(refused("mtu", " "), "the value is empty");
        assert!(refused("static-route", "192.0.2.1").contains("pairs of addresses"));
        assert!(refused("121", "10.0.0.0/8").contains("pairs of a prefix"));
        assert!(refused("121", "10.0.0.0/33,10.0.0.1").contains("not an IPv4 prefix"));
        assert!(refused("domain-name", "a..b").contains("label"));
        assert!(refused("tag:blue,67", "x").contains("is no tag"));
        assert!(refused("67", &"x".repeat(256)).contains("longer than 255"));
    }

    #[test]
    fn no_known_option_is_reserved() {
        assert!(KNOWN.iter().all(|(_, code, _)| !RESERVED.contains(code)));
    }
}
