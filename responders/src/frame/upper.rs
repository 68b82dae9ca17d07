//! The upper layers that are answered, ICMPv6 and UDP, checked against their checksum.

use super::checksum::{checksum, checksum_ipv4};
use super::parse::u16_at;
use super::{ICMPV6, Ipv4Packet, Ipv6Packet, Refusal, UDP};
use crate::answer::Malformed;

/// An ICMPv6 message with a right checksum (RFC 4443 §2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Icmpv6Message<'a> {
    /// Type.
    pub kind: u8,
    /// Code.
    pub code: u8,
    /// The message after the checksum.
    pub body: &'a [u8],
    /// The offset of the body in the frame.
    pub offset: usize,
}

impl<'a> Icmpv6Message<'a> {
    /// Reads the ICMPv6 message of a packet.
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
    /// The offset of the payload in the frame.
    pub offset: usize,
}

impl<'a> UdpDatagram<'a> {
    /// Reads the datagram of an IPv6 packet.
    ///
    /// # Errors
    /// Ignored: not UDP. Malformed: cut short, wrong length, absent or wrong checksum.
    pub fn parse(packet: &Ipv6Packet<'a>) -> Result<Self, Refusal> {
        if packet.next_header != UDP {
            return Err(Refusal::Ignored("not UDP"));
        }
        let (datagram, sum) = open(packet.payload, packet.offset)?;
        if sum == 0 {
            return Err(wrong(packet.offset + 6, "no UDP checksum"));
        }
        let right = checksum(packet.source, packet.destination, UDP, datagram) == 0;
        Self::checked(datagram, packet.offset, right)
    }

    /// Reads the datagram of an IPv4 packet, which may lack a checksum.
    ///
    /// # Errors
    /// Ignored: not UDP. Malformed: cut short, wrong length or checksum.
    pub fn parse_ipv4(packet: &Ipv4Packet<'a>) -> Result<Self, Refusal> {
        if packet.protocol != UDP {
            return Err(Refusal::Ignored("not UDP"));
        }
        let (datagram, sum) = open(packet.payload, packet.offset)?;
        let right =
            sum == 0 || checksum_ipv4(packet.source, packet.destination, UDP, datagram) == 0;
        Self::checked(datagram, packet.offset, right)
    }

    fn checked(datagram: &'a [u8], offset: usize, right: bool) -> Result<Self, Refusal> {
        let wrong_checksum = wrong(offset + 6, "wrong UDP checksum");
        if !right {
            return Err(wrong_checksum);
        }
        let (header, body) = datagram.split_first_chunk::<8>().ok_or(wrong_checksum)?;
        Ok(Self {
            source_port: u16::from_be_bytes([header[0], header[1]]),
            destination_port: u16::from_be_bytes([header[2], header[3]]),
            body,
            offset: offset + 8,
        })
    }
}

/// The datagram at the start of a payload, with at least 8 octets, and its checksum.
fn open(payload: &[u8], offset: usize) -> Result<(&[u8], u16), Refusal> {
    let Some((header, _)) = payload.split_first_chunk::<8>() else {
        return Err(wrong(offset, "UDP header cut short"));
    };
    let datagram = payload
        .get(..usize::from(u16_at(header, 4)))
        .ok_or_else(|| wrong(offset + 4, "UDP length past the packet's end"))?;
    if datagram.len() < header.len() {
        return Err(wrong(offset + 4, "UDP length shorter than its header"));
    }
    Ok((datagram, u16_at(header, 6)))
}

fn broken(packet: &Ipv6Packet<'_>, at: usize, reason: &'static str) -> Refusal {
    wrong(packet.offset + at, reason)
}

fn wrong(offset: usize, reason: &'static str) -> Refusal {
    Refusal::Malformed(Malformed { offset, reason })
}
