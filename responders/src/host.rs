//! What routers do on links of their own accord: they advertise to guests, and act as hosts on external networks. Beside
//! them, which guest holds an address out of the allowed address pairs of ports.
//!
//! [`Host`] does all that for one hypervisor, without a socket, a clock or randomness. Its owner hands in what happens
//! with `handle_*`, and takes the results. [`poll_frame`](Host::poll_frame) gives the frames to send,
//! [`poll_event`](Host::poll_event) the events for the owner. [`poll_timeout`](Host::poll_timeout) gives the time at
//! which to call [`handle_timeout`](Host::handle_timeout). Its parts, and the smaller machines in them, have methods of
//! the same names.

mod advertising;
mod announcing;
mod held;
mod output;
mod prefix_clients;
mod time;
mod uplinks;

pub use advertising::Advertising;
pub use announcing::{AddressOnNetwork, Announcing};
pub use held::HeldAddresses;
pub use output::{FrameKind, HostEvent, OutgoingFrame, Way};
pub use prefix_clients::PrefixClients;
pub use time::Time;
pub use uplinks::{Disbelief, Uplinks};

use crate::Learned;
use sextant_model::{AdvertisedLink, ChassisId, Facts, Intent, MacAddr, NetworkId, PortId, Uplink};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

/// Routers' ports on networks with guests here, as guests know them or are about to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RouterPorts {
    /// What they advertise.
    pub links: BTreeMap<PortId, AdvertisedLink>,
    /// The MACs of their addresses.
    pub places: BTreeMap<AddressOnNetwork, MacAddr>,
}

/// All protocols that run by themselves on one hypervisor.
#[derive(Debug)]
pub struct Host {
    advertising: Advertising,
    announcing: Announcing,
    uplinks: Uplinks,
    prefix_clients: PrefixClients,
    held: HeldAddresses,
    /// The ports of guests that were expected and have sent.
    appeared: BTreeSet<PortId>,
}

impl Host {
    /// A hypervisor whose guests already know these routers' ports.
    #[must_use]
    pub fn new(chassis: ChassisId, known: RouterPorts, now: Time) -> Self {
        Self {
            advertising: Advertising::new(known.links, now),
            announcing: Announcing::new(known.places),
            uplinks: Uplinks::new(chassis.clone()),
            prefix_clients: PrefixClients::new(chassis.clone(), now),
            held: HeldAddresses::new(chassis),
            appeared: BTreeSet::new(),
        }
    }

    /// Takes the routers' ports that will be here. Call it before the switch loses the flows of those that go, so that
    /// guests can hear their farewell.
    pub fn handle_planned(&mut self, ports: &RouterPorts, now: Time) {
        self.announcing.handle_planned(&ports.places);
        self.advertising.handle_planned(&ports.links, now);
    }

    /// Takes what routers advertise. Call it once the switch has the flows that carry it.
    pub fn handle_links(
        &mut self,
        links: BTreeMap<PortId, AdvertisedLink>,
        now: Time,
        random: &mut dyn FnMut() -> u64,
    ) {
        self.advertising.handle_links(links, now, random);
    }

    /// Takes the external networks reached from here. Call it once the switch has the flows that bring the answers up.
    pub fn handle_uplinks(
        &mut self,
        uplinks: BTreeMap<NetworkId, Uplink>,
        (intent, facts): (&Intent, &Facts),
        now: Time,
        random: &mut dyn FnMut() -> u64,
    ) {
        let known = (intent, facts);
        self.prefix_clients
            .handle_uplinks(&uplinks, known, now.instant, random);
        self.uplinks
            .handle_uplinks(uplinks, facts, now.instant, random);
    }

    /// The switch has the flows for everything that was handed in. Announcements that waited for this go out.
    pub fn handle_confirmed(&mut self, now: Time) {
        self.announcing.handle_confirmed(now.instant);
        self.uplinks.handle_confirmed(now.instant);
    }

    /// Takes a fact that a packet showed.
    pub fn handle_learned(
        &mut self,
        learned: &Learned,
        now: Time,
        random: &mut dyn FnMut() -> u64,
    ) {
        self.uplinks.handle_learned(learned, now.instant, random);
        self.prefix_clients
            .handle_learned(learned, now.instant, random);
        self.held.handle_learned(learned);
        if let Learned::Appeared(port) = learned {
            self.appeared.insert(*port);
        }
    }

    /// Compares what was learned with the owner's facts. What these lack comes out as events.
    pub fn handle_snapshot(&mut self, intent: &Intent, facts: &Facts, now: Time) {
        self.uplinks.handle_facts(facts, now.instant);
        self.prefix_clients.handle_snapshot(intent, facts, now);
    }

    /// Compares what guests have announced since the last call with what the owner knows. That costs nothing where they have
    /// not, and little where they announce without end.
    pub fn handle_announced(&mut self, intent: &Intent, facts: &Facts, now: Time) {
        self.held.handle_snapshot(intent, facts, now.instant);
    }

    /// Forgets the MACs of neighbours outside, and asks again.
    pub fn flush(&mut self, now: Time, random: &mut dyn FnMut() -> u64) {
        self.uplinks.flush(now.instant, random);
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Time, random: &mut dyn FnMut() -> u64) {
        self.advertising.handle_timeout(now, random);
        self.announcing.handle_timeout(now.instant);
        self.uplinks.handle_timeout(now.instant, random);
        self.prefix_clients.handle_timeout(now.instant, random);
    }

    /// The next frame to send.
    pub fn poll_frame(&mut self) -> Option<OutgoingFrame> {
        let advertised = self.advertising.poll_frame();
        advertised
            .or_else(|| self.announcing.poll_frame())
            .or_else(|| self.uplinks.poll_frame())
            .or_else(|| self.prefix_clients.poll_frame())
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<HostEvent> {
        let outside = self.uplinks.poll_event();
        outside
            .or_else(|| self.prefix_clients.poll_event())
            .or_else(|| self.held.poll_event())
            .or_else(|| self.appeared.pop_first().map(HostEvent::Appeared))
    }

    /// When to call [`handle_timeout`](Self::handle_timeout).
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let advertising = self.advertising.poll_timeout().into_iter();
        advertising
            .chain(self.announcing.poll_timeout())
            .chain(self.uplinks.poll_timeout())
            .chain(self.prefix_clients.poll_timeout())
            .chain(self.held.poll_timeout())
            .min()
    }

    /// Whether something has happened since the last comparison that facts may lack.
    #[must_use]
    pub fn has_changed(&self, now: Time) -> bool {
        self.uplinks.has_changed() || self.prefix_clients.has_changed(now)
    }

    /// Whether it gives back prefixes. Any snapshot may show that somebody wants them again.
    #[must_use]
    pub fn is_giving_back(&self) -> bool {
        self.prefix_clients.is_giving_back()
    }

    /// Its part on external networks.
    #[must_use]
    pub fn uplinks(&self) -> &Uplinks {
        &self.uplinks
    }

    /// Its clients for delegated prefixes.
    #[must_use]
    pub fn prefix_clients(&self) -> &PrefixClients {
        &self.prefix_clients
    }
}
