//! The flows that one hypervisor should have, object by object.

use crate::advertisement::advertisement;
use crate::dependencies::touched;
use crate::difference::Difference;
use crate::features::neighbor::Owner;
use crate::features::{self, guard, guest, neighbor, punt, routing, switching, tunnel};
use crate::flow::{Cookie, Flow};
use crate::view::{Presence, View};
use sextant_model::{
    Advertisement, ChassisId, Facts, Intent, MacAddr, Network, NetworkId, NetworkKey, Port, PortId,
    Punt, Router,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What flows are computed of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Object {
    /// The flows that are always there.
    Base,
    /// Another hypervisor.
    Peer(ChassisId),
    /// A network.
    Network(NetworkId),
    /// A port, of a guest or of a router.
    Port(PortId),
    /// A MAC that ports of a network may use besides their own.
    SharedMac(NetworkId, MacAddr),
}

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
    flow: Flow,
    by: usize,
}

/// The flows that one hypervisor should have.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Flows {
    groups: BTreeMap<Object, Group>,
    wanted: BTreeMap<Cookie, Wanted>,
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
        self.wanted.get(&cookie).map(|wanted| &wanted.flow)
    }

    /// Why the flow of a cookie sends packets up.
    pub fn punt(&self, cookie: Cookie) -> Option<&Punt> {
        self.get(cookie)?.punt.as_ref()
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
            Object::Base | Object::Peer(_) | Object::Network(_) | Object::SharedMac(..) => None,
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
            group.cookies.push(self.want(flow, difference));
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

    fn want(&mut self, flow: Flow, difference: &mut Difference) -> Cookie {
        let cookie = flow.cookie();
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
        }
    }
}

/// Every object that has flows on a hypervisor.
fn all_objects(view: &View<'_>) -> BTreeSet<Object> {
    let present = view.present();
    let peers = view.facts.chassis().keys().cloned().map(Object::Peer);
    let ports = present
        .keys()
        .flat_map(|network| view.intent.ports_of(*network))
        .flat_map(|port| of_one_port(port));
    [Object::Base]
        .into_iter()
        .chain(peers)
        .chain(present.keys().copied().map(Object::Network))
        .chain(ports)
        .collect()
}

/// A port and the MACs that it may use besides its own.
pub(crate) fn of_one_port(port: &Port) -> impl Iterator<Item = Object> + use<> {
    let network = port.network_id;
    let shared = port.other_macs().into_iter();
    shared
        .map(move |mac| Object::SharedMac(network, mac))
        .chain([Object::Port(port.id)])
}

/// What one object contributes, before cookies are given.
#[derive(Default)]
struct Contribution {
    flows: Vec<Flow>,
    meter: Option<u32>,
    link: Option<Link>,
}

fn contribution(view: &View<'_>, object: &Object) -> Contribution {
    let flows = |flows| Contribution {
        flows,
        ..Contribution::default()
    };
    match object {
        Object::Base => flows(features::base()),
        Object::Peer(peer) => flows(tunnel::classify(view, peer)),
        Object::Network(id) => flows(
            local(view, *id).map_or_else(Vec::new, |network| switching::multicast(view, network)),
        ),
        Object::SharedMac(id, mac) => flows(
            local(view, *id)
                .map_or_else(Vec::new, |network| switching::shared(view, network, *mac)),
        ),
        Object::Port(id) => view
            .intent
            .ports
            .get(id)
            .map(|port| of_port(view, port))
            .unwrap_or_default(),
    }
}

/// A network that has guests here.
fn local<'a>(view: &View<'a>, id: NetworkId) -> Option<&'a Network> {
    let network = view.network(id)?;
    (view.presence(id) == Some(Presence::Local)).then_some(network)
}

fn of_port(view: &View<'_>, port: &Port) -> Contribution {
    let Some((network, presence)) = view
        .network(port.network_id)
        .zip(view.presence(port.network_id))
    else {
        return Contribution::default();
    };
    if let Some(router) = view.router(port) {
        return of_router_port(view, network, presence, router, port);
    }
    if view.binding(port).is_none() {
        return Contribution::default();
    }
    of_guest_port(view, network, presence, port)
}

/// Who is on a network that is only routed to asks nothing here.
fn answers(network: &Network, presence: Presence, port: &Port, owner: Owner) -> Vec<Flow> {
    match presence {
        Presence::Local => neighbor::known(network, port, owner),
        Presence::Routed => vec![],
    }
}

fn of_router_port(
    view: &View<'_>,
    network: &Network,
    presence: Presence,
    router: &Router,
    port: &Port,
) -> Contribution {
    let mut flows = routing::interface(view, network, router, port);
    flows.extend(answers(network, presence, port, Owner::Router));
    let heard = advertisement(view, network, port).filter(|_| presence == Presence::Local);
    let link = heard.map(|advertisement| Link {
        network: network.key,
        advertisement,
    });
    Contribution {
        flows,
        meter: None,
        link,
    }
}

fn of_guest_port(
    view: &View<'_>,
    network: &Network,
    presence: Presence,
    port: &Port,
) -> Contribution {
    let mut flows = answers(network, presence, port, Owner::Guest);
    flows.extend(routing::next_hop(network, port));
    flows.extend(switching::unicast(view, network, port));
    let ofport = view.local_ofport(port);
    if let Some(ofport) = ofport {
        flows.push(guest::classify(network, ofport));
        flows.extend(guard::port(port, ofport));
        flows.extend(punt::port(view, network, port, ofport));
        flows.extend(neighbor::own(port, ofport));
    }
    Contribution {
        flows,
        meter: ofport.map(u32::from),
        link: None,
    }
}
