//! DHCPv6 options that a user gives a port: entries of `extra_dhcp_opts` with `ip_version` 6, as values that can be
//! sent.
//!
//! The names are dnsmasq's (`dnsmasq --help dhcp6`), which Neutron's users know, and numbers work as well. A value is
//! parsed by its option's definition. So the API refuses a value that cannot be sent, and no answer is spoilt.

use crate::dhcp_tag::{DhcpTag, UnknownTag};
use crate::mac::hexadecimal_octet;
use crate::{DomainName, InvalidDomainName};
use std::net::Ipv6Addr;

/// An option and its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dhcpv6Option {
    /// The clients that it is for. Without tags it is for all.
    pub tags: Vec<DhcpTag>,
    /// The option's code.
    pub code: u16,
    /// The value.
    pub value: Dhcpv6Value,
}

/// The value of an option, in one of the formats that options have (RFC 7227 §5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Dhcpv6Value {
    /// Addresses.
    Addresses(Vec<Ipv6Addr>),
    /// Domain names.
    Names(Vec<DomainName>),
    /// NTP servers (RFC 5908).
    TimeServers(Vec<TimeServer>),
    /// A text.
    Text(String),
    /// Texts, each with its length (RFC 5970 §3.2).
    Texts(Vec<String>),
    /// A duration in seconds.
    Seconds(u32),
    /// The octets of an option without a known format.
    Octets(Vec<u8>),
}

/// An NTP server, one sub-option (RFC 5908 §4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TimeServer {
    /// By its address.
    Unicast(Ipv6Addr),
    /// By the group that it sends to.
    Multicast(Ipv6Addr),
    /// By its name.
    Name(DomainName),
}

/// The option cannot be sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDhcpv6Option {
    /// The name is not known, and is not a number from 1 to 65535.
    #[error("'{0}' is neither the name nor the number of a DHCPv6 option")]
    UnknownName(String),
    /// A tag is not known.
    #[error(transparent)]
    Tag(#[from] UnknownTag),
    /// The server alone decides on it.
    #[error("DHCPv6 option {0} is the server's own")]
    Reserved(u16),
    /// The value is empty.
    #[error("the value is empty")]
    Empty,
    /// An address was expected.
    #[error("'{0}' is not an IPv6 address")]
    Address(String),
    /// A domain name was expected.
    #[error("'{0}': {1}")]
    Name(String, InvalidDomainName),
    /// A number was expected.
    #[error("'{0}' is not a number of seconds from {1} to 4294967295")]
    Seconds(String, u32),
    /// Pairs of hexadecimal digits were expected.
    #[error("'{0}' is not a sequence of colon-separated pairs of hexadecimal digits")]
    Octets(String),
    /// The value is longer than an option can be.
    #[error("the value is longer than {MAX_TEXT} octets")]
    Long,
}

/// The most octets of a value as text. On the wire it is at most four times as long, far below an option's limit.
const MAX_TEXT: usize = 1024;

/// How an option's value is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dhcpv6Format {
    Addresses,
    Names,
    TimeServers,
    Text,
    Texts,
    Seconds { least: u32 },
}

/// Name, code and format.
const KNOWN: [(&str, u16, Dhcpv6Format); 17] = [
    ("sip-server-domain", 21, Dhcpv6Format::Names),
    ("sip-server", 22, Dhcpv6Format::Addresses),
    ("dns-server", 23, Dhcpv6Format::Addresses),
    ("domain-search", 24, Dhcpv6Format::Names),
    ("nis-server", 27, Dhcpv6Format::Addresses),
    ("nis+-server", 28, Dhcpv6Format::Addresses),
    ("nis-domain", 29, Dhcpv6Format::Names),
    ("nis+-domain", 30, Dhcpv6Format::Names),
    ("sntp-server", 31, Dhcpv6Format::Addresses),
    // IRT_MINIMUM (RFC 9915 §7.6).
    (
        "information-refresh-time",
        32,
        Dhcpv6Format::Seconds { least: 600 },
    ),
    ("posix-timezone", 41, Dhcpv6Format::Text),
    ("tzdb-timezone", 42, Dhcpv6Format::Text),
    ("ntp-server", 56, Dhcpv6Format::TimeServers),
    ("bootfile-url", 59, Dhcpv6Format::Text),
    ("bootfile-param", 60, Dhcpv6Format::Texts),
    // The least that clients accept (RFC 9915 §21.24, §21.25).
    ("sol-max-rt", 82, Dhcpv6Format::Seconds { least: 60 }),
    ("inf-max-rt", 83, Dhcpv6Format::Seconds { least: 60 }),
];

/// Options that the server writes itself, or that only clients and relay agents send (RFC 9915 §21, RFC 4704).
const RESERVED: [u16; 24] = [
    1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14, 15, 16, 18, 19, 20, 25, 26, 37, 38, 39, 61,
];

impl Dhcpv6Option {
    /// Reads an entry of `extra_dhcp_opts`. A name can begin with tags ([`DhcpTag`]) and `option6:`; brackets around
    /// addresses are taken as dnsmasq does. Lists are separated by commas; the value of an option not known by name is octets as
    /// `01:02:0a`.
    ///
    /// # Errors
    /// Why it cannot be sent.
    pub fn parse(name: &str, value: &str) -> Result<Self, InvalidDhcpv6Option> {
        let (tags, name) = DhcpTag::split(name)?;
        let (code, format) = find(name.strip_prefix("option6:").unwrap_or(name))?;
        if RESERVED.contains(&code) {
            return Err(InvalidDhcpv6Option::Reserved(code));
        }
        if value.len() > MAX_TEXT {
            return Err(InvalidDhcpv6Option::Long);
        }
        if value.trim().is_empty() {
            return Err(InvalidDhcpv6Option::Empty);
        }
        let value = read(format, value.trim())?;
        Ok(Self { tags, code, value })
    }
}

fn find(name: &str) -> Result<(u16, Option<Dhcpv6Format>), InvalidDhcpv6Option> {
    let code = name.parse::<u16>().ok().filter(|code| *code > 0);
    let known = KNOWN
        .iter()
        .find(|(known, number, _)| *known == name || Some(*number) == code);
    match (known, code) {
        (Some((_, code, format)), _) => Ok((*code, Some(*format))),
        (None, Some(code)) => Ok((code, None)),
        (None, None) => Err(InvalidDhcpv6Option::UnknownName(name.to_owned())),
    }
}

fn read(format: Option<Dhcpv6Format>, value: &str) -> Result<Dhcpv6Value, InvalidDhcpv6Option> {
    Ok(match format {
        Some(Dhcpv6Format::Addresses) => Dhcpv6Value::Addresses(list(value, address)?),
        Some(Dhcpv6Format::Names) => Dhcpv6Value::Names(list(value, domain_name)?),
        Some(Dhcpv6Format::TimeServers) => Dhcpv6Value::TimeServers(list(value, time_server)?),
        Some(Dhcpv6Format::Text) => Dhcpv6Value::Text(value.to_owned()),
        Some(Dhcpv6Format::Texts) => Dhcpv6Value::Texts(list(value, |text| Ok(text.to_owned()))?),
        Some(Dhcpv6Format::Seconds { least }) => Dhcpv6Value::Seconds(seconds(value, least)?),
        None => Dhcpv6Value::Octets(octets(value)?),
    })
}

fn list<T>(
    value: &str,
    read: impl Fn(&str) -> Result<T, InvalidDhcpv6Option>,
) -> Result<Vec<T>, InvalidDhcpv6Option> {
    value.split(',').map(|item| read(item.trim())).collect()
}

fn address(text: &str) -> Result<Ipv6Addr, InvalidDhcpv6Option> {
    text.strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'))
        .unwrap_or(text)
        .parse()
        .map_err(|_| InvalidDhcpv6Option::Address(text.to_owned()))
}

fn domain_name(text: &str) -> Result<DomainName, InvalidDhcpv6Option> {
    text.parse()
        .map_err(|error| InvalidDhcpv6Option::Name(text.to_owned(), error))
}

fn time_server(text: &str) -> Result<TimeServer, InvalidDhcpv6Option> {
    match address(text) {
        Ok(address) if address.is_multicast() => Ok(TimeServer::Multicast(address)),
        Ok(address) => Ok(TimeServer::Unicast(address)),
        Err(error) if text.contains(':') => Err(error),
        Err(_) => domain_name(text).map(TimeServer::Name),
    }
}

fn seconds(text: &str, least: u32) -> Result<u32, InvalidDhcpv6Option> {
    text.parse()
        .ok()
        .filter(|seconds| *seconds >= least)
        .ok_or_else(|| InvalidDhcpv6Option::Seconds(text.to_owned(), least))
}

fn octets(text: &str) -> Result<Vec<u8>, InvalidDhcpv6Option> {
    text.split(':')
        .map(hexadecimal_octet)
        .collect::<Option<_>>()
        .ok_or_else(|| InvalidDhcpv6Option::Octets(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(name: &str, value: &str) -> Result<(u16, Dhcpv6Value), String> {
        Dhcpv6Option::parse(name, value)
            .map(|option| (option.code, option.value))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn values_are_read_as_their_option_says() {
        let name = |text: &str| text.parse::<DomainName>().unwrap();
        let address = |text: &str| text.parse::<Ipv6Addr>().unwrap();
        let dns = Dhcpv6Value::Addresses(vec![address("2001:db8::1"), address("2001:db8::2")]);
        assert_eq!(
            parse("dns-server", "[2001:db8::1], 2001:db8::2"),
            Ok((23, dns.clone()))
        );
        assert_eq!(
            parse("option6:23", "2001:db8::1,2001:db8::2"),
            Ok((23, dns))
        );
        assert_eq!(
            parse("domain-search", "a.example,b.example."),
            Ok((
                24,
                Dhcpv6Value::Names(vec![name("a.example"), name("b.example")])
            ))
        );
        assert_eq!(
            parse("ntp-server", "2001:db8::1,ff05::101,ntp.example"),
            Ok((
                56,
                Dhcpv6Value::TimeServers(vec![
                    TimeServer::Unicast(address("2001:db8::1")),
                    TimeServer::Multicast(address("ff05::101")),
                    TimeServer::Name(name("ntp.example")),
                ])
            ))
        );
        let url = "tftp://[2001:db8::1]/boot,x";
        assert_eq!(
            parse("bootfile-url", url),
            Ok((59, Dhcpv6Value::Text(url.into())))
        );
        assert_eq!(
            parse("bootfile-param", "quiet,root=/dev/vda"),
            Ok((
                60,
                Dhcpv6Value::Texts(vec!["quiet".into(), "root=/dev/vda".into()])
            ))
        );
        assert_eq!(
            parse("information-refresh-time", "3600"),
            Ok((32, Dhcpv6Value::Seconds(3600)))
        );
        assert_eq!(
            parse("200", "01:fF"),
            Ok((200, Dhcpv6Value::Octets(vec![1, 255])))
        );
    }

    #[test]
    fn what_cannot_be_sent_is_refused_with_the_reason() {
        let refused = |name, value| parse(name, value).unwrap_err();
        assert_eq!(
            refused("dns-servers", "2001:db8::1"),
            "'dns-servers' is neither the name nor the number of a DHCPv6 option"
        );
        assert!(refused("0", "00").starts_with("'0' is neither"));
        assert_eq!(refused("2", "00"), "DHCPv6 option 2 is the server's own");
        assert_eq!(
            refused("dns-server", "192.0.2.1"),
            "'192.0.2.1' is not an IPv6 address"
        );
        assert_eq!(
            refused("dns-server", "2001:db8::1,"),
            "'' is not an IPv6 address"
        );
        assert_eq!(
            refused("ntp-server", "2001:db8::zz"),
            "'2001:db8::zz' is not an IPv6 address"
        );
        assert_eq!(refused("dns-server", " "), "the value is empty");
        assert_eq!(
            refused("domain-search", "a..b"),
            "'a..b': a label of the domain name is empty"
        );
        assert_eq!(
            refused("sol-max-rt", "59"),
            "'59' is not a number of seconds from 60 to 4294967295"
        );
        assert_eq!(
            refused("200", "example"),
            "'example' is not a sequence of colon-separated pairs of hexadecimal digits"
        );
        assert!(refused("200", "+1").contains("not a sequence"));
        assert_eq!(
            refused("bootfile-url", &"x".repeat(1025)),
            "the value is longer than 1024 octets"
        );
    }

    #[test]
    fn no_known_option_is_reserved() {
        assert!(KNOWN.iter().all(|(_, code, _)| !RESERVED.contains(code)));
    }
}
