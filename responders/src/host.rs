//! What routers do on links of their own accord: they advertise themselves to guests, and are hosts of the networks outside.
//! Beside them, who of the guests has which address out of the pairs of ports.
//!
//! [`Host`] is all that of one hypervisor, without a socket, a clock or randomness. Its owner hands in what happens with
//! `handle_*`, and takes out what follows: [`poll_frame`](Host::poll_frame) gives the frames to send,
//! [`poll_event`](Host::poll_event) what the owner is to know, [`poll_timeout`](Host::poll_timeout) the time at which to call
//! [`handle_timeout`](Host::handle_timeout). Its parts, and the smaller machines in these, have methods of the same names.

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
use sextant_model::{
    AdvertisedLink, ChassisId, Facts, Intent, MacAddr, NetworkId, PortId, RaSettings, Uplink,
};
use std::collections::BTreeMap;
use std::time::Instant;

/// Routers' ports on networks with guests here: what guests have learned of them, or are about to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RouterPorts {
    /// What they advertise.
    pub links: BTreeMap<PortId, AdvertisedLink>,
    /// At which MAC their addresses are.
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
}

impl Host {
    /// A hypervisor whose guests know these routers' ports from before.
    pub fn new(chassis: ChassisId, known: RouterPorts, now: Time) -> Self {
        Self {
            advertising: Advertising::new(known.links, now),
            announcing: Announcing::new(known.places),
            uplinks: Uplinks::new(chassis.clone()),
            prefix_clients: PrefixClients::new(chassis.clone(), now),
            held: HeldAddresses::new(chassis),
        }
    }

    /// Takes in which routers' ports there will be, before the switch loses the flows of those that go: these say so
    /// while they can be heard.
    pub fn handle_planned(&mut self, ports: &RouterPorts, now: Time) {
        self.announcing.handle_planned(&ports.places);
        self.advertising.handle_planned(&ports.links, now);
    }

    /// Takes in what routers advertise, once the switch has the flows that carry it.
    pub fn handle_links(
        &mut self,
        links: BTreeMap<PortId, AdvertisedLink>,
        settings: RaSettings,
        now: Time,
        random: &mut dyn FnMut() -> u64,
    ) {
        self.advertising.handle_links(links, settings, now, random);
    }

    /// Takes in which external networks are reached from here, once the switch has the flows that bring up the answers.
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

    /// The switch has the flows for all that was handed in: what waited for them is announced.
    pub fn handle_confirmed(&mut self, now: Time) {
        self.announcing.handle_confirmed(now.instant);
        self.uplinks.handle_confirmed(now.instant);
    }

    /// Takes in what a packet showed.
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
    }

    /// Compares what was learned with what the owner knows: what that lacks comes out as events.
    pub fn handle_snapshot(&mut self, intent: &Intent, facts: &Facts, now: Time) {
        self.uplinks.handle_facts(facts, now.instant);
        self.prefix_clients.handle_snapshot(intent, facts, now);
    }

    /// Compares what guests have announced since the last call with what the owner knows. That costs nothing where they have
    /// not, and little where they announce without end.
    pub fn handle_announced(&mut self, intent: &Intent, facts: &Facts, now: Time) {
        self.held.handle_snapshot(intent, facts, now.instant);
    }

    /// Forgets who has which MAC outside, and asks anew.
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
    }

    /// When to call [`handle_timeout`](Self::handle_timeout).
    pub fn poll_timeout(&self) -> Option<Instant> {
        let advertising = self.advertising.poll_timeout().into_iter();
        advertising
            .chain(self.announcing.poll_timeout())
            .chain(self.uplinks.poll_timeout())
            .chain(self.prefix_clients.poll_timeout())
            .min()
    }

    /// Whether something has happened since facts were compared that they may lack.
    pub fn has_changed(&self) -> bool {
        self.uplinks.has_changed() || self.prefix_clients.has_changed()
    }

    /// What it does on external networks.
    pub fn uplinks(&self) -> &Uplinks {
        &self.uplinks
    }

    /// What it asks for prefixes.
    pub fn prefix_clients(&self) -> &PrefixClients {
        &self.prefix_clients
    }
}
