//! Hypervisors and their tunnel endpoints.

use crate::{ChassisId, Endpoints, IpVersion, Machine, Reassembly};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// The bridge of each hypervisor that guests are plugged into.
pub const INTEGRATION_BRIDGE: &str = "br-int";

/// A tunnel protocol (`external_ids:sextant-encap-type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EncapKind {
    /// RFC 7348.
    Vxlan,
    /// RFC 2784 with the key of RFC 2890, carrying Ethernet.
    Gre,
    /// RFC 8926.
    Geneve,
}

/// The text names no tunnel protocol.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not an encapsulation: use vxlan, gre or geneve")]
pub struct UnknownEncap(pub String);

impl EncapKind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Vxlan, Self::Gre, Self::Geneve];

    /// The name, also the Open vSwitch interface type (ovs-vswitchd.conf.db(5)).
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Vxlan => "vxlan",
            Self::Gre => "gre",
            Self::Geneve => "geneve",
        }
    }

    /// Octets between the underlay's IP header and the inner IP header: outer transport and shim, inner Ethernet.
    fn shim(self) -> u16 {
        const ETHERNET: u16 = 14;
        match self {
            Self::Vxlan | Self::Geneve => 8 + 8 + ETHERNET,
            Self::Gre => 8 + ETHERNET,
        }
    }
}

/// A tunnel protocol over an IP version. Each has a tunnel port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Transport {
    /// The protocol.
    pub kind: EncapKind,
    /// The IP version of the underlay.
    pub family: IpVersion,
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} over {}", self.kind, self.family)
    }
}

impl fmt::Display for EncapKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for EncapKind {
    type Err = UnknownEncap;

    fn from_str(text: &str) -> Result<Self, UnknownEncap> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or_else(|| UnknownEncap(text.to_owned()))
    }
}

/// The addresses where a hypervisor receives tunnelled frames, and the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Encap {
    /// Its addresses.
    #[serde(rename = "ip")]
    pub endpoints: Endpoints,
    /// The protocol that peers have to use.
    pub kind: EncapKind,
}

impl Encap {
    /// Octets that the underlay adds to a guest's IP packet, at most. Peers use IPv6 if the hypervisor has an IPv6
    /// address.
    #[must_use]
    pub fn overhead(self) -> u16 {
        let ip_header = match self.endpoints {
            Endpoints::Ipv6(_) | Endpoints::Both(..) => 40,
            Endpoints::Ipv4(_) => 20,
        };
        ip_header + self.kind.shim()
    }
}

/// What is known of a hypervisor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chassis {
    /// Its `system-id`.
    pub id: ChassisId,
    /// Its tunnel endpoint.
    pub encap: Encap,
    /// Physical network to bridge (`external_ids:sextant-bridge-mappings`).
    pub bridge_mappings: BTreeMap<String, String>,
    /// The hypervisors of the highest priority get the routers' external gateways
    /// (`external_ids:sextant-gateway-priority`, default 0).
    #[serde(default)]
    pub gateway_priority: u16,
    /// The datapath id of its `br-int`, once there is one.
    pub datapath_id: Option<u64>,
    /// How guests are plugged in there. Unknown of one that an earlier version stored, until it is read.
    #[serde(default)]
    pub machine: Option<Machine>,
    /// OpenFlow port of each tunnel port. Numbers of the hypervisor's own switch: they mean nothing on others.
    #[serde(skip)]
    pub tunnel_ports: BTreeMap<Transport, u16>,
    /// OpenFlow port of the patch port to the bridge of each physical network, on the hypervisor's own switch.
    #[serde(skip)]
    pub patch_ports: BTreeMap<String, u16>,
    /// OpenFlow port by which guests reach the hypervisor's metadata service, on its own switch.
    #[serde(skip)]
    pub metadata_port: Option<u16>,
    /// How the hypervisor's own connection tracker puts fragments together.
    #[serde(skip)]
    pub reassembly: Reassembly,
    /// Whether this process has read its contents over OVSDB. Only then its flows are known to be complete.
    #[serde(skip)]
    pub observed: bool,
}

impl Chassis {
    /// A hypervisor with nothing but these known.
    #[must_use]
    pub fn new(id: ChassisId, encap: Encap) -> Self {
        Self {
            id,
            encap,
            bridge_mappings: BTreeMap::new(),
            gateway_priority: 0,
            datapath_id: None,
            machine: None,
            tunnel_ports: BTreeMap::new(),
            patch_ports: BTreeMap::new(),
            metadata_port: None,
            reassembly: Reassembly::default(),
            observed: false,
        }
    }

    /// What is stored across restarts: without what only its own database tells, and without mappings of physical networks to which
    /// it turned out to have no way.
    #[must_use]
    pub fn stored(&self) -> Self {
        let mut bridge_mappings = self.bridge_mappings.clone();
        bridge_mappings.retain(|physical, _| self.reaches(physical));
        Self {
            bridge_mappings,
            gateway_priority: self.gateway_priority,
            datapath_id: self.datapath_id,
            machine: self.machine.clone(),
            ..Self::new(self.id.clone(), self.encap)
        }
    }

    /// Whether it has a way to a physical network: a bridge of it and, once it was observed, the patch port to that
    /// bridge.
    #[must_use]
    pub fn reaches(&self, physical_network: &str) -> bool {
        let patched = !self.observed || self.patch_ports.contains_key(physical_network);
        patched && self.bridge_mappings.contains_key(physical_network)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overhead_is_what_neutron_subtracts() {
        let encap = |ip: &str, kind| Encap {
            endpoints: ip.parse().unwrap(),
            kind,
        };
        assert_eq!(
            1500 - encap("2001:db8::1", EncapKind::Vxlan).overhead(),
            1430
        );
        assert_eq!(1500 - encap("2001:db8::1", EncapKind::Gre).overhead(), 1438);
        assert_eq!(1500 - encap("192.0.2.1", EncapKind::Vxlan).overhead(), 1450);
        assert_eq!(1500 - encap("192.0.2.1", EncapKind::Gre).overhead(), 1458);
        let both = encap("192.0.2.1,2001:db8::1", EncapKind::Geneve);
        assert_eq!(1500 - both.overhead(), 1430);
    }
}
