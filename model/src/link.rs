//! Where Sextant speaks for routers on one hypervisor: to guests of a network, and on external networks.

use crate::{Advertisement, MacAddr, NetworkKey, PortId, SubnetId};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

/// A network with guests here on which a router advertises.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdvertisedLink {
    /// The network's number.
    pub network: NetworkKey,
    /// What the router says.
    pub advertisement: Arc<Advertisement>,
}

/// An external network that routers use by this hypervisor's bridge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uplink {
    /// The patch port to the bridge of the physical network.
    pub port: u16,
    /// The tag of what is sent, as `vlan_tci` has it (ovs-fields(7)); 0 without one.
    pub vlan_tci: u16,
    /// Who speaks there, by the router's gateway port.
    pub speakers: BTreeMap<PortId, Speaker>,
    /// Next hops that do not depend on who is heard.
    pub next_hops: BTreeSet<IpAddr>,
    /// Whether a router's next hop is whoever advertises itself there.
    pub listens: bool,
}

/// A router on an external network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Speaker {
    /// What it sends from.
    pub mac: MacAddr,
    /// Its addresses, the link-local one first.
    pub addresses: Vec<IpAddr>,
    /// The subnets for which it asks for a prefix.
    pub delegated: BTreeSet<SubnetId>,
}
