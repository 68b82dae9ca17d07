//! What holds whatever is heard on a link outside, and whenever: shared by the property test, the fuzz target and the
//! replay of its corpus.

use super::link::*;
use super::property::honest;
use sextant_responders::default_routers::{DefaultRouters, MAX_ROUTERS, Reachability};
use sextant_responders::frame::{Icmpv6Message, Ipv6Packet};
use sextant_responders::neighbor::{HeardNeighbor, NeighborCache, NeighborState, Timing};
use sextant_responders::ra::HeardAdvertisement;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// A gateway port with a next hop of each family, and the routers that it hears.
pub struct Neighborhood {
    cache: NeighborCache,
    routers: DefaultRouters,
    now: Instant,
    /// When each next hop was asked last.
    asked: BTreeMap<IpAddr, Instant>,
}

impl Neighborhood {
    pub fn new() -> Self {
        let mut cache = NeighborCache::new(Timing::default());
        cache.want(target(), None, *START, 7);
        cache.want(target4(), None, *START, u32::MAX);
        Self {
            cache,
            routers: DefaultRouters::default(),
            now: *START,
            asked: BTreeMap::new(),
        }
    }

    /// Time passes, and what was due is done as late as that.
    pub fn pass(&mut self, time: Duration) {
        self.now += time;
        let before = self.cache.clone();
        let due = due(&mut self.cache, self.now);
        for frame in &due.frames {
            self.asks(frame);
        }
        let next = self.cache.poll_timeout().expect("next hops are wanted");
        assert!(next > self.now, "polling makes progress");
        for change in due.changes {
            let known = before.get(change.address).unwrap();
            let ceased = (known.router(), change.router) == (Some(true), Some(false));
            match change.state {
                NeighborState::Unreachable => {}
                // An answer from elsewhere has waited for the one that is known to answer as well.
                NeighborState::Reachable => {
                    assert!(known.answers() && (change.mac != known.mac() || ceased));
                }
                _ => panic!("time brings nothing else: {change:?}"),
            }
        }
        self.routers.handle_timeout(self.now);
        assert!(
            self.routers
                .poll_timeout()
                .is_none_or(|next| next > self.now)
        );
    }

    /// A frame is a solicitation of a next hop, and its distance from the one before is kept.
    fn asks(&mut self, frame: &[u8]) {
        let next_hop = match Ipv6Packet::parse(frame) {
            Ok(packet) => {
                let message = Icmpv6Message::parse(&packet).unwrap();
                assert_eq!((message.kind, packet.hop_limit), (135, 255));
                assert_eq!(packet.source, gateway());
                ip(NEXT_HOP)
            }
            Err(_) => {
                assert_eq!(*frame, arp_request(frame));
                ip(NEXT_HOP4)
            }
        };
        let last = self.asked.insert(next_hop, self.now);
        let second = Duration::from_secs(1);
        assert!(last.is_none_or(|last| self.now - last >= second));
    }

    /// A frame is heard: it concerns no one but the next hop that it is about, and nothing grows.
    pub fn hear(&mut self, frame: &[u8]) {
        if let Ok(heard) = HeardNeighbor::parse(frame) {
            assert!(heard.mac.is_none_or(|mac| !mac.is_multicast()));
            self.cache.handle_message(&heard, self.now);
            let change = self.cache.poll_event();
            assert!(change.is_none_or(|change| change.address == heard.address));
        }
        if let Ok(advertisement) = HeardAdvertisement::parse(frame) {
            assert!(HeardNeighbor::parse(frame).is_ok(), "both read it");
            let known = Reachability::default();
            self.routers
                .handle_advertisement(&advertisement, known, self.now);
        }
        assert_eq!(self.cache.iter().count(), 2);
        assert!(self.routers.iter().count() <= MAX_ROUTERS);
        self.the_best_is_best();
        for neighbor in self.cache.iter() {
            let resolved = neighbor.mac().is_some();
            match neighbor.state() {
                NeighborState::Incomplete => assert!(!resolved),
                NeighborState::Reachable | NeighborState::Stale | NeighborState::Probe => {
                    assert!(resolved)
                }
                NeighborState::Unreachable => {}
            }
        }
    }

    pub fn mark(&mut self, router: usize, reachability: Reachability) {
        let router = self.routers.iter().nth(router).map(|router| router.address);
        if let Some(address) = router {
            self.routers.mark(address, reachability);
        }
        self.the_best_is_best();
    }

    fn the_best_is_best(&self) {
        let known = self.routers.iter().map(|router| router.reachability);
        let best = self.routers.best().map(|router| router.reachability);
        assert_eq!(best, known.max());
    }
}

/// The ARP request of the gateway port that goes to where this frame goes.
fn arp_request(frame: &[u8]) -> Vec<u8> {
    let mut request = arp(1, super::ROUTER_MAC, GATEWAY4, NEXT_HOP4);
    request[..6].copy_from_slice(&frame[..6]);
    request[32..38].fill(0);
    request
}

/// What a fuzz target's input means: a sequence of frames, each after an octet that says how many tenths of a second
/// pass before it (its highest bit: an honest frame) and one that says how many octets it has. The length of 255 marks a
/// router as unreachable instead.
pub fn fuzz_neighbor(mut input: &[u8]) {
    let mut neighborhood = Neighborhood::new();
    while let Some(([choice, length], rest)) = input.split_first_chunk() {
        neighborhood.pass(Duration::from_millis(u64::from(choice & 0x7f) * 100));
        if *length == 255 {
            neighborhood.mark(usize::from(choice & 0xf), Reachability::Unreachable);
            input = rest;
            continue;
        }
        let (frame, rest) = rest.split_at(rest.len().min((*length).into()));
        match choice & 0x80 {
            0 => neighborhood.hear(frame),
            _ => neighborhood.hear(&honest(frame.to_vec())),
        }
        input = rest;
    }
}
