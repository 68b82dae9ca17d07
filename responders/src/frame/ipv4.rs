//! IPv4 in Ethernet frames (RFC 791): reading up to the upper-layer header, and writing a UDP datagram.

use super::checksum::{checksum_ipv4, header_checksum};
use super::parse::{broken, ethernet, u16_at};
use super::{ETHERNET_LEN, ICMP, Refusal, UDP};
use sextant_model::MacAddr;
use std::net::Ipv4Addr;

const ETHERTYPE_IPV4: u16 = 0x0800;
/// Octets of a header without options.
pub(crate) const IPV4_LEN: usize = 20;
/// The flag "more fragments", and the fragment offset.
const FRAGMENT: u16 = 0x3fff;
const DONT_FRAGMENT: u16 = 0x4000;
/// Internetwork control (RFC 1812 §4.3.2.5).
const PRECEDENCE: u8 = 0xc0;
const SHORT: &str = "frame shorter than its IPv4 header";
const START: usize = ETHERNET_LEN + IPV4_LEN;

/// An IPv4 packet in an Ethernet frame, read up to its upper-layer header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ipv4Packet<'a> {
    /// Ethernet source.
    pub source_mac: MacAddr,
    /// Ethernet destination.
    pub destination_mac: MacAddr,
    /// IPv4 source.
    pub source: Ipv4Addr,
    /// IPv4 destination.
    pub destination: Ipv4Addr,
    /// Protocol of the upper layer.
    pub protocol: u8,
    /// The offset of the upper-layer header in the frame.
    pub offset: usize,
    /// The upper-layer header and all that follows, without Ethernet padding.
    pub payload: &'a [u8],
}

impl<'a> Ipv4Packet<'a> {
    /// Opens an untagged Ethernet frame.
    ///
    /// # Errors
    /// Ignored: not IPv4, a fragment. Malformed: cut short, inconsistent, or with a wrong header checksum.
    pub fn parse(frame: &'a [u8]) -> Result<Self, Refusal> {
        let (destination_mac, source_mac, ethertype) = ethernet(frame)?;
        if ethertype != ETHERTYPE_IPV4 {
            return Err(Refusal::Ignored("not an untagged IPv4 frame"));
        }
        let packet = &frame[ETHERNET_LEN..];
        let (fixed, header) = header(packet)?;
        let payload = packet
            .get(header.len()..usize::from(u16_at(fixed, 2)))
            .ok_or_else(|| broken(ETHERNET_LEN + 2, "IPv4 total length is not the packet's"))?;
        if u16_at(fixed, 6) & FRAGMENT != 0 {
            return Err(Refusal::Ignored("fragment"));
        }
        Ok(Self {
            source_mac,
            destination_mac,
            source: Ipv4Addr::new(fixed[12], fixed[13], fixed[14], fixed[15]),
            destination: Ipv4Addr::new(fixed[16], fixed[17], fixed[18], fixed[19]),
            protocol: fixed[9],
            offset: ETHERNET_LEN + header.len(),
            payload,
        })
    }
}

/// The fixed header of a packet, and the whole header with its options.
pub(super) fn header(packet: &[u8]) -> Result<(&[u8; IPV4_LEN], &[u8]), Refusal> {
    let Some(fixed) = packet.first_chunk::<IPV4_LEN>() else {
        return Err(broken(ETHERNET_LEN, SHORT));
    };
    if fixed[0] >> 4 != 4 {
        return Err(broken(ETHERNET_LEN, "IP version is not 4"));
    }
    let length = usize::from(fixed[0] & 0xf) * 4;
    if length < IPV4_LEN {
        return Err(broken(ETHERNET_LEN, "IPv4 header length below 20 octets"));
    }
    let Some(header) = packet.get(..length) else {
        return Err(broken(ETHERNET_LEN, SHORT));
    };
    if header_checksum(header) != 0 {
        return Err(broken(ETHERNET_LEN + 10, "wrong IPv4 header checksum"));
    }
    Ok((fixed, header))
}

/// Sender and receiver of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ipv4Addresses {
    /// Ethernet source.
    pub source_mac: MacAddr,
    /// Ethernet destination.
    pub destination_mac: MacAddr,
    /// IPv4 source.
    pub source: Ipv4Addr,
    /// IPv4 destination.
    pub destination: Ipv4Addr,
}

/// An Ethernet frame with one UDP datagram under construction. What is appended to [`bytes`](Self::bytes) is its
/// payload.
#[derive(Clone, Debug)]
pub struct Ipv4FrameBuilder {
    addresses: Ipv4Addresses,
    bytes: Vec<u8>,
}

impl Ipv4FrameBuilder {
    /// Octets before the payload.
    pub const HEADERS: usize = START + 8;

    /// A datagram with room for `body` octets of payload. Its time to live is 64. It is never fragmented, so it needs
    /// no identification (RFC 6864 §4.1).
    #[must_use]
    pub fn udp(
        addresses: Ipv4Addresses,
        source_port: u16,
        destination_port: u16,
        body: usize,
    ) -> Self {
        let mut bytes = headers(addresses, UDP, 0, 8 + body);
        bytes.extend(source_port.to_be_bytes());
        bytes.extend(destination_port.to_be_bytes());
        bytes.extend([0; 4]);
        Self { addresses, bytes }
    }

    /// An ICMP error of this type and code that quotes this packet. The quotation fits a packet.
    #[must_use]
    pub fn icmp_error(
        addresses: Ipv4Addresses,
        kind_and_code: [u8; 2],
        rest: u32,
        quoted: &[u8],
    ) -> Vec<u8> {
        let mut bytes = headers(addresses, ICMP, PRECEDENCE, 8 + quoted.len());
        bytes.extend(kind_and_code);
        bytes.extend([0; 2]);
        bytes.extend(rest.to_be_bytes());
        bytes.extend(quoted);
        let sum = header_checksum(&bytes[START..]);
        let mut builder = Self { addresses, bytes };
        builder.put(START + 2, sum);
        builder.finish_header();
        builder.bytes
    }

    /// The frame so far, to append to.
    pub fn bytes(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// The frame, with lengths and checksums filled in. A packet of more than 65,535 octets is cut off.
    #[must_use]
    pub fn finish(mut self) -> Vec<u8> {
        let total = self.finish_header();
        self.put(START + 4, total - IPV4_LEN as u16);
        let Ipv4Addresses {
            source,
            destination,
            ..
        } = self.addresses;
        // A UDP checksum of zero means no checksum (RFC 768).
        let sum = match checksum_ipv4(source, destination, UDP, &self.bytes[START..]) {
            0 => u16::MAX,
            sum => sum,
        };
        self.put(START + 6, sum);
        self.bytes
    }

    /// Fills in the header's length and checksum. Returns the length.
    fn finish_header(&mut self) -> u16 {
        let total = u16::try_from(self.bytes.len() - ETHERNET_LEN).unwrap_or(u16::MAX);
        self.bytes.truncate(ETHERNET_LEN + usize::from(total));
        self.put(ETHERNET_LEN + 2, total);
        let header = header_checksum(&self.bytes[ETHERNET_LEN..START]);
        self.put(ETHERNET_LEN + 10, header);
        total
    }

    fn put(&mut self, at: usize, value: u16) {
        self.bytes[at..at + 2].copy_from_slice(&value.to_be_bytes());
    }
}

/// Ethernet and IPv4 headers without length and checksum, with room for `payload` octets.
fn headers(addresses: Ipv4Addresses, protocol: u8, service: u8, payload: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(START + payload);
    bytes.extend(addresses.destination_mac.0);
    bytes.extend(addresses.source_mac.0);
    bytes.extend(ETHERTYPE_IPV4.to_be_bytes());
    bytes.extend([0x45, service, 0, 0, 0, 0]);
    bytes.extend(DONT_FRAGMENT.to_be_bytes());
    bytes.extend([64, protocol, 0, 0]);
    bytes.extend(addresses.source.octets());
    bytes.extend(addresses.destination.octets());
    bytes
}
