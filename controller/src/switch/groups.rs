//! The groups that a switch has: just those of the pipeline, however others change them.

use rust_openflow::multipart::GroupDesc;
use rust_openflow::{GroupCommand, GroupMod, Message};
use sextant_flows::pipeline::groups;
use std::collections::BTreeSet;

/// The messages that make the groups of the pipeline, before flows use them.
pub(super) fn install() -> [Message; 2] {
    groups().map(Message::GroupMod)
}

/// What a switch says of its groups, in one reply or more.
#[derive(Debug, Default)]
pub(super) struct GroupsRead {
    as_wanted: BTreeSet<u32>,
    others: BTreeSet<u32>,
}

impl GroupsRead {
    /// Takes in a part of the reply.
    pub(super) fn take(&mut self, found: &[GroupDesc]) {
        for group in found {
            if groups().iter().any(|wanted| is(group, wanted)) {
                self.as_wanted.insert(group.group);
            } else if groups().iter().all(|wanted| wanted.group != group.group) {
                self.others.insert(group.group);
            }
        }
    }

    /// How many groups are not as they should be: missing ones, changed ones, and those of others.
    pub(super) fn wrong(&self) -> usize {
        self.others.len() + groups().len() - self.as_wanted.len()
    }

    /// The messages that make the groups what they should be.
    pub(super) fn correct(&self) -> Vec<Message> {
        let deleted = self.others.iter().map(|group| delete(*group));
        let mut messages: Vec<Message> = deleted.collect();
        if self.as_wanted.len() < groups().len() {
            messages.extend(install());
        }
        messages
    }
}

fn is(found: &GroupDesc, wanted: &GroupMod) -> bool {
    found.group == wanted.group && found.kind == wanted.kind && found.buckets == wanted.buckets
}

fn delete(group: u32) -> Message {
    let [any, _] = groups();
    Message::GroupMod(GroupMod {
        command: GroupCommand::Delete,
        group,
        buckets: vec![],
        ..any
    })
}
