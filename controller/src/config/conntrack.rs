//! `[conntrack]`: the connection tracker of hypervisors.

use serde::Deserialize;
use std::num::NonZeroU32;

/// `[conntrack]`: how many connections may be remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Conntrack {
    /// Of a zone, which each guest's port and each router that translates have. 0: what the hypervisor has is left alone.
    pub zone_limit: u32,
}

impl Default for Conntrack {
    /// A fifth of what the kernel's table holds by default, so that no single guest fills it.
    fn default() -> Self {
        Self { zone_limit: 50_000 }
    }
}

impl Conntrack {
    /// The limit, if one is to be set.
    pub fn zone_limit(&self) -> Option<NonZeroU32> {
        NonZeroU32::new(self.zone_limit)
    }
}
