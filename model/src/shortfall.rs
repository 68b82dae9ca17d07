//! Flows that a hypervisor's switch refuses, and ports that miss them.

use crate::PortId;
use std::collections::{BTreeMap, BTreeSet};

/// What a switch or its datapath has to be able to do for a flow.
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
    /// Matching the addresses and ports of a tracked connection's first packet.
    CtOriginalTuple,
    /// Address translation by connection tracking.
    CtNat,
    /// Checking the length of a packet.
    CheckPktLarger,
    /// Meters.
    Meters,
    /// Actions on a copy of a packet.
    Clone,
    /// Reading and setting the endpoints and the key of a tunnel.
    TunnelFields,
    /// Conjunctive matches (ovs-fields(7)): matching several sets of values in one flow.
    Conjunction,
    /// Choosing a link by a hash of a packet's fields.
    Multipath,
    /// Decrementing the hop limit.
    DecTtl,
    /// VLAN tags.
    Vlan,
    /// A message as long as the flow.
    MessageLength,
    /// Something else: see the flow.
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

    /// The name in metrics, logs and the API: Open vSwitch's name, if it has one.
    #[must_use]
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
    /// What the switch lacks, as far as flow and error show.
    pub missing: Capability,
    /// The switch's error.
    pub error: String,
}

/// Who answers Neighbor Solicitations for known addresses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Answering {
    /// The switch.
    #[default]
    ByFlow,
    /// The controller: the switch refuses the flows that would.
    ByPunt,
}

/// The flows that a hypervisor's switch should have and refuses. The default: it refuses none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shortfall {
    /// The refused flows, by cookie.
    pub flows: BTreeMap<u64, Refusal>,
    /// The ports here that miss a flow of their own or of their security groups.
    pub ports: BTreeSet<PortId>,
    /// Who answers solicitations without these flows.
    pub answering: Answering,
}

impl Shortfall {
    /// Whether the switch accepts all flows.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.flows.is_empty() && self.ports.is_empty()
    }

    /// What the switch lacks, with the number of flows left out for each.
    #[must_use]
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
