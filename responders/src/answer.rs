//! The result of a packet: frames to send, an outcome for metrics and logs, and facts for the owner of state.

use crate::neighbor::HeardNeighbor;
use crate::prefix_client;
use crate::ra::HeardAdvertisement;
use sextant_model::{MacAddr, NetworkId, PortId};
use std::net::IpAddr;

/// The result of a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Complete Ethernet frames, to be sent to the port that asked.
    pub frames: Vec<Vec<u8>>,
    /// What was done, for metrics and logs.
    pub outcome: Outcome,
    /// Facts that the packet showed.
    pub learned: Vec<Learned>,
}

/// What was done with a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The kind of message, as metrics name it: `router_solicitation`, `solicit` and so on. It is `frame`, `icmpv6` or
    /// `udp` if the packet was given up before its message was read.
    pub message: &'static str,
    /// What was done with it.
    pub verdict: PacketVerdict,
}

/// What was done with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PacketVerdict {
    /// Answered with the message named here: `router_advertisement`, `advertise`, `reply`, `offer`, `ack`, `nak`.
    Answered(&'static str),
    /// Noted: the message needs no answer.
    Noted,
    /// Well formed, but the protocol asks for silence. The text says why.
    Ignored(&'static str),
    /// The protocol does not allow it.
    Malformed(Malformed),
}

impl PacketVerdict {
    /// The answer, or why there is none.
    #[must_use]
    pub fn details(self) -> &'static str {
        match self {
            Self::Answered(with) => with,
            Self::Noted => "noted",
            Self::Ignored(reason) => reason,
            Self::Malformed(malformed) => malformed.reason,
        }
    }

    /// The name in metrics: `answered`, `noted`, `ignored` or `malformed`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Answered(_) => "answered",
            Self::Noted => "noted",
            Self::Ignored(_) => "ignored",
            Self::Malformed(_) => "malformed",
        }
    }
}

/// Bytes that violate their format. The sender is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason} at octet {offset}")]
pub struct Malformed {
    /// Octets from the start of what was parsed, which is the frame if there is one.
    pub offset: usize,
    /// What is wrong there.
    pub reason: &'static str,
}

impl Malformed {
    pub(crate) fn new(offset: usize, reason: &'static str) -> Self {
        Self { offset, reason }
    }
}

/// A fact that a packet showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Learned {
    /// The guest found its address in use by another (DHCPv6 Decline, RFC 9915 §18.3.8; DHCPDECLINE, RFC 2131 §4.3.3).
    Declined {
        /// The guest's port.
        port: PortId,
        /// The address, one of the port's.
        address: IpAddr,
    },
    /// The guest stops using its address (DHCPv6 Release, RFC 9915 §18.3.7; DHCPRELEASE, RFC 2131 §4.3.4).
    Released {
        /// The guest's port.
        port: PortId,
        /// The address, one of the port's.
        address: IpAddr,
    },
    /// The guest has an address from its port's pairs.
    Announced {
        /// The guest's port.
        port: PortId,
        /// The address.
        address: IpAddr,
        /// The MAC of the address.
        mac: MacAddr,
    },
    /// The guest of this port sends from an interface where it is expected.
    Appeared(PortId),
    /// A router advertised itself on an external network.
    Router {
        /// The network.
        network: NetworkId,
        /// The MAC that its frame came from.
        from: MacAddr,
        /// The advertisement.
        advertisement: HeardAdvertisement,
    },
    /// A neighbour on an external network showed its MAC.
    Neighbor(NetworkId, HeardNeighbor),
    /// A packet waits for a neighbour on an external network whose MAC is not known.
    Sought(NetworkId, IpAddr),
    /// A probe of a tunnel has arrived, by its number.
    Probe(u64),
    /// A DHCPv6 server on an external network answered a client that asks for a prefix.
    PrefixClientMessage(NetworkId, prefix_client::HeardServer),
}

impl Answer {
    /// No frame, no fact.
    pub(crate) fn refused(message: &'static str, verdict: PacketVerdict) -> Self {
        Self {
            frames: Vec::new(),
            outcome: Outcome { message, verdict },
            learned: Vec::new(),
        }
    }

    /// Silence, as the protocol asks for.
    pub(crate) fn ignored(message: &'static str, reason: &'static str) -> Self {
        Self::refused(message, PacketVerdict::Ignored(reason))
    }

    /// Silence, because the message is broken.
    pub(crate) fn malformed(message: &'static str, malformed: Malformed) -> Self {
        Self::refused(message, PacketVerdict::Malformed(malformed))
    }
}
