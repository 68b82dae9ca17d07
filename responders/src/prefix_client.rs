//! DHCPv6 prefix delegation (RFC 9915 §6.3, §18.2): the client that asks for the prefix of one subnet.
//!
//! A router asks on the external network, from its gateway port, once for each of its delegated subnets. Each subnet
//! has its own DUID, so that a server tells them apart. [`Client`] is the sans-IO state machine. `exchange` says when
//! to send a message again (§15), and `message` writes it. [`HeardServer`] is what a server's message says, and `grant` the
//! useful part of it.

mod client;
mod exchange;
mod grant;
mod heard;
mod message;

pub use client::Client;
pub use heard::HeardServer;

use crate::dhcpv6::codec::Dhcpv6MessageType;
use crate::frame::{ETHERNET_LEN, IPV6_LEN};
use ipnet::Ipv6Net;
use sextant_model::{MacAddr, SubnetId};
use std::net::Ipv6Addr;
use std::time::Instant;

/// The number of the one identity association of a client (RFC 9915 §12).
pub const IAID: u32 = 1;

/// DUID-EN (RFC 9915 §11.3).
const DUID_EN: u16 = 2;
/// The enterprise under which Neutron's client numbers subnets.
const ENTERPRISE: u32 = 8888;

/// The DUID of a subnet's client: DUID-EN 8888 and the octets of the subnet's id. Neutron's client uses the same, so a
/// server goes on with the prefixes of a cloud that moves from Neutron.
#[must_use]
pub fn duid(subnet: SubnetId) -> Vec<u8> {
    let mut duid = Vec::with_capacity(22);
    duid.extend(DUID_EN.to_be_bytes());
    duid.extend(ENTERPRISE.to_be_bytes());
    duid.extend(subnet.0.as_bytes());
    duid
}

/// The sender: the router's gateway port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sender {
    /// Its MAC.
    pub mac: MacAddr,
    /// Its link-local address.
    pub address: Ipv6Addr,
}

/// A prefix that a server has delegated. Times that are `None` never come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The prefix, of at most 64 bits.
    pub prefix: Ipv6Net,
    /// The DUID of the server.
    pub server: Vec<u8>,
    /// T1: when to ask that server to extend it.
    pub renew_at: Option<Instant>,
    /// T2: when to ask any server to extend it.
    pub rebind_at: Option<Instant>,
    /// Until when its addresses are preferred.
    pub preferred_until: Option<Instant>,
    /// Until when it is valid.
    pub valid_until: Option<Instant>,
}

impl Lease {
    /// Whether it is valid no more.
    #[must_use]
    pub fn has_ended(&self, now: Instant) -> bool {
        self.valid_until.is_some_and(|until| until <= now)
    }
}

/// The state of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PrefixClientState {
    /// It looks for servers.
    Soliciting,
    /// It requests what a server offered, or what a server has lost track of.
    Requesting,
    /// It has a prefix, and waits.
    Bound,
    /// It asks its server to extend the prefix.
    Renewing,
    /// It asks all servers to extend the prefix.
    Rebinding,
    /// It gives the prefix back, or has done so.
    Releasing,
}

impl PrefixClientState {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Soliciting,
        Self::Requesting,
        Self::Bound,
        Self::Renewing,
        Self::Rebinding,
        Self::Releasing,
    ];

    /// The name in metrics and on the command line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Soliciting => "soliciting",
            Self::Requesting => "requesting",
            Self::Bound => "bound",
            Self::Renewing => "renewing",
            Self::Rebinding => "rebinding",
            Self::Releasing => "releasing",
        }
    }
}

/// What a server's message changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It was for this client. The lease stays as it was.
    Taken,
    /// There is a lease for the first time, or one of another prefix.
    Granted,
    /// The lease has the same prefix, and other times.
    Extended,
    /// The prefix is gone, and the client looks for another.
    Lost,
    /// It was for this client, but useless. The text says why. The lease stays as it was.
    Refused(&'static str),
    /// It is for another client, or answers no question of this one.
    NotForUs,
}

impl Effect {
    /// The name in metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Taken => "taken",
            Self::Granted => "granted",
            Self::Extended => "extended",
            Self::Lost => "lost",
            Self::Refused(_) => "refused",
            Self::NotForUs => "not_for_us",
        }
    }
}

/// Octets of a UDP header (RFC 768).
const UDP_HEADER: usize = 8;

/// The name of the message in a frame of [`Client::poll_frame`].
pub fn sent(frame: &[u8]) -> &'static str {
    let kind = frame.get(ETHERNET_LEN + IPV6_LEN + UDP_HEADER);
    let kind = kind.and_then(|kind| Dhcpv6MessageType::from_u8(*kind));
    kind.map_or("unknown", Dhcpv6MessageType::name)
}
