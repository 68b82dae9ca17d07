//! What Sextant answers itself: Router Solicitations and DHCPv6 messages of guests.
//!
//! [`respond`] takes the reason why a packet came up from a switch, with the values to answer it ([`Punt`]), and the
//! packet's Ethernet frame; it gives back complete Ethernet frames for the port that asked, what happened, and what
//! was learned. It looks nothing up and keeps nothing: the same arguments give the same answer. The bytes come from
//! guests and are trusted in nothing; whatever they are, the worst outcome is [`Verdict::Malformed`].
//!
//! Unsolicited advertisements have no packet to answer: [`ra::advertise`] makes them, [`ra_schedule::Schedule`] says
//! when.

mod answer;
pub mod dhcpv6;
pub mod frame;
pub mod ndp;
pub mod ra;
pub mod ra_schedule;

pub use answer::{Answer, Learned, Malformed, Outcome, Verdict};

use frame::Ipv6Packet;
use sextant_model::Punt;

/// Answers a packet: `frame` is the Ethernet frame of the packet-in, without a VLAN tag.
pub fn respond(punt: &Punt, frame: &[u8]) -> Answer {
    let packet = match Ipv6Packet::parse(frame) {
        Ok(packet) => packet,
        Err(refusal) => return Answer::refused("frame", refusal.into()),
    };
    match punt {
        Punt::RouterSolicitation { advertisements, .. } => ra::answer(advertisements, &packet),
        Punt::Dhcpv6(service) => dhcpv6::answer(service, &packet),
    }
}
