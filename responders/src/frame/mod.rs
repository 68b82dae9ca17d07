//! Ethernet frames that carry IPv6: slicing what guests send, building what they get.
//!
//! [`Ipv6Packet`] walks the headers of a frame with bounds at every step and stops at the upper-layer header, which
//! [`Icmpv6Message`] and [`UdpDatagram`] then check, checksum included. [`FrameBuilder`] writes a frame into one
//! buffer front to back and patches lengths and checksum at the end.

mod build;
mod checksum;
mod parse;
mod upper;

pub use build::{Addresses, FrameBuilder};
pub use parse::{Ipv6Packet, Refusal};
pub use upper::{Icmpv6Message, UdpDatagram};

pub(crate) const ICMPV6: u8 = 58;
pub(crate) const UDP: u8 = 17;
pub(crate) const ETHERNET_LEN: usize = 14;
pub(crate) const IPV6_LEN: usize = 40;
