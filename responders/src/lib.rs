//! What Sextant itself answers: Router Solicitations, DHCPv6 and DHCPv4 messages of guests, and packets that their
//! routers do not forward or take.
//!
//! [`respond`] takes a [`Punt`], which is the reason why a packet came up with the values to answer it, and the
//! packet's Ethernet frame. It returns complete Ethernet frames for the port that asked, the outcome, and facts. It
//! looks nothing up and keeps nothing: the same arguments give the same answer. Guests send the bytes, so nothing in
//! them is trusted. The worst outcome is [`PacketVerdict::Malformed`].
//!
//! Unsolicited advertisements have no packet to answer: [`ra::advertise`] makes them, [`ra_schedule::Schedule`] says
//! when.
//!
//! On external networks routers are hosts of a link. [`default_routers::DefaultRouters`] ranks the routers heard there.
//! [`neighbor::NeighborCache`] keeps next hops resolved. [`repetition::Repetition`] says when to announce or ask again.
//! [`prefix_client::Client`] asks for the prefixes of subnets.
//!
//! [`backoff::Backoff`] says how long to wait before something is tried again, [`throttle::Throttle`] whether something may
//! happen once more. The controller uses both as well.

#![warn(clippy::must_use_candidate)]

mod answer;
pub mod backoff;
pub mod default_routers;
pub mod dhcpv4;
pub mod dhcpv6;
pub mod frame;
pub mod host;
pub mod icmp_error;
mod inside;
pub mod ndp;
pub mod neighbor;
mod outside;
pub mod prefix_client;
pub mod probe;
pub mod ra;
pub mod ra_schedule;
pub mod repetition;
pub mod throttle;

pub use answer::{Answer, Learned, Malformed, Outcome, PacketVerdict};

use frame::{Ipv4Packet, Ipv6Packet, Refusal};
use sextant_model::Punt;

/// Answers a packet: `frame` is the Ethernet frame of the packet-in, without a VLAN tag.
#[must_use]
pub fn respond(punt: &Punt, frame: &[u8]) -> Answer {
    match punt {
        Punt::RouterSolicitation { advertisements, .. } => {
            with(Ipv6Packet::parse(frame), |packet| {
                ra::answer(advertisements, packet)
            })
        }
        Punt::Dhcpv6(service) => with(Ipv6Packet::parse(frame), |packet| {
            dhcpv6::answer(service, packet)
        }),
        Punt::Dhcpv4(service) => with(Ipv4Packet::parse(frame), |packet| {
            dhcpv4::answer(service, packet)
        }),
        Punt::IcmpError(error) => icmp_error::answer(error, frame),
        Punt::Heard(network) => outside::heard(*network, frame),
        Punt::Unresolved(network) => outside::sought(*network, frame),
        Punt::NeighborSolicitation(known) => with(Ipv6Packet::parse(frame), |packet| {
            neighbor::answer(known, packet)
        }),
        Punt::PrefixClientMessage(network) => outside::prefix_client_message(*network, frame),
        Punt::BareSolicitation => Answer::ignored("frame", "nothing is known of the neighbour"),
        Punt::Announced(port) => inside::announced(*port, frame),
        Punt::Appeared(port) => inside::appeared(*port),
        Punt::Unheld(asker) => inside::ask(asker),
        Punt::Probed => probe::arrived(frame),
        Punt::Captured(..) => Answer::ignored("frame", "nobody captures it any more"),
        Punt::GroupEcho(members) => with(Ipv6Packet::parse(frame), |packet| {
            inside::group_echo(members, packet)
        }),
    }
}

fn with<P>(packet: Result<P, Refusal>, answer: impl FnOnce(&P) -> Answer) -> Answer {
    match packet {
        Ok(packet) => answer(&packet),
        Err(refusal) => Answer::refused("frame", refusal.into()),
    }
}
