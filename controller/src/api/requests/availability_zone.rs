//! Availability zones: one zone with all hypervisors, since each of them switches and routes for itself.

use crate::api::contract::error::ApiError;
use crate::api::requests::api::Api;
use crate::api::requests::query::rows::{RowQuery, fields};
use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use axum::routing::get;
use serde_json::{Value, json};

/// The default zone of Neutron's agents.
const ZONE: &str = "nova";

pub(crate) fn routes() -> axum::Router<Api> {
    axum::Router::new().route("/v2.0/availability_zones", get(list))
}

/// The zone exists once a hypervisor exists, for networks and for routers. It is available while one is connected.
async fn list(State(api): State<Api>, uri: Uri) -> Result<Json<Value>, ApiError> {
    let wanted = RowQuery::of(&uri, &["name", "resource", "state"])?;
    let snapshot = api.snapshots.latest();
    let hypervisors = snapshot.facts.chassis();
    let alive = hypervisors
        .values()
        .any(|chassis| api.is_alive(&snapshot.facts, chassis));
    let state = if alive { "available" } else { "unavailable" };
    let resources: &[&str] = match hypervisors.is_empty() {
        true => &[],
        false => &["network", "router"],
    };
    let rows = resources
        .iter()
        .map(|resource| fields(json!({"name": ZONE, "resource": resource, "state": state})));
    let zones = wanted.select(rows);
    Ok(Json(json!({"availability_zones": zones})))
}
