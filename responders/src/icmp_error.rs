//! The errors of a router about packets that it does not forward or take: ICMPv6 (RFC 4443 §3) and ICMPv4 (RFC 792, RFC
//! 1812 §4.3).
//!
//! An error quotes as much of the packet as fits every path (RFC 4443 §2.4(c), RFC 1812 §4.3.2.3). There is no error
//! about an error, about a packet to many, or to a sender that is not a single host. There is none about a fragment
//! after the first, which does not show its protocol (RFC 4443 §2.4(e), RFC 1122 §3.2.2).

mod own_address;

use crate::answer::{Answer, Outcome, PacketVerdict};
use crate::frame::{
    FrameBuilder, Ipv4Addresses, Ipv4FrameBuilder, Ipv6Addresses, Quotable, QuotableIpv4, Refusal,
};
use sextant_model::{IcmpError, Problem};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The smallest MTU of an IPv6 link (RFC 8200 §5).
const MINIMUM_MTU: usize = 1280;
/// Every IPv4 host accepts packets of this length (RFC 791 §3.1).
const EVERY_IPV4_HOST: usize = 576;
/// Octets of an ICMP header.
const HEADER: usize = 8;

/// The error to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Complaint {
    /// The name in metrics and logs.
    name: &'static str,
    kind: u8,
    code: u8,
    /// The field after the checksum: an MTU or a pointer.
    rest: u32,
}

impl Complaint {
    fn new(name: &'static str, kind: u8, code: u8) -> Self {
        Self {
            name,
            kind,
            code,
            rest: 0,
        }
    }

    fn with(self, rest: u32) -> Self {
        Self { rest, ..self }
    }
}

/// Answers a packet that a router does not take.
#[must_use]
pub fn answer(error: &IcmpError, frame: &[u8]) -> Answer {
    let made = match error.source {
        IpAddr::V6(source) => about(error, source, frame),
        IpAddr::V4(source) => about_ipv4(error, source, frame),
    };
    match made {
        Ok((message, frame)) => Answer {
            frames: vec![frame],
            outcome: Outcome {
                message,
                verdict: PacketVerdict::Answered(message),
            },
            learned: Vec::new(),
        },
        Err(refusal) => Answer::refused(error.problem.as_str(), refusal.into()),
    }
}

/// An error's name and its frame.
type Made = Result<(&'static str, Vec<u8>), Refusal>;

fn about(error: &IcmpError, source: Ipv6Addr, frame: &[u8]) -> Made {
    let packet = Quotable::parse(frame)?;
    if packet.source.is_unspecified() || packet.source.is_multicast() {
        return Err(Refusal::Ignored("its source is no single host"));
    }
    // RFC 4443 §2.4(e.3): about a packet to many, only "too big" is allowed.
    if packet.destination.is_multicast() && !matches!(error.problem, Problem::TooBig { .. }) {
        return Err(Refusal::Ignored("it is for many"));
    }
    let name = error.problem.as_str();
    let (source, complaint) = match error.problem {
        Problem::NoRoute => (source, Complaint::new(name, 1, 0)),
        Problem::Unreachable => (source, Complaint::new(name, 1, 3)),
        Problem::TooBig { mtu } => (source, Complaint::new(name, 2, 0).with(u32::from(mtu))),
        Problem::HopLimit => (source, Complaint::new(name, 3, 0)),
        Problem::OwnAddress => (packet.destination, own_address::complaint(packet.bytes)?),
    };
    let addresses = Ipv6Addresses {
        source_mac: error.mac,
        destination_mac: packet.source_mac,
        source,
        destination: packet.source,
    };
    let room = MINIMUM_MTU - crate::frame::IPV6_LEN - HEADER;
    let quoted = &packet.bytes[..packet.bytes.len().min(room)];
    let Complaint { kind, code, .. } = complaint;
    let mut built = FrameBuilder::icmpv6_error(addresses, kind, code, 4 + quoted.len());
    built.bytes().extend(complaint.rest.to_be_bytes());
    built.bytes().extend(quoted);
    Ok((complaint.name, built.finish()))
}

fn about_ipv4(error: &IcmpError, source: Ipv4Addr, frame: &[u8]) -> Made {
    let packet = QuotableIpv4::parse(frame)?;
    if !is_single_host(packet.source) || !is_single_host(packet.destination) {
        return Err(Refusal::Ignored("it is not between single hosts"));
    }
    let name = error.problem.as_str();
    let (source, complaint) = match error.problem {
        Problem::NoRoute => (source, Complaint::new(name, 3, 0)),
        Problem::Unreachable => (source, Complaint::new(name, 3, 1)),
        Problem::TooBig { .. } if !packet.whole => {
            return Err(Refusal::Ignored("it may be fragmented"));
        }
        Problem::TooBig { mtu } => (source, Complaint::new(name, 3, 4).with(u32::from(mtu))),
        Problem::HopLimit => (source, Complaint::new(name, 11, 0)),
        Problem::OwnAddress => {
            let complaint = own_address::complaint_ipv4(packet.protocol)?;
            (packet.destination, complaint)
        }
    };
    let addresses = Ipv4Addresses {
        source_mac: error.mac,
        destination_mac: packet.source_mac,
        source,
        destination: packet.source,
    };
    let room = EVERY_IPV4_HOST - crate::frame::IPV4_LEN - HEADER;
    let quoted = &packet.bytes[..packet.bytes.len().min(room)];
    let Complaint { kind, code, .. } = complaint;
    let frame = Ipv4FrameBuilder::icmp_error(addresses, [kind, code], complaint.rest, quoted);
    Ok((complaint.name, frame))
}

/// RFC 1122 §3.2.2: errors are only sent between single hosts.
fn is_single_host(address: Ipv4Addr) -> bool {
    let octets = address.octets();
    octets[0] != 0 && octets[0] != 127 && octets[0] < 224
}
