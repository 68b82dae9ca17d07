//! Routers.

use crate::{HostRoute, Meta, NetworkId, RouterId, RouterKey};
use serde::{Deserialize, Serialize};

/// How a router's packets leave the cloud. Its port there is a [`crate::Port`] (see [`crate::Intent::gateway_of`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExternalGateway {
    /// The external network.
    pub network_id: NetworkId,
    /// Whether IPv4 of guests is translated to the gateway's address. IPv6 never is.
    pub enable_snat: bool,
}

/// A router between networks. Its interfaces are ports (see [`crate::Port::router`]).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Router {
    /// Its id.
    pub id: RouterId,
    /// Name, project, times, revision.
    pub meta: Meta,
    /// Administratively up. A router that is down neither advertises nor forwards.
    pub admin_state_up: bool,
    /// Its number in the pipeline.
    pub key: RouterKey,
    /// Its way out of the cloud.
    #[serde(default)]
    pub external_gateway: Option<ExternalGateway>,
    /// Routes by way of neighbours. Several with one destination share its traffic.
    #[serde(default)]
    pub routes: Vec<HostRoute>,
}

impl Router {
    /// A router that is up, without a gateway and routes of its own.
    #[must_use]
    pub fn new(id: RouterId, key: RouterKey) -> Self {
        Self {
            id,
            meta: Meta::default(),
            admin_state_up: true,
            key,
            external_gateway: None,
            routes: vec![],
        }
    }
}
