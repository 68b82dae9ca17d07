//! The groups, which every switch has: they send a copy of a packet through stage replicate.
//!
//! Open vSwitch translates a packet's whole way into one list of datapath actions. Beyond 64 KiB it follows no resubmit
//! any more (`xlate_resubmit_resource_check()`), and many kernels take no more than 32 KiB. A recirculated packet has a
//! list of its own. A select group recirculates, since its hash is the datapath's to compute (`dp_hash`, Open vSwitch's
//! default). That ends the flow that uses it, but not beyond another group: so each copy passes two.

use super::Stage;
use rust_openflow::{Action, Bucket, GroupCommand, GroupMod, GroupType};

/// Makes a copy, and lets the packet itself go on.
pub(crate) const COPY: u32 = 1;
/// Recirculates.
const RECIRCULATE: u32 = 2;

/// The messages that make the groups, in this order: one uses the other.
#[must_use]
pub fn groups() -> [GroupMod; 2] {
    let replicate = Action::resubmit(Stage::Replicate.table());
    [
        group(RECIRCULATE, GroupType::Select, replicate),
        group(COPY, GroupType::Indirect, Action::Group(RECIRCULATE)),
    ]
}

/// The action lists of a group.
pub(crate) fn buckets(number: u32) -> Option<Vec<Bucket>> {
    let mut all = groups().into_iter();
    all.find(|group| group.group == number)
        .map(|group| group.buckets)
}

fn group(number: u32, kind: GroupType, action: Action) -> GroupMod {
    // A select group never chooses a bucket without weight, and no other group takes one with weight.
    let weight = u16::from(kind == GroupType::Select);
    let bucket = Bucket {
        weight,
        ..Bucket::new(vec![action])
    };
    GroupMod {
        command: GroupCommand::AddOrModify,
        kind,
        group: number,
        buckets: vec![bucket],
    }
}
