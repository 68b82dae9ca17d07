//! What comes out of a host.

use super::Disbelief;
use crate::prefix_client::Effect;
use ipnet::Ipv6Net;
use sextant_model::{Delegation, MacAddr, NetworkId, NetworkKey, Outside, PortId, SubnetId};
use std::net::IpAddr;
use std::sync::Arc;

/// A frame to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutgoingFrame {
    /// Where it goes.
    pub way: Way,
    /// What it is.
    pub kind: FrameKind,
    /// The Ethernet frame.
    pub octets: Vec<u8>,
}

/// Where a frame goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// To the guests of a network that are on this hypervisor.
    Guests(NetworkKey),
    /// Out of an OpenFlow port, with this tag as `vlan_tci` has it (ovs-fields(7)); 0 without one.
    Uplink {
        /// The port.
        port: u16,
        /// The tag.
        vlan_tci: u16,
    },
}

/// What a frame is, for metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameKind {
    /// A Router Advertisement that nobody asked for.
    PeriodicAdvertisement,
    /// One of the last Router Advertisements of a port that goes (RFC 4861 §6.2.5).
    FinalAdvertisement,
    /// An unsolicited Neighbor Advertisement, or a gratuitous ARP message.
    Announcement,
    /// A question to routers or neighbours outside.
    Solicitation,
    /// A DHCPv6 client's message of this name.
    Dhcpv6(&'static str),
}

/// What a host has learned, or found wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostEvent {
    /// What is known of the outside of an external network; none: it is no uplink of the hypervisor.
    Outside(NetworkId, Option<Outside>),
    /// Something was heard outside that is not believed.
    Disbelieved(Disbelief),
    /// A server has delegated this prefix to a subnet, or extended it; none: the subnet has none any more.
    Delegated(SubnetId, Option<Arc<Delegation>>),
    /// A guest says that it has an address out of the pairs of its port, at a MAC.
    Announced((PortId, IpAddr, MacAddr)),
    /// A DHCPv6 server answered the client of a subnet.
    ServerAnswered {
        /// The subnet.
        subnet: SubnetId,
        /// What came of it.
        effect: Effect,
        /// The name of the message.
        message: &'static str,
        /// The prefix that the subnet has from then on.
        prefix: Option<Ipv6Net>,
    },
}
