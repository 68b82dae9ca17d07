//! Router Advertisements (RFC 4861): which solicitations are answered, and to whom.
//!
//! `encode` writes an advertisement, `withdraw` says what follows when something is advertised no more.

mod encode;
mod withdraw;

pub use encode::advertise;
pub use withdraw::{last_word, withdraw};

use crate::answer::{Answer, Malformed, Outcome, Verdict};
use crate::frame::{ETHERNET_LEN, Icmpv6Message, Ipv6Packet};
use crate::ndp::{self, NdOptions};
use sextant_model::{Advertisement, MacAddr};
use std::net::Ipv6Addr;
use std::sync::Arc;

const ROUTER_SOLICITATION: u8 = 133;
const NAME: &str = "router_solicitation";
/// Offsets in the frame, for what is said of a malformed one.
const HOP_LIMIT_AT: usize = ETHERNET_LEN + 7;
const SOURCE_AT: usize = ETHERNET_LEN + 8;

/// To whom an advertisement goes.
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
            verdict: Verdict::Answered("router_advertisement"),
        },
        learned: Vec::new(),
    }
}

/// A host without an address yet can only be reached as one of all (RFC 4861 §6.2.6).
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

/// The validity checks of RFC 4861 §6.1.1; the checksum was right, or there would be no message.
fn validate(packet: &Ipv6Packet<'_>, message: &Icmpv6Message<'_>) -> Result<(), Malformed> {
    let broken = |offset, reason| Err(Malformed { offset, reason });
    if packet.hop_limit != 255 {
        return broken(HOP_LIMIT_AT, "hop limit is not 255");
    }
    if packet.source.is_multicast() {
        return broken(SOURCE_AT, "multicast source");
    }
    if message.code != 0 {
        return broken(message.offset - 3, "code is not 0");
    }
    let Some((_reserved, options)) = message.body.split_first_chunk::<4>() else {
        return broken(message.offset, "shorter than 8 octets");
    };
    for option in NdOptions::new(options, message.offset + 4) {
        if option?.kind == ndp::SOURCE_LINK_LAYER && packet.source.is_unspecified() {
            return broken(
                message.offset + 4,
                "source link-layer address of a sender without address",
            );
        }
    }
    Ok(())
}
