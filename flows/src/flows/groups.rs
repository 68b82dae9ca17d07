//! What each object contributes to the flows of a hypervisor.

use crate::contribution::PipelineObject;
use crate::flow::{Cookie, KeptFlow};
use crate::link::Interface;
use crate::shared::SharedGroup;
use crate::withheld::Withheld;
use sextant_model::{AdvertisedLink, Uplink};
use std::borrow::Borrow;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// What one object contributes.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Group {
    /// The flows that other hypervisors have, too.
    pub(super) shared: Option<Arc<SharedGroup>>,
    pub(super) own: OwnGroup,
}

/// What one object contributes that no other hypervisor has.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct OwnGroup {
    pub(super) flows: Box<[KeptFlow]>,
    /// What few objects contribute.
    pub(super) more: Option<Box<More>>,
}

/// What an object contributes beside flows.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct More {
    pub(super) meters: Vec<u32>,
    pub(super) link: Option<AdvertisedLink>,
    pub(super) interface: Option<Interface>,
    pub(super) uplink: Option<Uplink>,
    pub(super) withheld: Vec<Withheld>,
}

impl More {
    pub(super) fn is_empty(&self) -> bool {
        self.meters.is_empty()
            && self.withheld.is_empty()
            && self.link.is_none()
            && self.interface.is_none()
            && self.uplink.is_none()
    }
}

impl OwnGroup {
    fn is_empty(&self) -> bool {
        self.flows.is_empty() && self.more.is_none()
    }
}

impl Group {
    pub(super) fn flows(&self) -> impl Iterator<Item = KeptFlow> {
        let shared = self.shared.iter().flat_map(|shared| shared.kept());
        shared.chain(self.own.flows.iter().copied())
    }
}

/// All groups. Most objects are ports elsewhere and contribute shared flows only: what a hypervisor keeps of one of these is one
/// pointer.
#[derive(Clone, Debug, Default)]
pub(super) struct Groups {
    own: BTreeMap<PipelineObject, OwnGroup>,
    shared: HashSet<ByObject>,
}

/// A shared group, found by its object.
#[derive(Clone, Debug)]
struct ByObject(Arc<SharedGroup>);

impl Borrow<PipelineObject> for ByObject {
    fn borrow(&self) -> &PipelineObject {
        &self.0.object
    }
}

impl PartialEq for ByObject {
    fn eq(&self, other: &Self) -> bool {
        self.0.object == other.0.object
    }
}

impl Eq for ByObject {}

impl Hash for ByObject {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.object.hash(state);
    }
}

impl PartialEq for Groups {
    #[expect(clippy::disallowed_methods, reason = "all are compared")]
    fn eq(&self, other: &Self) -> bool {
        self.own == other.own
            && self.shared.len() == other.shared.len()
            && other.shared.iter().all(|ByObject(its)| {
                let here = self.shared.get(&its.object);
                here.is_some_and(|ByObject(here)| here == its)
            })
    }
}

impl Groups {
    /// Gives an object a group instead of the one that it has, which is returned.
    pub(super) fn put(&mut self, object: PipelineObject, group: Group) -> Group {
        let shared = match group.shared {
            Some(shared) => self.shared.replace(ByObject(shared)),
            None => self.shared.take(&object),
        };
        let own = match group.own.is_empty() {
            true => self.own.remove(&object),
            false => self.own.insert(object, group.own),
        };
        Group {
            shared: shared.map(|ByObject(shared)| shared),
            own: own.unwrap_or_default(),
        }
    }

    /// What an object contributes beside flows.
    pub(super) fn more(&self, object: &PipelineObject) -> Option<&More> {
        self.own.get(object)?.more.as_deref()
    }

    /// What objects contribute beside flows.
    pub(super) fn all_more(&self) -> impl Iterator<Item = (&PipelineObject, &More)> {
        let own = self.own.iter();
        own.filter_map(|(object, group)| Some((object, group.more.as_deref()?)))
    }

    /// The flows of all objects, in no order. Several objects may want the same one.
    #[expect(clippy::disallowed_methods, reason = "whoever takes them sorts them")]
    pub(super) fn flows(&self) -> impl Iterator<Item = KeptFlow> {
        let own = self.own.values().flat_map(|group| &group.flows).copied();
        let shared = self.shared.iter();
        own.chain(shared.flat_map(|ByObject(group)| group.kept()))
    }

    /// Every object with the flows that it wants.
    pub(super) fn by_object(&self) -> BTreeMap<&PipelineObject, Vec<Cookie>> {
        let mut all: BTreeMap<&PipelineObject, Vec<Cookie>> = BTreeMap::new();
        for (object, group) in &self.own {
            let cookies = group.flows.iter().map(|flow| flow.cookie);
            all.entry(object).or_default().extend(cookies);
        }
        for ByObject(group) in &self.shared {
            let cookies = group.kept().map(|flow| flow.cookie);
            all.entry(&group.object).or_default().extend(cookies);
        }
        all
    }

    /// The objects that want a flow of these.
    pub(super) fn wanting(&self, is_one: impl Fn(Cookie) -> bool) -> BTreeSet<PipelineObject> {
        let all = self.by_object().into_iter();
        let wanting = all.filter(|(_, cookies)| cookies.iter().any(|cookie| is_one(*cookie)));
        wanting.map(|(object, _)| object.clone()).collect()
    }
}
