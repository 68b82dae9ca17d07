//! Packets that errors quote. They are read until it is clear whether an error about them is allowed.

use super::ipv4::header;
use super::parse::{MAX_EXTENSION_HEADERS, address, bounded, broken, ethernet, ipv6, u16_at};
use super::{ETHERNET_LEN, ICMP, ICMPV6, IPV6_LEN, Refusal};
use sextant_model::MacAddr;
use std::net::{Ipv4Addr, Ipv6Addr};

const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_IPV6: u16 = 0x86dd;
/// The first ICMPv6 type that is not an error (RFC 4443 §2.1).
const INFORMATIONAL: u8 = 128;
/// RFC 4861 §4.5.
const REDIRECT: u8 = 137;
/// Destination unreachable, source quench, redirect, time exceeded, parameter problem (RFC 1122 §3.2.2).
const IPV4_ERRORS: [u8; 5] = [3, 4, 5, 11, 12];

/// An IPv6 packet about which an error is allowed, as far as the packet itself shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quotable<'a> {
    /// Ethernet source.
    pub source_mac: MacAddr,
    /// IPv6 source.
    pub source: Ipv6Addr,
    /// IPv6 destination.
    pub destination: Ipv6Addr,
    /// The packet, without Ethernet padding.
    pub bytes: &'a [u8],
}

impl<'a> Quotable<'a> {
    /// Opens an untagged Ethernet frame.
    ///
    /// # Errors
    /// Ignored: not IPv6, an error or a redirect, a fragment other than the first. Malformed: cut short or inconsistent.
    pub fn parse(frame: &'a [u8]) -> Result<Self, Refusal> {
        let (_, source_mac, ethertype) = ethernet(frame)?;
        if ethertype != ETHERTYPE_IPV6 {
            return Err(Refusal::Ignored("not an untagged IPv6 frame"));
        }
        let fixed = ipv6(frame)?;
        let bytes = &bounded(frame, u16::from_be_bytes([fixed[4], fixed[5]]))?[ETHERNET_LEN..];
        if is_error(bytes, fixed[6])? {
            return Err(Refusal::Ignored("it is an error itself"));
        }
        Ok(Self {
            source_mac,
            source: address(fixed, 8),
            destination: address(fixed, 24),
            bytes,
        })
    }
}

/// Whether a packet is an ICMPv6 error or a redirect. An error behind too many extension headers counts as none.
fn is_error(packet: &[u8], mut next_header: u8) -> Result<bool, Refusal> {
    let mut offset = IPV6_LEN;
    for _ in 0..=MAX_EXTENSION_HEADERS {
        let length = match next_header {
            0 | 43 | 60 | 135 => 8 * (usize::from(octet(packet, offset, 1)?) + 1),
            51 => 4 * (usize::from(octet(packet, offset, 1)?) + 2),
            44 if u16::from_be_bytes([octet(packet, offset, 2)?, octet(packet, offset, 3)?])
                >> 3
                != 0 =>
            {
                return Err(Refusal::Ignored("a fragment other than the first"));
            }
            44 => 8,
            ICMPV6 => {
                return octet(packet, offset, 0)
                    .map(|kind| kind < INFORMATIONAL || kind == REDIRECT);
            }
            _ => return Ok(false),
        };
        next_header = octet(packet, offset, 0)?;
        offset += length;
    }
    Err(Refusal::Ignored("too many extension headers"))
}

/// An octet of the header that begins at `header`.
fn octet(packet: &[u8], header: usize, index: usize) -> Result<u8, Refusal> {
    let octet = packet.get(header + index).copied();
    octet.ok_or_else(|| broken(ETHERNET_LEN + header.min(packet.len()), "header cut short"))
}

/// An IPv4 packet about which an error is allowed, as far as the packet itself shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuotableIpv4<'a> {
    /// Ethernet source.
    pub source_mac: MacAddr,
    /// IPv4 source.
    pub source: Ipv4Addr,
    /// IPv4 destination.
    pub destination: Ipv4Addr,
    /// Protocol of the upper layer.
    pub protocol: u8,
    /// Whether it must not be fragmented.
    pub whole: bool,
    /// The packet, without Ethernet padding.
    pub bytes: &'a [u8],
}

impl<'a> QuotableIpv4<'a> {
    /// Opens an untagged Ethernet frame.
    ///
    /// # Errors
    /// Ignored: not IPv4, an error, a fragment other than the first. Malformed: cut short, inconsistent, or with a wrong
    /// header checksum.
    pub fn parse(frame: &'a [u8]) -> Result<Self, Refusal> {
        let (_, source_mac, ethertype) = ethernet(frame)?;
        if ethertype != ETHERTYPE_IPV4 {
            return Err(Refusal::Ignored("not an untagged IPv4 frame"));
        }
        let packet = &frame[ETHERNET_LEN..];
        let (fixed, whole_header) = header(packet)?;
        let length = usize::from(u16_at(fixed, 2));
        let bytes = packet.get(..length);
        let payload = bytes.and_then(|bytes| bytes.get(whole_header.len()..));
        let (Some(bytes), Some(payload)) = (bytes, payload) else {
            let reason = "IPv4 total length is not the packet's";
            return Err(broken(ETHERNET_LEN + 2, reason));
        };
        if u16_at(fixed, 6) & 0x1fff != 0 {
            return Err(Refusal::Ignored("a fragment other than the first"));
        }
        let kind = payload.first();
        if fixed[9] == ICMP && kind.is_none_or(|kind| IPV4_ERRORS.contains(kind)) {
            return Err(Refusal::Ignored("it is an error itself"));
        }
        Ok(Self {
            source_mac,
            source: Ipv4Addr::new(fixed[12], fixed[13], fixed[14], fixed[15]),
            destination: Ipv4Addr::new(fixed[16], fixed[17], fixed[18], fixed[19]),
            protocol: fixed[9],
            whole: u16_at(fixed, 6) & 0x4000 != 0,
            bytes,
        })
    }
}
