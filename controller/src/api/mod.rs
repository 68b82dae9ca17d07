//! The Neutron v2.0 REST API: how intent comes in and is read.
//!
//! Reads answer from the latest snapshot. A write is planned on it as a pure function (`draft`), committed to the store
//! with what it rests on as preconditions (`commit`), and answered once the snapshot has reached it. Each kind of resource
//! is a file that implements `resource::Resource`; what they share (attributes as data, lists, errors, tags) is beside
//! them. Time, randomness and ids enter in `commit` and nowhere else.

mod abandon;
mod address_scope;
mod agent;
mod answer;
mod attributes;
mod audit;
mod availability_zone;
mod commit;
mod discovery;
mod draft;
mod error;
mod fair;
mod gate;
mod identity;
mod ip_availability;
mod ipam;
mod middleware;
mod network;
mod policy;
mod port;
mod python;
mod query;
mod quota;
mod rbac;
mod request;
mod resource;
mod router;
mod security_group;
mod shown;
mod subnet;
mod subnet_pool;
mod tags;
mod timestamp;
mod values;

use crate::metrics::Metrics;
use crate::seat::Seats;
use crate::snapshot::Snapshots;
use crate::state::Events;
use crate::store::Store;
use arc_swap::ArcSwap;
use attributes::Body;
use audit::Audit;
use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use error::ApiError;
use fair::FairPlaces;
use gate::Gate;
pub use identity::{Identity, loopback};
use serde_json::{Map, Value};
use sextant_model::{
    AddressScope, ChassisId, Meta, Network, Port, RbacPolicy, SecurityGroup, SecurityGroupRule,
    Subnet, SubnetPool,
};
use std::sync::Arc;
pub(crate) use subnet::RenumberError;
use tokio::sync::RwLock;

/// What the API works with.
#[derive(Clone)]
pub struct Api {
    store: Arc<dyn Store>,
    snapshots: Snapshots,
    metrics: Metrics,
    turns: Arc<RwLock<()>>,
    writers: FairPlaces,
    gate: Gate,
    lists: Gate,
    hypervisors: Option<agent::Hypervisors>,
    identity: Arc<ArcSwap<Identity>>,
    audit: Arc<Audit>,
}

impl Api {
    /// An API that writes to this store. Somebody must watch the store and publish what it leads to as snapshots, or no
    /// write is ever answered.
    pub fn new(store: Arc<dyn Store>, snapshots: Snapshots, metrics: Metrics) -> Self {
        Self {
            store,
            snapshots,
            metrics,
            turns: Arc::new(RwLock::with_max_readers((), commit::WRITERS_AT_ONCE as u32)),
            writers: FairPlaces::new(commit::WRITERS_AT_ONCE as usize),
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
        let hypervisors = Some(agent::Hypervisors {
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

/// The API as a service, for `axum::serve`.
pub fn service(api: Api) -> Router {
    let resources = Router::new()
        .merge(discovery::routes())
        .merge(resource::routes::<Network>())
        .merge(resource::routes::<Subnet>())
        .merge(resource::routes::<SubnetPool>())
        .merge(resource::routes::<Port>())
        .merge(resource::routes::<sextant_model::Router>())
        .merge(router::routes())
        .merge(subnet_pool::routes())
        .merge(resource::routes::<AddressScope>())
        .merge(resource::routes::<SecurityGroup>())
        .merge(resource::routes::<SecurityGroupRule>())
        .merge(resource::routes::<RbacPolicy>())
        .merge(quota::routes())
        .merge(agent::routes())
        .merge(availability_zone::routes())
        .merge(ip_availability::routes())
        .method_not_allowed_fallback(discovery::not_allowed)
        .fallback(discovery::not_found)
        .layer(from_fn_with_state(api.clone(), identity::identify))
        .layer(from_fn_with_state(api.clone(), middleware::serve))
        .with_state(api);
    Router::new()
        .fallback_service(resources)
        .layer(from_fn(middleware::strip_suffix))
}

/// Takes over name and description.
fn change_names(meta: &mut Meta, body: &Body) -> Result<(), ApiError> {
    for (name, attribute) in [
        ("name", &mut meta.name),
        ("description", &mut meta.description),
    ] {
        if let Some(given) = body.read(name, values::text(values::LONG))? {
            *attribute = given;
        }
    }
    Ok(())
}

/// The fields of a JSON object.
fn fields(object: Value) -> Map<String, Value> {
    if let Value::Object(fields) = object {
        fields
    } else {
        Map::new()
    }
}
