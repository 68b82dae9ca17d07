//! Tells Nova what happens to its guests' ports, as Neutron does (`os-server-external-events`).
//!
//! Nova starts a guest paused, and lets it run once it hears that its ports are plugged in. What Nova knows of a port is stored
//! ([`sextant_model::NovaPort`]), and what it is told is the difference to what is so: nothing is lost where this process ends while Nova has
//! not answered, and there is one thing to tell of a port, however long Nova is away.
//!
//! Of several controllers, the owner of the hypervisor tells; of a port without an interface, the first in the port's own order
//! (`docs/decisions/0023`). Before it tells, it says so in the store, where only one can.

mod client;
mod plan;
mod settings;
mod telling;
mod waiting;

pub use settings::NovaSettings;

use crate::cluster::{Cluster, others_live};
use crate::metrics::Metrics;
use crate::outgoing::TrustError;
use crate::snapshot::Snapshots;
use crate::store::Store;
use client::{NovaClient, NovaFailure};
use sextant_model::{ChassisId, PortId};
use sextant_responders::backoff::Backoff;
use sextant_responders::throttle::Throttle;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use telling::{Batch, BatchEnd, BatchKind, tell};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep_until};
use waiting::{Due, Waiting};

/// How many ports a request or a commit is for. etcd takes 128 comparisons in a transaction unless configured: a port has two, and
/// the commit itself two.
const BATCH: usize = 60;
/// How many requests are under way at once, so that none waits for a slow one.
const AT_ONCE: usize = 4;
/// How long events are collected that go together. A guest waits for this long.
const COLLECT: Duration = Duration::from_millis(2);
/// The same for notes, for which nobody waits.
const COLLECT_NOTES: Duration = Duration::from_millis(100);
/// How long to wait before Nova is asked again that gave no answer.
const AGAIN: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(10));

/// Tells Nova what happens to its guests' ports.
pub struct NovaNotifier(Arc<NotifierParts>);

/// What a notifier works with.
struct NotifierParts {
    client: NovaClient,
    store: Arc<dyn Store>,
    snapshots: Snapshots,
    cluster: Option<Cluster>,
    metrics: Metrics,
}

/// Asks Nova whether it is there. Returns its URL.
///
/// # Errors
/// Why it cannot be told of ports.
pub(crate) async fn reach(settings: NovaSettings) -> Result<String, String> {
    let metrics = Metrics::new().map_err(|error| error.to_string())?;
    let client = NovaClient::new(settings, metrics).map_err(|error| error.to_string())?;
    client.reach().await.map_err(|error| error.to_string())
}

impl NovaNotifier {
    /// One that has told nothing yet.
    ///
    /// # Errors
    /// The authorities of Nova's and Keystone's certificates cannot be used.
    pub fn new(
        settings: NovaSettings,
        store: Arc<dyn Store>,
        snapshots: Snapshots,
        cluster: Option<Cluster>,
        metrics: Metrics,
    ) -> Result<Self, TrustError> {
        let client = NovaClient::new(settings, metrics.clone())?;
        Ok(Self(Arc::new(NotifierParts {
            client,
            store,
            snapshots,
            cluster,
            metrics,
        })))
    }

    /// Tells until the owner of the state ends. Intent and facts must be loaded before.
    pub async fn run(self) {
        let mut snapshots = self.0.snapshots.clone();
        let mut live = self.0.cluster.as_ref().map(Cluster::live);
        // Its token is there when the first guest waits.
        let shared = self.0.clone();
        tokio::spawn(async move { shared.client.try_out().await });
        let mut teller = NovaTeller::new(self.0, &snapshots);
        loop {
            let next = teller.begin(Instant::now());
            tokio::select! {
                changed = snapshots.changed() => match changed {
                    Ok(latest) => teller.waiting.take(latest, Instant::now()),
                    Err(_) => return,
                },
                Some(ended) = teller.under_way.join_next() => teller.ended(ended),
                () = async {
                    match &mut live {
                        Some(live) => others_live(live).await,
                        None => std::future::pending().await,
                    }
                } => {}
                () = sleep_until(next.unwrap_or_else(Instant::now)), if next.is_some() => {}
            }
        }
    }
}

/// Decides what is told when.
struct NovaTeller {
    shared: Arc<NotifierParts>,
    waiting: Waiting,
    under_way: JoinSet<BatchEnd>,
    /// The ports of what is under way.
    busy: BTreeSet<PortId>,
    /// How many requests, and how many notes, are under way.
    requests: usize,
    notes: usize,
    backoff: Backoff,
    /// Until when Nova is left alone, since it gave no answer.
    not_before: Option<Instant>,
    lines: Throttle,
    dismissals: Throttle,
    /// Whether the last line says that Nova cannot be told.
    fails: bool,
}

impl NovaTeller {
    fn new(shared: Arc<NotifierParts>, snapshots: &Snapshots) -> Self {
        Self {
            shared,
            waiting: Waiting::new(snapshots.latest(), Instant::now()),
            under_way: JoinSet::new(),
            busy: BTreeSet::new(),
            requests: 0,
            notes: 0,
            backoff: AGAIN,
            not_before: None,
            lines: Throttle::default(),
            dismissals: Throttle::default(),
            fails: false,
        }
    }

    /// Begins what can be begun. Returns when more can be.
    fn begin(&mut self, now: Instant) -> Option<Instant> {
        self.not_before.take_if(|until| *until <= now);
        let own: Vec<&Due> = self.waiting.all().filter(|due| self.is_own(due)).collect();
        let (events, notes): (Vec<&Due>, Vec<&Due>) =
            own.into_iter().partition(|due| due.step.event.is_some());
        let count = i64::try_from(events.len()).unwrap_or(i64::MAX);
        self.shared.metrics.nova_waiting.set(count);
        let events = match self.not_before {
            Some(_) => vec![],
            None => self.idle(&events),
        };
        let notes = self.idle(&notes);
        let next = match self.not_before {
            Some(until) => Some(until),
            None => self.begin_kind(BatchKind::Events, events, now),
        };
        let later = self.begin_kind(BatchKind::Notes, notes, now);
        next.into_iter().chain(later).min()
    }

    /// Those that are not under way, with the oldest first.
    fn idle(&self, all: &[&Due]) -> Vec<Due> {
        let idle = all.iter().filter(|due| !self.busy.contains(&due.port));
        let mut idle: Vec<Due> = idle.map(|due| (*due).clone()).collect();
        idle.sort_by_key(|due| due.since);
        idle
    }

    fn begin_kind(&mut self, kind: BatchKind, mut due: Vec<Due>, now: Instant) -> Option<Instant> {
        while let Some(oldest) = due.first().map(|due| due.since) {
            let collected = oldest + kind.collected_for();
            if collected > now {
                return Some(collected);
            }
            let under_way = self.count(kind);
            if *under_way == AT_ONCE {
                // The end of one wakes us.
                return None;
            }
            *under_way += 1;
            let later = due.split_off(due.len().min(BATCH));
            self.busy.extend(due.iter().map(|due| due.port));
            let base = self.waiting.known().clone();
            let batch = Batch { kind, base, due };
            self.under_way.spawn(tell(self.shared.clone(), batch));
            due = later;
        }
        None
    }

    fn count(&mut self, kind: BatchKind) -> &mut usize {
        match kind {
            BatchKind::Events => &mut self.requests,
            BatchKind::Notes => &mut self.notes,
        }
    }

    /// Whether this controller tells Nova of it. One that has begun to goes on for as long as it lives.
    fn is_own(&self, due: &Due) -> bool {
        let Some(cluster) = &self.shared.cluster else {
            return true;
        };
        let known = self.waiting.known();
        let told = known.intent.nova_ports.get(&due.port);
        let teller = told.and_then(|told| told.teller.as_ref());
        if let Some(teller) = teller.filter(|teller| cluster.lives(teller)) {
            return teller == cluster.name();
        }
        match known.facts.plugged().get(&due.port) {
            Some(plugged) => {
                let owner = known.facts.owners().get(&plugged.chassis);
                cluster.is_responsible(&plugged.chassis, owner.map(|owner| &owner.controller))
            }
            None => cluster.rank(&ChassisId::new(&due.port.to_string())) == 0,
        }
    }

    fn ended(&mut self, ended: Result<BatchEnd, JoinError>) {
        let ended = match ended {
            Ok(ended) => ended,
            // A defect ends the process, as in every other part of it.
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_) => return,
        };
        // What it has stored is in the latest snapshot. By an older one, the same would be told again.
        let latest = self.shared.snapshots.latest();
        self.waiting.take(latest, Instant::now());
        *self.count(ended.kind) -= 1;
        for port in &ended.ports {
            self.busy.remove(port);
        }
        match ended.outcome {
            Ok(dismissed) => self.answered(ended.kind, dismissed),
            Err(failure) => self.failed(&failure),
        }
    }

    fn answered(&mut self, kind: BatchKind, dismissed: usize) {
        if kind == BatchKind::Notes {
            return;
        }
        self.backoff.reset();
        self.not_before = None;
        if std::mem::take(&mut self.fails) {
            tracing::info!("Nova answers again");
        }
        if dismissed > 0
            && let Some(unsaid) = self.dismissals.admit(std::time::Instant::now())
        {
            tracing::info!(
                events = dismissed,
                unsaid,
                "Nova has no use for events: it does not know these guests (any more)"
            );
        }
    }

    fn failed(&mut self, failure: &NovaFailure) {
        // Those that were under way together fail together.
        if self.not_before.is_none() {
            self.not_before = Some(Instant::now() + self.backoff.wait());
        }
        if let Some(unsaid) = self.lines.admit(std::time::Instant::now()) {
            self.fails = true;
            tracing::warn!(error = %failure, unsaid, "Nova cannot be told of ports: guests that boot wait for it");
        }
    }
}
