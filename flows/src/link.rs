//! Routers' addresses on the networks of guests.

use sextant_model::{MacAddr, NetworkKey};
use std::net::IpAddr;

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
