//! What the controller does on networks of guests: whom routers advertise themselves to.

use sextant_model::{Advertisement, NetworkKey};
use std::sync::Arc;

/// A network with guests here on which a router advertises.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The network's number.
    pub network: NetworkKey,
    /// What the router says.
    pub advertisement: Arc<Advertisement>,
}
