//! What becomes of packets by what is known of their connection, whatever the rules are.

use super::super::of_version;
use super::{WAYS, Way, mark, rules};
use crate::flow::Flow;
use rust_openflow::{Field, Match};
use sextant_model::IpVersion;

/// Bits of `ct_state` (ovs-fields(7)).
mod state {
    pub(super) const RELATED: u32 = 0x04;
    pub(super) const REPLY: u32 = 0x08;
    pub(super) const INVALID: u32 = 0x10;
    pub(super) const TRACKED: u32 = 0x20;
}

/// A packet of whoever opened its connection: the rules decide.
pub(super) fn of_opener(of: IpVersion) -> Match {
    tracked(of, 0, state::REPLY | state::RELATED)
}

/// A valid packet with these bits set and those not.
fn tracked(of: IpVersion, set: u32, clear: u32) -> Match {
    let set = set | state::TRACKED;
    of_version(of).masked(Field::CT_STATE, set, set | clear | state::INVALID)
}

pub(super) fn flows() -> Vec<Flow> {
    let both = |way| IpVersion::ALL.into_iter().map(move |of| (way, of));
    WAYS.into_iter()
        .flat_map(both)
        .flat_map(|(way, of)| {
            let all = [answers(way, of), errors(way, of), withdrawn(way, of)];
            all.into_iter().chain(rest(way, of))
        })
        .collect()
}

/// Answers on a connection that was opened, and is allowed, the other way.
fn answers(way: &Way, of: IpVersion) -> Flow {
    let matches = tracked(of, state::REPLY, 0).with(Field::CT_MARK, way.other);
    Flow::new(way.rules, rules::ANSWERS, matches).goto(way.next)
}

/// ICMP errors about a connection that is allowed.
fn errors(way: &Way, of: IpVersion) -> Flow {
    let matches = tracked(of, state::RELATED, 0).masked(Field::CT_MARK, 0u32, mark::WITHDRAWN);
    Flow::new(way.rules, rules::ANSWERS, matches).goto(way.next)
}

/// A connection opened this way that no rule allows any more: answers will not pass either.
fn withdrawn(way: &Way, of: IpVersion) -> Flow {
    let matches = of_opener(of).with(Field::CT_MARK, way.own);
    Flow::new(way.rules, rules::WITHDRAWN, matches).apply(vec![way.remember(mark::WITHDRAWN)])
}

/// `nw_frag=later`: a fragment, and not the first (ovs-fields(7)).
pub(super) const LATER_FRAGMENT: u8 = 3;

/// Fragments after the first, where the datapath takes packets apart again once they were tracked (the userspace one; the
/// kernel's leaves them whole). The rules may look at ports, and these have none: the first fragment decides. A commit
/// waits for all fragments of a packet, so where the first was not allowed one, the others wait in vain.
fn rest(way: &Way, of: IpVersion) -> [Flow; 2] {
    let later = of_opener(of).with(Field::IP_FRAG, LATER_FRAGMENT);
    let known = later.clone().with(Field::CT_MARK, way.own);
    [
        Flow::new(way.rules, rules::REST_KNOWN, known).goto(way.next),
        Flow::new(way.rules, rules::REST, later)
            .apply(vec![way.remember(way.own)])
            .goto(way.next),
    ]
}
