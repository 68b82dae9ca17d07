//! What comes of a packet: frames to send, an outcome for metrics and logs, and facts for the owner of state.

use crate::neighbor::Heard;
use crate::prefix_client;
use crate::ra::HeardAdvertisement;
use sextant_model::{MacAddr, NetworkId, PortId};
use std::net::IpAddr;

/// What comes of a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Complete Ethernet frames, to be sent to the port that asked.
    pub frames: Vec<Vec<u8>>,
    /// What happened, for metrics and logs.
    pub outcome: Outcome,
    /// What the packet told.
    pub learned: Vec<Learned>,
}

/// What happened to a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The kind of message, as metrics name it: `router_solicitation`, `solicit`, …; `frame`, `icmpv6` or `udp` where
    /// the packet was given up before its message was reached.
    pub message: &'static str,
    /// What was done about it.
    pub verdict: Verdict,
}

/// What was done about a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Answered with the message named here: `router_advertisement`, `advertise`, `reply`, `offer`, `ack`, `nak`.
    Answered(&'static str),
    /// Taken note of: the message wants no answer.
    Noted,
    /// Well formed, and the protocol says to be silent; why.
    Ignored(&'static str),
    /// Not what the protocol allows.
    Malformed(Malformed),
}

impl Verdict {
    /// The name in metrics: `answered`, `noted`, `ignored` or `malformed`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Answered(_) => "answered",
            Self::Noted => "noted",
            Self::Ignored(_) => "ignored",
            Self::Malformed(_) => "malformed",
        }
    }
}

/// Bytes that are not what their format says: the sender's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason} at octet {offset}")]
pub struct Malformed {
    /// Octets from the start of what was parsed: the frame's, where it is a frame.
    pub offset: usize,
    /// What is wrong there.
    pub reason: &'static str,
}

/// A fact that a packet told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Learned {
    /// The guest found its address in use by another (DHCPv6 Decline, RFC 9915 §18.3.8; DHCPDECLINE, RFC 2131 §4.3.3).
    Declined {
        /// The guest's port.
        port: PortId,
        /// The address, one of the port's.
        address: IpAddr,
    },
    /// The guest uses its address no more (DHCPv6 Release, RFC 9915 §18.3.7; DHCPRELEASE, RFC 2131 §4.3.4).
    Released {
        /// The guest's port.
        port: PortId,
        /// The address, one of the port's.
        address: IpAddr,
    },
    /// The guest has an address out of the pairs of its port.
    Announced {
        /// The guest's port.
        port: PortId,
        /// The address.
        address: IpAddr,
        /// Where it has it.
        mac: MacAddr,
    },
    /// A router advertised itself on an external network.
    Router {
        /// The network.
        network: NetworkId,
        /// The MAC that its frame came from.
        from: MacAddr,
        /// What it said.
        advertisement: HeardAdvertisement,
    },
    /// Somebody on an external network told its MAC.
    Neighbor(NetworkId, Heard),
    /// There is a packet for somebody on an external network whose MAC is not known.
    Sought(NetworkId, IpAddr),
    /// A DHCPv6 server on an external network answered a client that asks for a prefix.
    PrefixClientMessage(NetworkId, prefix_client::Heard),
}

impl Answer {
    /// Nothing to send, nothing learned.
    pub(crate) fn refused(message: &'static str, verdict: Verdict) -> Self {
        Self {
            frames: Vec::new(),
            outcome: Outcome { message, verdict },
            learned: Vec::new(),
        }
    }

    /// Silence, as the protocol has it.
    pub(crate) fn ignored(message: &'static str, reason: &'static str) -> Self {
        Self::refused(message, Verdict::Ignored(reason))
    }

    /// Silence, because the message is broken.
    pub(crate) fn malformed(message: &'static str, malformed: Malformed) -> Self {
        Self::refused(message, Verdict::Malformed(malformed))
    }
}
