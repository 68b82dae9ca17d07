//! Router Advertisements (RFC 4861): which solicitations are answered, and where the answer goes.
//!
//! `encode` writes an advertisement. `withdraw` makes the advertisements that follow when something is not advertised
//! any more. For routers as hosts, `solicit` asks for the advertisements of others, and `heard` reads them.

mod encode;
mod heard;
mod solicit;
mod withdraw;

pub use encode::advertise;
pub use heard::HeardAdvertisement;
pub use solicit::solicit;
pub use withdraw::{Farewell, GoneDns, last_word, withdraw};

use crate::answer::{Answer, Malformed, Outcome, PacketVerdict};
use crate::frame::{Icmpv6Message, Ipv6Packet};
use crate::ndp::{self, SOURCE_AT};
use sextant_model::{Advertisement, MacAddr};
use std::net::Ipv6Addr;
use std::sync::Arc;

pub(crate) const ROUTER_SOLICITATION: u8 = 133;
pub(crate) const ROUTER_ADVERTISEMENT: u8 = 134;
pub(crate) const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
const NAME: &str = "router_solicitation";

/// Where an advertisement goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination {
    /// ff02::1.
    AllNodes,
    /// The host that asked.
    Unicast {
        /// Its Ethernet address.
        mac: MacAddr,
        /// Its IPv6 address.
        address: Ipv6Addr,
    },
}

/// Answers a Router Solicitation with each of these advertisements.
pub(crate) fn answer(advertisements: &[Arc<Advertisement>], packet: &Ipv6Packet<'_>) -> Answer {
    let message = match Icmpv6Message::parse(packet) {
        Ok(message) => message,
        Err(refusal) => return Answer::refused("icmpv6", refusal.into()),
    };
    if message.kind != ROUTER_SOLICITATION {
        return Answer::ignored("icmpv6", "not a router solicitation");
    }
    if let Err(malformed) = validate(packet, &message) {
        return Answer::malformed(NAME, malformed);
    }
    if advertisements.is_empty() {
        return Answer::ignored(NAME, "no router advertises here");
    }
    let to = reply_to(packet);
    Answer {
        frames: advertisements
            .iter()
            .map(|advertisement| advertise(advertisement, to))
            .collect(),
        outcome: Outcome {
            message: NAME,
            verdict: PacketVerdict::Answered("router_advertisement"),
        },
        learned: Vec::new(),
    }
}

/// A host without an address can only be reached by multicast (RFC 4861 §6.2.6).
fn reply_to(packet: &Ipv6Packet<'_>) -> Destination {
    if packet.source.is_unspecified() {
        Destination::AllNodes
    } else {
        Destination::Unicast {
            mac: packet.source_mac,
            address: packet.source,
        }
    }
}

/// The validity checks of RFC 4861 §6.1.1. The checksum was checked before.
fn validate(packet: &Ipv6Packet<'_>, message: &Icmpv6Message<'_>) -> Result<(), Malformed> {
    let (_reserved, mut options) = ndp::validate::<4>(packet, message)?;
    if packet.source.is_multicast() {
        return Err(Malformed::new(SOURCE_AT, "multicast source"));
    }
    let start = options.offset();
    for option in &mut options {
        if option?.kind == ndp::SOURCE_LINK_LAYER && packet.source.is_unspecified() {
            let reason = "source link-layer address of a sender without address";
            return Err(Malformed::new(start, reason));
        }
    }
    Ok(())
}
