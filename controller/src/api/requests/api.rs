//! What requests work with.

use crate::api::contract::draft::WRITERS_AT_ONCE;
use crate::api::contract::policy::Policy;
use crate::api::requests::audit::Audit;
use crate::api::requests::gate::Gate;
use crate::api::requests::identity::Identity;
use crate::api::rights::PolicyFile;
use crate::audit_file::AuditFile;
use crate::cluster::Cluster;
use crate::fair::FairPlaces;
use crate::metrics::Metrics;
use crate::seat::Seats;
use crate::snapshot::Snapshots;
use crate::state::Events;
use crate::store::Store;
use arc_swap::ArcSwap;
use sextant_model::ChassisId;
use std::path::Path;
use std::sync::Arc;
use tokio::sync::RwLock;

/// What requests work with.
#[derive(Clone)]
pub struct Api {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) snapshots: Snapshots,
    pub(crate) metrics: Metrics,
    pub(crate) turns: Arc<RwLock<()>>,
    pub(crate) writers: FairPlaces,
    pub(crate) gate: Gate,
    pub(crate) lists: Gate,
    pub(crate) hypervisors: Option<Hypervisors>,
    pub(crate) identity: Arc<ArcSwap<Identity>>,
    pub(crate) policy: Arc<ArcSwap<Policy>>,
    pub(crate) audit: Arc<Audit>,
}

impl Api {
    /// An API that writes to this store. Some task has to watch the store and publish snapshots, else no write is ever
    /// answered.
    pub fn new(store: Arc<dyn Store>, snapshots: Snapshots, metrics: Metrics) -> Self {
        Self {
            store,
            snapshots,
            metrics,
            turns: Arc::new(RwLock::with_max_readers((), WRITERS_AT_ONCE as u32)),
            writers: FairPlaces::new(WRITERS_AT_ONCE as usize),
            gate: Gate::default(),
            lists: Gate::default(),
            hypervisors: None,
            identity: Arc::default(),
            policy: Arc::default(),
            audit: Arc::default(),
        }
    }

    /// The same, knowing the connected hypervisors, so that others can be forgotten.
    #[must_use]
    pub fn with_hypervisors(
        self,
        seats: Seats<ChassisId>,
        switches: Seats<ChassisId>,
        events: Events,
    ) -> Self {
        let hypervisors = Some(Hypervisors {
            seats,
            switches,
            events,
            cluster: None,
        });
        Self {
            hypervisors,
            ..self
        }
    }

    /// The same, as one of several.
    #[must_use]
    pub fn with_cluster(mut self, cluster: Option<Cluster>) -> Self {
        if let Some(hypervisors) = &mut self.hypervisors {
            hypervisors.cluster = cluster;
        }
        self
    }

    /// The same, with a file that has a line for each write.
    #[must_use]
    pub fn with_audit_file(self, file: AuditFile) -> Self {
        let audit = Arc::new(Audit::to(file));
        Self { audit, ..self }
    }

    /// The same, with this way to identify callers. By default everyone is admin.
    #[must_use]
    pub fn with_identity(self, identity: Identity) -> Self {
        Self {
            identity: Arc::new(ArcSwap::from_pointee(identity)),
            ..self
        }
    }
}

impl Api {
    /// How callers are identified.
    pub fn identity(&self) -> Arc<Identity> {
        self.identity.load_full()
    }

    /// Opens the file for the audit anew, which may be another one.
    pub fn audit_again(&self, path: &Path) {
        self.audit.reopen(path);
    }

    /// What is measured.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Identifies callers in this way from now on, also in services that exist already.
    pub fn identify_by(&self, identity: Identity) {
        self.identity.store(Arc::new(identity));
    }
}

impl Api {
    /// Has these rules decide from now on, also in services that exist already.
    pub fn decide_by(&self, file: &PolicyFile) {
        self.policy.store(file.policy.clone());
    }
}

/// Which hypervisors are connected, and how to report that one is gone.
#[derive(Clone)]
pub(crate) struct Hypervisors {
    pub(crate) seats: Seats<ChassisId>,
    pub(crate) switches: Seats<ChassisId>,
    pub(crate) events: Events,
    /// This controller's place among several.
    pub(crate) cluster: Option<Cluster>,
}
