//! What a switch's session leaves to the one that follows: what the guests of the hypervisor know of routers' ports. What
//! changes while a switch is away is announced, or withdrawn, when it is back.

use dashmap::DashMap;
use sextant_model::ChassisId;
use sextant_responders::host::RouterPorts;
use std::sync::Arc;

/// What guests know, by hypervisor.
#[derive(Clone, Debug, Default)]
pub struct Handover(Arc<DashMap<ChassisId, RouterPorts>>);

impl Handover {
    pub(super) fn of(&self, chassis: &ChassisId) -> RouterPorts {
        let known = self.0.get(chassis);
        known.map_or_else(RouterPorts::default, |known| known.clone())
    }

    pub(super) fn put(&self, chassis: &ChassisId, ports: RouterPorts) {
        self.0.insert(chassis.clone(), ports);
    }
}
