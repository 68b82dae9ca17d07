//! Keeps subnets at the prefixes that are delegated to them.
//!
//! A subnet has its delegated prefix while a router asks for it and until the delegation ends; before and after it has a
//! provisional one. What is asked for is intent, what is delegated a fact: this task watches both, and writes through the
//! API's machinery what follows. It looks when one of them differs and when a delegation ends, at no other time.

mod plan;
#[cfg(test)]
mod tests;

use crate::api::{Api, RenumberError};
use crate::clock;
use crate::metrics::{Metrics, PrefixChange, PrefixState};
use crate::snapshot::{Snapshot, Snapshots, Stopping};
use crate::state::{Event, Events};
use ipnet::Ipv6Net;
use plan::Plan;
use sextant_model::{PROVISIONAL_PREFIX, SubnetId};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// How long after a write that was lost the next is tried.
const RETRY: Duration = Duration::from_secs(5);
/// How long the end of a delegation is waited for at once: clocks are set.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Brings subnets to their prefixes, and has delegations forgotten that nobody asks for, until the owner of the state ends.
/// Intent and facts must have been loaded, or subnets lose prefixes that are theirs.
pub async fn run(api: Api, mut snapshots: Snapshots, events: Events, metrics: Metrics) {
    let mut keeper = Keeper {
        api,
        events,
        metrics,
        refused: BTreeMap::new(),
    };
    let mut known = snapshots.latest();
    while let Ok(deadline) = keeper.keep(&known).await
        && wait(&mut snapshots, &mut known, deadline).await.is_ok()
    {}
}

/// Waits until there may be something to do, and takes the latest snapshot.
async fn wait(
    snapshots: &mut Snapshots,
    known: &mut Arc<Snapshot>,
    deadline: Option<Instant>,
) -> Result<(), Stopping> {
    loop {
        let latest = snapshots.latest();
        let alike = is_alike(known, &latest);
        *known = latest;
        if !alike {
            return Ok(());
        }
        let over = async {
            match deadline {
                Some(deadline) => sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            changed = snapshots.changed() => drop(changed?),
            () = over => return Ok(()),
        }
    }
}

/// Whether nothing follows from one snapshot that does not from the other, at the cost of comparing pointers.
fn is_alike(known: &Snapshot, latest: &Snapshot) -> bool {
    let delegations = latest.facts.delegations();
    known.intent.delegates_as(&latest.intent) && known.facts.delegations().ptr_eq(delegations)
}

struct Keeper {
    api: Api,
    events: Events,
    metrics: Metrics,
    /// The prefixes that were delegated to subnets and cannot be theirs; each was told of once.
    refused: BTreeMap<SubnetId, Ipv6Net>,
}

impl Keeper {
    /// Does what follows from a snapshot. Returns when to look again, whatever happens.
    async fn keep(&mut self, snapshot: &Snapshot) -> Result<Option<Instant>, Stopping> {
        let now = clock::now();
        let plan = Plan::of(&snapshot.intent, &snapshot.facts, now);
        self.count(&plan);
        for (subnet, delegation) in plan.forget {
            tracing::info!(%subnet, "nobody asks for the subnet's delegated prefix any more");
            let forget = Event::Undelegated(subnet, delegation);
            self.events.send(forget).await.map_err(|_| Stopping)?;
        }
        self.refused
            .retain(|subnet, prefix| plan.renumber.get(subnet) == Some(prefix));
        let mut lost = false;
        for (subnet, prefix) in plan.renumber {
            if let Err(error) = self.bring(subnet, prefix).await {
                tracing::warn!(%subnet, %prefix, %error, again_in = ?RETRY, "subnet keeps its prefix for now");
                lost = true;
            }
        }
        let retry = lost.then_some(RETRY);
        let end = plan.next_end.map(|end| until(end, now));
        Ok(retry
            .into_iter()
            .chain(end)
            .min()
            .map(|wait| Instant::now() + wait))
    }

    fn count(&self, plan: &Plan) {
        for (state, subnets) in [
            (PrefixState::Delegated, plan.delegated),
            (PrefixState::Waiting, plan.waiting),
        ] {
            self.metrics
                .delegated_subnets
                .with_label_values(&[state.as_str()])
                .set(i64::try_from(subnets).unwrap_or(i64::MAX));
        }
    }

    /// Brings a subnet to a prefix. Where that cannot be its prefix it is to have none: the one that it has is not its any
    /// more.
    async fn bring(&mut self, subnet: SubnetId, prefix: Ipv6Net) -> Result<(), RenumberError> {
        match self.renumber(subnet, prefix).await {
            Err(RenumberError::Refused(reason)) => {
                if self.refused.insert(subnet, prefix) != Some(prefix) {
                    tracing::warn!(%subnet, %prefix, reason, "delegated prefix cannot be the subnet's");
                    self.changed(PrefixChange::Refused);
                }
                self.renumber(subnet, PROVISIONAL_PREFIX).await
            }
            done => done,
        }
    }

    async fn renumber(&self, subnet: SubnetId, prefix: Ipv6Net) -> Result<(), RenumberError> {
        let Some(before) = self.api.renumber(subnet, prefix).await? else {
            return Ok(());
        };
        let change = match (before, prefix) {
            (_, PROVISIONAL_PREFIX) => PrefixChange::Reverted,
            (PROVISIONAL_PREFIX, _) => PrefixChange::Delegated,
            (_, _) => PrefixChange::Renumbered,
        };
        tracing::info!(%subnet, %prefix, %before, change = change.as_str(), "subnet has another prefix");
        self.changed(change);
        Ok(())
    }

    fn changed(&self, change: PrefixChange) {
        self.metrics
            .delegation_changes
            .with_label_values(&[change.as_str()])
            .inc();
    }
}

/// How long until then, but no longer than is waited at once.
fn until(end: i64, now: i64) -> Duration {
    let seconds = u64::try_from(end.saturating_sub(now)).unwrap_or(0);
    Duration::from_secs(seconds).min(LONGEST_WAIT)
}
