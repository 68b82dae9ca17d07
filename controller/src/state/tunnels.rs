//! Finds hypervisors that do not reach each other.

use super::{Owner, is_observed};
use crate::metrics::DoubtfulEndpoint;
use sextant_model::{Chassis, ChassisId, Facts, TunnelState, TunnelWatches};
use sextant_responders::throttle::Throttles;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Instant;

/// How many hypervisors a log line names.
const NAMED: usize = 5;

impl Owner {
    /// A hypervisor hears this from its peers by BFD.
    pub(super) fn tunnels_heard(&mut self, id: &ChassisId, watches: TunnelWatches) {
        if !is_observed(&self.snapshot.facts, id) {
            return;
        }
        tell_what_became_of_tunnels(&self.snapshot.facts, id, &watches, &mut self.words);
        self.snapshot.facts.watch_tunnels(id, watches);
    }

    /// Counts hypervisors that share an address with another.
    pub(super) fn count_shared_endpoints(&self) {
        let mut holders: BTreeMap<IpAddr, Vec<&ChassisId>> = BTreeMap::new();
        for chassis in self.snapshot.facts.chassis().values() {
            for address in chassis.encap.endpoints.addresses() {
                holders.entry(address).or_default().push(&chassis.id);
            }
        }
        let shared = holders.into_values().filter(|holders| holders.len() > 1);
        let sharing: BTreeSet<&ChassisId> = shared.flatten().collect();
        let gauge = &self.metrics.doubtful_endpoints;
        let count = i64::try_from(sharing.len()).unwrap_or(i64::MAX);
        let reason = DoubtfulEndpoint::Shared.as_str();
        gauge.with_label_values(&[reason]).set(count);
    }
}

/// Tunnels that have fallen silent, and those that carry packets again. A hypervisor can change its mind as often as it likes.
fn tell_what_became_of_tunnels(
    facts: &Facts,
    id: &ChassisId,
    watches: &TunnelWatches,
    words: &mut Throttles<ChassisId>,
) {
    let before = facts.tunnel_watches().get(id);
    let was_down = before
        .into_iter()
        .flat_map(|before| in_state(before, TunnelState::Down));
    let was_down: BTreeSet<&ChassisId> = was_down.collect();
    let silent = in_state(watches, TunnelState::Down);
    let (silent, more) = named(silent.filter(|peer| !was_down.contains(peer)));
    if !silent.is_empty()
        && let Some(unsaid) = words.admit(id, Instant::now())
    {
        tracing::warn!(chassis = %id, from = silent, more, unsaid, "tunnel carries nothing: no BFD packet comes back");
    }
    let heard = in_state(watches, TunnelState::Up);
    let (heard, more) = named(heard.filter(|peer| was_down.contains(peer)));
    if !heard.is_empty()
        && let Some(unsaid) = words.admit(id, Instant::now())
    {
        tracing::info!(chassis = %id, from = heard, more, unsaid, "tunnel carries packets again");
    }
}

/// Warns if a hypervisor with new endpoints shares no IP version with others.
pub(super) fn tell_whom_it_does_not_reach(
    facts: &Facts,
    chassis: &Chassis,
    words: &mut Throttles<ChassisId>,
) {
    let (unreached, more) = named(facts.without_tunnel(chassis));
    if !unreached.is_empty()
        && let Some(unsaid) = words.admit(&chassis.id, Instant::now())
    {
        tracing::warn!(chassis = %chassis.id, endpoint = %chassis.encap.endpoints, from = unreached, more, unsaid, "no tunnel: the endpoints share no IP version");
    }
}

/// Warns if two hypervisors share an address: one gets the other's frames.
pub(super) fn tell_who_has_its_endpoint(
    facts: &Facts,
    chassis: &Chassis,
    words: &mut Throttles<ChassisId>,
) {
    let own = chassis.encap.endpoints;
    let others = facts.chassis().values();
    let sharing = others.filter(|other| {
        let mut addresses = other.encap.endpoints.addresses();
        other.id != chassis.id && addresses.any(|address| own.has(address))
    });
    let (with, more) = named(sharing.map(|other| &other.id));
    if !with.is_empty()
        && let Some(unsaid) = words.admit(&chassis.id, Instant::now())
    {
        tracing::warn!(chassis = %chassis.id, endpoint = %chassis.encap.endpoints, with, more, unsaid, "another hypervisor has the same tunnel endpoint");
    }
}

/// The first few of them, and the number of the others.
fn named<'a>(mut peers: impl Iterator<Item = &'a ChassisId>) -> (String, usize) {
    let first: Vec<&str> = peers.by_ref().take(NAMED).map(ChassisId::as_str).collect();
    (first.join(","), peers.count())
}

fn in_state(watches: &TunnelWatches, state: TunnelState) -> impl Iterator<Item = &ChassisId> {
    let watches = watches.iter();
    let of_state = watches.filter(move |(_, watch)| watch.state == state);
    of_state.map(|(peer, _)| peer)
}
