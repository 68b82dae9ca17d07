//! Addresses that are not published outside, and why.

use sextant_model::{NetworkId, SubnetId};
use std::fmt;

/// Addresses of a subnet that are not published on an external network where guests are published.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Withheld {
    /// The external network.
    pub external: NetworkId,
    /// The subnet.
    pub subnet: SubnetId,
    /// Why.
    pub reason: WithheldReason,
}

/// Why an address is not published.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum WithheldReason {
    /// The prefix is neither delegated there nor from a pool of the external network or of its address scope.
    NotGivenOut,
    /// The address is in a subnet of the external network: somebody outside may have it.
    OfExternalNetwork,
    /// Another port that would be published there has the address, too.
    HeldByOthers,
}

impl WithheldReason {
    /// All of them.
    pub const ALL: [Self; 3] = [
        Self::NotGivenOut,
        Self::OfExternalNetwork,
        Self::HeldByOthers,
    ];

    /// The name in metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotGivenOut => "not_given_out",
            Self::OfExternalNetwork => "of_external_network",
            Self::HeldByOthers => "held_by_others",
        }
    }
}

impl fmt::Display for WithheldReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotGivenOut => {
                "the prefix is neither delegated nor from a subnet pool or address scope of the external network"
            }
            Self::OfExternalNetwork => "it is within a subnet of the external network itself",
            Self::HeldByOthers => "another port has the address, too",
        })
    }
}
