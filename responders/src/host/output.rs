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
    /// Where it is sent.
    pub way: Way,
    /// What it is.
    pub kind: FrameKind,
    /// The Ethernet frame.
    pub octets: Vec<u8>,
}

/// Where a frame is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// To the guests of a network that are on this hypervisor.
    Guests(NetworkKey),
    /// Out of an OpenFlow port with this `vlan_tci` (ovs-fields(7)); 0 without a tag.
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
    /// An unsolicited Router Advertisement.
    PeriodicAdvertisement,
    /// A final Router Advertisement of a port that goes (RFC 4861 §6.2.5).
    FinalAdvertisement,
    /// An unsolicited Neighbor Advertisement, or a gratuitous ARP message.
    Announcement,
    /// A solicitation to routers or neighbours outside.
    Solicitation,
    /// A DHCPv6 client's message of this name.
    Dhcpv6(&'static str),
}

/// What a host learned, or found wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostEvent {
    /// What is known of an external network. `None`: the hypervisor has no uplink to it.
    Outside(NetworkId, Option<Outside>),
    /// Something heard outside is not believed.
    Disbelieved(Disbelief),
    /// A server delegated this prefix to a subnet, or extended it. `None`: the subnet has no delegated prefix any more.
    Delegated(SubnetId, Option<Arc<Delegation>>),
    /// A guest says that it has an address out of the pairs of its port, at a MAC.
    Announced((PortId, IpAddr, MacAddr)),
    /// The guest of this port sends from an interface where it is expected.
    Appeared(PortId),
    /// A DHCPv6 server answered the client of a subnet.
    ServerAnswered {
        /// The subnet.
        subnet: SubnetId,
        /// What the answer changed.
        effect: Effect,
        /// The name of the message.
        message: &'static str,
        /// The subnet's prefix from then on.
        prefix: Option<Ipv6Net>,
    },
}
