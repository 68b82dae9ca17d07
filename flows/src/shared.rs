//! Flows that many hypervisors have: made once, and kept while any of them has them.
//!
//! A guest costs flows on every hypervisor that may send to it. They depend on the guest, and on little of the
//! hypervisor. So a function of these alone makes them, and they are found again by its arguments.

mod member_lists;

use crate::contribution::PipelineObject;
use crate::features;
use crate::features::elsewhere::GuestElsewhere;
use crate::features::security::MemberMatch;
use crate::features::tunnel::{self, PeerEndpoints};
use crate::flow::{Flow, KeptFlow, PackedFlow};
use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use member_lists::MemberLists;
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

/// So many are made before those that nobody has any more are let go for the first time.
const FIRST_SWEEP: usize = 1024;

/// Everything that flows depend on which hypervisors share.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum SharedSource {
    /// What every hypervisor has.
    Base,
    /// How one hypervisor sends to a guest on another.
    Guest(GuestElsewhere),
    /// How rules match a member of security groups.
    Member(MemberMatch),
    /// Where another hypervisor's frames come from.
    Peer(PeerEndpoints),
}

impl SharedSource {
    fn object(&self) -> PipelineObject {
        match self {
            Self::Base => PipelineObject::Base,
            Self::Guest(guest) => PipelineObject::Port(guest.guest.port()),
            Self::Member(member) => PipelineObject::Member(member.address),
            Self::Peer(peer) => PipelineObject::Peer(peer.chassis.clone()),
        }
    }

    pub(crate) fn flows(&self) -> Vec<Flow> {
        match self {
            Self::Base => features::base(),
            Self::Guest(guest) => guest.flows(),
            Self::Member(member) => member.flows(),
            Self::Peer(endpoints) => tunnel::accepted(endpoints),
        }
    }
}

/// Flows that hypervisors share.
#[derive(Debug, PartialEq)]
pub(crate) struct SharedGroup {
    /// Whose they are.
    pub(crate) object: PipelineObject,
    pub(crate) flows: Box<[PackedFlow]>,
}

impl SharedGroup {
    fn of(source: &SharedSource) -> Self {
        Self {
            object: source.object(),
            flows: source.flows().iter().map(Flow::pack).collect(),
        }
    }

    pub(crate) fn kept(&self) -> impl Iterator<Item = KeptFlow> {
        self.flows.iter().map(|flow| flow.kept)
    }
}

/// The flows that hypervisors share, by what they were made from.
#[derive(Debug)]
pub struct SharedFlows {
    groups: DashMap<SharedSource, Weak<SharedGroup>>,
    /// How many were made since the last sweep.
    made: AtomicUsize,
    /// How many are made before the next.
    sweep_after: AtomicUsize,
    members: MemberLists,
}

impl Default for SharedFlows {
    fn default() -> Self {
        Self {
            groups: DashMap::new(),
            made: AtomicUsize::new(0),
            sweep_after: AtomicUsize::new(FIRST_SWEEP),
            members: MemberLists::default(),
        }
    }
}

impl SharedFlows {
    /// The members of security groups.
    pub(crate) fn members(&self) -> &MemberLists {
        &self.members
    }

    pub(crate) fn get(&self, source: SharedSource) -> Arc<SharedGroup> {
        let found = self.groups.get(&source).and_then(|known| known.upgrade());
        found.unwrap_or_else(|| self.make(source))
    }

    fn make(&self, source: SharedSource) -> Arc<SharedGroup> {
        let made = Arc::new(SharedGroup::of(&source));
        self.sweep();
        match self.groups.entry(source) {
            Entry::Occupied(mut known) => {
                // Somebody may have been faster.
                if let Some(known) = known.get().upgrade() {
                    return known;
                }
                known.insert(Arc::downgrade(&made));
            }
            Entry::Vacant(vacant) => drop(vacant.insert(Arc::downgrade(&made))),
        }
        made
    }

    /// Lets go of what nobody has any more, each time that as much was made as was there after the last time.
    fn sweep(&self) {
        let made = self.made.fetch_add(1, Ordering::Relaxed);
        if made < self.sweep_after.load(Ordering::Relaxed) {
            return;
        }
        self.made.store(0, Ordering::Relaxed);
        self.groups.retain(|_, known| known.strong_count() > 0);
        let next = self.groups.len().max(FIRST_SWEEP);
        self.sweep_after.store(next, Ordering::Relaxed);
    }
}

/// An object that is compared by its place in memory: snapshots share what did not change.
#[derive(Debug)]
pub(crate) struct Same<T>(pub(crate) Arc<T>);

impl<T> Clone for Same<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Deref for Same<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> PartialEq for Same<T> {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl<T> Eq for Same<T> {}

impl<T> Hash for Same<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.0).hash(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sextant_model::ChassisId;
    use std::net::{IpAddr, Ipv6Addr};

    fn peer(number: u128) -> SharedSource {
        let endpoint = IpAddr::V6(Ipv6Addr::from_bits(number));
        SharedSource::Peer(PeerEndpoints {
            chassis: ChassisId::new("h1"),
            endpoints: vec![endpoint],
        })
    }

    #[test]
    fn what_two_have_is_made_once() {
        let shared = SharedFlows::default();
        let [first, second] = [(); 2].map(|()| shared.get(peer(1)));
        assert!(Arc::ptr_eq(&first, &second));
        assert!(!Arc::ptr_eq(&first, &shared.get(peer(2))));
    }

    #[test]
    fn what_nobody_has_is_let_go() {
        let shared = SharedFlows::default();
        let kept = shared.get(peer(0));
        for number in 1..10 * FIRST_SWEEP {
            shared.get(peer(number as u128));
        }
        assert!(shared.groups.len() <= 2 * FIRST_SWEEP + 1);
        assert!(Arc::ptr_eq(&kept, &shared.get(peer(0))));
    }
}
