//! Router Advertisements (RFC 4861 §4.2): what a router says of a link, to all or to the host that asked.

use crate::answer::{Answer, Malformed, Outcome, Verdict};
use crate::frame::{Addresses, ETHERNET_LEN, FrameBuilder, Icmpv6Message, Ipv6Packet};
use crate::ndp::{self, NdOptions};
use sextant_model::{AdvertisedPrefix, Advertisement, MacAddr};
use std::net::Ipv6Addr;
use std::sync::Arc;

const ROUTER_SOLICITATION: u8 = 133;
const ROUTER_ADVERTISEMENT: u8 = 134;
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
const ALL_NODES_MAC: MacAddr = MacAddr([0x33, 0x33, 0, 0, 0, 1]);
const NAME: &str = "router_solicitation";
/// Offsets in the frame, for what is said of a malformed one.
const HOP_LIMIT_AT: usize = ETHERNET_LEN + 7;
const SOURCE_AT: usize = ETHERNET_LEN + 8;
/// AdvDefaultLifetime goes no higher, in seconds (RFC 4861 §6.2.1).
const MAX_LIFETIME: u16 = 9000;
/// As many addresses as the length field of an RDNSS option can count.
const MAX_RDNSS: usize = 127;

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

/// The Ethernet frame that carries an advertisement.
///
/// It stays within the MTU that it advertises, or 1280 octets: options that do not fit are left out, the last first.
pub fn advertise(advertisement: &Advertisement, to: Destination) -> Vec<u8> {
    let (destination_mac, destination) = match to {
        Destination::AllNodes => (ALL_NODES_MAC, ALL_NODES),
        Destination::Unicast { mac, address } => (mac, address),
    };
    let addresses = Addresses {
        source_mac: advertisement.mac,
        destination_mac,
        source: advertisement.source,
        destination,
    };
    let mut frame = FrameBuilder::icmpv6(addresses, ROUTER_ADVERTISEMENT, body_len(advertisement));
    put_header(frame.bytes(), advertisement);
    put_options(frame.bytes(), advertisement, link_end(advertisement));
    frame.finish()
}

/// The same advertisement as a router's last word on the link (RFC 4861 §6.2.5): no default router any more, and its
/// prefixes no longer preferred (RFC 9096 §3.2), so that hosts stop using what leads nowhere.
pub fn last_word(advertisement: &Advertisement) -> Advertisement {
    let mut last = advertisement.clone();
    last.lifetime = 0;
    for prefix in &mut last.prefixes {
        prefix.preferred = 0;
    }
    last
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

fn body_len(advertisement: &Advertisement) -> usize {
    let dns = match advertisement.dns_servers.len() {
        0 => 0,
        servers => 8 + servers * 16,
    };
    12 + 8 + 8 + advertisement.prefixes.len() * 32 + dns
}

/// What follows the checksum: hop limit to retransmission timer. Reachable time and retransmission timer are left
/// to the hosts.
fn put_header(bytes: &mut Vec<u8>, advertisement: &Advertisement) {
    let flags = u8::from(advertisement.managed) << 7 | u8::from(advertisement.other) << 6;
    bytes.extend([advertisement.hop_limit, flags]);
    bytes.extend(advertisement.lifetime.min(MAX_LIFETIME).to_be_bytes());
    bytes.extend([0; 8]);
}

/// Where the frame ends that fills the link. No link has a lower MTU than 1280 octets (RFC 8200 §5).
fn link_end(advertisement: &Advertisement) -> usize {
    ETHERNET_LEN + usize::from(advertisement.mtu.unwrap_or(0).max(1280))
}

/// Options that end by `end`.
fn put_options(bytes: &mut Vec<u8>, advertisement: &Advertisement, end: usize) {
    bytes.extend([ndp::SOURCE_LINK_LAYER, 1]);
    bytes.extend(advertisement.mac.0);
    if let Some(mtu) = advertisement.mtu {
        bytes.extend([ndp::MTU, 1, 0, 0]);
        bytes.extend(u32::from(mtu).to_be_bytes());
    }
    for prefix in &advertisement.prefixes {
        if bytes.len() + 32 <= end {
            put_prefix(bytes, prefix);
        }
    }
    for servers in advertisement.dns_servers.chunks(MAX_RDNSS) {
        let fit = end.saturating_sub(bytes.len() + 8) / 16;
        if fit > 0 {
            let servers = &servers[..servers.len().min(fit)];
            put_dns_servers(bytes, servers, advertisement.dns_lifetime);
        }
    }
}

fn put_prefix(bytes: &mut Vec<u8>, prefix: &AdvertisedPrefix) {
    let flags = u8::from(prefix.on_link) << 7 | u8::from(prefix.autonomous) << 6;
    bytes.extend([
        ndp::PREFIX_INFORMATION,
        4,
        prefix.prefix.prefix_len(),
        flags,
    ]);
    bytes.extend(prefix.valid.to_be_bytes());
    bytes.extend(prefix.preferred.min(prefix.valid).to_be_bytes());
    bytes.extend([0; 4]);
    bytes.extend(prefix.prefix.network().octets());
}

fn put_dns_servers(bytes: &mut Vec<u8>, servers: &[Ipv6Addr], lifetime: u32) {
    bytes.extend([ndp::RDNSS, 1 + 2 * servers.len() as u8, 0, 0]);
    bytes.extend(lifetime.to_be_bytes());
    for server in servers {
        bytes.extend(server.octets());
    }
}
