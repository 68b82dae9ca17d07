//! Tells guests where a router's address is that has moved to another MAC (RFC 4861 §7.2.6, RFC 5227 §3): they would send to
//! the old one until they miss its answers.
//!
//! What is told was seen to move: a router that comes to a hypervisor, or a hypervisor that comes back, is no news to guests.

use super::advertising::to_members;
use bytes::Bytes;
use rust_openflow::Message;
use sextant_flows::Interface;
use sextant_model::{MacAddr, NetworkKey};
use sextant_responders::neighbor::announce;
use sextant_responders::repetition::Repetition;
use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::time::Instant;

/// So many addresses are remembered that no router here has any more: guests may still send to where they were.
const MOST_REMEMBERED: usize = 1024;

/// An address on a network.
pub(super) type AddressOfNetwork = (NetworkKey, IpAddr);

/// Where routers' addresses are on the networks of one hypervisor.
#[derive(Debug, Default)]
pub(super) struct Announcing {
    known: BTreeMap<AddressOfNetwork, MacAddr>,
    /// Those that went, the latest last.
    gone: VecDeque<(AddressOfNetwork, MacAddr)>,
    /// What moved, and waits for its flows.
    waiting: BTreeMap<AddressOfNetwork, MacAddr>,
    moved: BTreeMap<AddressOfNetwork, (MacAddr, Repetition)>,
}

impl Announcing {
    /// Of a hypervisor whose guests were told that routers' addresses are here.
    pub(super) fn following(told: BTreeMap<AddressOfNetwork, MacAddr>) -> Self {
        Self {
            known: told,
            ..Self::default()
        }
    }

    /// Where routers' addresses are.
    pub(super) fn known(&self) -> &BTreeMap<AddressOfNetwork, MacAddr> {
        &self.known
    }

    /// Takes in which routers' ports there are.
    pub(super) fn update<'a>(&mut self, interfaces: impl Iterator<Item = &'a Interface>) {
        let places = interfaces.flat_map(|interface| {
            let addresses = interface.addresses.iter();
            addresses.map(|address| ((interface.network, *address), interface.mac))
        });
        let places: BTreeMap<AddressOfNetwork, MacAddr> = places.collect();
        if places == self.known {
            return;
        }
        for (place, mac) in &places {
            if self.was_at(*place).is_some_and(|before| before != *mac) {
                self.waiting.insert(*place, *mac);
            }
        }
        let before = std::mem::replace(&mut self.known, places);
        let known = &self.known;
        self.gone.retain(|(place, _)| !known.contains_key(place));
        let left = before.into_iter();
        let left = left.filter(|(place, _)| !known.contains_key(place));
        self.gone.extend(left);
        let too_many = self.gone.len().saturating_sub(MOST_REMEMBERED);
        self.gone.drain(..too_many);
        self.waiting
            .retain(|place, mac| known.get(place) == Some(mac));
        self.moved
            .retain(|place, (mac, _)| known.get(place) == Some(mac));
    }

    fn was_at(&self, place: AddressOfNetwork) -> Option<MacAddr> {
        let known = self.known.get(&place).copied();
        known.or_else(|| {
            let mut gone = self.gone.iter();
            gone.find_map(|(before, mac)| (*before == place).then_some(*mac))
        })
    }

    /// The flows are there: what moved is told.
    pub(super) fn begin(&mut self, now: Instant) {
        for (place, mac) in std::mem::take(&mut self.waiting) {
            self.moved
                .insert(place, (mac, Repetition::announcement(now)));
        }
    }

    /// The announcements that are due.
    pub(super) fn due(&mut self, now: Instant) -> Vec<Message> {
        let mut messages = vec![];
        for ((network, address), (mac, repetition)) in &mut self.moved {
            if repetition.poll(now) {
                let frame = Bytes::from(announce(*mac, *address));
                messages.push(to_members(*network, frame));
            }
        }
        self.moved
            .retain(|_, (_, repetition)| repetition.next_event().is_some());
        messages
    }

    /// When [`Announcing::due`] has something to send.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let moved = self.moved.values();
        moved
            .filter_map(|(_, repetition)| repetition.next_event())
            .min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const ONE: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);
    const TWO: MacAddr = MacAddr([2, 0, 0, 0, 0, 2]);

    fn interface(network: u32, mac: MacAddr, addresses: &[&str]) -> Interface {
        Interface {
            network: NetworkKey(network),
            mac,
            addresses: addresses.iter().map(|of| of.parse().unwrap()).collect(),
        }
    }

    /// The frames that are sent until nothing is due any more, and after how many seconds each.
    fn told(announcing: &mut Announcing, begun: Instant) -> Vec<(u64, Bytes)> {
        announcing.begin(begun);
        let mut told = vec![];
        while let Some(now) = announcing.deadline() {
            for message in announcing.due(now) {
                let Message::PacketOut(out) = message else {
                    panic!("{message:?}")
                };
                told.push(((now - begun).as_secs(), out.data));
            }
        }
        told
    }

    #[test]
    fn what_moved_is_told_three_times_in_both_families_and_what_comes_is_not() {
        let now = Instant::now();
        let mut announcing = Announcing::default();
        let (v6, v4) = ("2001:db8:a::1", "10.0.0.1");
        announcing.update([interface(1, ONE, &[v6, v4])].iter());
        assert_eq!(told(&mut announcing, now), []);

        announcing.update([interface(1, TWO, &[v6, v4])].iter());
        assert_eq!(announcing.deadline(), None, "not before its flows");
        let frame = |address: &str| Bytes::from(announce(TWO, address.parse().unwrap()));
        let both = |second| [(second, frame(v4)), (second, frame(v6))];
        assert_eq!(
            told(&mut announcing, now),
            [0, 1, 2].map(both).concat(),
            "RFC 4861 §10: MAX_NEIGHBOR_ADVERTISEMENT"
        );
        announcing.update([interface(1, TWO, &[v6, v4]), interface(2, ONE, &[v6])].iter());
        assert_eq!(told(&mut announcing, now), [], "another network");
    }

    #[test]
    fn an_address_that_was_nobodys_meanwhile_has_moved_all_the_same() {
        let now = Instant::now();
        let mut announcing = Announcing::default();
        announcing.update([interface(1, ONE, &["10.0.0.1"])].iter());
        announcing.update([].iter());
        announcing.update([interface(1, ONE, &["10.0.0.1"])].iter());
        assert_eq!(told(&mut announcing, now), [], "it is back");
        announcing.update([].iter());
        announcing.update([interface(1, TWO, &["10.0.0.1"])].iter());
        assert_eq!(told(&mut announcing, now).len(), 3);
    }

    #[test]
    fn what_moves_on_is_told_of_where_it_is_and_what_went_is_not() {
        let now = Instant::now();
        let mut announcing = Announcing::default();
        announcing.update([interface(1, ONE, &["10.0.0.1"])].iter());
        announcing.update([interface(1, TWO, &["10.0.0.1"])].iter());
        announcing.begin(now);
        assert_eq!(announcing.due(now).len(), 1);
        announcing.update([].iter());
        assert_eq!(announcing.due(now + Duration::from_secs(1)), []);
        assert_eq!(announcing.deadline(), None);
    }

    #[test]
    fn not_everything_is_remembered() {
        let mut announcing = Announcing::default();
        for network in 0..3000 {
            announcing.update([interface(network, ONE, &["10.0.0.1"])].iter());
        }
        assert_eq!(announcing.gone.len(), MOST_REMEMBERED);
    }
}
