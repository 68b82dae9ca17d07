//! Switches frames within a network: to a local port, or through a tunnel to the port's hypervisor.
//!
//! The API tells the MAC of every guest, so nothing is learned, and unknown unicast is not flooded to guests. Frames
//! from a tunnel, from outside or from the controller go to local ports only.

use super::replication::{self, ReceiverShard, of_shard, shard_flow};
use super::{provider, tunnel};
use crate::flow::Flow;
use crate::pipeline::{
    Holding, NETWORK, ORIGIN, OUTPUT, Stage, deliver, origin, replicate, switch,
};
use crate::view::{Tunnel, View};
use rust_openflow::{Action, Field, Match};
use sextant_model::{ChassisId, MacAddr, Network, Port, PortId, Sharding};
use std::collections::BTreeSet;

/// The group bit of an Ethernet address.
const GROUP: u64 = 0x0100_0000_0000;

/// Sends a packet out of the port in the output register.
pub(crate) fn base() -> Vec<Flow> {
    vec![Flow::new(Stage::Deliver, deliver::OUT, Match::new()).apply(vec![OUTPUT.output()])]
}

/// Sends frames for a guest's MAC to its port here.
pub(crate) fn delivered(network: &Network, port: &Port, ofport: u16) -> Flow {
    Flow::new(Stage::Switch, switch::PORT, to_guest(network, port))
        .apply(vec![OUTPUT.set(ofport)])
        .goto(Stage::Ingress)
}

/// Sends frames for a guest's MAC to its hypervisor.
pub(crate) fn onward(network: &Network, port: &Port, way: Tunnel) -> Flow {
    let from_here = to_guest(network, port).holding(ORIGIN, origin::GUEST);
    Flow::new(Stage::Switch, switch::PORT, from_here).apply(tunnel::through(network, &[way]))
}

/// How frames get to a guest on another hypervisor. On a provider network it is reached outside, by the flow for any other
/// MAC.
pub(crate) fn way(view: &View<'_>, network: &Network, chassis: &ChassisId) -> Option<Tunnel> {
    let tunnelled = network.network_type.is_tunnelled();
    if tunnelled {
        view.tunnel_to(chassis)
    } else {
        None
    }
}

fn to_guest(network: &Network, port: &Port) -> Match {
    Match::new()
        .holding(NETWORK, network.key.0)
        .mac(Field::ETH_DST, port.mac_address.0)
}

/// Multicast frames of a network go to its members here. From guests they also go to each hypervisor with members, or
/// outside.
pub(crate) fn multicast(view: &View<'_>, network: &Network) -> Vec<Flow> {
    let sharding = replication::sharding_here(view, network);
    let here = match sharding.is_whole() {
        true => members_here(view, network, sharding, 0),
        false => replication::by_shard(sharding, ReceiverShard::Here),
    };
    let sharding = replication::sharding_elsewhere(view, network);
    let elsewhere = match sharding.is_whole() {
        true => members_elsewhere(view, network, view.facts.chassis_with(network.id)),
        false => replication::by_shard(sharding, ReceiverShard::Elsewhere),
    };
    let group = to_group().holding(NETWORK, network.key.0);
    vec![
        Flow::new(
            Stage::Switch,
            switch::GROUP_FROM_GUESTS,
            group.clone().holding(ORIGIN, origin::GUEST),
        )
        .apply([here.as_slice(), &elsewhere].concat()),
        Flow::new(Stage::Switch, switch::GROUP, group).apply(here),
    ]
}

/// Multicast frames go to the members of a shard.
pub(crate) fn multicast_shard(
    view: &View<'_>,
    network: &Network,
    shard: ReceiverShard,
) -> Option<Flow> {
    let copies = match shard {
        ReceiverShard::Here(number) => {
            let sharding = divided(replication::sharding_here(view, network))?;
            members_here(view, network, sharding, number)
        }
        ReceiverShard::Elsewhere(number) => {
            let sharding = divided(replication::sharding_elsewhere(view, network))?;
            let peers = view.facts.chassis_in_shard(network.id, sharding, number);
            replication::elsewhere(view, network, peers)
        }
    };
    replication::shard_flow(network, replicate::GROUP, to_group(), shard, copies)
}

/// The shards of a network's members.
pub(crate) fn shards(view: &View<'_>, network: &Network) -> Vec<ReceiverShard> {
    let here = divided(replication::sharding_here(view, network));
    let elsewhere = divided(replication::sharding_elsewhere(view, network));
    let here = here.into_iter().flat_map(Sharding::shards);
    let elsewhere = elsewhere.into_iter().flat_map(Sharding::shards);
    here.map(ReceiverShard::Here)
        .chain(elsewhere.map(ReceiverShard::Elsewhere))
        .collect()
}

/// Frames for a MAC that several ports may use besides their own, such as a virtual router's, go to all of these ports.
/// They settle among themselves which one uses it. A port whose own MAC it is comes first.
pub(crate) fn shared(view: &View<'_>, network: &Network, mac: MacAddr) -> Vec<Flow> {
    let users = Users::of(view, network, mac);
    if users.here.is_empty() && users.chassis.is_empty() {
        return vec![];
    }
    let to_mac = Match::new().mac(Field::ETH_DST, mac.0);
    let (here, mut flows) = users.copies_here(view, network, &to_mac);
    let (elsewhere, shards) = users.copies_elsewhere(view, network, &to_mac);
    flows.extend(shards);
    let to_mac = to_mac.holding(NETWORK, network.key.0);
    flows.push(
        Flow::new(
            Stage::Switch,
            switch::SHARED_FROM_GUESTS,
            to_mac.clone().holding(ORIGIN, origin::GUEST),
        )
        .apply([here.as_slice(), &elsewhere].concat()),
    );
    flows.push(Flow::new(Stage::Switch, switch::SHARED, to_mac).apply(here));
    flows
}

/// Who may use a MAC besides their own.
struct Users<'a> {
    here: Vec<PortId>,
    /// Where they are plugged in.
    chassis: BTreeSet<&'a ChassisId>,
}

impl<'a> Users<'a> {
    fn of(view: &View<'a>, network: &Network, mac: MacAddr) -> Self {
        let mut users = Self {
            here: vec![],
            chassis: BTreeSet::new(),
        };
        for port in view.intent.users_of(network.id, mac) {
            if let Some(binding) = view.binding(port) {
                users.chassis.insert(&binding.chassis);
                let is_here = binding.chassis == *view.chassis;
                users.here.extend(is_here.then_some(port.id));
            }
        }
        users
    }

    /// The copies to those here, and the flows of their shards.
    fn copies_here(
        &self,
        view: &View<'_>,
        network: &Network,
        to_mac: &Match,
    ) -> (Vec<Action>, Vec<Flow>) {
        let ports = self.here.iter().copied();
        let sharding = replication::sharding(self.here.len());
        if sharding.is_whole() {
            return (replication::here(view, ports), vec![]);
        }
        let flows = sharding.shards().filter_map(|number| {
            let copies = replication::here(view, of_shard(ports.clone(), sharding, number));
            let shard = ReceiverShard::Here(number);
            shard_flow(network, replicate::SHARED, to_mac.clone(), shard, copies)
        });
        let by_shard = replication::by_shard(sharding, ReceiverShard::Here);
        (by_shard, flows.collect())
    }

    /// The copies to other hypervisors, and the flows of their shards.
    fn copies_elsewhere(
        &self,
        view: &View<'_>,
        network: &Network,
        to_mac: &Match,
    ) -> (Vec<Action>, Vec<Flow>) {
        let chassis = self.chassis.iter().copied();
        let sharding = replication::sharding(self.chassis.len());
        if sharding.is_whole() || !network.network_type.is_tunnelled() {
            return (members_elsewhere(view, network, chassis), vec![]);
        }
        let flows = sharding.shards().filter_map(|number| {
            let peers = of_shard(chassis.clone(), sharding, number);
            let copies = replication::elsewhere(view, network, peers);
            let shard = ReceiverShard::Elsewhere(number);
            shard_flow(network, replicate::SHARED, to_mac.clone(), shard, copies)
        });
        let by_shard = replication::by_shard(sharding, ReceiverShard::Elsewhere);
        (by_shard, flows.collect())
    }
}

/// Matches frames for a group.
fn to_group() -> Match {
    Match::new().masked(Field::ETH_DST, GROUP, GROUP)
}

/// A sharding with more than one shard.
fn divided(sharding: Sharding) -> Option<Sharding> {
    (!sharding.is_whole()).then_some(sharding)
}

/// Delivers a copy to each member here that is in a shard.
fn members_here(view: &View<'_>, network: &Network, sharding: Sharding, shard: u16) -> Vec<Action> {
    let ports = view.facts.local_ports(network.id, view.chassis);
    replication::here(view, of_shard(ports, sharding, shard))
}

/// Sends one copy to each of these other hypervisors. On a provider network one copy goes outside, where all of them
/// get it.
fn members_elsewhere<'a>(
    view: &View<'_>,
    network: &Network,
    peers: impl IntoIterator<Item = &'a ChassisId>,
) -> Vec<Action> {
    if network.network_type.is_tunnelled() {
        return replication::elsewhere(view, network, peers);
    }
    let outside = provider::outside(view, network).into_iter();
    outside.flat_map(provider::out).collect()
}
