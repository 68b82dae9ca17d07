//! What the API works with.

use crate::api::contract::draft::WRITERS_AT_ONCE;
use crate::api::requests::audit::Audit;
use crate::api::requests::fair::FairPlaces;
use crate::api::requests::gate::Gate;
use crate::api::requests::identity::Identity;
use crate::metrics::Metrics;
use crate::seat::Seats;
use crate::snapshot::Snapshots;
use crate::state::Events;
use crate::store::Store;
use arc_swap::ArcSwap;
use sextant_model::ChassisId;
use std::sync::Arc;
use tokio::sync::RwLock;

/// What the API works with.
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
    pub(crate) audit: Arc<Audit>,
}

impl Api {
    /// An API that writes to this store. Somebody must watch the store and publish what it leads to as snapshots, or no
    /// write is ever answered.
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
            audit: Arc::default(),
        }
    }

    /// The same, but it knows which hypervisors are connected, and can have those that are not forgotten.
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
        });
        Self {
            hypervisors,
            ..self
        }
    }

    /// The same, but this is how it knows who calls; else everyone is admin.
    #[must_use]
    pub fn with_identity(self, identity: Identity) -> Self {
        Self {
            identity: Arc::new(ArcSwap::from_pointee(identity)),
            ..self
        }
    }
}

impl Api {
    /// Knows from here on who calls by this, also in services that were made before.
    pub fn identify_by(&self, identity: Identity) {
        self.identity.store(Arc::new(identity));
    }
}

/// Where the API learns which hypervisors are connected, and says that one is gone.
#[derive(Clone)]
pub(crate) struct Hypervisors {
    pub(crate) seats: Seats<ChassisId>,
    pub(crate) switches: Seats<ChassisId>,
    pub(crate) events: Events,
}
