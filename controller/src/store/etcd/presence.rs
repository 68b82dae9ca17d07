//! Which controllers live: each has a key with a lease.
//!
//! It decides who should own hypervisors, and nothing else. So it may be some seconds late.

use super::call::{CallError, timely};
use super::endpoints::{ClusterMembers, Reached};
use super::layout::{Layout, end_of};
use crate::cluster::Live;
use etcd_client::{GetOptions, PutOptions};
use sextant_model::ControllerName;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;
use uuid::Uuid;

/// How long a controller counts as alive after it was heard of last, in seconds.
const LEASE: i64 = 5;
/// How long one that has the name may take to be gone.
const PATIENCE: Duration = Duration::from_secs(8);
/// How often it is heard of, and looks who else is.
const INTERVAL: Duration = Duration::from_secs(1);

/// Says that a controller lives, and who else does.
pub(super) struct Presence {
    endpoints: Arc<ClusterMembers>,
    layout: Arc<Layout>,
    name: ControllerName,
    /// Tells this process from another one with the same name.
    instance: String,
    lease: Option<i64>,
    /// Since when another process has the name.
    taken: Option<Instant>,
    live: watch::Sender<Live>,
}

impl Presence {
    /// The presence of a controller, and what it finds out.
    pub(super) fn new(
        endpoints: Arc<ClusterMembers>,
        layout: Arc<Layout>,
        name: ControllerName,
    ) -> (Self, watch::Receiver<Live>) {
        let (live, found) = watch::channel(Live {
            controllers: BTreeSet::from([name.clone()]),
            since: Instant::now(),
            is_current: false,
        });
        let instance = Uuid::new_v4().to_string();
        let presence = Self {
            endpoints,
            layout,
            name,
            instance,
            lease: None,
            taken: None,
            live,
        };
        (presence, found)
    }

    /// Is present, unless another process that lives has this one's name.
    pub(super) async fn last(mut self) {
        let mut next = tokio::time::interval(INTERVAL);
        next.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            next.tick().await;
            match self.look().await {
                Ok(Some(controllers)) => self.publish(controllers),
                Ok(None) => {
                    let name = &self.name;
                    tracing::error!(%name, "another controller has this name: each needs its own ([controllers] name). This one ends");
                    return;
                }
                Err(error) => {
                    tracing::debug!(%error, "who else lives is not known");
                    self.live
                        .send_if_modified(|live| std::mem::replace(&mut live.is_current, false));
                }
            }
        }
    }

    fn publish(&self, controllers: BTreeSet<ControllerName>) {
        self.live.send_if_modified(|live| {
            let same = live.controllers == controllers;
            if !same {
                let names: Vec<&str> = controllers.iter().map(ControllerName::as_str).collect();
                tracing::info!(controllers = names.join(", "), "these controllers live");
                live.since = Instant::now();
                live.controllers = controllers;
            }
            let was_current = std::mem::replace(&mut live.is_current, true);
            !same || !was_current
        });
    }

    /// The controllers that live. `None`: another has this one's name.
    async fn look(&mut self) -> Result<Option<BTreeSet<ControllerName>>, CallError> {
        let reached = self.endpoints.reach().await?;
        let found = self.look_by(&reached).await;
        match &found {
            Err(CallError::LeaseExpired) => self.lease = None,
            Err(CallError::NoAnswer(_)) => self.endpoints.failed(&reached).await,
            Ok(_) | Err(_) => {}
        }
        found
    }

    async fn look_by(
        &mut self,
        reached: &Reached,
    ) -> Result<Option<BTreeSet<ControllerName>>, CallError> {
        if let Some(lease) = self.lease {
            drop(timely(reached.client.lease_client().keep_alive(lease)).await?);
        }
        let all = self.layout.controllers();
        let range = GetOptions::new().with_range(end_of(&all));
        let found = timely(reached.client.kv_client().get(all.clone(), Some(range))).await?;
        let mut controllers = BTreeSet::from([self.name.clone()]);
        let mut is_taken = false;
        for row in found.kvs() {
            let name = row.key().strip_prefix(all.as_bytes()).unwrap_or_default();
            let name = ControllerName::new(&String::from_utf8_lossy(name));
            is_taken |= name == self.name && row.value() != self.instance.as_bytes();
            controllers.insert(name);
        }
        if is_taken {
            // One that has ended, as this one did before it was started again, is gone with its lease.
            let since = *self.taken.get_or_insert_with(Instant::now);
            return Ok((since.elapsed() < PATIENCE).then_some(controllers));
        }
        self.taken = None;
        if self.lease.is_none() {
            self.register(reached).await?;
        }
        Ok(Some(controllers))
    }

    /// Takes the name, which nobody has.
    async fn register(&mut self, reached: &Reached) -> Result<(), CallError> {
        let granted = timely(reached.client.lease_client().grant(LEASE, None)).await?;
        let key = self.layout.controller(&self.name);
        let leased = PutOptions::new().with_lease(granted.id());
        timely(
            reached
                .client
                .kv_client()
                .put(key, self.instance.clone(), Some(leased)),
        )
        .await?;
        self.lease = Some(granted.id());
        Ok(())
    }
}
