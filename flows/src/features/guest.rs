//! Recognizes what comes from a guest's port.

use super::provider::{TAG_AND_VLAN, TAGGED, tag};
use crate::flow::Flow;
use crate::pipeline::{NETWORK, ORIGIN, Stage, classify, origin};
use rust_openflow::{Field, Match};
use sextant_model::Network;

/// Untagged frames from a guest's port are on its network. So are frames whose tag has only a priority (IEEE 802.1Q
/// §6.9).
pub(crate) fn classify(network: &Network, ofport: u16) -> [Flow; 2] {
    let noted = vec![NETWORK.set(network.key.0), ORIGIN.set(origin::GUEST)];
    let from_guest = Match::new().with(Field::IN_PORT, ofport);
    let untagged = from_guest.clone().with(Field::VLAN_TCI, 0u16);
    let with_priority = from_guest.masked(Field::VLAN_TCI, TAGGED, TAG_AND_VLAN);
    let stripped = [vec![tag(0)], noted.clone()].concat();
    [(untagged, noted), (with_priority, stripped)].map(|(matches, noted)| {
        Flow::new(Stage::Classify, classify::PORT, matches)
            .apply(noted)
            .goto(Stage::Martians)
    })
}
