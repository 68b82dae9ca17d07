//! Meters for fragments. The connection tracker keeps fragments until a packet is whole, so a guest that sends only
//! first fragments takes room that all share.
//!
//! Each port has a meter, before everything that looks connections up. Several ports may bring fragments of one packet.
//! Where a packet that grows too long ends ovs-vswitchd ([`Reassembly::Flawed`]), each zone of the connection tracker
//! has a meter as well. Fragments belong to one packet if zone, source, destination and identification are the same
//! (`struct ipf_list_key` in its `lib/ipf.c`). All that may belong to one packet has to pass the same meter.

use super::{ipv4, ipv6, martian};
use crate::flow::Flow;
use crate::pipeline::{Stage, martians};
use crate::view::View;
use rust_openflow::{Field, Match};
use sextant_model::Reassembly;

/// `nw_frag=yes`: any fragment (ovs-fields(7)).
const ANY_FRAGMENT: (u8, u8) = (1, 1);

/// Meter numbers of fragments are above those of packets heard outside, which are above those of ports.
const FRAGMENTS: u32 = 1 << 17;
/// Meter numbers of zones are above those of ports.
const OF_ZONE: u32 = 1 << 19;

/// Whether a meter counts fragments.
#[must_use]
pub fn is_of_fragments(meter: u32) -> bool {
    meter & FRAGMENTS != 0
}

/// The meter of the fragments that come in by a port.
pub(crate) fn meter(ofport: u16) -> u32 {
    FRAGMENTS | u32::from(ofport)
}

/// The meter of fragments that are put together in a zone. `None` where no zone needs one.
pub(crate) fn meter_of_zone(view: &View<'_>, zone: u16) -> Option<u32> {
    let flawed = view.reassembly() == Reassembly::Flawed;
    flawed.then_some(OF_ZONE | FRAGMENTS | u32::from(zone))
}

/// Fragments that come in by a port pass its meter.
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

/// A flow that looks connections up. Where a meter is given, one above it has fragments pass the meter first.
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

/// The same match, for fragments only.
pub(crate) fn only(matches: Match) -> Match {
    let (value, mask) = ANY_FRAGMENT;
    matches.masked(Field::IP_FRAG, value, mask)
}
