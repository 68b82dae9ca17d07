//! Meters for what is sent in fragments: the connection tracker puts them together and holds them until the last has come, so
//! whoever sends the first ones only takes room that all share.
//!
//! Each way into the switch has a meter, before everything that looks connections up. Several ways in may bring pieces of one
//! packet. Where a packet that grows too long ends ovs-vswitchd ([`Reassembly::Flawed`]), each zone of the connection tracker
//! has a meter as well. Pieces are of one packet if zone, source, destination and identification are the same
//! (`struct ipf_list_key` in its `lib/ipf.c`), so all that can be of one packet has to pass the same meter.

use super::{ipv4, ipv6, martian};
use crate::flow::Flow;
use crate::pipeline::{Stage, martians};
use crate::view::View;
use rust_openflow::{Field, Match};
use sextant_model::Reassembly;

/// `nw_frag=yes`: a fragment, whichever (ovs-fields(7)).
const ANY_FRAGMENT: (u8, u8) = (1, 1);

/// Meters of fragments are above those of what is heard, which are above those of ports.
const FRAGMENTS: u32 = 1 << 17;
/// Those of zones are above those of ways in.
const OF_ZONE: u32 = 1 << 19;

/// Whether a meter is passed by fragments, and so counts what they carry.
pub fn is_of_fragments(meter: u32) -> bool {
    meter & FRAGMENTS != 0
}

/// The meter of the fragments that come in by a port.
pub(crate) fn meter(ofport: u16) -> u32 {
    FRAGMENTS | u32::from(ofport)
}

/// The meter of the fragments that are put together in a zone, where a zone needs one.
pub(crate) fn meter_of_zone(view: &View<'_>, zone: u16) -> Option<u32> {
    let flawed = view.reassembly() == Reassembly::Flawed;
    flawed.then_some(OF_ZONE | FRAGMENTS | u32::from(zone))
}

/// The fragments that come in by a port pass its meter.
pub(crate) fn arriving(stage: Stage, ofport: u16) -> Vec<Flow> {
    let ways = martian::WAYS.into_iter().filter(|(here, _)| *here == stage);
    ways.flat_map(|way| [ipv6(), ipv4()].map(|family| metered(way, family, ofport)))
        .collect()
}

fn metered((stage, next): (Stage, Stage), family: Match, ofport: u16) -> Flow {
    let matches = only(family.with(Field::IN_PORT, ofport));
    Flow::new(stage, martians::FRAGMENT, matches)
        .goto(next)
        .meter(meter(ofport))
}

/// A flow that looks connections up, and one above it by which fragments pass the zone's meter first.
pub(crate) fn before_lookup(flow: Flow, meter: Option<u32>) -> impl Iterator<Item = Flow> {
    let metered = meter.map(|meter| {
        let fragments = Flow {
            priority: flow.priority + 1,
            matches: only(flow.matches.clone()),
            ..flow.clone()
        };
        fragments.meter(meter)
    });
    [flow].into_iter().chain(metered)
}

/// Only the fragments.
pub(crate) fn only(matches: Match) -> Match {
    let (value, mask) = ANY_FRAGMENT;
    matches.masked(Field::IP_FRAG, value, mask)
}
