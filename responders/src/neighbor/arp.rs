//! ARP over Ethernet (RFC 826): reading and writing.

use super::{BROADCAST, HeardClaim, HeardNeighbor};
use crate::frame::{ETHERNET_LEN, Refusal, broken};
use crate::ndp::is_station;
use sextant_model::MacAddr;
use std::net::Ipv4Addr;

pub(super) const ETHERTYPE: u16 = 0x0806;
/// Ethernet, IPv4, and the lengths of their addresses.
const SPACE: [u8; 6] = [0, 1, 0x08, 0x00, 6, 4];
const REQUEST: u8 = 1;
const REPLY: u8 = 2;
/// Octets of a message.
const LEN: usize = 28;

/// What an ARP message shows of its sender.
///
/// # Errors
/// Ignored: not of Ethernet and IPv4, neither request nor reply, a sender without an address (RFC 5227 §1.1). Malformed:
/// cut short, or a sender that is no single station.
pub(super) fn read(frame: &[u8]) -> Result<HeardNeighbor, Refusal> {
    let message: &[u8; LEN] = frame
        .get(ETHERNET_LEN..)
        .and_then(<[u8]>::first_chunk)
        .ok_or_else(|| broken(frame.len(), "frame shorter than its ARP message"))?;
    if message[..6] != SPACE {
        return Err(Refusal::Ignored("ARP of other kinds of addresses"));
    }
    let sender = address(message, 14);
    let mac = mac(message, 8);
    if sender.is_unspecified() {
        return Err(Refusal::Ignored("ARP probe of a sender without address"));
    }
    if !is_station(mac) {
        let reason = "ARP sender is no single station";
        return Err(broken(ETHERNET_LEN + 8, reason));
    }
    let claim = match message[6..8] {
        [0, REQUEST] => HeardClaim::Mentioned { router: None },
        [0, REPLY] => HeardClaim::Advertised {
            solicited: true,
            overrides: true,
            router: None,
        },
        _ => return Err(Refusal::Ignored("neither ARP request nor reply")),
    };
    Ok(HeardNeighbor {
        address: sender.into(),
        mac: Some(mac),
        to: address(message, 24).into(),
        claim,
    })
}

/// Asks for `target` from `source` at `source_mac`. The request goes to all, or only to `asked`.
pub(super) fn request(
    source_mac: MacAddr,
    source: Ipv4Addr,
    target: Ipv4Addr,
    asked: Option<MacAddr>,
) -> Vec<u8> {
    let mut frame = Vec::with_capacity(ETHERNET_LEN + LEN);
    frame.extend(asked.unwrap_or(BROADCAST).0);
    frame.extend(source_mac.0);
    frame.extend(ETHERTYPE.to_be_bytes());
    frame.extend(SPACE);
    frame.extend([0, REQUEST]);
    frame.extend(source_mac.0);
    frame.extend(source.octets());
    frame.extend([0; 6]);
    frame.extend(target.octets());
    frame
}

fn mac(message: &[u8; LEN], at: usize) -> MacAddr {
    let mut octets = [0; 6];
    octets.copy_from_slice(&message[at..at + 6]);
    MacAddr(octets)
}

fn address(message: &[u8; LEN], at: usize) -> Ipv4Addr {
    let mut octets = [0; 4];
    octets.copy_from_slice(&message[at..at + 4]);
    octets.into()
}
