//! The neighbours on external networks, for people: which sessions know them, and how these are asked to forget.

use crate::seat::Seat;
use dashmap::DashMap;
use sextant_model::{ChassisId, MacAddr, NetworkId};
use std::net::IpAddr;
use std::sync::Arc;
use tokio::sync::watch;

/// A neighbour of a router on an external network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Neighbor {
    /// Its address.
    pub address: IpAddr,
    /// Its MAC, as far as known.
    pub mac: Option<MacAddr>,
    /// Its state by Neighbor Unreachability Detection (RFC 4861 §7.3.2), in words: `reachable`, `stale`, `probe`, ….
    pub state: &'static str,
    /// Whether it is the default router, because it advertised itself.
    pub is_default_router: bool,
}

/// The neighbours that every hypervisor knows.
#[derive(Clone, Debug)]
pub struct Neighbors {
    known: Arc<DashMap<(ChassisId, NetworkId), Vec<Neighbor>>>,
    flushes: Arc<watch::Sender<u64>>,
}

/// What one hypervisor knows, for as long as its session lives.
#[derive(Debug)]
pub struct NeighborsOfOne {
    all: Neighbors,
    seat: Arc<Seat<ChassisId>>,
}

impl NeighborsOfOne {
    /// What the hypervisor that has this seat knows.
    pub fn new(all: &Neighbors, seat: &Arc<Seat<ChassisId>>) -> Self {
        let (all, seat) = (all.clone(), seat.clone());
        Self { all, seat }
    }

    /// It knows this, and nothing else.
    pub fn show(&self, known: impl IntoIterator<Item = (NetworkId, Vec<Neighbor>)>) {
        let chassis = self.seat.key();
        self.all.remove(chassis);
        for (network, neighbors) in known {
            self.all.set(chassis, network, neighbors);
        }
    }
}

impl Drop for NeighborsOfOne {
    fn drop(&mut self) {
        // A newer session says itself what it knows.
        if !self.seat.is_lost() {
            self.all.remove(self.seat.key());
        }
    }
}

impl Default for Neighbors {
    fn default() -> Self {
        Self {
            known: Arc::default(),
            flushes: Arc::new(watch::Sender::new(0)),
        }
    }
}

impl Neighbors {
    /// A hypervisor knows these neighbours on a network. Empty: the network does not concern it.
    pub fn set(&self, chassis: &ChassisId, network: NetworkId, neighbors: Vec<Neighbor>) {
        let key = (chassis.clone(), network);
        if neighbors.is_empty() {
            self.known.remove(&key);
        } else {
            self.known.insert(key, neighbors);
        }
    }

    /// Forgets what a hypervisor knew.
    pub fn remove(&self, chassis: &ChassisId) {
        self.known.retain(|(of, _), _| of != chassis);
    }

    /// Everything known, by hypervisor and network.
    pub fn all(&self) -> Vec<((ChassisId, NetworkId), Vec<Neighbor>)> {
        let known = self.known.iter();
        let mut all: Vec<_> = known
            .map(|entry| (entry.key().clone(), entry.value().clone()))
            .collect();
        all.sort_by(|one, other| one.0.cmp(&other.0));
        all
    }

    /// Has every hypervisor forget what it learned, and ask again.
    pub fn flush(&self) {
        self.flushes.send_modify(|flushes| *flushes += 1);
    }

    /// Changes with each [`Neighbors::flush`].
    pub fn flushes(&self) -> watch::Receiver<u64> {
        self.flushes.subscribe()
    }
}
