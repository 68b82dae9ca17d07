//! Routers.

use crate::{Meta, RouterId, RouterKey};
use serde::{Deserialize, Serialize};

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
}
