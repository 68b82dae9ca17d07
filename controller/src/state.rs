//! The one owner of all state.
//!
//! A single task owns intent and facts. Intent comes from the store's watch, facts come as [`Event`]s from the sessions
//! with hypervisors and switches. After each batch it publishes one snapshot. It only routes: an arm of the match is a
//! call.

mod arrivals;
mod delegations;
mod dhcp_options;
mod elsewhere;
mod event;
mod gateways;
mod hosts;
mod others;
mod stored;
#[cfg(test)]
mod tests;
mod tunnels;

use crate::memory;
use crate::metrics::Metrics;
use crate::port_history::PortHistory;
use crate::snapshot::{Publisher, Snapshot};
use crate::store::{Committed, Watch, WatchEnded};
pub use event::{Event, Events, events};

use elsewhere::Elsewhere;
use event::QUEUE;
use hosts::Hosts;
use sextant_model::{
    Binding, Change, Chassis, ChassisId, Fact, Facts, Key, MacAddr, Object, ObjectKey, Plugged,
    PortId, RouterId, Settings, TunnelWatches,
};
use sextant_responders::throttle::Throttles;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use stored::Stored;
use tokio::sync::mpsc;

/// The owner of all state.
pub struct Owner {
    snapshot: Snapshot,
    elsewhere: Elsewhere,
    hosts: Hosts,
    /// Routers whose gateways may have moved since the last snapshot, and routers whose gateway no hypervisor can have.
    to_review: BTreeSet<RouterId>,
    nowhere: BTreeSet<RouterId>,
    publisher: Publisher,
    /// Where facts go that must outlive a restart, and those that are not on their way yet.
    memory: memory::Facts,
    to_remember: Vec<memory::FactToStore>,
    /// What the store has, where several controllers share it, and hypervisors whose facts are to be sent again.
    stored: Option<Stored>,
    refused: Option<mpsc::UnboundedReceiver<Vec<Key>>>,
    to_repeat: BTreeSet<ChassisId>,
    /// Hypervisors that have left, until the store says so: what it repeats of them before is over.
    leaving: BTreeSet<ChassisId>,
    /// Those whose facts were refused though this controller owns them.
    unclaimed: BTreeSet<ChassisId>,
    metrics: Metrics,
    history: PortHistory,
    /// Limits log lines that hypervisors cause.
    words: Throttles<ChassisId>,
    /// How often guests come to another hypervisor. Two that run at once, by a migration gone wrong, would move their port with
    /// each frame.
    moves: Throttles<PortId>,
}

impl Owner {
    /// An owner that knows only the configuration. It publishes to `publisher`, and sends facts to store to `memory`.
    pub fn new(
        settings: Settings,
        publisher: Publisher,
        memory: memory::Facts,
        metrics: Metrics,
    ) -> Self {
        let snapshot = Snapshot {
            intent: sextant_model::Intent::new(settings),
            ..Snapshot::default()
        };
        Self {
            snapshot,
            elsewhere: Elsewhere::default(),
            hosts: Hosts::default(),
            to_review: BTreeSet::new(),
            nowhere: BTreeSet::new(),
            publisher,
            memory,
            to_remember: vec![],
            stored: None,
            refused: None,
            to_repeat: BTreeSet::new(),
            leaving: BTreeSet::new(),
            unclaimed: BTreeSet::new(),
            metrics,
            history: PortHistory::default(),
            words: Throttles::default(),
            moves: Throttles::default(),
        }
    }

    /// The same, which tells what happens at ports.
    #[must_use]
    pub fn with_history(self, history: PortHistory) -> Self {
        Self { history, ..self }
    }

    /// Applies everything that is stored, before anyone is served.
    ///
    /// # Errors
    /// The store's watch has ended.
    pub async fn load(&mut self, watch: &mut dyn Watch) -> Result<(), WatchEnded> {
        let committed = watch.next().await?;
        self.committed(&committed);
        for change in committed.changes {
            // Delegations reach us first as events. The store only repeats them, except at start-up, unless it has those of others.
            if let Change::Put(Object::Delegation(subnet, delegation)) = change {
                self.snapshot.facts.delegate(subnet, Some(delegation));
            }
        }
        self.publish();
        self.hand_over().await;
        Ok(())
    }

    /// Owns the state until all senders of events are gone.
    ///
    /// # Errors
    /// The store's watch has ended: nothing more can be asked for.
    pub async fn run(
        mut self,
        mut watch: Box<dyn Watch>,
        mut events: mpsc::Receiver<Event>,
    ) -> Result<(), WatchEnded> {
        // Without other controllers nothing is refused.
        let (_refuse, nothing) = mpsc::unbounded_channel();
        let mut refused = self.refused.take().unwrap_or(nothing);
        let mut batch = Vec::new();
        loop {
            // All events that wait are taken together, so that a burst leads to one snapshot.
            tokio::select! {
                committed = watch.next() => self.committed(&committed?),
                count = events.recv_many(&mut batch, QUEUE) => match count {
                    0 => return Ok(()),
                    _ => batch.drain(..).for_each(|event| self.observe(event)),
                },
                Some(keys) = refused.recv() => self.refused(keys),
            }
            self.publish();
            self.hand_over().await;
        }
    }

    fn publish(&mut self) {
        self.return_to_stored();
        self.tell_others();
        // It compares with the latest snapshot, so it comes before the new one is published.
        self.review_gateways();
        self.expect_guests();
        let facts = &self.snapshot.facts;
        self.metrics
            .ports_bound
            .set(i64::try_from(facts.bindings().len()).unwrap_or(i64::MAX));
        self.metrics
            .ports_active
            .set(i64::try_from(facts.active().len()).unwrap_or(i64::MAX));
        self.metrics
            .interfaces_elsewhere
            .set(i64::try_from(self.hosts.dead()).unwrap_or(i64::MAX));
        gateways::count(&self.publisher.latest().facts, facts, &self.metrics);
        self.metrics
            .tunnels_missing
            .set(i64::try_from(facts.missing_tunnels()).unwrap_or(i64::MAX));
        let woken = self.publisher.publish(self.snapshot.clone());
        let woken = u64::try_from(woken).unwrap_or(u64::MAX);
        self.metrics.sessions_woken.inc_by(woken);
    }

    fn committed(&mut self, committed: &Committed) {
        let Snapshot {
            revision,
            intent,
            facts,
            ..
        } = &mut self.snapshot;
        let mut rebound = BTreeSet::new();
        for change in &committed.changes {
            if let Change::Put(Object::Port(port)) = change {
                let before = intent.ports.get(&port.id);
                let moved = before.is_some_and(|before| before.host_id != port.host_id);
                rebound.extend(moved.then_some(port.id));
            }
            // Counted before it is applied, while the port as it was can still be looked at.
            dhcp_options::count(intent, change, &self.metrics);
            intent.apply(change);
            if let Key::Object(ObjectKey::Port(port)) = change.key() {
                facts.rebind(intent, port);
            }
        }
        *revision = committed.revision;
        self.bind_committed(&committed.changes, &rebound);
        self.place_committed(&committed.changes);
        match self.stored {
            Some(_) => self.take_stored(&committed.changes),
            None => committed
                .changes
                .iter()
                .for_each(|change| self.remembered(change)),
        }
    }

    /// Stored facts count until the hypervisor itself has been read, and again after it has left. The store repeats
    /// facts late, so later repetitions are skipped.
    fn remembered(&mut self, change: &Change) {
        if self.is_of_the_past(change) {
            return;
        }
        let Snapshot { intent, facts, .. } = &mut self.snapshot;
        match change {
            Change::Put(Object::Chassis(chassis)) if !is_observed(facts, &chassis.id) => {
                let before = facts.chassis().get(&chassis.id).cloned();
                facts.put_chassis(chassis.stored());
                self.place_after(&chassis.id, before.as_deref());
            }
            Change::Delete(Key::Fact(Fact::Chassis(id))) if !is_observed(facts, id) => {
                self.remove(id)
            }
            Change::Put(Object::Outside(id, network, outside)) if !is_observed(facts, id) => {
                facts.learn_outside(id, *network, Some(outside.clone()));
            }
            Change::Delete(Key::Fact(Fact::Outside(id, network))) if !is_observed(facts, id) => {
                facts.learn_outside(id, *network, None);
            }
            Change::Put(Object::Location(port, chassis)) if !is_observed(facts, chassis) => {
                if !is_plugged(facts, port) {
                    let chassis = chassis.clone();
                    // The OpenFlow port may have another number since it was stored.
                    let ofport = None;
                    facts.plug(intent, *port, Plugged { chassis, ofport });
                }
            }
            Change::Delete(Key::Fact(Fact::Location(port))) if !is_plugged(facts, port) => {
                let known = facts.plugged().get(port);
                if let Some(chassis) = known.map(|known| known.chassis.clone()) {
                    facts.unplug(intent, *port, &chassis);
                }
            }
            Change::Put(_) | Change::Delete(_) => {}
        }
    }

    fn is_of_the_past(&mut self, change: &Change) -> bool {
        match change {
            Change::Put(object) => {
                let chassis = object.chassis();
                chassis.is_some_and(|chassis| self.leaving.contains(chassis))
            }
            Change::Delete(Key::Fact(Fact::Chassis(id))) => {
                self.leaving.remove(id);
                false
            }
            Change::Delete(_) => false,
        }
    }

    fn observe(&mut self, event: Event) {
        if event.chassis().is_some_and(|chassis| !self.owns(chassis)) {
            return;
        }
        match event {
            Event::Owned(chassis, generation) => self.owned(chassis, generation),
            Event::Disowned(chassis, generation) => self.disowned(&chassis, generation),
            Event::HypervisorRead {
                chassis,
                interfaces,
            } => self.read(chassis, interfaces),
            Event::HostNamed(chassis, name) => self.host_named(&chassis, name),
            Event::HypervisorChanged(chassis) => self.chassis(chassis),
            Event::HypervisorLeft(chassis) => self.left(&chassis),
            Event::Gone(chassis, gone) => self.gone(&chassis, gone),
            Event::TunnelsHeard(chassis, watches) => self.tunnels_heard(&chassis, watches),
            Event::Outside(chassis, network, outside) => self.learned(&chassis, network, outside),
            Event::Announced(chassis, announced) => self.announced(&chassis, announced),
            Event::Plugged(port, plugged) => self.plugged(port, plugged),
            Event::Appeared(port, chassis) => self.appeared(port, &chassis),
            Event::Unplugged(port, chassis) => self.unplugged(port, &chassis),
            Event::Delegated(chassis, subnet, delegation) => {
                self.delegated(Some(&chassis), subnet, delegation)
            }
            Event::Undelegated(subnet, delegation) => self.undelegated(subnet, &delegation),
            Event::Confirmed(ports) => ports
                .into_iter()
                .for_each(|(port, binding)| self.confirmed(port, &binding)),
            Event::FellShort(chassis, shortfall) => {
                self.snapshot.facts.fall_short(&chassis, shortfall);
            }
            Event::Captured(port, captured) => self.snapshot.facts.capture(port, captured),
            Event::Configured(settings) => self.snapshot.intent.settings = Arc::new(settings),
            Event::Asked(answer) => drop(answer.send(())),
        }
    }

    fn read(&mut self, chassis: Chassis, interfaces: BTreeMap<PortId, Option<u16>>) {
        let id = chassis.id.clone();
        if self.stored.is_some() {
            self.to_repeat.insert(id.clone());
        }
        let here = self
            .snapshot
            .facts
            .plugged()
            .iter()
            .filter(|(_, plugged)| plugged.chassis == id);
        let gone: Vec<PortId> = here
            .map(|(port, _)| *port)
            .filter(|port| !interfaces.contains_key(port))
            .collect();
        self.chassis(chassis);
        // Before ports are unplugged: none may fall back to an interface here that is gone as well.
        self.elsewhere
            .retain(&id, |port| interfaces.contains_key(port));
        self.hosts.retain(&id, |port| interfaces.contains_key(port));
        gone.into_iter().for_each(|port| self.unplugged(port, &id));
        for (port, ofport) in interfaces {
            let chassis = id.clone();
            let plugged = Plugged { chassis, ofport };
            match self.is_rather_elsewhere(port, &id) {
                true => self.elsewhere.keep(port, plugged),
                false => self.plugged(port, plugged),
            }
        }
    }

    fn left(&mut self, id: &ChassisId) {
        if self.is_anothers(id) && !self.snapshot.facts.gone().contains(id) {
            return;
        }
        let here = self
            .snapshot
            .facts
            .plugged()
            .iter()
            .filter(|(_, plugged)| plugged.chassis == *id);
        let gone: Vec<PortId> = here.map(|(port, _)| *port).collect();
        // Before ports are unplugged: none may fall back to another interface on this hypervisor.
        self.elsewhere.retain(id, |_| false);
        self.hosts.left(id);
        self.snapshot.facts.watch_tunnels(id, TunnelWatches::new());
        gone.into_iter().for_each(|port| self.unplugged(port, id));
        self.remove(id);
        self.forget(id);
        self.remember(Change::delete(Fact::Chassis(id.clone())), Some(id));
        match self.stored {
            Some(_) => self.abandon(id),
            None => drop(self.leaving.insert(id.clone())),
        }
    }

    fn remove(&mut self, id: &ChassisId) {
        let before = self.snapshot.facts.chassis().get(id).cloned();
        self.snapshot.facts.remove_chassis(id);
        self.count_shared_endpoints();
        self.place_after(id, before.as_deref());
    }

    fn chassis(&mut self, chassis: Chassis) {
        self.leaving.remove(&chassis.id);
        let before = self.snapshot.facts.chassis().get(&chassis.id).cloned();
        if before.as_deref().map(Chassis::stored) != Some(chassis.stored()) {
            tracing::info!(chassis = %chassis.id, endpoint = %chassis.encap.endpoints, encapsulation = %chassis.encap.kind, "hypervisor joined or changed");
            let change = Change::Put(Object::Chassis(Arc::new(chassis.stored())));
            self.remember(change, Some(&chassis.id));
        }
        let endpoints = before.as_ref().map(|before| before.encap.endpoints);
        let moved = endpoints != Some(chassis.encap.endpoints);
        if moved {
            tunnels::tell_whom_it_does_not_reach(&self.snapshot.facts, &chassis, &mut self.words);
            tunnels::tell_who_has_its_endpoint(&self.snapshot.facts, &chassis, &mut self.words);
        }
        let id = chassis.id.clone();
        self.snapshot.facts.put_chassis(chassis);
        if moved {
            self.count_shared_endpoints();
        }
        self.place_after(&id, before.as_deref());
    }

    fn plugged(&mut self, port: PortId, plugged: Plugged) {
        if !self.may_be_on(port, &plugged.chassis) {
            return self.stays_dead(port, plugged);
        }
        let facts = &self.snapshot.facts;
        let known = facts.plugged().get(&port);
        if known == Some(&plugged) || self.elsewhere.update(port, &plugged) {
            return;
        }
        if known.is_some_and(|known| known.chassis == plugged.chassis) {
            return self.plug(port, plugged);
        }
        tracing::info!(%port, chassis = %plugged.chassis, "interface plugged in");
        match self.waits_for_guest(port, &plugged.chassis) {
            true => self.elsewhere.keep(port, plugged),
            false => self.move_to(port, plugged),
        }
    }

    /// A port is on another hypervisor than before.
    fn move_to(&mut self, port: PortId, plugged: Plugged) {
        let facts = &self.snapshot.facts;
        if let Some(known) = facts.plugged().get(&port)
            && is_observed(facts, &known.chassis)
        {
            self.elsewhere.keep(port, known.clone());
        }
        let change = Change::Put(Object::Location(port, plugged.chassis.clone()));
        self.remember(change, Some(&plugged.chassis));
        self.plug(port, plugged);
    }

    /// A port that its hypervisor's owner before has confirmed stays active: nothing changes but who speaks for it.
    fn plug(&mut self, port: PortId, plugged: Plugged) {
        let Snapshot { intent, facts, .. } = &mut self.snapshot;
        let known = facts.plugged().get(&port);
        let same = known.is_some_and(|known| {
            known.chassis == plugged.chassis && known.ofport.is_none() && plugged.ofport.is_some()
        });
        let stays_active = same && facts.active().contains(&port);
        let chassis = plugged.chassis.clone();
        facts.plug(intent, port, plugged);
        if stays_active {
            facts.confirm(port, &chassis);
        }
        self.accept_held(port);
    }

    fn unplugged(&mut self, port: PortId, chassis: &ChassisId) {
        let known = self.snapshot.facts.plugged().get(&port);
        self.hosts.revived(port, chassis);
        if self.elsewhere.forget(port, chassis)
            || known.is_none_or(|plugged| plugged.chassis != *chassis)
        {
            return;
        }
        tracing::info!(%port, %chassis, "interface gone");
        if let Some(other) = self.take_elsewhere(port) {
            self.snapshot
                .facts
                .unplug(&self.snapshot.intent, port, chassis);
            return self.plugged(port, other);
        }
        self.remember(Change::delete(Fact::Location(port)), Some(chassis));
        self.snapshot
            .facts
            .unplug(&self.snapshot.intent, port, chassis);
    }

    fn announced(&mut self, chassis: &ChassisId, announced: (PortId, IpAddr, MacAddr)) {
        let Snapshot { intent, facts, .. } = &mut self.snapshot;
        if facts.hold(intent, chassis, announced) {
            let (port, address, mac) = announced;
            tracing::debug!(%port, %address, %mac, %chassis, "a port announced an address from its pairs");
        }
    }

    fn confirmed(&mut self, port: PortId, binding: &Binding) {
        let facts = &mut self.snapshot.facts;
        if facts.binding(port) == Some(binding) {
            facts.confirm(port, &binding.chassis);
        }
    }

    /// Sends on the facts to store. Their keeper ends only when the process stops.
    async fn hand_over(&mut self) {
        if !self.to_remember.is_empty() {
            let changes = std::mem::take(&mut self.to_remember);
            let _ = self.memory.send(changes).await;
        }
    }
}

/// Whether a hypervisor was read and has not left.
fn is_observed(facts: &Facts, id: &ChassisId) -> bool {
    let known = facts.chassis().get(id);
    known.is_some_and(|chassis| chassis.observed)
}

/// Whether a port is plugged in on a hypervisor that was read.
fn is_plugged(facts: &Facts, port: &PortId) -> bool {
    let known = facts.plugged().get(port);
    known.is_some_and(|plugged| is_observed(facts, &plugged.chassis))
}
