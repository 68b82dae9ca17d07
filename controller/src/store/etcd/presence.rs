//! Which controllers live: each has a key with a lease.
//!
//! It decides who should own hypervisors, and nothing else. So it may be some seconds late.
//!
//! Two processes with one name would be taken for one. So a process serves nobody before it has its name. One that finds it taken
//! asks whoever has it, by a key of its own, and ends once it is answered. Where it listens at the very place where that one did, that
//! one has ended: nobody can listen twice there. Then it takes the name at once. Time proves nothing here: a new leader of etcd gives every lease its whole time again, so the
//! key of a process that has ended may stay for long (etcd, `lease/lessor.go`: `Promote`).

use super::call::{CallError, timely};
use super::endpoints::{ClusterMembers, Reached};
use super::layout::{Layout, end_of};
use crate::cluster::Live;
use etcd_client::{Compare, CompareOp, GetOptions, PutOptions, Txn, TxnOp, TxnOpResponse};
use sextant_model::ControllerName;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;
use uuid::Uuid;

/// How long a controller counts as alive after it was heard of last, in seconds.
const LEASE: i64 = 5;
/// What separates a process's number from its place.
const AT: char = '@';
/// How often it is heard of, and looks who else is.
const INTERVAL: Duration = Duration::from_secs(1);

/// Says that a controller lives, and who else does.
pub(super) struct ControllerPresence {
    endpoints: Arc<ClusterMembers>,
    layout: Arc<Layout>,
    name: ControllerName,
    /// Tells this process from another one with the same name.
    instance: String,
    /// Where this process listens, which no other one can.
    place: Option<String>,
    lease: Option<i64>,
    live: watch::Sender<Live>,
    /// Whether this process has the name.
    is_named: watch::Sender<bool>,
}

impl ControllerPresence {
    /// The presence of a controller, and what it finds out.
    pub(super) fn new(
        endpoints: Arc<ClusterMembers>,
        layout: Arc<Layout>,
        name: ControllerName,
        place: Option<String>,
    ) -> (Self, watch::Receiver<Live>, watch::Receiver<bool>) {
        let (live, found) = watch::channel(Live {
            controllers: BTreeSet::from([name.clone()]),
            since: Instant::now(),
            is_current: false,
        });
        let (is_named, named) = watch::channel(false);
        let place = place.filter(|place| !place.contains([' ', AT]));
        let instance = match &place {
            Some(place) => format!("{}{AT}{place}", Uuid::new_v4()),
            None => Uuid::new_v4().to_string(),
        };
        let presence = Self {
            endpoints,
            layout,
            name,
            instance,
            place,
            lease: None,
            live,
            is_named,
        };
        (presence, found, named)
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
                live.controllers = controllers;
            }
            // One that has found the store again has yet to read what was written meanwhile, before it takes anything.
            let is_news = !same || !std::mem::replace(&mut live.is_current, true);
            if is_news {
                live.since = Instant::now();
            }
            live.is_current = true;
            is_news
        });
    }

    /// The controllers that live. `None`: another has this one's name.
    async fn look(&mut self) -> Result<Option<BTreeSet<ControllerName>>, CallError> {
        let reached = self.endpoints.reach().await?;
        let found = self.look_by(&reached).await;
        match &found {
            Err(CallError::LeaseExpired) => {
                // At once: others take a controller that is missing for dead.
                self.lease = None;
                return self.look_by(&reached).await;
            }
            Err(CallError::NoAnswer(_)) => self.endpoints.failed(&reached).await,
            Ok(_) | Err(_) => {}
        }
        found
    }

    async fn look_by(
        &mut self,
        reached: &Reached,
    ) -> Result<Option<BTreeSet<ControllerName>>, CallError> {
        let lease = self.keep_lease(reached).await?;
        let seen = self.see(reached).await?;
        let own = &self.instance;
        let contender = seen.contender.as_ref();
        match &seen.holder {
            None => self.take_name(reached, lease, None).await?,
            Some(holder) if holder.instance == *own => {
                self.is_named.send_replace(true);
                if let Some(contender) = contender.filter(|one| *one != own && !holder.answers(one))
                {
                    self.answer(reached, lease, contender).await?;
                }
            }
            Some(holder) if holder.was_at(self.place.as_deref()) => {
                self.take_name(reached, lease, Some(holder)).await?;
            }
            Some(holder) if holder.answers(own) => return Ok(None),
            // It may have ended, as this one did before it was started again: then its key goes with its lease.
            Some(_) if contender == Some(own) => {}
            Some(_) => {
                let name = &self.name;
                tracing::info!(%name, "waiting for the end of another process that has this name, or had it");
                self.contend(reached, lease).await?;
            }
        }
        Ok(Some(seen.controllers))
    }

    async fn keep_lease(&mut self, reached: &Reached) -> Result<i64, CallError> {
        let mut leases = reached.client.lease_client();
        if let Some(lease) = self.lease {
            drop(timely(leases.keep_alive(lease)).await?);
            return Ok(lease);
        }
        let granted = timely(leases.grant(LEASE, None)).await?.id();
        self.lease = Some(granted);
        Ok(granted)
    }

    async fn see(&self, reached: &Reached) -> Result<Seen, CallError> {
        let all = self.layout.controllers();
        let range = GetOptions::new().with_range(end_of(&all));
        let reads = [
            TxnOp::get(all.clone(), Some(range)),
            TxnOp::get(self.layout.contender(&self.name), None),
        ];
        let read = timely(reached.client.kv_client().txn(Txn::new().and_then(reads))).await?;
        let mut seen = Seen {
            controllers: BTreeSet::from([self.name.clone()]),
            holder: None,
            contender: None,
        };
        for answer in read.op_responses() {
            let TxnOpResponse::Get(rows) = answer else {
                continue;
            };
            for row in rows.kvs() {
                let value = String::from_utf8_lossy(row.value());
                let Some(name) = row.key().strip_prefix(all.as_bytes()) else {
                    seen.contender = Some(value.into_owned());
                    continue;
                };
                let name = ControllerName::new(&String::from_utf8_lossy(name));
                if name == self.name {
                    seen.holder = Some(NameHolder::read(&value));
                }
                seen.controllers.insert(name);
            }
        }
        Ok(seen)
    }

    /// Takes the name, which nobody has, or one that has ended. Another process may be faster.
    async fn take_name(
        &self,
        reached: &Reached,
        lease: i64,
        ended: Option<&NameHolder>,
    ) -> Result<(), CallError> {
        let key = self.layout.controller(&self.name);
        let unchanged = match ended {
            None => Compare::create_revision(key.clone(), CompareOp::Equal, 0),
            Some(ended) => Compare::value(key.clone(), CompareOp::Equal, ended.written()),
        };
        let value = NameHolder::new(&self.instance);
        let taking = Txn::new()
            .when([unchanged])
            .and_then([put(key, value.written(), lease)]);
        let taken = timely(reached.client.kv_client().txn(taking)).await?;
        if taken.succeeded() {
            self.is_named.send_replace(true);
        }
        Ok(())
    }

    /// Asks the process that has the name whether it lives.
    async fn contend(&self, reached: &Reached, lease: i64) -> Result<(), CallError> {
        let key = self.layout.contender(&self.name);
        let asking = Txn::new().and_then([put(key, self.instance.clone(), lease)]);
        timely(reached.client.kv_client().txn(asking)).await?;
        Ok(())
    }

    /// Says to a process that wants the name that this one lives.
    async fn answer(
        &self,
        reached: &Reached,
        lease: i64,
        contender: &str,
    ) -> Result<(), CallError> {
        let key = self.layout.controller(&self.name);
        let value = NameHolder {
            instance: self.instance.clone(),
            answered: Some(contender.to_owned()),
        };
        let answer = Txn::new().and_then([put(key, value.written(), lease)]);
        timely(reached.client.kv_client().txn(answer)).await?;
        Ok(())
    }
}

/// What etcd shows of controllers.
struct Seen {
    controllers: BTreeSet<ControllerName>,
    /// Who has this one's name.
    holder: Option<NameHolder>,
    /// The process that wants it, and was the last to say so.
    contender: Option<String>,
}

/// A process that has a name: the value of its key.
struct NameHolder {
    instance: String,
    /// The contender that it has answered last.
    answered: Option<String>,
}

impl NameHolder {
    fn new(instance: &str) -> Self {
        Self {
            instance: instance.to_owned(),
            answered: None,
        }
    }

    fn read(value: &str) -> Self {
        let (instance, answered) = match value.split_once(' ') {
            Some((instance, answered)) => (instance, Some(answered.to_owned())),
            None => (value, None),
        };
        Self {
            instance: instance.to_owned(),
            answered,
        }
    }

    fn written(&self) -> String {
        match &self.answered {
            Some(answered) => format!("{} {answered}", self.instance),
            None => self.instance.clone(),
        }
    }

    /// Whether it listened at this place.
    fn was_at(&self, place: Option<&str>) -> bool {
        let own = self.instance.split_once(AT).map(|(_, place)| place);
        own.is_some() && own == place
    }

    fn answers(&self, contender: &str) -> bool {
        self.answered.as_deref() == Some(contender)
    }
}

fn put(key: String, value: String, lease: i64) -> TxnOp {
    let leased = PutOptions::new().with_lease(lease);
    TxnOp::put(key, value, Some(leased))
}
