//! The members of security groups, listed once for all hypervisors.

use sextant_model::{Intent, MemberAddress, Membership, SecurityGroupId};
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// While the cloud changes, some hypervisors' flows are computed of the state before.
const STATES: usize = 2;

/// An address of members of groups.
#[derive(Debug)]
pub(crate) struct ListedMember {
    pub(crate) address: MemberAddress,
    /// All groups with a port of this address.
    pub(crate) groups: Box<[SecurityGroupId]>,
}

/// The lists of the last states of the cloud. When all switches connect, it is one state for all.
#[derive(Debug, Default)]
pub(crate) struct MemberLists(Mutex<VecDeque<Arc<ListsOfState>>>);

/// The lists of one state.
#[derive(Debug)]
pub(crate) struct ListsOfState {
    of: Membership,
    by_group: Mutex<HashMap<SecurityGroupId, Arc<ListOfGroup>>>,
}

/// A list, once it is made.
type ListOfGroup = OnceLock<Arc<[ListedMember]>>;

impl MemberLists {
    /// The lists of a state.
    pub(crate) fn of(&self, intent: &Intent) -> Arc<ListsOfState> {
        let of = intent.membership();
        let mut states = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = states.iter().find(|known| known.of == of) {
            return known.clone();
        }
        let by_group = Mutex::default();
        let new = Arc::new(ListsOfState { of, by_group });
        states.push_front(new.clone());
        states.truncate(STATES);
        new
    }
}

impl ListsOfState {
    /// The members of a group, by address. Who wants a list that is being made waits for it.
    pub(crate) fn list(&self, intent: &Intent, group: SecurityGroupId) -> Arc<[ListedMember]> {
        let mut by_group = self.by_group.lock().unwrap_or_else(PoisonError::into_inner);
        let list = by_group.entry(group).or_default().clone();
        drop(by_group);
        list.get_or_init(|| list_of(intent, group)).clone()
    }
}

fn list_of(intent: &Intent, group: SecurityGroupId) -> Arc<[ListedMember]> {
    let ports = intent.ports_under(group);
    let addresses: BTreeSet<_> = ports.flat_map(|port| port.member_addresses()).collect();
    let members = addresses.into_iter().map(|address| {
        let groups: BTreeSet<_> = intent.groups_at(&address).collect();
        let groups = groups.into_iter().collect();
        ListedMember { address, groups }
    });
    members.collect()
}
