//! What is looked up again and again while all flows of a hypervisor are computed.

use super::{Presence, Tunnel};
use crate::features::security::RuleKind;
use sextant_model::{ChassisId, NetworkId, SecurityGroupId};

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

/// What was found out of one view. It is of no use for another one.
#[derive(Debug, Default)]
pub(crate) struct Lookups {
    /// All networks that are present.
    present: HashMap<NetworkId, Presence>,
    tunnels: Remembered<ChassisId, Option<Tunnel>>,
    uses: Remembered<SecurityGroupId, Arc<BTreeSet<RuleKind>>>,
    publishing: Remembered<NetworkId, bool>,
}

impl Lookups {
    /// Begins with the networks that are present.
    pub(crate) fn of(present: &BTreeMap<NetworkId, Presence>) -> Self {
        Self {
            present: present.iter().map(|(id, why)| (*id, *why)).collect(),
            ..Self::default()
        }
    }

    pub(super) fn presence(&self, network: NetworkId) -> Option<Presence> {
        self.present.get(&network).copied()
    }

    pub(super) fn tunnel_to(
        &self,
        peer: &ChassisId,
        find: impl FnOnce() -> Option<Tunnel>,
    ) -> Option<Tunnel> {
        self.tunnels.get(peer, find)
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
