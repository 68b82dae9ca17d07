//! What a hypervisor's switch does not take of its flows, and which of its ports do without.

use crate::PortId;
use std::collections::{BTreeMap, BTreeSet};

/// What a switch or its datapath needs to be able to do for a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Capability {
    /// Setting the reserved field and the option types of Neighbor Discovery messages.
    NdExtensions,
    /// Matching or setting other fields of Neighbor Discovery messages, or turning one ICMPv6 message into another.
    NeighborDiscovery,
    /// Connection tracking.
    Ct,
    /// Zones of connection tracking.
    CtZone,
    /// Marks and labels of tracked connections.
    CtMark,
    /// Matching what a tracked connection began with.
    CtOriginalTuple,
    /// Address translation by connection tracking.
    CtNat,
    /// Asking for the length of a packet.
    CheckPktLarger,
    /// Meters.
    Meters,
    /// Doing something to a copy of a packet.
    Clone,
    /// Reading and setting the endpoints and the key of a tunnel.
    TunnelFields,
    /// Matching on more than one set of values in a flow (ovs-fields(7), conjunctive match).
    Conjunction,
    /// Choosing by a hash of a packet's fields.
    Multipath,
    /// Counting hops.
    DecTtl,
    /// VLAN tags.
    Vlan,
    /// A message as long as the flow is.
    MessageLength,
    /// Something else: the flow says what.
    Other,
}

impl Capability {
    /// All of them.
    pub const ALL: [Self; 17] = [
        Self::NdExtensions,
        Self::NeighborDiscovery,
        Self::Ct,
        Self::CtZone,
        Self::CtMark,
        Self::CtOriginalTuple,
        Self::CtNat,
        Self::CheckPktLarger,
        Self::Meters,
        Self::Clone,
        Self::TunnelFields,
        Self::Conjunction,
        Self::Multipath,
        Self::DecTtl,
        Self::Vlan,
        Self::MessageLength,
        Self::Other,
    ];

    /// The name in metrics, logs and the API, as Open vSwitch calls it where it has a name there.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NdExtensions => "nd_ext",
            Self::NeighborDiscovery => "nd",
            Self::Ct => "ct",
            Self::CtZone => "ct_zone",
            Self::CtMark => "ct_mark",
            Self::CtOriginalTuple => "ct_orig_tuple",
            Self::CtNat => "ct_nat",
            Self::CheckPktLarger => "check_pkt_larger",
            Self::Meters => "meters",
            Self::Clone => "clone",
            Self::TunnelFields => "tunnel_fields",
            Self::Conjunction => "conjunction",
            Self::Multipath => "multipath",
            Self::DecTtl => "dec_ttl",
            Self::Vlan => "vlan",
            Self::MessageLength => "message_length",
            Self::Other => "other",
        }
    }
}

/// Why a flow is left out.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Refusal {
    /// What the switch lacks, as far as the flow and the error tell.
    pub missing: Capability,
    /// What it said.
    pub error: String,
}

/// How Neighbor Solicitations for addresses whose MACs are known are answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Answering {
    /// By the switch.
    #[default]
    ByFlow,
    /// By the controller: the switch does not take the flows that would.
    ByPunt,
}

/// The flows that a hypervisor's switch should have and does not take. The default: it takes them all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shortfall {
    /// Those flows, by cookie.
    pub flows: BTreeMap<u64, Refusal>,
    /// The ports here that do without a flow of their own or of their security groups.
    pub ports: BTreeSet<PortId>,
    /// How solicitations are answered without those flows.
    pub answering: Answering,
}

impl Shortfall {
    /// Whether the switch takes all flows.
    pub fn is_none(&self) -> bool {
        self.flows.is_empty() && self.ports.is_empty()
    }

    /// What the switch lacks, and how many flows are left out for it.
    pub fn missing(&self) -> BTreeMap<Capability, usize> {
        let mut missing = BTreeMap::new();
        for refusal in self.flows.values() {
            *missing.entry(refusal.missing).or_default() += 1;
        }
        missing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_capability_has_a_name_of_its_own() {
        let names: BTreeSet<&str> = Capability::ALL.map(Capability::as_str).into();
        assert_eq!(names.len(), Capability::ALL.len());
        assert!(Capability::ALL.is_sorted());
    }
}
