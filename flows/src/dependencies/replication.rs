//! Members of networks with so many that they are divided into shards: one that comes or goes alters its own shard,
//! unless there are more shards or fewer then.

use super::Touched;
use crate::contribution::PipelineObject;
use crate::features::replication::{ReceiverShard, sharding_elsewhere, sharding_here};
use crate::view::View;
use sextant_model::{ChassisId, Network, NetworkId, PortId, Sharded, Sharding};

impl Touched<'_> {
    /// A port here came to a network or left it, or it is delivered to otherwise.
    pub(super) fn member_here(&mut self, network: NetworkId, port: PortId) {
        let shard = ReceiverShard::Here;
        self.member(network, port.shard_hash(), sharding_here, shard);
    }

    /// A hypervisor got its first port on a network or lost its last, or it is sent to otherwise.
    pub(super) fn member_elsewhere(&mut self, network: NetworkId, chassis: &ChassisId) {
        let shard = ReceiverShard::Elsewhere;
        self.member(network, chassis.shard_hash(), sharding_elsewhere, shard);
    }

    fn member(
        &mut self,
        id: NetworkId,
        hash: u16,
        sharding: impl Fn(&View<'_>, &Network) -> Sharding,
        shard: impl Fn(u16) -> ReceiverShard,
    ) {
        self.objects.insert(PipelineObject::Network(id));
        let [old, new] = self.views().map(|view| {
            let network = view.network(id)?;
            Some(sharding(&view, network))
        });
        let all_differ = old != new;
        for sharding in [old, new].into_iter().flatten() {
            let own = sharding.shard_of(hash);
            let shards = sharding.shards();
            let differing = shards.filter(|number| all_differ || *number == own);
            let objects = differing.map(|number| PipelineObject::Members(id, shard(number)));
            self.objects.extend(objects);
        }
    }
}
