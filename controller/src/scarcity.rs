//! What is nearly used up: the addresses of subnets, and projects' quotas.
//!
//! Nine tenths are nearly all. Pools and quotas of fewer than ten are left out: those are full because they are meant to be.

use crate::metrics::Metrics;
use crate::snapshot::Snapshots;
use sextant_model::{AllocationPool, Counted, Intent, Subnet};
use std::sync::Arc;
use std::time::Duration;

/// What is smaller counts as full on purpose.
const LEAST: u64 = 10;
/// No subnet has more ports than that, so none with more addresses runs out of them.
const MOST: u128 = 1 << 20;
/// How often the metrics are set.
const INTERVAL: Duration = Duration::from_secs(10);

/// A subnet that has few addresses left to give.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScarceAddresses {
    /// The subnet.
    pub subnet: Arc<Subnet>,
    /// How many addresses of its pools ports have.
    pub used: u64,
    /// How many its pools have.
    pub total: u64,
}

/// A project that may have few more objects of a kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScarceQuota {
    /// The project.
    pub project: String,
    /// The kind.
    pub kind: Counted,
    /// How many it has.
    pub used: u64,
    /// How many it may have.
    pub limit: u64,
}

/// Subnets that have few addresses left, by id.
pub fn addresses(intent: &Intent) -> impl Iterator<Item = ScarceAddresses> + '_ {
    let subnets = intent.subnets.values();
    subnets.filter_map(|subnet| {
        let sizes = subnet.allocation_pools.iter().map(AllocationPool::size);
        let total = sizes.fold(0, u128::saturating_add);
        let total = u64::try_from(total).ok().filter(|_| total <= MOST)?;
        let in_pools = intent.claimed_addresses(subnet.id).filter(|address| {
            let mut pools = subnet.allocation_pools.iter();
            pools.any(|pool| pool.contains(*address))
        });
        let used = in_pools.count() as u64;
        is_scarce(used, total).then(|| ScarceAddresses {
            subnet: subnet.clone(),
            used,
            total,
        })
    })
}

/// Quotas that are nearly used up, by project and kind.
pub fn quotas(intent: &Intent) -> impl Iterator<Item = ScarceQuota> + '_ {
    let counts = intent.counts();
    counts.filter_map(|(project, kind, used)| {
        let limit = intent.quota_of(project, kind)?;
        is_scarce(used, limit).then(|| ScarceQuota {
            project: project.to_owned(),
            kind,
            used,
            limit,
        })
    })
}

fn is_scarce(used: u64, total: u64) -> bool {
    total >= LEAST && u128::from(used) * 10 >= u128::from(total) * 9
}

/// Sets the metrics for as long as it runs, where anything has changed.
pub async fn watch(snapshots: Snapshots, metrics: Metrics) {
    let mut next = tokio::time::interval(INTERVAL);
    let mut shown = None;
    loop {
        next.tick().await;
        let snapshot = snapshots.latest();
        if shown.replace(snapshot.revision) == Some(snapshot.revision) {
            continue;
        }
        let count = tokio::task::spawn_blocking(move || {
            let intent = &snapshot.intent;
            (addresses(intent).count(), quotas(intent).count())
        });
        // It does not panic, and the process ends when the runtime does.
        let Ok((subnets, projects)) = count.await else {
            continue;
        };
        metrics.subnets_scarce.set(subnets as i64);
        metrics.quotas_scarce.set(projects as i64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nine_tenths_are_nearly_all_where_there_are_ten() {
        let scarce = [
            (9, 10),
            (10, 10),
            (900, 1000),
            (1001, 1000),
            (u64::MAX, u64::MAX),
        ];
        let not = [(0, 0), (9, 9), (8, 10), (899, 1000), (0, u64::MAX)];
        assert!(scarce.iter().all(|(used, total)| is_scarce(*used, *total)));
        assert!(!not.iter().any(|(used, total)| is_scarce(*used, *total)));
    }
}
