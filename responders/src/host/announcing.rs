//! Announces to guests that a router's address moved to another MAC (RFC 4861 §7.2.6, RFC 5227 §3). Otherwise they
//! would send to the old MAC until its answers are missing.
//!
//! Only a move that was seen is announced. A router that comes to a hypervisor, or a hypervisor that comes back,
//! changes nothing for guests.

use super::{FrameKind, OutgoingFrame, Way};
use crate::neighbor::announce;
use crate::repetition::Repetition;
use sextant_model::{MacAddr, NetworkKey};
use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::time::Instant;

/// How many addresses are remembered that no router here has any more. Guests may still send to their old MACs.
const MOST_REMEMBERED: usize = 1024;

/// An address on a network.
pub type AddressOnNetwork = (NetworkKey, IpAddr);

/// The MACs of routers' addresses on the networks of one hypervisor.
#[derive(Debug, Default)]
pub struct Announcing {
    known: BTreeMap<AddressOnNetwork, MacAddr>,
    /// Addresses that went, the latest last.
    gone: VecDeque<(AddressOnNetwork, MacAddr)>,
    /// Addresses that moved and wait for their flows.
    waiting: BTreeMap<AddressOnNetwork, MacAddr>,
    moved: BTreeMap<AddressOnNetwork, (MacAddr, Repetition)>,
    frames: VecDeque<OutgoingFrame>,
}

impl Announcing {
    /// A hypervisor whose guests know these addresses.
    #[must_use]
    pub fn new(known: BTreeMap<AddressOnNetwork, MacAddr>) -> Self {
        Self {
            known,
            ..Self::default()
        }
    }

    /// Takes the addresses that routers will have.
    pub fn handle_planned(&mut self, places: &BTreeMap<AddressOnNetwork, MacAddr>) {
        if *places == self.known {
            return;
        }
        // Before `known` is replaced: a move is a difference to where guests knew the address.
        for (place, mac) in places {
            if self.was_at(*place).is_some_and(|before| before != *mac) {
                self.waiting.insert(*place, *mac);
            }
        }
        let before = std::mem::replace(&mut self.known, places.clone());
        let known = &self.known;
        self.gone.retain(|(place, _)| !known.contains_key(place));
        let left = before.into_iter();
        let left = left.filter(|(place, _)| !known.contains_key(place));
        self.gone.extend(left);
        let too_many = self.gone.len().saturating_sub(MOST_REMEMBERED);
        self.gone.drain(..too_many);
        // An address that moved once more is announced only at its latest MAC.
        self.waiting
            .retain(|place, mac| known.get(place) == Some(mac));
        self.moved
            .retain(|place, (mac, _)| known.get(place) == Some(mac));
    }

    fn was_at(&self, place: AddressOnNetwork) -> Option<MacAddr> {
        let known = self.known.get(&place).copied();
        known.or_else(|| {
            let mut gone = self.gone.iter();
            gone.find_map(|(before, mac)| (*before == place).then_some(*mac))
        })
    }

    /// The switch has the flows: moves are announced.
    pub fn handle_confirmed(&mut self, now: Instant) {
        for (place, mac) in std::mem::take(&mut self.waiting) {
            self.moved
                .insert(place, (mac, Repetition::announcement(now)));
        }
    }

    /// Sends the announcements that are due.
    pub fn handle_timeout(&mut self, now: Instant) {
        for ((network, address), (mac, repetition)) in &mut self.moved {
            if repetition.handle_timeout(now) {
                self.frames.push_back(OutgoingFrame {
                    way: Way::Guests(*network),
                    kind: FrameKind::Announcement,
                    octets: announce(*mac, *address),
                });
            }
        }
        self.moved
            .retain(|_, (_, repetition)| repetition.poll_timeout().is_some());
    }

    /// The next announcement to send.
    pub fn poll_frame(&mut self) -> Option<OutgoingFrame> {
        self.frames.pop_front()
    }

    /// When the next announcement is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let moved = self.moved.values();
        moved
            .filter_map(|(_, repetition)| repetition.poll_timeout())
            .min()
    }
}
