//! The Router Solicitation that a gateway port sends to learn the routers of its link at once (RFC 4861 §6.3.7).

use super::ROUTER_SOLICITATION;
use crate::frame::{FrameBuilder, Ipv6Addresses};
use crate::ndp;
use sextant_model::MacAddr;
use std::net::Ipv6Addr;

const ALL_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);

/// The Ethernet frame that asks all routers. It contains the sender's MAC, unless it comes from `::` (RFC 4861 §4.1).
#[must_use]
pub fn solicit(mac: MacAddr, source: Ipv6Addr) -> Vec<u8> {
    let addresses = Ipv6Addresses {
        source_mac: mac,
        destination_mac: ndp::multicast_mac(ALL_ROUTERS),
        source,
        destination: ALL_ROUTERS,
    };
    let mut frame = FrameBuilder::icmpv6(addresses, ROUTER_SOLICITATION, 12);
    frame.bytes().extend([0; 4]);
    if !source.is_unspecified() {
        ndp::put_mac(frame.bytes(), ndp::SOURCE_LINK_LAYER, mac);
    }
    frame.finish()
}
