//! Reads an Ethernet frame up to its upper-layer header, past IPv6 extension headers.

use super::{ETHERNET_LEN, IPV6_LEN};
use crate::answer::{Malformed, PacketVerdict};
use sextant_model::MacAddr;
use std::net::Ipv6Addr;

const ETHERTYPE_IPV6: u16 = 0x86dd;
pub(crate) const HOP_BY_HOP: u8 = 0;
pub(crate) const ROUTING: u8 = 43;
pub(crate) const FRAGMENT: u8 = 44;
const AUTHENTICATION: u8 = 51;
pub(crate) const DESTINATION_OPTIONS: u8 = 60;
const MOBILITY: u8 = 135;
/// No honest packet has more. A long chain of empty headers would only cost time.
pub(crate) const MAX_EXTENSION_HEADERS: usize = 8;

/// Why a frame gives no packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Another kind of packet, or one that cannot be answered by itself. The text says what.
    Ignored(&'static str),
    /// It violates its format.
    Malformed(Malformed),
}

impl From<Malformed> for Refusal {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(malformed)
    }
}

impl From<Refusal> for PacketVerdict {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Ignored(reason) => Self::Ignored(reason),
            Refusal::Malformed(malformed) => Self::Malformed(malformed),
        }
    }
}

/// An IPv6 packet in an Ethernet frame, read up to its upper-layer header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ipv6Packet<'a> {
    /// Ethernet source.
    pub source_mac: MacAddr,
    /// Ethernet destination.
    pub destination_mac: MacAddr,
    /// IPv6 source.
    pub source: Ipv6Addr,
    /// IPv6 destination.
    pub destination: Ipv6Addr,
    /// Hop limit.
    pub hop_limit: u8,
    /// Protocol of the upper layer.
    pub next_header: u8,
    /// The offset of the upper-layer header in the frame.
    pub offset: usize,
    /// The upper-layer header and all that follows, without Ethernet padding.
    pub payload: &'a [u8],
}

impl<'a> Ipv6Packet<'a> {
    /// Opens an untagged Ethernet frame.
    ///
    /// # Errors
    /// Ignored: not IPv6, a fragment (RFC 6980 §5 forbids it in Neighbor Discovery, and nothing that is answered here
    /// needs it), an encrypted packet. Malformed: cut short or inconsistent.
    pub fn parse(frame: &'a [u8]) -> Result<Self, Refusal> {
        let (destination_mac, source_mac, ethertype) = ethernet(frame)?;
        if ethertype != ETHERTYPE_IPV6 {
            return Err(Refusal::Ignored("not an untagged IPv6 frame"));
        }
        let header = ipv6(frame)?;
        let frame = bounded(frame, u16::from_be_bytes([header[4], header[5]]))?;
        let (next_header, offset) = skip_extensions(frame, header[6])?;
        Ok(Self {
            source_mac,
            destination_mac,
            source: address(header, 8),
            destination: address(header, 24),
            hop_limit: header[7],
            next_header,
            offset,
            payload: &frame[offset..],
        })
    }
}

/// Destination, source and EtherType.
pub(crate) fn ethernet(frame: &[u8]) -> Result<(MacAddr, MacAddr, u16), Refusal> {
    let header: &[u8; ETHERNET_LEN] = frame
        .first_chunk()
        .ok_or_else(|| broken(frame.len(), "frame shorter than its Ethernet header"))?;
    let [d0, d1, d2, d3, d4, d5, s0, s1, s2, s3, s4, s5, high, low] = *header;
    let destination = MacAddr([d0, d1, d2, d3, d4, d5]);
    let source = MacAddr([s0, s1, s2, s3, s4, s5]);
    Ok((destination, source, u16::from_be_bytes([high, low])))
}

/// The header after the Ethernet header.
pub(super) fn ipv6(frame: &[u8]) -> Result<&[u8; IPV6_LEN], Refusal> {
    let header: &[u8; IPV6_LEN] = frame[ETHERNET_LEN..]
        .first_chunk()
        .ok_or_else(|| broken(frame.len(), "frame shorter than its IPv6 header"))?;
    if header[0] >> 4 != 6 {
        return Err(broken(ETHERNET_LEN, "IP version is not 6"));
    }
    Ok(header)
}

/// The frame up to the end of its packet.
pub(super) fn bounded(frame: &[u8], payload_length: u16) -> Result<&[u8], Refusal> {
    frame
        .get(..ETHERNET_LEN + IPV6_LEN + usize::from(payload_length))
        .ok_or_else(|| broken(ETHERNET_LEN + 4, "IPv6 payload length past the frame's end"))
}

pub(super) fn address(header: &[u8; IPV6_LEN], at: usize) -> Ipv6Addr {
    let mut octets = [0; 16];
    octets.copy_from_slice(&header[at..at + 16]);
    octets.into()
}

/// The upper-layer protocol and its offset (RFC 8200 §4).
fn skip_extensions(frame: &[u8], mut next_header: u8) -> Result<(u8, usize), Refusal> {
    let mut offset = ETHERNET_LEN + IPV6_LEN;
    for _ in 0..=MAX_EXTENSION_HEADERS {
        let unit = match next_header {
            HOP_BY_HOP | ROUTING | DESTINATION_OPTIONS | MOBILITY => 8,
            AUTHENTICATION => 4,
            FRAGMENT => return Err(Refusal::Ignored("fragment")),
            _ => return Ok((next_header, offset)),
        };
        let [next, length] = *frame
            .get(offset..)
            .and_then(<[u8]>::first_chunk)
            .ok_or_else(|| broken(offset, "extension header cut short"))?;
        // An authentication header counts words of 4 octets, less 2. The others count words of 8 octets, less 1.
        let units = usize::from(length) + if unit == 4 { 2 } else { 1 };
        let end = offset + units * unit;
        if end > frame.len() {
            return Err(broken(offset + 1, "extension header past the packet's end"));
        }
        (next_header, offset) = (next, end);
    }
    Err(Refusal::Ignored("too many extension headers"))
}

/// The two octets from a place on.
pub(super) fn u16_at<const N: usize>(fields: &[u8; N], at: usize) -> u16 {
    u16::from_be_bytes([fields[at], fields[at + 1]])
}

pub(crate) fn broken(offset: usize, reason: &'static str) -> Refusal {
    Refusal::Malformed(Malformed { offset, reason })
}
