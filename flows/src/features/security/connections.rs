//! What happens to packets because of their connection, whatever the rules are.

use super::super::of_version;
use super::{RulePath, WAYS, mark, rules};
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

/// Matches packets of the side that opened a connection: the rules decide on these.
pub(super) fn of_opener(of: IpVersion) -> Match {
    tracked(of, 0, state::REPLY | state::RELATED)
}

/// Matches valid packets with these bits of `ct_state` set, and those clear.
fn tracked(of: IpVersion, set: u32, clear: u32) -> Match {
    let set = set | state::TRACKED;
    of_version(of).masked(Field::CT_STATE, set, set | clear | state::INVALID)
}

pub(super) fn flows() -> Vec<Flow> {
    let mut flows = vec![];
    for way in WAYS {
        for of in IpVersion::ALL {
            flows.extend([answers(way, of), errors(way, of), withdrawn(way, of)]);
            flows.extend(rest(way, of));
        }
    }
    flows
}

/// Passes answers on a connection that was opened, and is allowed, in the other direction.
fn answers(way: &RulePath, of: IpVersion) -> Flow {
    let matches = tracked(of, state::REPLY, 0).with(Field::CT_MARK, way.other);
    Flow::new(way.rules, rules::ANSWERS, matches).goto(way.next)
}

/// Passes ICMP errors about a connection that is allowed.
fn errors(way: &RulePath, of: IpVersion) -> Flow {
    let matches = tracked(of, state::RELATED, 0).masked(Field::CT_MARK, 0u32, mark::WITHDRAWN);
    Flow::new(way.rules, rules::ANSWERS, matches).goto(way.next)
}

/// Marks a connection of this direction that no rule allows any more, so that answers do not pass either.
fn withdrawn(way: &RulePath, of: IpVersion) -> Flow {
    let matches = of_opener(of).with(Field::CT_MARK, way.own);
    Flow::new(way.rules, rules::WITHDRAWN, matches).apply(vec![way.remember(mark::WITHDRAWN)])
}

/// `nw_frag=later`: a fragment after the first (ovs-fields(7)).
pub(super) const LATER_FRAGMENT: u8 = 3;

/// Passes fragments after the first. The userspace datapath takes a packet apart again after tracking; the kernel's
/// leaves it whole. Rules may match ports, which only the first fragment has, so the first fragment decides. A commit
/// waits for all fragments of a packet: if the first one was not allowed, the others wait in vain.
fn rest(way: &RulePath, of: IpVersion) -> [Flow; 2] {
    let later = of_opener(of).with(Field::IP_FRAG, LATER_FRAGMENT);
    let known = later.clone().with(Field::CT_MARK, way.own);
    [
        Flow::new(way.rules, rules::REST_KNOWN, known).goto(way.next),
        Flow::new(way.rules, rules::REST, later)
            .apply(vec![way.remember(way.own)])
            .goto(way.next),
    ]
}
