//! Switches frames within a network: to a local port, or through a tunnel to the port's hypervisor.
//!
//! The API tells the MAC of every guest, so nothing is learned, and unknown unicast is not flooded to guests. Frames
//! from a tunnel, from outside or from the controller go to local ports only.

use super::{provider, tunnel};
use crate::flow::Flow;
use crate::pipeline::{Holding, NETWORK, ORIGIN, OUTPUT, Stage, deliver, origin, switch};
use crate::view::View;
use rust_openflow::{Action, Field, Match};
use sextant_model::{ChassisId, MacAddr, Network, Port};
use std::collections::BTreeSet;

/// The group bit of an Ethernet address.
const GROUP: u64 = 0x0100_0000_0000;

/// Sends a packet out of the port in the output register.
pub(crate) fn base() -> Vec<Flow> {
    let out = Action::OutputReg {
        src: OUTPUT.bits(),
        max_len: 0,
    };
    vec![Flow::new(Stage::Deliver, deliver::OUT, Match::new()).apply(vec![out])]
}

/// Sends frames for a guest's MAC to its port or its hypervisor.
pub(crate) fn unicast(view: &View<'_>, network: &Network, port: &Port) -> Option<Flow> {
    let binding = view.binding(port)?;
    let to_port = Match::new()
        .holding(NETWORK, network.key.0)
        .mac(Field::ETH_DST, port.mac_address.0);
    if binding.chassis == *view.chassis {
        let out = vec![OUTPUT.set(binding.ofport?)];
        return Some(
            Flow::new(Stage::Switch, switch::PORT, to_port)
                .apply(out)
                .goto(Stage::Ingress),
        );
    }
    // On a provider network the guest is reached outside, by the flow for any other MAC.
    if !network.network_type.is_tunnelled() {
        return None;
    }
    let tunnel = view.tunnel_to(&binding.chassis)?;
    Some(
        Flow::new(
            Stage::Switch,
            switch::PORT,
            to_port.holding(ORIGIN, origin::GUEST),
        )
        .apply(tunnel::through(network, &[tunnel])),
    )
}

/// Multicast frames of a network go to its members here. From guests they also go to each hypervisor with members, or
/// outside.
pub(crate) fn multicast(view: &View<'_>, network: &Network) -> Vec<Flow> {
    let here = local_members(view, network);
    let elsewhere = to_hypervisors(view, network, view.facts.chassis_with(network.id));
    let group = Match::new()
        .holding(NETWORK, network.key.0)
        .masked(Field::ETH_DST, GROUP, GROUP);
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

/// Frames for a MAC that several ports may use besides their own, such as a virtual router's, go to all of these ports.
/// They settle among themselves which one uses it. A port whose own MAC it is comes first.
pub(crate) fn shared(view: &View<'_>, network: &Network, mac: MacAddr) -> Vec<Flow> {
    let users = view.intent.users_of(network.id, mac);
    let bindings: Vec<_> = users.filter_map(|port| view.binding(port)).collect();
    if bindings.is_empty() {
        return vec![];
    }
    let here = bindings
        .iter()
        .filter(|binding| binding.chassis == *view.chassis);
    let here: Vec<_> = here
        .filter_map(|binding| binding.ofport)
        .flat_map(deliver_to)
        .collect();
    let chassis: BTreeSet<_> = bindings.iter().map(|binding| &binding.chassis).collect();
    let elsewhere = to_hypervisors(view, network, chassis);
    let to_mac = Match::new()
        .holding(NETWORK, network.key.0)
        .mac(Field::ETH_DST, mac.0);
    vec![
        Flow::new(
            Stage::Switch,
            switch::SHARED_FROM_GUESTS,
            to_mac.clone().holding(ORIGIN, origin::GUEST),
        )
        .apply([here.as_slice(), &elsewhere].concat()),
        Flow::new(Stage::Switch, switch::SHARED, to_mac).apply(here),
    ]
}

/// Sends one copy to each of these other hypervisors. On a provider network one copy goes outside, where all of them
/// get it.
fn to_hypervisors<'a>(
    view: &View<'_>,
    network: &Network,
    peers: impl IntoIterator<Item = &'a ChassisId>,
) -> Vec<Action> {
    if !network.network_type.is_tunnelled() {
        let outside = provider::outside(view, network).into_iter();
        return outside.flat_map(provider::out).collect();
    }
    let tunnels: Vec<_> = peers
        .into_iter()
        .filter_map(|peer| view.tunnel_to(peer))
        .collect();
    tunnel::through(network, &tunnels)
}

/// Delivers a copy to each member here.
fn local_members(view: &View<'_>, network: &Network) -> Vec<Action> {
    view.facts
        .local_ports(network.id, view.chassis)
        .filter_map(|port| view.local_ofport(view.intent.ports.get(&port)?))
        .flat_map(deliver_to)
        .collect()
}

/// Delivers what its rules allow to a port here. A resubmit never delivers to the port that sent the frame.
fn deliver_to(ofport: u16) -> [Action; 2] {
    [OUTPUT.set(ofport), Action::resubmit(Stage::Ingress.table())]
}
