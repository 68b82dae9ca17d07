//! The two upper layers that are answered: ICMPv6 and UDP, checked against their checksum.

use super::checksum::checksum;
use super::{ICMPV6, Ipv6Packet, Refusal, UDP};
use crate::answer::Malformed;

/// An ICMPv6 message with a right checksum (RFC 4443 §2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Icmpv6Message<'a> {
    /// Type.
    pub kind: u8,
    /// Code.
    pub code: u8,
    /// What follows the checksum.
    pub body: &'a [u8],
    /// Where in the frame the body begins.
    pub offset: usize,
}

impl<'a> Icmpv6Message<'a> {
    /// Opens the message of a packet.
    ///
    /// # Errors
    /// Ignored: not ICMPv6. Malformed: cut short, or wrong checksum.
    pub fn parse(packet: &Ipv6Packet<'a>) -> Result<Self, Refusal> {
        let payload = packet.payload;
        if packet.next_header != ICMPV6 {
            return Err(Refusal::Ignored("not ICMPv6"));
        }
        let Some(([kind, code, _, _], body)) = payload.split_first_chunk() else {
            return Err(broken(packet, 0, "ICMPv6 header cut short"));
        };
        if checksum(packet.source, packet.destination, ICMPV6, payload) != 0 {
            return Err(broken(packet, 2, "wrong ICMPv6 checksum"));
        }
        Ok(Self {
            kind: *kind,
            code: *code,
            body,
            offset: packet.offset + 4,
        })
    }
}

/// A UDP datagram with a right checksum (RFC 768; mandatory in IPv6, RFC 8200 §8.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UdpDatagram<'a> {
    /// Source port.
    pub source_port: u16,
    /// Destination port.
    pub destination_port: u16,
    /// The payload.
    pub body: &'a [u8],
    /// Where in the frame the payload begins.
    pub offset: usize,
}

impl<'a> UdpDatagram<'a> {
    /// Opens the datagram of a packet.
    ///
    /// # Errors
    /// Ignored: not UDP. Malformed: cut short, wrong length, absent or wrong checksum.
    pub fn parse(packet: &Ipv6Packet<'a>) -> Result<Self, Refusal> {
        if packet.next_header != UDP {
            return Err(Refusal::Ignored("not UDP"));
        }
        let Some((header, _)) = packet.payload.split_first_chunk::<8>() else {
            return Err(broken(packet, 0, "UDP header cut short"));
        };
        let field = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
        let datagram = packet
            .payload
            .get(..usize::from(field(4)))
            .ok_or_else(|| broken(packet, 4, "UDP length past the packet's end"))?;
        let body = datagram
            .get(8..)
            .ok_or_else(|| broken(packet, 4, "UDP length shorter than its header"))?;
        if field(6) == 0 {
            return Err(broken(packet, 6, "no UDP checksum"));
        }
        if checksum(packet.source, packet.destination, UDP, datagram) != 0 {
            return Err(broken(packet, 6, "wrong UDP checksum"));
        }
        Ok(Self {
            source_port: field(0),
            destination_port: field(2),
            body,
            offset: packet.offset + 8,
        })
    }
}

fn broken(packet: &Ipv6Packet<'_>, at: usize, reason: &'static str) -> Refusal {
    let offset = packet.offset + at;
    Refusal::Malformed(Malformed { offset, reason })
}
