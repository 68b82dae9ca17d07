//! Answers Neighbor Solicitations where the switch has no flow that can (RFC 4861 §7.2.3, §7.2.4).

use super::{NEIGHBOR_ADVERTISEMENT, NEIGHBOR_SOLICITATION};
use crate::answer::{Answer, Malformed, Outcome, PacketVerdict};
use crate::frame::{FrameBuilder, Icmpv6Message, Ipv6Addresses, Ipv6Packet};
use crate::ndp::{self, SOURCE_AT};
use crate::ra::ALL_NODES;
use sextant_model::KnownNeighbor;
use std::net::Ipv6Addr;

const NAME: &str = "neighbor_solicitation";
const ROUTER: u8 = 0x80;
const SOLICITED: u8 = 0x40;
const OVERRIDE: u8 = 0x20;

/// The address that a frame asks for, if it is a solicitation that may be answered.
#[must_use]
pub fn wanted(frame: &[u8]) -> Option<Ipv6Addr> {
    let packet = Ipv6Packet::parse(frame).ok()?;
    let message = Icmpv6Message::parse(&packet).ok()?;
    let solicits = message.kind == NEIGHBOR_SOLICITATION;
    solicits.then(|| target(&packet, &message).ok()).flatten()
}

/// Answers a solicitation for a known address.
pub(crate) fn answer(known: &KnownNeighbor, packet: &Ipv6Packet<'_>) -> Answer {
    let message = match Icmpv6Message::parse(packet) {
        Ok(message) => message,
        Err(refusal) => return Answer::refused("icmpv6", refusal.into()),
    };
    if message.kind != NEIGHBOR_SOLICITATION {
        return Answer::ignored("icmpv6", "not a neighbor solicitation");
    }
    let target = match target(packet, &message) {
        Ok(target) => target,
        Err(malformed) => return Answer::malformed(NAME, malformed),
    };
    if target != known.address {
        return Answer::ignored(NAME, "for another address");
    }
    Answer {
        frames: vec![advertise(known, packet)],
        outcome: Outcome {
            message: NAME,
            verdict: PacketVerdict::Answered("neighbor_advertisement"),
        },
        learned: Vec::new(),
    }
}

/// The target of a message that passes the validity checks of RFC 4861 §7.1.1.
fn target(packet: &Ipv6Packet<'_>, message: &Icmpv6Message<'_>) -> Result<Ipv6Addr, Malformed> {
    let (fields, mut options) = ndp::validate::<20>(packet, message)?;
    let (_reserved, target) = fields.split_at(4);
    let target: [u8; 16] = target.try_into().unwrap_or_default();
    let target = Ipv6Addr::from(target);
    if target.is_multicast() {
        return Err(Malformed::new(message.offset + 4, "multicast target"));
    }
    let start = options.offset();
    for option in &mut options {
        if option?.kind == ndp::SOURCE_LINK_LAYER && packet.source.is_unspecified() {
            let reason = "source link-layer address of a sender without address";
            return Err(Malformed::new(start, reason));
        }
    }
    if packet.source.is_multicast() {
        return Err(Malformed::new(SOURCE_AT, "multicast source"));
    }
    Ok(target)
}

/// A duplicate address probe, from `::`, is answered to all nodes with Solicited clear (RFC 4862 §5.4.3).
fn advertise(known: &KnownNeighbor, packet: &Ipv6Packet<'_>) -> Vec<u8> {
    let router = if known.router { ROUTER } else { 0 };
    let probe = packet.source.is_unspecified();
    let overrides = if known.overrides { OVERRIDE } else { 0 };
    let (destination, destination_mac, solicited) = if probe {
        (ALL_NODES, ndp::multicast_mac(ALL_NODES), 0)
    } else {
        (packet.source, packet.source_mac, SOLICITED)
    };
    let addresses = Ipv6Addresses {
        source_mac: known.mac,
        destination_mac,
        source: known.address,
        destination,
    };
    let mut frame = FrameBuilder::icmpv6(addresses, NEIGHBOR_ADVERTISEMENT, 28);
    frame
        .bytes()
        .extend([router | solicited | overrides, 0, 0, 0]);
    frame.bytes().extend(known.address.octets());
    ndp::put_mac(frame.bytes(), ndp::TARGET_LINK_LAYER, known.mac);
    frame.finish()
}
