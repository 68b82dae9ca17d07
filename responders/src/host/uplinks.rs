//! The external networks of a hypervisor. It hears which routers are there, keeps next hops resolved, and announces the
//! addresses that are here.
//!
//! What it learns comes out as events, and is in the owner's next facts. It compares itself with these. What they lack,
//! for any reason, comes out again.

mod link;

pub use link::Disbelief;

use super::{HostEvent, OutgoingFrame};
use crate::Learned;
use crate::neighbor::Neighbor;
use link::Link;
use sextant_model::{ChassisId, Facts, NetworkId, Outside, Uplink};
use std::collections::{BTreeMap, VecDeque};
use std::net::Ipv6Addr;
use std::sync::Arc;
use std::time::Instant;

/// The external networks that routers use by a bridge of one hypervisor.
#[derive(Debug)]
pub struct Uplinks {
    chassis: ChassisId,
    /// `None` until the current uplinks are known.
    links: Option<BTreeMap<NetworkId, Link>>,
    /// Whether something has happened that facts may lack.
    changed: bool,
    events: VecDeque<HostEvent>,
}

impl Uplinks {
    /// A hypervisor whose uplinks are not known yet.
    #[must_use]
    pub fn new(chassis: ChassisId) -> Self {
        Self {
            chassis,
            links: None,
            changed: false,
            events: VecDeque::new(),
        }
    }

    /// Takes the current uplinks. A new one starts with what this or another hypervisor knew of it, until that proves
    /// wrong.
    pub fn handle_uplinks(
        &mut self,
        uplinks: BTreeMap<NetworkId, Uplink>,
        facts: &Facts,
        now: Instant,
        random: &mut dyn FnMut() -> u64,
    ) {
        self.changed = true;
        let links = self.links.get_or_insert_default();
        links.retain(|network, _| uplinks.contains_key(network));
        for (network, uplink) in uplinks {
            links
                .entry(network)
                .or_insert_with(|| remembered(&self.chassis, network, facts, now))
                .handle_uplink(uplink, now, random);
        }
    }

    /// The switch has the flows for the uplinks: new speakers announce themselves.
    pub fn handle_confirmed(&mut self, now: Instant) {
        self.links_mut().for_each(|link| link.handle_confirmed(now));
    }

    /// Takes a fact that a packet showed. Facts about guests are ignored.
    pub fn handle_learned(
        &mut self,
        learned: &Learned,
        now: Instant,
        random: &mut dyn FnMut() -> u64,
    ) {
        let (Learned::Router { network, .. }
        | Learned::Neighbor(network, _)
        | Learned::Sought(network, _)) = learned
        else {
            return;
        };
        let links = self.links.as_mut();
        let Some(link) = links.and_then(|links| links.get_mut(network)) else {
            return;
        };
        self.changed = true;
        if let Err(disbelief) = learn(link, learned, now, random) {
            self.events.push_back(HostEvent::Disbelieved(disbelief));
        }
    }

    /// Forgets the MACs of neighbours, and asks again.
    pub fn flush(&mut self, now: Instant, random: &mut dyn FnMut() -> u64) {
        self.links_mut().for_each(|link| link.flush(now, random));
        self.changed = true;
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Instant, random: &mut dyn FnMut() -> u64) {
        if self.poll_timeout().is_none_or(|due| now < due) {
            return;
        }
        self.changed = true;
        self.links_mut()
            .for_each(|link| link.handle_timeout(now, random));
    }

    /// Compares what was learned with the owner's facts. What these lack comes out as events.
    pub fn handle_facts(&mut self, facts: &Facts, now: Instant) {
        self.changed = false;
        let known = facts.chassis().get(&self.chassis);
        // Facts keep nothing of a hypervisor whose database is not read yet.
        let is_kept = known.is_some_and(|known| known.observed);
        if !is_kept {
            return;
        }
        let Some(links) = &mut self.links else {
            return;
        };
        let of_it = (self.chassis.clone(), NetworkId::MIN)..=(self.chassis.clone(), NetworkId::MAX);
        for ((_, network), _) in facts.outside().range(of_it) {
            if !links.contains_key(network) {
                self.events.push_back(HostEvent::Outside(*network, None));
            }
        }
        for (network, link) in links {
            let known = facts.outside().get(&(self.chassis.clone(), *network));
            if let Some(outside) = link.report(known.map(Arc::as_ref), now) {
                let event = HostEvent::Outside(*network, Some(outside));
                self.events.push_back(event);
            }
        }
    }

    /// Whether something has happened since the last comparison that facts may lack.
    #[must_use]
    pub fn has_changed(&self) -> bool {
        self.changed
    }

    /// The next frame to send.
    pub fn poll_frame(&mut self) -> Option<OutgoingFrame> {
        self.links_mut().find_map(Link::poll_frame)
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<HostEvent> {
        self.events.pop_front()
    }

    /// When something is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let links = self.links.iter().flat_map(BTreeMap::values);
        links.filter_map(Link::poll_timeout).min()
    }

    /// The next hops on each network.
    pub fn neighbors(&self) -> impl Iterator<Item = (NetworkId, impl Iterator<Item = &Neighbor>)> {
        let links = self.links.iter().flatten();
        links.map(|(network, link)| (*network, link.neighbors()))
    }

    /// The default router of a network.
    #[must_use]
    pub fn default_router(&self, network: NetworkId) -> Option<Ipv6Addr> {
        self.links.as_ref()?.get(&network)?.default_router()
    }

    fn links_mut(&mut self) -> impl Iterator<Item = &mut Link> {
        self.links.iter_mut().flat_map(BTreeMap::values_mut)
    }
}

fn learn(
    link: &mut Link,
    learned: &Learned,
    now: Instant,
    random: &mut dyn FnMut() -> u64,
) -> Result<(), Disbelief> {
    match learned {
        Learned::Router {
            from,
            advertisement,
            ..
        } => link.handle_advertisement(*from, advertisement, now, random),
        Learned::Neighbor(_, heard) => link.handle_neighbor(heard, now, random),
        Learned::Sought(_, address) => {
            link.handle_sought(*address, now, random);
            Ok(())
        }
        Learned::PrefixClientMessage(..)
        | Learned::Declined { .. }
        | Learned::Released { .. }
        | Learned::Appeared(_)
        | Learned::Probe(_)
        | Learned::Announced { .. } => Ok(()),
    }
}

/// A link with what this hypervisor, or else another one, knew of it.
fn remembered(chassis: &ChassisId, network: NetworkId, facts: &Facts, now: Instant) -> Link {
    let own = facts.outside().get(&(chassis.clone(), network));
    let known = own.or_else(|| known_by_most(network, facts));
    Link::new(known.map(Arc::as_ref), now)
}

/// What is known of a network on the hypervisor that knows most of it.
fn known_by_most(network: NetworkId, facts: &Facts) -> Option<&Arc<Outside>> {
    let all = facts.outside().iter();
    let of_network = all.filter(|((_, of), _)| *of == network);
    of_network
        .map(|(_, outside)| outside)
        .max_by_key(|outside| (outside.default_router, outside.neighbors.len()))
}
