//! Sets of bits as types of their own: each bit is declared once, with the word that `ovs-ofctl` has for it.

use std::fmt::{self, Debug, Display, Formatter};
use std::ops::BitOr;

use crate::text::Bits;

macro_rules! flags {
    ($(#[$doc:meta])* $name:ident($integer:ty) {
        $($(#[$flag_doc:meta])* $flag:ident = $bit:literal, $word:literal;)*
    }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub $integer);

        impl $name {
            /// No bit.
            pub const NONE: Self = Self(0);
            $($(#[$flag_doc])* pub const $flag: Self = Self(1 << $bit);)*
            /// Every bit that has a name here.
            pub const KNOWN: Self = Self(0 $(| 1 << $bit)*);
            const WORDS: &'static [(u32, &'static str)] = &[$((1 << $bit, $word)),*];

            /// Whether all of these bits are set.
            #[must_use]
            pub const fn contains(self, others: Self) -> bool {
                self.0 & others.0 == others.0
            }

            /// Those of these bits that are set.
            #[must_use]
            pub const fn intersection(self, others: Self) -> Self {
                Self(self.0 & others.0)
            }

            /// The bits of both.
            #[must_use]
            pub const fn union(self, others: Self) -> Self {
                Self(self.0 | others.0)
            }

            /// Whether no bit is set.
            #[must_use]
            pub const fn is_empty(self) -> bool {
                self.0 == 0
            }

            /// The words of the bits that are set and have one.
            pub fn words(self) -> impl Iterator<Item = &'static str> {
                let words = Self::WORDS.iter();
                words
                    .filter(move |(bit, _)| u32::from(self.0) & bit != 0)
                    .map(|(_, word)| *word)
            }
        }

        impl BitOr for $name {
            type Output = Self;

            fn bitor(self, others: Self) -> Self {
                self.union(others)
            }
        }

        impl Display for $name {
            /// The words of the bits that are set; those without a word together as a number.
            fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
                Bits(self.0.into(), Self::WORDS).fmt(f)
            }
        }

        impl Debug for $name {
            fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
                Display::fmt(self, f)
            }
        }
    };
}

flags! {
    /// How a flow is treated (`OFPFF_*`).
    FlowFlags(u16) {
        /// Tell the controller when the flow goes.
        SEND_FLOW_REMOVED = 0, "send_flow_rem";
        /// Refuse to overlap a flow of the same priority.
        CHECK_OVERLAP = 1, "check_overlap";
        /// Start counting from zero.
        RESET_COUNTS = 2, "reset_counts";
        /// Count no packets.
        NO_PACKET_COUNTS = 3, "no_packet_counts";
        /// Count no bytes.
        NO_BYTE_COUNTS = 4, "no_byte_counts";
    }
}

flags! {
    /// How a meter measures (`OFPMF_*`).
    MeterFlags(u16) {
        /// Rates in kbit/s.
        KBPS = 0, "kbps";
        /// Rates in packets/s.
        PKTPS = 1, "pktps";
        /// Bands have a burst size.
        BURST = 2, "burst";
        /// Keep statistics.
        STATS = 3, "stats";
    }
}

flags! {
    /// How a bundle is committed (`OFPBF_*`).
    BundleFlags(u16) {
        /// All changes or none.
        ATOMIC = 0, "atomic";
        /// In the order of adding.
        ORDERED = 1, "ordered";
    }
}

flags! {
    /// What a controller may set of a port (`OFPPC_*`).
    PortConfig(u32) {
        /// Administratively down.
        DOWN = 0, "PORT_DOWN";
        /// Packets from it are dropped.
        NO_RECEIVE = 2, "NO_RECV";
        /// Packets to it are dropped.
        NO_FORWARD = 5, "NO_FWD";
        /// Nothing from it is sent up.
        NO_PACKET_IN = 6, "NO_PACKET_IN";
    }
}

flags! {
    /// In what state a port is (`OFPPS_*`).
    PortState(u32) {
        /// No link.
        LINK_DOWN = 0, "LINK_DOWN";
        /// Blocked by a protocol such as spanning tree.
        BLOCKED = 1, "BLOCKED";
        /// Live for fast failover.
        LIVE = 2, "LIVE";
    }
}

flags! {
    /// What a switch can do (`OFPC_*`).
    Capabilities(u32) {
        /// Counts by flow.
        FLOW_STATS = 0, "FLOW_STATS";
        /// Counts by table.
        TABLE_STATS = 1, "TABLE_STATS";
        /// Counts by port.
        PORT_STATS = 2, "PORT_STATS";
        /// Counts by group.
        GROUP_STATS = 3, "GROUP_STATS";
        /// Puts fragments of IP together.
        IP_REASSEMBLY = 5, "IP_REASM";
        /// Counts by queue.
        QUEUE_STATS = 6, "QUEUE_STATS";
        /// Blocks ports that would make a loop.
        PORT_BLOCKED = 8, "PORT_BLOCKED";
    }
}
