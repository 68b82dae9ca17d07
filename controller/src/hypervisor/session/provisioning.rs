//! What a session does to make its hypervisor what it should be, and to undo that.

use super::claim::{LOCK, OwnerClaim};
use super::{HypervisorContext, HypervisorSession};
use crate::hypervisor::bfd;
use crate::hypervisor::complaints::Concern;
use crate::hypervisor::managers;
use crate::hypervisor::metadata::{self, MetadataGuest};
use crate::hypervisor::observe::Observation;
use crate::hypervisor::patches::missing_bridges;
use crate::hypervisor::probes::Probes;
use crate::hypervisor::provision::{differences, release, wanted};
use crate::hypervisor::view::View;
use crate::hypervisor::wish::Wish;
use crate::metrics::Drift;
use crate::snapshot::{NewsListener, Snapshot, Stopping};
use crate::state::Event;
use sextant_model::{Chassis, ChassisId, EncapKind, PortId};
use sextant_ovsdb_client::{Replica, Transaction};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tokio::time::Instant;

/// The guests that were written to a hypervisor's database, and the listener for changes. A change reaches the listener before the
/// snapshot with it is the latest.
pub(super) type GuestsNews = (Arc<Snapshot>, NewsListener);

/// Waits until something of the guests changes. Cancel-safe.
pub(super) async fn guests_changed(news: &mut Option<GuestsNews>) -> Result<(), Stopping> {
    match news {
        Some((known, listener)) => {
            listener.woken().await?;
            if let Some(news) = listener.take() {
                *known = news.after;
            }
            Ok(())
        }
        None => std::future::pending().await,
    }
}

impl HypervisorSession {
    pub(super) fn provision(&mut self, observation: &Observation) {
        let chassis = &observation.chassis;
        let wish = Wish {
            system_id: chassis.id.to_string(),
            controllers: self.controllers(),
            probes: self.probes(),
            manager_suffix: format!(":{}", self.context.ovsdb_port),
            endpoints: chassis.encap.endpoints,
            tunnels: self.tunnels(chassis),
            watched: match self.context.bfd {
                true => bfd::watched(&self.context.snapshots.latest().facts, chassis),
                false => vec![],
            },
            zone_limit: self.context.rules.now().zone_limit,
            bridge_mappings: chassis.bridge_mappings.clone(),
            metadata: self.metadata_guests(observation),
        };
        let missing = missing_bridges(self.connection.replica(), &wish.bridge_mappings).join(", ");
        if missing.is_empty() {
            self.complaints.settle(Concern::Bridges);
        } else {
            let what =
                format!("external_ids:sextant-bridge-mappings: there is no bridge {missing}");
            self.complain(Concern::Bridges, &what);
        }
        if self.turn.is_ours(Instant::now()) {
            self.tell_of_meddling(&wish);
            self.change(|replica| wanted(replica, &wish));
            self.wish = Some(wish);
        }
    }

    /// What differs though nothing else is wanted than before, somebody else did.
    fn tell_of_meddling(&mut self, wish: &Wish) {
        let meddled = std::mem::take(&mut self.meddled);
        if !meddled || self.wish.as_ref() != Some(wish) {
            return;
        }
        let kinds = differences(self.connection.replica(), wish);
        let kinds: Vec<&str> = kinds.into_iter().map(Drift::as_str).collect();
        let mended = &self.context.metrics.drift_mended;
        kinds
            .iter()
            .for_each(|kind| mended.with_label_values(&[*kind]).inc());
        if kinds.is_empty() {
            return;
        }
        if let Some(unsaid) = self.drift_warnings.admit(std::time::Instant::now()) {
            let (chassis, what) = (&wish.system_id, kinds.join(", "));
            tracing::warn!(
                chassis,
                what,
                unsaid,
                "somebody else changed what Sextant set on the hypervisor; it is mended"
            );
        }
    }

    /// Sends the next step, if there is one and it is time for it.
    fn change(&mut self, next: impl FnOnce(&Replica) -> Option<Transaction>) {
        if !self.turn.is_ours(Instant::now()) {
            return;
        }
        if let Some(transaction) = next(self.connection.replica()) {
            let transaction = match self.claim {
                Some(_) => transaction.assert(LOCK),
                None => transaction,
            };
            self.turn.sent(self.connection.transact(transaction));
        }
    }

    /// Where its switch finds this controller, and all others.
    fn controllers(&self) -> BTreeSet<String> {
        let HypervisorContext {
            ovsdb_port,
            openflow_port,
            encrypted,
            ..
        } = *self.context;
        let replica = self.connection.replica();
        let named = match self.claim {
            Some(_) => managers::controllers(replica, ovsdb_port, openflow_port, encrypted),
            None => BTreeSet::new(),
        };
        match named.is_empty() {
            true => BTreeSet::from([self.controller.clone()]),
            false => named,
        }
    }

    fn probes(&self) -> Probes {
        let cluster = self.context.cluster.as_ref();
        cluster.map_or_else(Probes::default, |cluster| {
            let owner = managers::owner(self.connection.replica(), &self.controller);
            let is_busy = *cluster.is_busy().borrow();
            Probes::of_several(cluster.probe_interval(), owner, is_busy)
        })
    }

    /// What its metadata service has to know of its guests. From then on the session is woken when something of them changes.
    fn metadata_guests(
        &mut self,
        observation: &Observation,
    ) -> Option<BTreeMap<PortId, MetadataGuest>> {
        if !self.context.rules.now().metadata {
            self.guests_news = None;
            return None;
        }
        let chassis = &observation.chassis.id;
        let snapshots = &self.context.snapshots;
        let news = &mut self.guests_news;
        let (snapshot, _) = news.get_or_insert_with(|| snapshots.listen(chassis));
        let interfaces = observation.interfaces.keys().copied();
        Some(metadata::guests(
            &snapshot.intent,
            &snapshot.facts,
            chassis,
            interfaces,
        ))
    }

    /// The protocols that this or any other hypervisor wants to be sent.
    fn tunnels(&self, chassis: &Chassis) -> BTreeSet<EncapKind> {
        let snapshot = self.context.snapshots.latest();
        let known = snapshot.facts.chassis().get(&chassis.id);
        let before = known.map(|known| known.encap.kind);
        let all = snapshot.facts.encap_kinds().iter();
        let of_others = all.filter(|(kind, count)| **count > usize::from(before == Some(**kind)));
        let of_others = of_others.map(|(kind, _)| *kind);
        of_others.chain([chassis.encap.kind]).collect()
    }

    /// Whether something is, or may be, left of a hypervisor that takes no part.
    pub(super) fn has_to_leave(&mut self, chassis: &ChassisId) -> bool {
        let snapshot = self.context.snapshots.latest();
        let is_known = snapshot.facts.chassis().contains_key(chassis);
        let has_lock = self.claim.as_ref().is_none_or(OwnerClaim::has_lock);
        let is_seen = has_lock && self.view == View::Whole;
        let is_clean = release(self.connection.replica()).is_none();
        self.takes_part = is_known || is_seen && !is_clean;
        is_known || !(is_seen && is_clean)
    }

    /// Nobody asks it to take part (any more): what Sextant made there is undone, and then it has left.
    pub(super) async fn leave(&mut self, chassis: ChassisId) -> Result<(), Stopping> {
        if release(self.connection.replica()).is_some() {
            self.change(release);
            return Ok(());
        }
        let snapshot = self.context.snapshots.latest();
        if snapshot.facts.chassis().contains_key(&chassis) {
            self.tell_of_tenure(&chassis).await?;
            self.forget();
            self.connected = None;
            self.end_tenure(&chassis);
            return self.send(Event::HypervisorLeft(chassis)).await;
        }
        Ok(())
    }
}
