//! Reads a match as `ovs-ofctl` writes it: `icmp6,in_port=3,ipv6_dst=2001:db8::/64`.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use thiserror::Error;

use super::values::{self, Names};
use crate::fields::{Field, Format};
use crate::matches::{FieldMatch, Match, MatchError};
use crate::ports;

/// A text is no match.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ParseMatchError {
    /// No field has this name, or none of the protocol that the match names.
    #[error(
        "'{0}' is no field here; with ports and ICMP types, name the protocol first, as in tcp6 or icmp6"
    )]
    UnknownField(String),
    /// A field cannot have this value.
    #[error("{field} = '{value}': not a value of this field")]
    Value {
        /// The field.
        field: Field,
        /// What was given.
        value: String,
    },
    /// A switch would refuse the match.
    #[error(transparent)]
    Refused(#[from] MatchError),
}

/// Words for an Ethertype and, with most, an IP protocol.
const PROTOCOLS: [(&str, u16, Option<u8>); 12] = [
    ("ip", 0x0800, None),
    ("icmp", 0x0800, Some(1)),
    ("tcp", 0x0800, Some(6)),
    ("udp", 0x0800, Some(17)),
    ("sctp", 0x0800, Some(132)),
    ("ipv6", 0x86dd, None),
    ("icmp6", 0x86dd, Some(58)),
    ("tcp6", 0x86dd, Some(6)),
    ("udp6", 0x86dd, Some(17)),
    ("sctp6", 0x86dd, Some(132)),
    ("arp", 0x0806, None),
    ("rarp", 0x8035, None),
];

/// Other names of fields, of OpenFlow 1.0.
const ALIASES: [(&str, Field); 8] = [
    ("in_port", Field::IN_PORT),
    ("dl_src", Field::ETH_SRC),
    ("dl_dst", Field::ETH_DST),
    ("dl_type", Field::ETH_TYPE),
    ("dl_vlan", Field::VLAN_VID),
    ("dl_vlan_pcp", Field::VLAN_PCP),
    ("nw_frag", Field::IP_FRAG),
    ("icmpv6_code", Field::ICMPV6_CODE),
];

/// `OFPVID_PRESENT`: there is a tag.
const TAGGED: u128 = 0x1000;

impl FromStr for Match {
    type Err = ParseMatchError;

    /// Reads terms between commas or blanks, in any order but that a protocol comes before its fields.
    fn from_str(text: &str) -> Result<Self, ParseMatchError> {
        let terms = text.split([',', ' ', '\t', '\n']);
        let mut matches = Match::new();
        for term in terms.filter(|term| !term.is_empty()) {
            matches = match term.split_once('=') {
                Some((name, value)) => with_field(matches, name, value)?,
                None => with_protocol(matches, term)?,
            };
        }
        matches.check()?;
        Ok(matches)
    }
}

fn with_protocol(matches: Match, word: &str) -> Result<Match, ParseMatchError> {
    let known = PROTOCOLS.iter().find(|(name, ..)| *name == word);
    let Some((_, ethertype, protocol)) = known else {
        return Err(ParseMatchError::UnknownField(word.to_owned()));
    };
    let matches = matches.with(Field::ETH_TYPE, *ethertype);
    Ok(match protocol {
        Some(protocol) => matches.with(Field::IP_PROTO, *protocol),
        None => matches,
    })
}

fn with_field(mut matches: Match, name: &str, text: &str) -> Result<Match, ParseMatchError> {
    let Some(field) = field(&matches, name) else {
        return Err(ParseMatchError::UnknownField(name.to_owned()));
    };
    let (value, mask) = value(field, text).ok_or_else(|| ParseMatchError::Value {
        field,
        value: text.to_owned(),
    })?;
    let tag = if name == "dl_vlan" { TAGGED } else { 0 };
    matches.insert(FieldMatch {
        field,
        value: value | tag,
        mask,
    });
    Ok(matches)
}

/// The field of a name, which may depend on the protocol.
fn field(matches: &Match, name: &str) -> Option<Field> {
    match name {
        "icmp_type" => Some(by_version(matches, Field::ICMPV4_TYPE, Field::ICMPV6_TYPE)),
        "icmp_code" => Some(by_version(matches, Field::ICMPV4_CODE, Field::ICMPV6_CODE)),
        "nw_src" => Some(by_family(matches, Field::IPV4_SRC, Field::ARP_SPA)),
        "nw_dst" => Some(by_family(matches, Field::IPV4_DST, Field::ARP_TPA)),
        "tp_src" => by_protocol(matches, [Field::TCP_SRC, Field::UDP_SRC, Field::SCTP_SRC]),
        "tp_dst" => by_protocol(matches, [Field::TCP_DST, Field::UDP_DST, Field::SCTP_DST]),
        _ => {
            let alias = ALIASES.iter().find(|(alias, _)| *alias == name);
            alias
                .map(|(_, field)| *field)
                .or_else(|| Field::all().find(|field| field.name() == name))
        }
    }
}

fn by_version(matches: &Match, ipv4: Field, ipv6: Field) -> Field {
    match matches.value(Field::ETH_TYPE) {
        Some(0x86dd) => ipv6,
        _ => ipv4,
    }
}

fn by_family(matches: &Match, ip: Field, arp: Field) -> Field {
    match matches.value(Field::ETH_TYPE) {
        Some(0x0806 | 0x8035) => arp,
        _ => ip,
    }
}

fn by_protocol(matches: &Match, [tcp, udp, sctp]: [Field; 3]) -> Option<Field> {
    match matches.value(Field::IP_PROTO) {
        Some(6) => Some(tcp),
        Some(17) => Some(udp),
        Some(132) => Some(sctp),
        _ => None,
    }
}

/// The value and the mask that a text stands for.
fn value(field: Field, text: &str) -> Option<(u128, u128)> {
    match field.format() {
        Format::CtState => flags(values::CT_STATE, text, field.full_mask()),
        Format::TcpFlags => flags(values::TCP_FLAGS, text, field.full_mask()),
        Format::TunFlags => flags(values::TUN_FLAGS, text, field.full_mask()),
        Format::Frag => fragment(text),
        Format::PacketType => None,
        Format::Hex
        | Format::Decimal
        | Format::Ipv4
        | Format::Ipv6
        | Format::Mac
        | Format::Port => masked(field, text),
    }
}

#[allow(
    clippy::wildcard_enum_match_arm,
    reason = "only addresses have prefixes"
)]
fn masked(field: Field, text: &str) -> Option<(u128, u128)> {
    let Some((value, mask)) = text.split_once('/') else {
        return Some((plain(field, text)?, field.full_mask()));
    };
    let mask = match field.format() {
        Format::Ipv4 => mask_of_prefix(field, mask, 32),
        Format::Ipv6 => mask_of_prefix(field, mask, 128),
        _ => None,
    }
    .or_else(|| plain(field, mask))?;
    Some((plain(field, value)? & mask, mask))
}

#[allow(
    clippy::wildcard_enum_match_arm,
    reason = "what has no spelling of its own is a number"
)]
fn plain(field: Field, text: &str) -> Option<u128> {
    match field.format() {
        Format::Ipv4 => text.parse().ok().map(|a: Ipv4Addr| a.to_bits().into()),
        Format::Ipv6 => text.parse().ok().map(Ipv6Addr::to_bits),
        Format::Mac => mac(text),
        Format::Port => port(text),
        _ => number(text),
    }
}

/// The mask of a prefix length, of a field whose address has so many bits.
fn mask_of_prefix(field: Field, length: &str, bits: u32) -> Option<u128> {
    let length: u32 = length.parse().ok()?;
    let hosts = bits.checked_sub(length)?;
    Some(field.full_mask() & !crate::fields::ones(hosts))
}

fn number(text: &str) -> Option<u128> {
    match text.strip_prefix("0x") {
        Some(hex) => u128::from_str_radix(hex, 16).ok(),
        None => text.parse().ok(),
    }
}

fn mac(text: &str) -> Option<u128> {
    let octets: Vec<&str> = text.split(':').collect();
    if octets.len() != 6 {
        return None;
    }
    octets.iter().try_fold(0, |value, octet| {
        let octet = u8::from_str_radix(octet, 16).ok()?;
        Some(value << 8 | u128::from(octet))
    })
}

fn port(text: &str) -> Option<u128> {
    let reserved = [ports::LOCAL, ports::CONTROLLER, ports::IN_PORT];
    let named = reserved.iter().find(|port| port.to_string() == text);
    named.map_or_else(|| number(text), |port| Some(port.0.into()))
}

/// `+est-rel`, or `est|trk` where all bits are compared.
fn flags(names: Names, text: &str, full: u128) -> Option<(u128, u128)> {
    if !text.starts_with(['+', '-']) {
        let all = number(text).or_else(|| {
            let bits: Option<Vec<u128>> = text.split('|').map(|name| bit(names, name)).collect();
            Some(bits?.into_iter().fold(0, |all, bit| all | bit))
        });
        return Some((all?, full));
    }
    let starts = text.match_indices(['+', '-']).map(|(start, _)| start);
    let ends = starts.clone().skip(1).chain([text.len()]);
    let mut both = (0, 0);
    for (start, end) in starts.zip(ends) {
        let (sign, name) = text[start..end].split_at(1);
        let bit = bit(names, name)?;
        both.1 |= bit;
        if sign == "+" {
            both.0 |= bit;
        }
    }
    Some(both)
}

fn bit(names: Names, name: &str) -> Option<u128> {
    let position = names.iter().position(|known| *known == name)?;
    Some(1u128 << position)
}

fn fragment(text: &str) -> Option<(u128, u128)> {
    // Of the octet on the wire, only two bits have a meaning.
    const WHOLE: u128 = 0xff;
    Some(match text {
        "no" => (0, WHOLE),
        "yes" => (1, 1),
        "first" => (1, WHOLE),
        "later" => (3, WHOLE),
        "not_later" => (0, 2),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_is_read() {
        for text in [
            "",
            "icmp6,in_port=3,icmp_type=128,icmp_code=0",
            "ct_state=+est-rel+trk,tcp6,reg0=0x2a,reg1=0x1/0x3,tp_src=0x400/0xfc00,tp_dst=443",
            "arp,dl_src=fa:16:3e:00:00:01,arp_spa=192.0.2.0/24,arp_tpa=192.0.2.1,arp_op=1",
            "ipv6,dl_dst=01:00:00:00:00:00/01:00:00:00:00:00,ipv6_src=2001:db8::/64,ipv6_dst=ff02::1",
            "icmp6,icmp_type=135,icmp_code=0,nd_target=fe80::1,nd_sll=fa:16:3e:00:00:01",
            "ip,nw_src=192.0.2.1,nw_proto=47,nw_frag=later",
            "tun_id=0x7,tun_ipv6_src=2001:db8::1,in_port=LOCAL",
            "udp,in_port=1,dl_vlan=7,nw_ttl=64,tp_dst=67",
            "tcp,tcp_flags=syn|ack",
        ] {
            let read: Match = text.parse().unwrap();
            assert_eq!(read.to_string(), text);
        }
    }

    #[test]
    fn other_names_and_blanks_are_read() {
        let read: Match = "ipv6 eth_src=02:00:00:00:00:01, nw_proto=58 icmpv6_type=128"
            .parse()
            .unwrap();
        assert_eq!(
            read.to_string(),
            "icmp6,dl_src=02:00:00:00:00:01,icmp_type=128"
        );
    }

    #[test]
    fn a_flag_that_is_named_twice_is_one() {
        let read: Match = "tcp,tcp_flags=syn|syn|ack".parse().unwrap();
        assert_eq!(read.to_string(), "tcp,tcp_flags=syn|ack");
    }

    proptest::proptest! {
        /// Words of matches in any order, cut and mixed with anything.
        #[test]
        fn any_text_is_read_or_refused(
            text in "((ip|icmp6|tcp6|udp|arp|dl_vlan|nw_frag|ct_state|tcp_flags|ipv6_dst|nw_dst|dl_src|in_port|reg0|tun_flags)[=,/]([0-9a-fx:.+|/-]{0,9}|\\PC{0,4}),?){0,6}"
        ) {
            let _ = text.parse::<Match>();
        }
    }

    #[test]
    fn mistakes_are_named() {
        for (text, mistake) in [
            ("ipv7", "'ipv7' is no field"),
            ("ipv6,ipv6_dts=::1", "'ipv6_dts' is no field"),
            ("ipv6,tp_dst=80", "'tp_dst' is no field"),
            (
                "ipv6,ipv6_dst=2001:db8::/129",
                "ipv6_dst = '2001:db8::/129'",
            ),
            ("ipv6,ipv6_dst=192.0.2.1", "ipv6_dst = '192.0.2.1'"),
            ("dl_src=fa:16:3e", "eth_src = 'fa:16:3e'"),
            ("in_port=tap0", "in_port_oxm = 'tap0'"),
            ("ipv6_dst=::1", "ipv6_dst needs a match on"),
            ("ct_state=+old", "ct_state = '+old'"),
            ("tcp,tp_dst=65536", "more bits"),
        ] {
            let error = text.parse::<Match>().unwrap_err().to_string();
            assert!(error.contains(mistake), "{text}: {error}");
        }
    }
}
