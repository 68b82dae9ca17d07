//! Computes what a switch should have before its session begins.
//!
//! It takes milliseconds for a hypervisor with many ports, and after a restart all switches connect at once. So it is done by
//! threads of its own, a few at a time: meanwhile the connections answer probes, and nobody who is served waits for it.
//!
//! While a switch is read back and given its flows, these take memory, and what changes meanwhile is computed again and again. So
//! not all begin at once: the others wait, and begin with what is known by then.

use super::line::SwitchLine;
use super::session::SwitchSessionError;
use crate::metrics::{Computation, Metrics};
use crate::snapshot::{NewsListener, Snapshot, Snapshots};
use rust_openflow::{Message, PacketIn};
use sextant_flows::{Flows, SharedFlows};
use sextant_model::ChassisId;
use std::collections::VecDeque;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

/// The latest packets of a switch, so many, are kept until it can be answered. Earlier ones would be stale.
const MOST_EARLY: usize = 256;

/// How many switches are brought up at a time: enough that a slow one keeps nobody from working.
const MOST_STARTING: usize = 128;
/// Who takes longer no longer keeps others waiting.
const STARTING: Duration = Duration::from_secs(5);

/// Whose turn it is to compute.
#[derive(Clone, Debug)]
pub struct Preparing {
    turns: Arc<Semaphore>,
    starts: Arc<Semaphore>,
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

/// The leave to be brought up. It is given back when this is dropped, and after a time whatever the session does.
#[derive(Debug)]
pub(super) struct Start {
    _held: oneshot::Sender<()>,
}

impl Start {
    fn with(leave: OwnedSemaphorePermit) -> Self {
        let (held, given_back) = oneshot::channel();
        tokio::spawn(async move {
            let _leave = leave;
            // Both ends are one: that it was dropped, or that the time is up.
            let _ = timeout(STARTING, given_back).await;
        });
        Self { _held: held }
    }
}

/// What a switch should have.
pub(super) struct Computed {
    pub(super) flows: Flows,
    /// By this snapshot.
    pub(super) snapshot: Arc<Snapshot>,
    /// What concerns the hypervisor from then on.
    pub(super) listener: NewsListener,
    pub(super) start: Option<Start>,
}

impl Preparing {
    /// As many at a time as there are processors.
    #[must_use]
    pub fn new(metrics: Metrics) -> Self {
        let turns = available_parallelism().map_or(1, usize::from);
        Self {
            turns: Arc::new(Semaphore::new(turns)),
            starts: Arc::new(Semaphore::new(MOST_STARTING)),
            shared: Arc::default(),
            metrics,
        }
    }

    /// The flows of a hypervisor, once it is its turn.
    pub(super) async fn compute(
        &self,
        line: &mut SwitchLine,
        chassis: &ChassisId,
        snapshots: &Snapshots,
    ) -> Result<Prepared, SwitchSessionError> {
        let mut early = VecDeque::new();
        let computed = self.flows(chassis.clone(), snapshots);
        tokio::pin!(computed);
        loop {
            tokio::select! {
                computed = &mut computed => {
                    let early = early.into();
                    return Ok(Prepared { computed: computed?, early });
                }
                received = line.next() => {
                    if let (_, Message::PacketIn(packet)) = received? {
                        early.push_back(packet);
                        if early.len() > MOST_EARLY {
                            early.pop_front();
                        }
                    }
                }
            }
        }
    }

    async fn flows(
        &self,
        chassis: ChassisId,
        snapshots: &Snapshots,
    ) -> Result<Computed, SwitchSessionError> {
        // Neither is ever closed.
        let leave = self.starts.clone().acquire_owned().await;
        let start = leave.ok().map(Start::with);
        let turn = self.turns.clone().acquire_owned().await;
        let metrics = self.metrics.clone();
        let mut flows = Flows::sharing(&self.shared);
        // What has changed while others had their turn is computed at once, and not caught up with.
        let (snapshot, listener) = snapshots.listen(&chassis);
        let computed = spawn_blocking(move || {
            // The thread goes on when the session ends before it, so the turn is the thread's.
            let _turn = turn;
            let started = std::time::Instant::now();
            flows.recompute(&snapshot.intent, &snapshot.facts, &chassis);
            metrics.computed(Computation::All, started);
            Computed {
                flows,
                snapshot,
                listener,
                start,
            }
        });
        computed.await.map_err(|_| SwitchSessionError::Unprepared)
    }
}
