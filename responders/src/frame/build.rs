//! Writes a frame front to back into one buffer.

use super::checksum::checksum;
use super::{ETHERNET_LEN, FRAGMENT, ICMPV6, IPV6_LEN, UDP};
use sextant_model::MacAddr;
use std::net::Ipv6Addr;

const START: usize = ETHERNET_LEN + IPV6_LEN;

/// Sender and receiver of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ipv6Addresses {
    /// Ethernet source.
    pub source_mac: MacAddr,
    /// Ethernet destination.
    pub destination_mac: MacAddr,
    /// IPv6 source.
    pub source: Ipv6Addr,
    /// IPv6 destination.
    pub destination: Ipv6Addr,
}

/// An Ethernet frame with one IPv6 packet under construction. What is appended to [`bytes`](Self::bytes) is the body
/// of its message.
#[derive(Clone, Debug)]
pub struct FrameBuilder {
    addresses: Ipv6Addresses,
    bytes: Vec<u8>,
}

impl FrameBuilder {
    /// An ICMPv6 message of this type and code 0, with room for `body` octets after the checksum. Its hop limit is 255,
    /// as Neighbor Discovery needs.
    #[must_use]
    pub fn icmpv6(addresses: Ipv6Addresses, kind: u8, body: usize) -> Self {
        let mut builder = Self::new(addresses, ICMPV6, 255, 4 + body);
        builder.bytes.extend([kind, 0, 0, 0]);
        builder
    }

    /// An ICMPv6 message of this type and code that may pass routers, with room for `body` octets after the checksum. Hop
    /// limit 64.
    #[must_use]
    pub fn icmpv6_error(addresses: Ipv6Addresses, kind: u8, code: u8, body: usize) -> Self {
        let mut builder = Self::new(addresses, ICMPV6, 64, 4 + body);
        builder.bytes.extend([kind, code, 0, 0]);
        builder
    }

    /// A UDP datagram with room for `body` octets of payload. Hop limit 64.
    #[must_use]
    pub fn udp(
        addresses: Ipv6Addresses,
        source_port: u16,
        destination_port: u16,
        body: usize,
    ) -> Self {
        let mut builder = Self::new(addresses, UDP, 64, 8 + body);
        builder.bytes.extend(source_port.to_be_bytes());
        builder.bytes.extend(destination_port.to_be_bytes());
        builder.bytes.extend([0; 4]);
        builder
    }

    fn new(addresses: Ipv6Addresses, next_header: u8, hop_limit: u8, payload: usize) -> Self {
        let mut bytes = Vec::with_capacity(START + payload);
        bytes.extend(addresses.destination_mac.0);
        bytes.extend(addresses.source_mac.0);
        bytes.extend([0x86, 0xdd, 0x60, 0, 0, 0, 0, 0, next_header, hop_limit]);
        bytes.extend(addresses.source.octets());
        bytes.extend(addresses.destination.octets());
        Self { addresses, bytes }
    }

    /// The frame so far, to append to.
    pub fn bytes(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// The frame, with lengths and checksum filled in. A payload of more than 65,535 octets is cut off; callers keep it
    /// shorter.
    #[must_use]
    pub fn finish(mut self) -> Vec<u8> {
        let length = u16::try_from(self.bytes.len() - START).unwrap_or(u16::MAX);
        self.bytes.truncate(START + usize::from(length));
        self.put(ETHERNET_LEN + 4, length);
        let next_header = self.bytes[ETHERNET_LEN + 6];
        if next_header == UDP {
            self.put(START + 4, length);
        }
        let Ipv6Addresses {
            source,
            destination,
            ..
        } = self.addresses;
        match checksum(source, destination, next_header, &self.bytes[START..]) {
            // A UDP checksum of zero means no checksum (RFC 768).
            0 if next_header == UDP => self.put(START + 6, u16::MAX),
            sum if next_header == UDP => self.put(START + 6, sum),
            sum => self.put(START + 2, sum),
        }
        self.bytes
    }

    fn put(&mut self, at: usize, value: u16) {
        self.bytes[at..at + 2].copy_from_slice(&value.to_be_bytes());
    }
}

/// Every IPv6 link carries packets of this many octets (RFC 8200 §5).
pub const LEAST_MTU: usize = 1280;

/// The frame or, if some links do not carry its packet, fragments that all links carry (RFC 8200 §4.5).
/// `identification` distinguishes them from fragments of other packets between the same addresses.
#[must_use]
pub fn fragments(frame: Vec<u8>, identification: u32) -> Vec<Vec<u8>> {
    const HEADER: usize = 8;
    const ROOM: usize = (LEAST_MTU - IPV6_LEN - HEADER) / 8 * 8;
    if frame.len() <= ETHERNET_LEN + LEAST_MTU {
        return vec![frame];
    }
    let (head, payload) = frame.split_at(START);
    let next_header = head[ETHERNET_LEN + 6];
    let last = payload.len().div_ceil(ROOM) - 1;
    let parts = payload.chunks(ROOM).enumerate();
    let fragments = parts.map(|(number, part)| {
        let mut bytes = Vec::with_capacity(START + HEADER + part.len());
        bytes.extend_from_slice(head);
        let length = u16::try_from(HEADER + part.len()).unwrap_or(u16::MAX);
        bytes[ETHERNET_LEN + 4..ETHERNET_LEN + 6].copy_from_slice(&length.to_be_bytes());
        bytes[ETHERNET_LEN + 6] = FRAGMENT;
        let offset = u16::try_from(number * ROOM).unwrap_or(u16::MAX);
        bytes.extend([next_header, 0]);
        bytes.extend((offset | u16::from(number < last)).to_be_bytes());
        bytes.extend(identification.to_be_bytes());
        bytes.extend_from_slice(part);
        bytes
    });
    fragments.collect()
}
