//! Finds the error for a packet to a router itself that no flow answers.
//!
//! A router listens on no port and speaks no protocol but ICMP, whose messages the pipeline answers or discards. An
//! IPv6 packet may have extension headers before that. Its destination looks at each in turn (RFC 8200 §4). The first
//! that it does not know is what the error is about.

use super::Complaint;
use crate::frame::{
    DESTINATION_OPTIONS, ETHERNET_LEN, FRAGMENT, HOP_BY_HOP, ICMP, ICMPV6, IPV6_LEN,
    MAX_EXTENSION_HEADERS, ROUTING, Refusal, TCP, UDP, broken,
};
use std::ops::ControlFlow;

/// RFC 8200 §4.7.
const NOTHING: u8 = 59;
/// The offset of the next header's number in the fixed header.
const NEXT_HEADER: usize = 6;
/// RFC 8200 §4.2.
const PAD1: u8 = 0;
const PADN: u8 = 1;

/// Goes on after a header, or ends with an error about it.
type Step = ControlFlow<Complaint, usize>;

/// The error for an IPv6 packet.
///
/// # Errors
/// Ignored: the protocol says to be silent. Malformed: cut short or inconsistent.
pub(super) fn complaint(packet: &[u8]) -> Result<Complaint, Refusal> {
    let (mut named_at, mut offset) = (NEXT_HEADER, IPV6_LEN);
    for _ in 0..=MAX_EXTENSION_HEADERS {
        let step = match octet(packet, named_at)? {
            HOP_BY_HOP if named_at == NEXT_HEADER => options(packet, offset)?,
            DESTINATION_OPTIONS => options(packet, offset)?,
            ROUTING => routing(packet, offset)?,
            FRAGMENT => Step::Continue(offset + 8),
            TCP | UDP => return Ok(port_unreachable(1, 4)),
            ICMPV6 => return Err(Refusal::Ignored("ICMP that is not answered")),
            NOTHING => return Err(Refusal::Ignored("nothing follows its headers")),
            _ => Step::Break(parameter_problem("unrecognized_next_header", 1, named_at)),
        };
        match step {
            Step::Continue(behind) => (named_at, offset) = (offset, behind),
            Step::Break(complaint) => return Ok(complaint),
        }
    }
    Err(Refusal::Ignored("too many extension headers"))
}

/// The error for an IPv4 packet of this protocol (RFC 1122 §3.2.2.1).
///
/// # Errors
/// Ignored: the protocol says to be silent.
pub(super) fn complaint_ipv4(protocol: u8) -> Result<Complaint, Refusal> {
    match protocol {
        ICMP => Err(Refusal::Ignored("ICMP that is not answered")),
        TCP | UDP => Ok(port_unreachable(3, 3)),
        _ => Ok(Complaint::new("protocol_unreachable", 3, 2)),
    }
}

/// No port listens (RFC 4443 §3.1, RFC 1122 §3.2.2.1).
fn port_unreachable(kind: u8, code: u8) -> Complaint {
    Complaint::new("port_unreachable", kind, code)
}

/// RFC 4443 §3.4.
fn parameter_problem(name: &'static str, code: u8, pointer: usize) -> Complaint {
    let pointer = u32::try_from(pointer).unwrap_or(u32::MAX);
    Complaint::new(name, 4, code).with(pointer)
}

/// A header of options. Only padding is known. Each unknown option says itself what to do (RFC 8200 §4.2).
fn options(packet: &[u8], offset: usize) -> Result<Step, Refusal> {
    let end = end_of(packet, offset)?;
    let mut at = offset + 2;
    while at < end {
        match octet(packet, at)? {
            PAD1 => {
                at += 1;
                continue;
            }
            PADN => {}
            kind => match kind >> 6 {
                0 => {}
                1 => return Err(Refusal::Ignored("an unknown option asks for silence")),
                _ => return Ok(Step::Break(parameter_problem("unrecognized_option", 2, at))),
            },
        }
        at += 2 + usize::from(octet(packet, at + 1)?);
    }
    if at > end {
        return Err(broken(ETHERNET_LEN + end, "option past its header's end"));
    }
    Ok(Step::Continue(end))
}

/// A routing header. No type is known, but one without segments left is skipped (RFC 8200 §4.4, RFC 5095 §3).
fn routing(packet: &[u8], offset: usize) -> Result<Step, Refusal> {
    let (kind, segments_left) = (offset + 2, octet(packet, offset + 3)?);
    if segments_left != 0 {
        let complaint = parameter_problem("unrecognized_routing_type", 0, kind);
        return Ok(Step::Break(complaint));
    }
    end_of(packet, offset).map(Step::Continue)
}

/// Where an extension header ends.
fn end_of(packet: &[u8], offset: usize) -> Result<usize, Refusal> {
    let end = offset + 8 * (usize::from(octet(packet, offset + 1)?) + 1);
    if end > packet.len() {
        let reason = "extension header past the packet's end";
        return Err(broken(ETHERNET_LEN + offset + 1, reason));
    }
    Ok(end)
}

fn octet(packet: &[u8], at: usize) -> Result<u8, Refusal> {
    let found = packet.get(at).copied();
    found.ok_or_else(|| broken(ETHERNET_LEN + packet.len(), "header cut short"))
}
