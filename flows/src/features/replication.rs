//! Replicates frames: a copy to each receiver.
//!
//! Up to [`AT_ONCE`] receivers are in one flow. Where there are more, they are divided into shards, and each shard has a
//! flow of its own in stage replicate. So no flow outgrows an OpenFlow message, a receiver that comes or goes changes
//! the flow of its shard, and no packet has more actions than a datapath takes.

use super::tunnel;
use crate::flow::Flow;
use crate::pipeline::{COPY, Holding, NETWORK, OUTPUT, SHARD, Stage};
use crate::view::View;
use rust_openflow::{Action, Match};
use sextant_model::{ChassisId, Network, PortId, Sharded, Sharding};

/// How many receivers a flow sends to at most, on average of all shards. The largest has about twice as many: 64 tunnels
/// take 7 KiB of datapath actions.
const AT_ONCE: usize = 32;

/// The bit of the shard register that says that receivers are on other hypervisors.
const ELSEWHERE: u32 = 1 << 31;

/// Some of the receivers on a network: a shard of those here, or of those on other hypervisors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ReceiverShard {
    /// Ports here.
    Here(u16),
    /// Other hypervisors.
    Elsewhere(u16),
}

impl ReceiverShard {
    fn number(self) -> u32 {
        match self {
            Self::Here(shard) => shard.into(),
            Self::Elsewhere(shard) => ELSEWHERE | u32::from(shard),
        }
    }
}

/// How the members of a network here are divided.
pub(crate) fn sharding_here(view: &View<'_>, network: &Network) -> Sharding {
    let members = view.facts.local_ports(network.id, view.chassis);
    sharding(members.count())
}

/// How the hypervisors with members of a network are divided. On a provider network there is one copy for all of them.
pub(crate) fn sharding_elsewhere(view: &View<'_>, network: &Network) -> Sharding {
    match network.network_type.is_tunnelled() {
        true => sharding(view.facts.count_chassis_with(network.id)),
        false => sharding(0),
    }
}

pub(crate) fn sharding(receivers: usize) -> Sharding {
    Sharding::of(receivers, AT_ONCE)
}

/// Delivers a copy to each of these ports here.
pub(crate) fn here(view: &View<'_>, ports: impl IntoIterator<Item = PortId>) -> Vec<Action> {
    let ports = ports.into_iter();
    ports
        .filter_map(|port| view.local_ofport(view.intent.ports.get(&port)?))
        .flat_map(deliver_to)
        .collect()
}

/// Sends a copy through the tunnel to each of these hypervisors.
pub(crate) fn elsewhere<'a>(
    view: &View<'_>,
    network: &Network,
    peers: impl IntoIterator<Item = &'a ChassisId>,
) -> Vec<Action> {
    let peers = peers.into_iter();
    let tunnels: Vec<_> = peers.filter_map(|peer| view.tunnel_to(peer)).collect();
    tunnel::through(network, &tunnels)
}

/// Sends a copy through stage replicate for each shard.
pub(crate) fn by_shard(sharding: Sharding, shard: impl Fn(u16) -> ReceiverShard) -> Vec<Action> {
    let shards = sharding.shards();
    shards
        .flat_map(|number| [SHARD.set(shard(number).number()), Action::Group(COPY)])
        .collect()
}

/// The flow of a shard. None if there is nobody to send to.
pub(crate) fn shard_flow(
    network: &Network,
    priority: u16,
    matches: Match,
    shard: ReceiverShard,
    copies: Vec<Action>,
) -> Option<Flow> {
    let matches = matches
        .holding(NETWORK, network.key.0)
        .holding(SHARD, shard.number());
    let flow = Flow::new(Stage::Replicate, priority, matches);
    (!copies.is_empty()).then(|| flow.apply(copies))
}

/// Those of a shard.
pub(crate) fn of_shard<T: Sharded + Copy>(
    all: impl Iterator<Item = T>,
    sharding: Sharding,
    shard: u16,
) -> impl Iterator<Item = T> {
    all.filter(move |one| sharding.shard_of(one.shard_hash()) == shard)
}

/// Delivers what its rules allow to a port here. A resubmit never delivers to the port that sent the frame.
fn deliver_to(ofport: u16) -> [Action; 2] {
    [OUTPUT.set(ofport), Action::resubmit(Stage::Ingress.table())]
}
