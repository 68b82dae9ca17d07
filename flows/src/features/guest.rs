//! Classifies what comes from a guest.

use crate::flow::Flow;
use crate::pipeline::{NETWORK, ORIGIN, ORIGIN_GUEST, Stage};
use rust_openflow::{Action, Field, Match};
use sextant_model::Network;

/// Untagged frames from a guest's port are on its network.
pub(crate) fn classify(network: &Network, ofport: u16) -> Flow {
    let from_guest = Match::new()
        .with(Field::IN_PORT, ofport)
        .with(Field::VLAN_TCI, 0u16);
    Flow::new(Stage::Classify, 100, from_guest)
        .apply(vec![
            Action::set(NETWORK, network.key.0),
            Action::set(ORIGIN, ORIGIN_GUEST),
        ])
        .goto(Stage::Guard)
}
