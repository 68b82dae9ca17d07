//! The links where Sextant speaks for routers on one hypervisor: networks of guests, and external networks.

use crate::{Advertisement, MacAddr, NetworkKey, PortId, RaSettings, SubnetId};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

/// A network with guests here on which a router advertises.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdvertisedLink {
    /// The network's number.
    pub network: NetworkKey,
    /// What the router advertises.
    pub advertisement: Arc<Advertisement>,
    /// How often.
    pub interval: RaInterval,
}

/// The time between two unsolicited Router Advertisements, in seconds (RFC 4861 §6.2.1). The default is that of
/// [`RaSettings`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RaInterval {
    /// MinRtrAdvInterval.
    pub min: u16,
    /// MaxRtrAdvInterval.
    pub max: u16,
}

impl Default for RaInterval {
    fn default() -> Self {
        RaSettings::default().interval()
    }
}

/// An external network that routers use by this hypervisor's bridge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uplink {
    /// The patch port to the bridge of the physical network.
    pub port: u16,
    /// The `vlan_tci` of packets that are sent there (ovs-fields(7)); 0 without a tag.
    pub vlan_tci: u16,
    /// The routers that speak there, by their gateway ports.
    pub speakers: BTreeMap<PortId, Speaker>,
    /// Next hops that do not depend on the routers heard.
    pub next_hops: BTreeSet<IpAddr>,
    /// Whether some router takes a router that advertises there as its next hop.
    pub listens: bool,
}

/// A router on an external network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Speaker {
    /// The MAC that it sends from.
    pub mac: MacAddr,
    /// Its addresses, the link-local one first.
    pub addresses: Vec<IpAddr>,
    /// The subnets for which it asks for a prefix.
    pub delegated: BTreeSet<SubnetId>,
}
