//! The hypervisors that have ports of a network, in the order of their hashes: a shard of them costs as much as it has
//! members.

use super::Facts;
use crate::{ChassisId, NetworkId, Sharded, Sharding};
use imbl::{OrdMap, OrdSet};

/// The hypervisors of each network, and how many they are.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct NetworkHosts {
    by_hash: OrdSet<(NetworkId, u16, ChassisId)>,
    counts: OrdMap<NetworkId, usize>,
}

impl NetworkHosts {
    /// A hypervisor has ports of a network.
    pub(super) fn insert(&mut self, network: NetworkId, chassis: &ChassisId) {
        let host = (network, chassis.shard_hash(), chassis.clone());
        if self.by_hash.insert(host).is_none() {
            *self.counts.entry(network).or_insert(0) += 1;
        }
    }

    /// A hypervisor has no port of a network any more.
    pub(super) fn remove(&mut self, network: NetworkId, chassis: &ChassisId) {
        let host = (network, chassis.shard_hash(), chassis.clone());
        if self.by_hash.remove(&host).is_none() {
            return;
        }
        match self.count(network) {
            0 | 1 => drop(self.counts.remove(&network)),
            count => drop(self.counts.insert(network, count - 1)),
        }
    }

    fn count(&self, network: NetworkId) -> usize {
        self.counts.get(&network).copied().unwrap_or(0)
    }
}

impl Facts {
    /// How many hypervisors have ports of a network.
    #[must_use]
    pub fn count_chassis_with(&self, network: NetworkId) -> usize {
        self.hosts.count(network)
    }

    /// The hypervisors with ports of a network that are in a shard of them. None if there is no such shard.
    pub fn chassis_in_shard(
        &self,
        network: NetworkId,
        sharding: Sharding,
        shard: u16,
    ) -> impl Iterator<Item = &ChassisId> {
        let hashes = sharding.hashes(shard);
        let shard = hashes.map(|hashes| {
            let (first, last) = hashes.into_inner();
            let from = (network, first, ChassisId::new(""));
            let hosts = self.hosts.by_hash.range(from..);
            hosts.take_while(move |(host, hash, _)| *host == network && *hash <= last)
        });
        shard.into_iter().flatten().map(|(_, _, chassis)| chassis)
    }
}
