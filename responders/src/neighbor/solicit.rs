//! The frame that asks for a next hop: a Neighbor Solicitation (RFC 4861 §4.3) or an ARP request.

use super::{Ends, NEIGHBOR_SOLICITATION, Target, arp};
use crate::frame::{FrameBuilder, Ipv6Addresses};
use crate::ndp;
use sextant_model::{MacAddr, solicited_node};

/// Who is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Solicited {
    /// Whoever has the address: the solicited-node group, or all by broadcast.
    Anyone,
    /// The station that had it.
    Station(MacAddr),
}

/// The Ethernet frame that asks for a next hop.
#[must_use]
pub fn solicit(target: &Target, asked: Solicited) -> Vec<u8> {
    let (source, next_hop) = match target.ends {
        Ends::V6 { source, next_hop } => (source, next_hop),
        Ends::V4 { source, next_hop } => {
            let station = match asked {
                Solicited::Anyone => None,
                Solicited::Station(mac) => Some(mac),
            };
            return arp::request(target.source_mac, source, next_hop, station);
        }
    };
    let group = solicited_node(next_hop);
    let (destination_mac, destination) = match asked {
        Solicited::Anyone => (ndp::multicast_mac(group), group),
        Solicited::Station(mac) => (mac, next_hop),
    };
    let addresses = Ipv6Addresses {
        source_mac: target.source_mac,
        destination_mac,
        source,
        destination,
    };
    let mut frame = FrameBuilder::icmpv6(addresses, NEIGHBOR_SOLICITATION, 28);
    frame.bytes().extend([0; 4]);
    frame.bytes().extend(next_hop.octets());
    ndp::put_mac(frame.bytes(), ndp::SOURCE_LINK_LAYER, target.source_mac);
    frame.finish()
}
