//! Agents: one row per hypervisor, so that an operator sees which have joined and answer. Only admins see any.

use super::Api;
use super::error::ApiError;
use super::identity::Caller;
use axum::Json;
use axum::extract::{Extension, Path, State};
use axum::routing::get;
use serde_json::{Value, json};
use sextant_model::Chassis;
use uuid::Uuid;

pub(super) fn routes() -> axum::Router<Api> {
    axum::Router::new()
        .route("/v2.0/agents", get(list))
        .route("/v2.0/agents/{id}", get(show))
}

async fn list(State(api): State<Api>, Extension(caller): Extension<Caller>) -> Json<Value> {
    let snapshot = api.snapshots.latest();
    let agents: Vec<Value> = snapshot
        .facts
        .chassis()
        .values()
        .filter(|_| caller.is_admin())
        .map(|chassis| shown(chassis))
        .collect();
    Json(json!({"agents": agents}))
}

async fn show(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let snapshot = api.snapshots.latest();
    let found = snapshot
        .facts
        .chassis()
        .values()
        .find(|chassis| caller.is_admin() && agent_id(chassis).to_string() == id);
    match found {
        Some(chassis) => Ok(Json(json!({"agent": shown(chassis)}))),
        None => Err(ApiError::not_found(
            "AgentNotFound",
            format!("Agent {id} could not be found."),
        )),
    }
}

fn shown(chassis: &Chassis) -> Value {
    json!({
        "id": agent_id(chassis).to_string(),
        "agent_type": "Open vSwitch agent",
        "binary": "sextant",
        "host": chassis.id.as_str(),
        "topic": "N/A",
        "alive": chassis.observed,
        "admin_state_up": true,
        "availability_zone": null,
        "description": null,
        "resources_synced": null,
        "configurations": {
            "tunnel_types": [chassis.encap.kind.as_str()],
            "tunneling_ip": chassis.encap.ip,
            "bridge_mappings": chassis.bridge_mappings,
        },
    })
}

/// The system-id if it is a UUID, as Open vSwitch makes it, else one that follows from it.
fn agent_id(chassis: &Chassis) -> Uuid {
    let name = chassis.id.as_str();
    name.parse().unwrap_or_else(|_| {
        let hash = name.bytes().fold(
            0x6c62_272e_07bb_0142_62b8_2175_6295_c58d_u128,
            |hash, byte| {
                (hash ^ u128::from(byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b)
            },
        );
        uuid::Builder::from_custom_bytes(hash.to_be_bytes()).into_uuid()
    })
}
