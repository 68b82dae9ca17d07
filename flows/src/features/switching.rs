//! Switches frames within a network: to a local port, or through a tunnel to the port's hypervisor.
//!
//! Every MAC is known from the API, so nothing is learned and nothing unknown is flooded. Frames that came through a
//! tunnel, or from the controller, go to local ports only.

use super::tunnel;
use crate::flow::Flow;
use crate::pipeline::{NETWORK, ORIGIN, ORIGIN_GUEST, OUTPUT, Stage};
use crate::view::View;
use rust_openflow::{Action, Field, Match, Subfield};
use sextant_model::{Network, Port};

/// The group bit of an Ethernet address.
const GROUP: u64 = 0x0100_0000_0000;

/// Out of the port that was chosen.
pub(crate) fn base() -> Vec<Flow> {
    let out = Action::OutputReg {
        src: Subfield::whole(OUTPUT),
        max_len: 0,
    };
    vec![Flow::new(Stage::Deliver, 0, Match::new()).apply(vec![out])]
}

/// Frames for a guest's MAC.
pub(crate) fn unicast(view: &View<'_>, network: &Network, port: &Port) -> Option<Flow> {
    let binding = view.binding(port)?;
    let to_port = Match::new()
        .with(NETWORK, network.key.0)
        .mac(Field::ETH_DST, port.mac_address.0);
    if binding.chassis == *view.chassis {
        let out = vec![Action::set(OUTPUT, binding.ofport?)];
        return Some(
            Flow::new(Stage::Switch, 100, to_port)
                .apply(out)
                .goto(Stage::Deliver),
        );
    }
    let tunnel = view.tunnel_to(&binding.chassis)?;
    Some(
        Flow::new(Stage::Switch, 100, to_port.with(ORIGIN, ORIGIN_GUEST))
            .apply([tunnel::prepare(network, tunnel.local), tunnel::to(&tunnel)].concat()),
    )
}

/// Multicast frames of a network: to its members here, and from guests also to each hypervisor that has members.
pub(crate) fn multicast(view: &View<'_>, network: &Network) -> Vec<Flow> {
    let here = local_members(view, network);
    let elsewhere = to_hypervisors(view, network);
    let group = Match::new()
        .with(NETWORK, network.key.0)
        .masked(Field::ETH_DST, GROUP, GROUP);
    vec![
        Flow::new(Stage::Switch, 20, group.clone().with(ORIGIN, ORIGIN_GUEST))
            .apply([here.as_slice(), &elsewhere].concat()),
        Flow::new(Stage::Switch, 10, group).apply(here),
    ]
}

/// Sends one copy to each other hypervisor that has members.
fn to_hypervisors(view: &View<'_>, network: &Network) -> Vec<Action> {
    let peers = view.facts.chassis_with(network.id);
    let tunnels: Vec<_> = peers.filter_map(|peer| view.tunnel_to(peer)).collect();
    let prepared = tunnels
        .first()
        .map(|tunnel| tunnel::prepare(network, tunnel.local));
    let sent = tunnels.iter().flat_map(tunnel::to);
    prepared.into_iter().flatten().chain(sent).collect()
}

/// Delivers to each member here; Open vSwitch leaves out the one that sent it.
fn local_members(view: &View<'_>, network: &Network) -> Vec<Action> {
    let ofport = |port| view.local_ofport(view.intent.ports.get(&port)?);
    let deliver = |ofport| {
        [
            Action::set(OUTPUT, ofport),
            Action::resubmit(Stage::Deliver.table()),
        ]
    };
    view.facts
        .local_ports(network.id, view.chassis)
        .filter_map(ofport)
        .flat_map(deliver)
        .collect()
}
