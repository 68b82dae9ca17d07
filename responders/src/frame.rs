//! Ethernet frames with IPv6 or IPv4: reading what guests send, building what they get.
//!
//! [`Ipv6Packet`] and [`Ipv4Packet`] read the headers of a frame up to the upper layer, and check bounds at every step.
//! [`Icmpv6Message`] and [`UdpDatagram`] then check the upper layer with its checksum. [`FrameBuilder`] and
//! [`Ipv4FrameBuilder`] write a frame front to back into one buffer, and fill in lengths and checksums at the end.

mod build;
mod checksum;
mod ipv4;
mod parse;
mod quote;
mod upper;

pub use build::{FrameBuilder, Ipv6Addresses, LEAST_MTU, fragments};
pub use ipv4::{Ipv4Addresses, Ipv4FrameBuilder, Ipv4Packet};
pub(crate) use parse::ethernet;
pub use parse::{Ipv6Packet, Refusal};
pub use quote::{Quotable, QuotableIpv4};
pub use upper::{Icmpv6Message, UdpDatagram};

pub(crate) const ICMP: u8 = 1;
pub(crate) const ICMPV6: u8 = 58;
pub(crate) const TCP: u8 = 6;
pub(crate) const UDP: u8 = 17;
pub(crate) const ETHERNET_LEN: usize = 14;
pub(crate) use ipv4::IPV4_LEN;
pub(crate) use parse::{
    DESTINATION_OPTIONS, FRAGMENT, HOP_BY_HOP, MAX_EXTENSION_HEADERS, ROUTING, broken,
};
pub(crate) const IPV6_LEN: usize = 40;
