//! What comes out of a host.

use sextant_model::NetworkKey;

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
}
