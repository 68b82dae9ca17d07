//! Numbers that are easily taken for one another, as types of their own.

use std::fmt::{self, Debug, Display, Formatter};

/// A number of the protocol: made `From` its integer, which is its only field.
macro_rules! number {
    ($(#[$doc:meta])* $name:ident($integer:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub $integer);

        impl Debug for $name {
            fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
                Display::fmt(self, f)
            }
        }

        impl From<$integer> for $name {
            fn from(number: $integer) -> Self {
                $name(number)
            }
        }

        impl From<$name> for u128 {
            fn from(number: $name) -> Self {
                number.0.into()
            }
        }
    };
}

number! {
    /// Pairs a request with its answers and errors (OpenFlow 1.3.5, 7.1). Printed in hexadecimal, as `ovs-ofctl` does.
    Xid(u32)
}

number! {
    /// A flow table, from 0; [`ALL_TABLES`](crate::ALL_TABLES) where a command allows that.
    TableId(u8)
}

number! {
    /// The mark that a controller gives a flow. Open vSwitch hands it back in packet-ins and lists of flows.
    Cookie(u64)
}

number! {
    /// A port of a switch, or one of the reserved [`ports`](crate::ports), which print by name.
    PortNo(u32)
}

impl Xid {
    /// The transaction id this many behind; they go round.
    #[must_use]
    pub const fn plus(self, count: u32) -> Self {
        Xid(self.0.wrapping_add(count))
    }

    /// How many come from `first` to this one.
    #[must_use]
    pub const fn behind(self, first: Xid) -> u32 {
        self.0.wrapping_sub(first.0)
    }
}

impl Display for Xid {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

impl Display for TableId {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl Display for Cookie {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}
