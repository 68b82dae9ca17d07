//! What is looked up again and again while all flows of a hypervisor are computed.

use super::{Presence, View};
use crate::features::security::RuleKind;
use sextant_model::{Chassis, ChassisId, NetworkId, SecurityGroupId};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

/// What was found out of one view. It is of no use for another one.
#[derive(Debug, Default)]
pub(crate) struct Lookups {
    /// All networks that are present.
    present: HashMap<NetworkId, Presence>,
    /// The hypervisors with guests on these.
    members: BTreeSet<ChassisId>,
    own: Option<Arc<Chassis>>,
    uses: Remembered<SecurityGroupId, Arc<BTreeSet<RuleKind>>>,
    publishing: Remembered<NetworkId, bool>,
}

impl Lookups {
    /// Begins with the networks that are present.
    pub(crate) fn of(view: &View<'_>, present: &BTreeMap<NetworkId, Presence>) -> Self {
        let networks = present.keys();
        let members = networks.flat_map(|network| view.facts.chassis_with(*network));
        Self {
            present: present.iter().map(|(id, why)| (*id, *why)).collect(),
            members: members.cloned().collect(),
            own: view.own().cloned(),
            ..Self::default()
        }
    }

    pub(super) fn presence(&self, network: NetworkId) -> Option<Presence> {
        self.present.get(&network).copied()
    }

    pub(super) fn own(&self) -> Option<&Arc<Chassis>> {
        self.own.as_ref()
    }

    /// The hypervisors with guests on networks that are present.
    pub(crate) fn members(&self) -> &BTreeSet<ChassisId> {
        &self.members
    }

    pub(crate) fn uses(
        &self,
        group: SecurityGroupId,
        find: impl FnOnce() -> Arc<BTreeSet<RuleKind>>,
    ) -> Arc<BTreeSet<RuleKind>> {
        self.uses.get(&group, find)
    }

    pub(crate) fn publishing(&self, network: NetworkId, find: impl FnOnce() -> bool) -> bool {
        self.publishing.get(&network, find)
    }
}

/// Answers by question.
#[derive(Debug)]
struct Remembered<K, V>(Mutex<HashMap<K, V>>);

impl<K, V> Default for Remembered<K, V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Clone + Eq + Hash, V: Clone> Remembered<K, V> {
    fn get(&self, key: &K, find: impl FnOnce() -> V) -> V {
        // What finds an answer asks no question of the same kind.
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known.get(key) {
            return known.clone();
        }
        let found = find();
        known.insert(key.clone(), found.clone());
        found
    }
}
