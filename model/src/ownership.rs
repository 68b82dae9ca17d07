//! Which of several controllers owns a hypervisor.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

/// The name of a controller: its machine's unless configured (`[controllers] name`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ControllerName(Arc<str>);

impl ControllerName {
    /// The controller of this name.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self(name.into())
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ControllerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Which controller owns a hypervisor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ownership {
    /// The controller.
    pub controller: ControllerName,
    /// How often the hypervisor has had a new owner. Who owns it with a greater number does so later.
    pub generation: u64,
}
