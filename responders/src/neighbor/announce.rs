//! Announces an address that came to a gateway port, so that neighbours and switches outside send to it. The
//! announcement is unsolicited, goes to all, and replaces what they knew.

use super::{NEIGHBOR_ADVERTISEMENT, arp};
use crate::frame::{FrameBuilder, Ipv6Addresses};
use crate::ndp;
use crate::ra::ALL_NODES;
use sextant_model::MacAddr;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Router and Override.
const FLAGS: u8 = 0x80 | 0x20;

/// The Ethernet frame that announces this MAC for a router's address. Send it up to three times, a second apart
/// (MAX_NEIGHBOR_ADVERTISEMENT, RFC 4861 §7.2.6).
#[must_use]
pub fn announce(mac: MacAddr, address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V6(address) => unsolicited_advertisement(mac, address),
        IpAddr::V4(address) => gratuitous_arp(mac, address),
    }
}

/// An unsolicited Neighbor Advertisement of a router to all nodes (RFC 4861 §7.2.6). It comes from the address that it
/// announces. Routers without an entry for the address make one (RFC 9131 §5).
#[must_use]
pub fn unsolicited_advertisement(mac: MacAddr, address: Ipv6Addr) -> Vec<u8> {
    let addresses = Ipv6Addresses {
        source_mac: mac,
        destination_mac: ndp::multicast_mac(ALL_NODES),
        source: address,
        destination: ALL_NODES,
    };
    let mut frame = FrameBuilder::icmpv6(addresses, NEIGHBOR_ADVERTISEMENT, 28);
    frame.bytes().extend([FLAGS, 0, 0, 0]);
    frame.bytes().extend(address.octets());
    ndp::put_mac(frame.bytes(), ndp::TARGET_LINK_LAYER, mac);
    frame.finish()
}

/// An ARP announcement: a broadcast request for the sender's own address (RFC 5227 §2.3, §3).
#[must_use]
pub fn gratuitous_arp(mac: MacAddr, address: Ipv4Addr) -> Vec<u8> {
    arp::request(mac, address, address, None)
}
