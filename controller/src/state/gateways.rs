//! Routers' gateways, and what hypervisors learn on external networks.

use super::{Owner, is_observed};
use crate::metrics::{HypervisorGauge, Metrics};
use crate::snapshot::Snapshot;
use imbl::ordmap::DiffItem;
use sextant_model::{
    Change, Chassis, ChassisId, Fact, Facts, Key, NetworkId, Object, ObjectKey, Outside, RouterId,
};
use std::sync::Arc;

impl Owner {
    /// Routers and external networks have changed: their gateways move where they belong.
    pub(super) fn place_committed(&mut self, changes: &[Change]) {
        let Snapshot { intent, facts, .. } = &mut self.snapshot;
        for change in changes {
            let key = change.key();
            if let Key::Object(ObjectKey::Router(router)) = key {
                facts.place_gateway(intent, router);
                self.to_review.insert(router);
            } else if let Key::Object(ObjectKey::Network(network)) = key {
                let ports = intent.gateway_ports_of(network);
                let routers = ports.filter_map(|port| port.gateway_of());
                for router in routers {
                    facts.place_gateway(intent, router);
                    self.to_review.insert(router);
                }
            }
        }
    }

    /// Logs once each router whose gateway no hypervisor can have.
    pub(super) fn review_gateways(&mut self) {
        let Snapshot { intent, facts, .. } = &self.snapshot;
        let before = self.publisher.latest();
        if !before.facts.gateways().ptr_eq(facts.gateways()) {
            let moved = before.facts.gateways().diff(facts.gateways());
            self.to_review.extend(moved.map(moved_router));
        }
        for id in std::mem::take(&mut self.to_review) {
            let gateway = intent.routers.get(&id);
            let gateway = gateway.and_then(|router| router.external_gateway.as_ref());
            let host = facts.gateways().get(&id);
            let there = host.is_some_and(|(host, _)| !facts.gone().contains(host));
            let Some(gateway) = gateway else {
                self.nowhere.remove(&id);
                continue;
            };
            if there {
                self.nowhere.remove(&id);
            } else if self.nowhere.insert(id) {
                let network = gateway.network_id;
                tracing::warn!(router = %id, %network, "no hypervisor can have this router's gateway: none that is connected has a bridge of its physical network (external_ids:sextant-bridge-mappings)");
            }
        }
        let nowhere = i64::try_from(self.nowhere.len()).unwrap_or(i64::MAX);
        self.metrics.gateways_nowhere.set(nowhere);
    }

    /// A hypervisor has changed, joined or left. `before` is what was known of it.
    pub(super) fn place_after(&mut self, id: &ChassisId, before: Option<&Chassis>) {
        let Snapshot { intent, facts, .. } = &mut self.snapshot;
        let after = facts.chassis().get(id).map(Arc::as_ref);
        if candidacy(before) != candidacy(after) {
            facts.place_gateways_after(intent, id);
        }
    }

    /// A hypervisor is silent for long, or is back. One that has left is ignored.
    pub(super) fn gone(&mut self, id: &ChassisId, gone: bool) {
        if self.mark_gone(id, gone) {
            self.tell_of_absence(id, gone);
        }
    }

    /// Returns whether that is news.
    pub(super) fn mark_gone(&mut self, id: &ChassisId, gone: bool) -> bool {
        let Snapshot { intent, facts, .. } = &mut self.snapshot;
        if gone && !facts.chassis().contains_key(id) {
            return false;
        }
        let before = facts.gateways().clone();
        if !facts.mark_gone(intent, id, gone) {
            return false;
        }
        let moved = before.diff(facts.gateways()).count();
        let on_it = facts.gateways_on(id).map(|(_, router)| router);
        self.to_review.extend(on_it);
        match gone {
            true => {
                tracing::info!(chassis = %id, moved, "the hypervisor is gone: others get its gateways")
            }
            false => {
                tracing::info!(chassis = %id, moved, "the hypervisor is back and gets gateways again")
            }
        }
        true
    }

    /// A hypervisor has learned something of an external network.
    pub(super) fn learned(&mut self, id: &ChassisId, network: NetworkId, outside: Option<Outside>) {
        let facts = &mut self.snapshot.facts;
        let known = facts.outside().get(&(id.clone(), network));
        let is_news = known.map(Arc::as_ref) != outside.as_ref();
        if !is_news || !is_observed(facts, id) {
            return;
        }
        let outside = outside.map(Arc::new);
        facts.learn_outside(id, network, outside.clone());
        let change = match outside {
            Some(outside) => Change::Put(Object::Outside(id.clone(), network, outside)),
            None => Change::delete(Fact::Outside(id.clone(), network)),
        };
        self.remember(change, Some(id));
    }

    /// A hypervisor has left, and what it learned is forgotten.
    pub(super) fn forget(&mut self, id: &ChassisId) {
        let Snapshot { intent, facts, .. } = &mut self.snapshot;
        facts.mark_gone(intent, id, false);
        let known = facts.outside_of(id);
        let networks: Vec<NetworkId> = known.map(|(network, _)| network).collect();
        for network in networks {
            self.snapshot.facts.learn_outside(id, network, None);
            let change = Change::delete(Fact::Outside(id.clone(), network));
            self.remember(change, Some(id));
        }
    }
}

fn moved_router(moved: DiffItem<'_, '_, RouterId, (ChassisId, NetworkId)>) -> RouterId {
    match moved {
        DiffItem::Add(router, _)
        | DiffItem::Remove(router, _)
        | DiffItem::Update {
            old: (router, _), ..
        } => *router,
    }
}

/// What decides whether a hypervisor can have gateways, and with which rank.
fn candidacy(chassis: Option<&Chassis>) -> Option<(Vec<&str>, u16)> {
    let chassis = chassis?;
    let mapped = chassis.bridge_mappings.keys().map(String::as_str);
    let reached = mapped.filter(|physical| chassis.reaches(physical));
    Some((reached.collect(), chassis.gateway_priority))
}

/// Counts the gateways on each hypervisor, zero included, and those that moved.
pub(super) fn count(before: &Facts, after: &Facts, metrics: &Metrics) {
    if !before.gateways().ptr_eq(after.gateways()) {
        for difference in before.gateways().diff(after.gateways()) {
            count_moved(difference, metrics);
        }
    }
    if before.chassis().ptr_eq(after.chassis()) {
        return;
    }
    for difference in before.chassis().diff(after.chassis()) {
        match difference {
            DiffItem::Add(id, _) => drop(metrics.gateways.with_label_values(&[id.as_str()])),
            DiffItem::Remove(id, _) => {
                metrics.gateways.remove_label_values(&[id.as_str()]);
            }
            DiffItem::Update { .. } => {}
        }
    }
}

/// Counts a gateway that moved to another hypervisor, got its first, or lost its last.
fn count_moved(difference: DiffItem<'_, '_, RouterId, (ChassisId, NetworkId)>, metrics: &Metrics) {
    match difference {
        DiffItem::Add(_, (to, _)) => gauge(metrics, to).inc(),
        DiffItem::Remove(_, (from, _)) => gauge(metrics, from).dec(),
        DiffItem::Update {
            old: (router, (from, _)),
            new: (_, (to, _)),
        } if from != to => {
            metrics.gateway_moves.inc();
            tracing::debug!(%router, %from, %to, "a gateway moved");
            gauge(metrics, from).dec();
            gauge(metrics, to).inc();
        }
        DiffItem::Update { .. } => {}
    }
}

fn gauge(metrics: &Metrics, chassis: &ChassisId) -> HypervisorGauge {
    metrics.gateways.with_label_values(&[chassis.as_str()])
}
