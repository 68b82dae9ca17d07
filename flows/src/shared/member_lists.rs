//! The members of security groups, listed once for all hypervisors.

use sextant_model::{Intent, MemberAddress, Membership, SecurityGroupId};
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

/// An address of members of groups.
#[derive(Debug)]
pub(crate) struct GroupMember {
    pub(crate) address: MemberAddress,
    /// All groups with a port of this address.
    pub(crate) groups: Box<[SecurityGroupId]>,
}

/// The lists that were made for one state of the cloud. When all switches connect, it is the same for all.
#[derive(Debug, Default)]
pub(crate) struct MemberLists(Mutex<Lists>);

#[derive(Debug, Default)]
struct Lists {
    of: Option<Membership>,
    by_group: HashMap<SecurityGroupId, Arc<[GroupMember]>>,
}

impl MemberLists {
    /// The members of a group, by address. Whoever asks meanwhile waits, and makes no list of his own.
    pub(crate) fn of(&self, intent: &Intent, group: SecurityGroupId) -> Arc<[GroupMember]> {
        let mut lists = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let membership = Some(intent.membership());
        if lists.of != membership {
            *lists = Lists {
                of: membership,
                ..Lists::default()
            };
        }
        let list = lists.by_group.entry(group);
        list.or_insert_with(|| list_of(intent, group)).clone()
    }
}

fn list_of(intent: &Intent, group: SecurityGroupId) -> Arc<[GroupMember]> {
    let ports = intent.ports_under(group);
    let addresses: BTreeSet<_> = ports.flat_map(|port| port.member_addresses()).collect();
    let members = addresses.into_iter().map(|address| {
        let groups: BTreeSet<_> = intent.groups_at(&address).collect();
        let groups = groups.into_iter().collect();
        GroupMember { address, groups }
    });
    members.collect()
}
