//! What a switch's session leaves to the one that follows: what routers have told the guests of the hypervisor. What changes
//! while a switch is away is told when it is back.

use super::announcing::AddressOfNetwork;
use dashmap::DashMap;
use sextant_model::{AdvertisedLink as Link, ChassisId, MacAddr, PortId};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What was told, by hypervisor.
#[derive(Clone, Debug, Default)]
pub struct Handover(Arc<DashMap<ChassisId, Told>>);

/// What guests of one hypervisor were told.
#[derive(Clone, Debug, Default)]
pub(super) struct Told {
    /// What routers' ports advertise.
    pub(super) links: BTreeMap<PortId, Link>,
    /// At which MAC routers' addresses are.
    pub(super) places: BTreeMap<AddressOfNetwork, MacAddr>,
}

impl Handover {
    pub(super) fn of(&self, chassis: &ChassisId) -> Told {
        let told = self.0.get(chassis);
        told.map_or_else(Told::default, |told| told.clone())
    }

    pub(super) fn put(&self, chassis: &ChassisId, told: Told) {
        self.0.insert(chassis.clone(), told);
    }
}
