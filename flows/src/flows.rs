//! The flows that one hypervisor should have, object by object.

use crate::contribution::{Object, all_objects, contribution};
use crate::dependencies::touched;
use crate::difference::Difference;
use crate::flow::{Cookie, CookieHasher, Flow};
use crate::view::View;
use sextant_model::{Advertisement, ChassisId, Facts, Intent, NetworkKey, PortId, Punt};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::BuildHasherDefault;
use std::sync::Arc;

/// A network with guests here on which a router advertises.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The network's number.
    pub network: NetworkKey,
    /// What the router says.
    pub advertisement: Arc<Advertisement>,
}

/// What one object contributes.
#[derive(Clone, Debug, Default, PartialEq)]
struct Group {
    cookies: Vec<Cookie>,
    meter: Option<u32>,
    link: Option<Link>,
}

/// A flow and how many objects want it.
#[derive(Clone, Debug, PartialEq)]
struct Wanted {
    flow: Arc<Flow>,
    by: usize,
}

/// The flows that one hypervisor should have.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Flows {
    groups: BTreeMap<Object, Group>,
    wanted: BTreeMap<Cookie, Wanted>,
    /// Looked up with each packet that comes up.
    punts: HashMap<Cookie, Punt, BuildHasherDefault<CookieHasher>>,
}

impl Flows {
    /// All flows of a hypervisor.
    pub fn compute(intent: &Intent, facts: &Facts, chassis: &ChassisId) -> Self {
        let view = View {
            intent,
            facts,
            chassis,
        };
        let mut flows = Self::default();
        for object in all_objects(&view) {
            flows.replace(&view, object, &mut Difference::default());
        }
        flows
    }

    /// Brings flows computed of `old` in line with `new`, and returns what that changes. Costs as much as the objects
    /// that the change touches, however large the cloud.
    pub fn update(
        &mut self,
        chassis: &ChassisId,
        old: (&Intent, &Facts),
        new: (&Intent, &Facts),
    ) -> Difference {
        let view = |(intent, facts)| View {
            intent,
            facts,
            chassis,
        };
        let (old, new) = (view(old), view(new));
        let mut difference = Difference::default();
        for object in touched(&old, &new) {
            self.replace(&new, object, &mut difference);
        }
        difference
    }

    /// Every flow, by cookie.
    pub fn iter(&self) -> impl Iterator<Item = (Cookie, &Flow)> {
        self.shared().map(|(cookie, flow)| (cookie, &**flow))
    }

    /// Every flow, by cookie, to be kept elsewhere too.
    pub(crate) fn shared(&self) -> impl Iterator<Item = (Cookie, &Arc<Flow>)> {
        self.wanted
            .iter()
            .map(|(cookie, wanted)| (*cookie, &wanted.flow))
    }

    /// How many flows there are.
    pub fn len(&self) -> usize {
        self.wanted.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.wanted.is_empty()
    }

    /// The flow of a cookie.
    pub fn get(&self, cookie: Cookie) -> Option<&Flow> {
        self.wanted.get(&cookie).map(|wanted| &*wanted.flow)
    }

    /// Why the flow of a cookie sends packets up.
    pub fn punt(&self, cookie: Cookie) -> Option<&Punt> {
        self.punts.get(&cookie)
    }

    /// The meters that flows pass, by number.
    pub fn meters(&self) -> BTreeSet<u32> {
        self.groups
            .values()
            .filter_map(|group| group.meter)
            .collect()
    }

    /// The routers' ports that advertise to guests here.
    pub fn links(&self) -> BTreeMap<PortId, Link> {
        let link = |(object, group): (&Object, &Group)| match object {
            Object::Port(port) => Some((*port, group.link.clone()?)),
            Object::Base
            | Object::Peer(_)
            | Object::Network(_)
            | Object::SharedMac(..)
            | Object::Router(_)
            | Object::Policy(_)
            | Object::Member(_) => None,
        };
        self.groups.iter().filter_map(link).collect()
    }

    fn replace(&mut self, view: &View<'_>, object: Object, difference: &mut Difference) {
        let computed = contribution(view, &object);
        let mut group = Group {
            cookies: vec![],
            meter: computed.meter,
            link: computed.link,
        };
        for flow in computed.flows {
            group.cookies.push(self.want(&flow, difference));
        }
        let empty = group == Group::default();
        let old = if empty {
            self.groups.remove(&object)
        } else {
            self.groups.insert(object, group)
        };
        for cookie in old.unwrap_or_default().cookies {
            self.unwant(cookie, difference);
        }
    }

    /// Keeps a clone: it has no spare room, as a flow in the making has.
    fn want(&mut self, flow: &Flow, difference: &mut Difference) -> Cookie {
        let cookie = flow.cookie();
        if let Some(punt) = &flow.punt {
            self.punts.insert(cookie, punt.clone());
        }
        let flow = Arc::new(flow.clone());
        match self.wanted.get_mut(&cookie) {
            Some(wanted) => {
                wanted.by += 1;
                wanted.flow = flow;
            }
            None => {
                difference.want(cookie, &flow);
                self.wanted.insert(cookie, Wanted { flow, by: 1 });
            }
        }
        cookie
    }

    fn unwant(&mut self, cookie: Cookie, difference: &mut Difference) {
        let Some(wanted) = self.wanted.get_mut(&cookie) else {
            return;
        };
        wanted.by -= 1;
        if wanted.by == 0 {
            difference.unwant(cookie, &wanted.flow);
            self.wanted.remove(&cookie);
            self.punts.remove(&cookie);
        }
    }
}
