//! The next hops of one gateway port.

use super::{Change, HeardNeighbor, Neighbor, Target, Timing};
use sextant_model::MacAddr;
use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::time::Instant;

/// The next hops of one gateway port, kept resolved as long as they are wanted.
///
/// Sans-IO: the owner says which next hops are wanted, and hands in what it hears on the link. At
/// [`poll_timeout`](Self::poll_timeout) it calls [`handle_timeout`](Self::handle_timeout), and sends the frames that
/// are due from the gateway port. Changes for the owner come out as [`Change`]s. Nothing heard adds an entry: the cache
/// is as large as what is wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NeighborCache {
    timing: Timing,
    neighbors: BTreeMap<IpAddr, Neighbor>,
    frames: VecDeque<Vec<u8>>,
    changes: VecDeque<Change>,
}

impl NeighborCache {
    /// An empty cache. A timing out of bounds is moved to the nearest bound.
    #[must_use]
    pub fn new(timing: Timing) -> Self {
        Self {
            timing: timing.bounded(),
            ..Self::default()
        }
    }

    /// Resolves a next hop from now on. Its first solicitation is due at once. A next hop that is already wanted keeps
    /// what is known, and is asked from the new source.
    ///
    /// `remembered` is a MAC known from elsewhere, such as an earlier run or another hypervisor. It is used until it
    /// proves wrong. `random` spreads the solicitations of several next hops; any `u32` will do.
    pub fn want(&mut self, target: Target, remembered: Option<MacAddr>, now: Instant, random: u32) {
        let reachable = self.timing.draw_reachable(random);
        self.neighbors
            .entry(target.ends.next_hop())
            .and_modify(|neighbor| neighbor.set_target(target))
            .or_insert_with(|| Neighbor::new(now, target, remembered, reachable));
    }

    /// Forgets a next hop. Returns whether it was wanted.
    pub fn unwant(&mut self, next_hop: IpAddr) -> bool {
        self.neighbors.remove(&next_hop).is_some()
    }

    /// Takes what was heard. Addresses that are not wanted are ignored.
    pub fn handle_message(&mut self, heard: &HeardNeighbor, now: Instant) {
        if let Some(neighbor) = self.neighbors.get_mut(&heard.address) {
            let ((), change) = neighbor.observe(|neighbor| neighbor.hear(now, heard));
            self.changes.extend(change);
        }
    }

    /// Time has passed: asks for each next hop that is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        for neighbor in self.neighbors.values_mut() {
            let (frame, change) =
                neighbor.observe(|neighbor| neighbor.handle_timeout(now, &self.timing));
            self.frames.extend(frame);
            self.changes.extend(change);
        }
    }

    /// Forgets what was learned of every next hop, and asks again.
    pub fn flush(&mut self, now: Instant) {
        for neighbor in self.neighbors.values_mut() {
            let ((), change) = neighbor.observe(|neighbor| neighbor.forget(now));
            self.changes.extend(change);
        }
    }

    /// The next Ethernet frame to send from the gateway port.
    pub fn poll_frame(&mut self) -> Option<Vec<u8>> {
        self.frames.pop_front()
    }

    /// The next change.
    pub fn poll_event(&mut self) -> Option<Change> {
        self.changes.pop_front()
    }

    /// When something is due next.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.neighbors.values().map(Neighbor::due).min()
    }

    /// What is known of a next hop.
    #[must_use]
    pub fn get(&self, next_hop: IpAddr) -> Option<&Neighbor> {
        self.neighbors.get(&next_hop)
    }

    /// What is known of each, by address.
    pub fn iter(&self) -> impl Iterator<Item = &Neighbor> {
        self.neighbors.values()
    }
}
