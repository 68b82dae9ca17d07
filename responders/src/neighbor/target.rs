//! The address to resolve, and the port that asks.

use sextant_model::MacAddr;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A next hop to resolve, and the gateway port that asks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// The addresses of both.
    pub ends: Ends,
    /// The MAC of the gateway port.
    pub source_mac: MacAddr,
}

/// The addresses of a gateway port and of a next hop, of one IP version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ends {
    /// Asked for by Neighbor Discovery.
    V6 {
        /// The gateway port's address.
        source: Ipv6Addr,
        /// The next hop.
        next_hop: Ipv6Addr,
    },
    /// Asked for by ARP.
    V4 {
        /// The gateway port's address.
        source: Ipv4Addr,
        /// The next hop.
        next_hop: Ipv4Addr,
    },
}

impl Ends {
    /// These two addresses. `None` if their IP versions differ.
    #[must_use]
    pub fn new(source: IpAddr, next_hop: IpAddr) -> Option<Self> {
        match (source, next_hop) {
            (IpAddr::V6(source), IpAddr::V6(next_hop)) => Some(Self::V6 { source, next_hop }),
            (IpAddr::V4(source), IpAddr::V4(next_hop)) => Some(Self::V4 { source, next_hop }),
            (IpAddr::V6(_), IpAddr::V4(_)) | (IpAddr::V4(_), IpAddr::V6(_)) => None,
        }
    }

    /// The gateway port's address.
    #[must_use]
    pub fn source(&self) -> IpAddr {
        match *self {
            Self::V6 { source, .. } => source.into(),
            Self::V4 { source, .. } => source.into(),
        }
    }

    /// The next hop.
    #[must_use]
    pub fn next_hop(&self) -> IpAddr {
        match *self {
            Self::V6 { next_hop, .. } => next_hop.into(),
            Self::V4 { next_hop, .. } => next_hop.into(),
        }
    }
}
