//! Computes what a switch should have before its session begins.
//!
//! It takes milliseconds for a hypervisor with many ports, and after a restart all switches connect at once. So it is done by
//! threads of its own, a few at a time: meanwhile the connections answer probes, and nobody who is served waits for it.

use super::line::Line;
use super::session::SessionError;
use crate::metrics::Metrics;
use crate::snapshot::{NewsListener, Snapshot, Snapshots};
use rust_openflow::{Message, PacketIn};
use sextant_flows::{Flows, SharedFlows};
use sextant_model::ChassisId;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Instant;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

/// Packets of a switch that are kept until it can be answered. More than that would be stale.
const MOST_EARLY: usize = 256;

/// Whose turn it is to compute.
#[derive(Clone, Debug)]
pub struct Preparing {
    turns: Arc<Semaphore>,
    /// The flows that switches share.
    shared: Arc<SharedFlows>,
    metrics: Metrics,
}

/// What a session begins with.
pub(super) struct Prepared {
    pub(super) computed: Computed,
    /// What the switch sent up meanwhile, by flows that it has from an earlier session.
    pub(super) early: Vec<PacketIn>,
}

/// What a switch should have.
pub(super) struct Computed {
    pub(super) flows: Flows,
    /// By this snapshot.
    pub(super) snapshot: Arc<Snapshot>,
    /// What concerns the hypervisor from then on.
    pub(super) listener: NewsListener,
}

impl Preparing {
    /// As many at a time as there are processors.
    #[must_use]
    pub fn new(metrics: Metrics) -> Self {
        let turns = available_parallelism().map_or(1, usize::from);
        Self {
            turns: Arc::new(Semaphore::new(turns)),
            shared: Arc::default(),
            metrics,
        }
    }

    /// The flows of a hypervisor, once it is its turn.
    pub(super) async fn compute(
        &self,
        line: &mut Line,
        chassis: &ChassisId,
        snapshots: &Snapshots,
    ) -> Result<Prepared, SessionError> {
        let mut early = vec![];
        let computed = self.flows(chassis.clone(), snapshots);
        tokio::pin!(computed);
        loop {
            tokio::select! {
                computed = &mut computed => return Ok(Prepared { computed: computed?, early }),
                received = line.next() => {
                    if let (_, Message::PacketIn(packet)) = received?
                        && early.len() < MOST_EARLY
                    {
                        early.push(packet);
                    }
                }
            }
        }
    }

    async fn flows(
        &self,
        chassis: ChassisId,
        snapshots: &Snapshots,
    ) -> Result<Computed, SessionError> {
        let turn = self.turns.clone().acquire_owned().await;
        let metrics = self.metrics.clone();
        let mut flows = Flows::sharing(&self.shared);
        // What has changed while others had their turn is computed at once, and not caught up with.
        let (snapshot, listener) = snapshots.listen(&chassis);
        let computed = spawn_blocking(move || {
            // The thread goes on when the session ends before it, so the turn is the thread's.
            let _turn = turn;
            let started = Instant::now();
            flows.recompute(&snapshot.intent, &snapshot.facts, &chassis);
            let took = started.elapsed();
            metrics.compute_seconds.observe(took.as_secs_f64());
            Computed {
                flows,
                snapshot,
                listener,
            }
        });
        computed.await.map_err(|_| SessionError::Unprepared)
    }
}
