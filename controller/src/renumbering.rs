//! Keeps subnets at the prefixes that are delegated to them.
//!
//! A subnet has its delegated prefix while a router asks for it and until the delegation ends. Before and after, it has
//! a provisional prefix. Intent says what is asked for, facts what is delegated. This task watches both, and writes the
//! result through the API's machinery. It acts only when one of them differs, or when a delegation ends.

mod plan;
#[cfg(test)]
mod tests;

use crate::api::{Api, RenumberError};
use crate::clock;
use crate::metrics::{Metrics, PrefixChange, PrefixState};
use crate::snapshot::{Snapshot, Snapshots, Stopping};
use crate::state::{Event, Events};
use ipnet::Ipv6Net;
use plan::RenumberingPlan;
use sextant_model::{PROVISIONAL_PREFIX, SubnetId};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// How long to wait after a failed write.
const RETRY: Duration = Duration::from_secs(5);
/// The longest single wait for the end of a delegation, since clocks may be set meanwhile.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Renumbers subnets, and has delegations forgotten that no router asks for, until the owner of the state ends. Intent
/// and facts must be loaded before, else subnets lose valid prefixes.
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

/// Waits until something may have to be done, and takes the latest snapshot.
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

/// Whether two snapshots lead to the same result, by comparing pointers.
fn is_alike(known: &Snapshot, latest: &Snapshot) -> bool {
    let delegations = latest.facts.delegations();
    known.intent.delegates_as(&latest.intent) && known.facts.delegations().ptr_eq(delegations)
}

struct Keeper {
    api: Api,
    events: Events,
    metrics: Metrics,
    /// The prefixes that were delegated to subnets that cannot have them. Each was logged once.
    refused: BTreeMap<SubnetId, Ipv6Net>,
}

impl Keeper {
    /// Acts on a snapshot. Returns the latest time for the next look.
    async fn keep(&mut self, snapshot: &Snapshot) -> Result<Option<Instant>, Stopping> {
        let now = clock::now();
        let plan = RenumberingPlan::of(&snapshot.intent, &snapshot.facts, now);
        self.count(&plan);
        for (subnet, delegation) in plan.forget {
            tracing::info!(%subnet, "no router asks for the subnet's delegated prefix any more");
            let forget = Event::Undelegated(subnet, delegation);
            self.events.send(forget).await.map_err(|_| Stopping)?;
        }
        self.refused
            .retain(|subnet, prefix| plan.renumber.get(subnet) == Some(prefix));
        let mut lost = false;
        for (subnet, prefix) in plan.renumber {
            if let Err(error) = self.bring(subnet, prefix).await {
                tracing::warn!(%subnet, %prefix, %error, again_in = ?RETRY, "the subnet keeps its old prefix until the next try");
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

    fn count(&self, plan: &RenumberingPlan) {
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

    /// If the subnet cannot have this prefix, it gets no prefix: its old one is not delegated any more.
    async fn bring(&mut self, subnet: SubnetId, prefix: Ipv6Net) -> Result<(), RenumberError> {
        match self.renumber(subnet, prefix).await {
            Err(RenumberError::Refused(reason)) => {
                if self.refused.insert(subnet, prefix) != Some(prefix) {
                    tracing::warn!(%subnet, %prefix, reason, "the subnet cannot have the delegated prefix");
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
        tracing::info!(%subnet, %prefix, %before, change = change.as_str(), "the subnet's prefix changed");
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

/// The time until then, limited to the longest single wait.
fn until(end: i64, now: i64) -> Duration {
    let seconds = u64::try_from(end.saturating_sub(now)).unwrap_or(0);
    Duration::from_secs(seconds).min(LONGEST_WAIT)
}
