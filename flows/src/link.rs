//! What the controller does on networks of guests: whom routers advertise themselves to.

use sextant_model::{Advertisement, MacAddr, NetworkKey};
use std::net::IpAddr;
use std::sync::Arc;

/// A network with guests here on which a router advertises.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The network's number.
    pub network: NetworkKey,
    /// What the router says.
    pub advertisement: Arc<Advertisement>,
}

/// A router's port on a network with guests here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// The network's number.
    pub network: NetworkKey,
    /// Its MAC.
    pub mac: MacAddr,
    /// Its addresses, without the link-local one, which follows from the MAC.
    pub addresses: Vec<IpAddr>,
}
