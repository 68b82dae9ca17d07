//! Agents: one row for each hypervisor, so that an operator sees which have joined and are connected. Only admins see
//! them.
//!
//! Deleting the row of a hypervisor that is gone for good forgets it. Its ports are unbound, and nothing is sent to it
//! any more.
//!
//! A router's agents are the hypervisor with its gateway and those that could take it over, as with ML2/OVN. A network has
//! no agents, since DHCP is answered on each hypervisor.

use crate::api::contract::caller::Caller;
use crate::api::contract::error::ApiError;
use crate::api::contract::kind::Kind;
use crate::api::requests::abandon;
use crate::api::requests::api::Api;
use crate::api::requests::api::Hypervisors;
use crate::api::requests::query::rows::{RowQuery, fields};
use crate::api::rights;
use crate::snapshot::{Snapshot, Snapshots};
use crate::state::Event;
use axum::Json;
use axum::extract::{Extension, Path, State};
use axum::http::{StatusCode, Uri};
use axum::routing::get;
use serde_json::{Map, Value, json};
use sextant_model::{Capability, Chassis, ChassisId, Facts, Network, Router};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;
use uuid::Uuid;

/// For how long a request waits until a hypervisor is forgotten.
const FORGETTING: Duration = Duration::from_secs(10);

const FILTERS: [&str; 9] = [
    "id",
    "agent_type",
    "alive",
    "availability_zone",
    "binary",
    "host",
    "topic",
    "admin_state_up",
    "description",
];

pub(crate) fn routes() -> axum::Router<Api> {
    axum::Router::new()
        .route("/v2.0/agents", get(list))
        .route("/v2.0/agents/{id}", get(show).delete(forget))
        .route("/v2.0/routers/{id}/l3-agents", get(of_router))
        .route("/v2.0/networks/{id}/dhcp-agents", get(of_network))
}

/// The hypervisors that have a router's gateway, or could take it over.
async fn of_router(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Json<Value>, ApiError> {
    refuse_others(&caller, "get_l3-agents")?;
    let snapshot = api.snapshots.latest();
    let Snapshot { intent, facts, .. } = &*snapshot;
    let router = <Router as Kind>::get(intent, &id)?;
    let active = facts.gateways().get(&router.id).map(|(host, _)| host);
    let physical = router.external_gateway.as_ref().and_then(|gateway| {
        let network = intent.networks.get(&gateway.network_id)?;
        network.physical_network.as_deref()
    });
    let can_have = facts.chassis().values().filter_map(|chassis| {
        let has = active == Some(&chassis.id);
        let can = physical.is_some_and(|physical| chassis.reaches(physical));
        (has || can).then_some((chassis, if has { "active" } else { "standby" }))
    });
    let agents = can_have.map(|(chassis, ha_state)| {
        let mut agent = api.agent(facts, chassis);
        agent.insert("ha_state".to_owned(), ha_state.into());
        agent
    });
    Ok(Json(json!({"agents": Vec::from_iter(agents)})))
}

async fn of_network(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Json<Value>, ApiError> {
    refuse_others(&caller, "get_dhcp-agents")?;
    <Network as Kind>::get(&api.snapshots.latest().intent, &id)?;
    Ok(Json(json!({"agents": []})))
}

async fn list(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    uri: Uri,
) -> Result<Json<Value>, ApiError> {
    let wanted = RowQuery::of(&uri, &FILTERS)?;
    let snapshot = api.snapshots.latest();
    // Without the right to see agents the list is empty, and no error.
    if !caller.may_do("get_agent", None) {
        return Ok(Json(json!({"agents": []})));
    }
    let chassis = snapshot.facts.chassis().values();
    let agents = wanted.select(chassis.map(|chassis| api.agent(&snapshot.facts, chassis)));
    Ok(Json(json!({"agents": agents})))
}

async fn show(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let snapshot = api.snapshots.latest();
    let chassis = find(&snapshot.facts, (&caller, "get_agent"), &id)?;
    Ok(Json(json!({"agent": api.agent(&snapshot.facts, &chassis)})))
}

/// Forgets a hypervisor that is not connected. It cannot connect meanwhile.
async fn forget(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
    const NOBODY: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
    let snapshot = api.snapshots.latest();
    let found = find(&snapshot.facts, (&caller, "delete_agent"), &id)?;
    let chassis = found.id.clone();
    let hypervisors = api.hypervisors.as_ref().ok_or_else(stopping)?;
    if is_owned_elsewhere(hypervisors, &snapshot.facts, &found) {
        return Err(alive(&id, &chassis));
    }
    let _changing = abandon::begin_change()?;
    let _seat = hypervisors
        .seats
        .take(&chassis, NOBODY)
        .map_err(|_| alive(&id, &chassis))?;
    hypervisors.seats.forget(&chassis);
    let left = Event::HypervisorLeft(chassis.clone());
    hypervisors
        .events
        .send(left)
        .await
        .map_err(|_| stopping())?;
    forgotten(api.snapshots.clone(), &chassis).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Waits until a hypervisor is forgotten, but not for long: other controllers may know of it, and tell of it again.
async fn forgotten(mut snapshots: Snapshots, chassis: &ChassisId) -> Result<(), ApiError> {
    let latest = snapshots.clone();
    let forgotten = async {
        while latest.latest().facts.chassis().contains_key(chassis) {
            snapshots.changed().await?;
        }
        Ok(())
    };
    let waited = timeout(FORGETTING, forgotten).await;
    waited.unwrap_or_else(|_| {
        let message = format!("Hypervisor {chassis} is not forgotten yet: ask again.");
        Err(ApiError::unavailable(message))
    })
}

fn stopping() -> ApiError {
    ApiError::unavailable("the process is stopping")
}

fn alive(agent: &str, chassis: &ChassisId) -> ApiError {
    ApiError::conflict(
        "AgentInUse",
        format!("Agent {agent} is alive: hypervisor {chassis} is connected."),
    )
}

fn refuse_others(caller: &Caller, rule: &str) -> Result<(), ApiError> {
    match caller.may_do(rule, None) {
        true => Ok(()),
        false => Err(rights::forbidden(rule)),
    }
}

fn find(
    facts: &Facts,
    (caller, rule): (&Caller, &str),
    id: &str,
) -> Result<Arc<Chassis>, ApiError> {
    let mut all = facts.chassis().values();
    match all.find(|chassis| agent_id(chassis).to_string() == id) {
        Some(chassis) if caller.may_do(rule, None) => Ok(chassis.clone()),
        Some(_) | None => Err(ApiError::not_found(
            "AgentNotFound",
            format!("Agent {id} could not be found."),
        )),
    }
}

impl Api {
    fn agent(&self, facts: &Facts, chassis: &Chassis) -> Map<String, Value> {
        let apart = facts.without_tunnel(chassis);
        let unreached = apart.chain(facts.unheard(&chassis.id));
        let unreached: Vec<&str> = unreached.map(ChassisId::as_str).collect();
        let shortfall = facts.shortfall(&chassis.id).cloned().unwrap_or_default();
        let missing = shortfall.missing().into_keys();
        let missing: Vec<&str> = missing.map(Capability::as_str).collect();
        let machine = chassis.machine.as_ref();
        fields(json!({
            "id": agent_id(chassis).to_string(),
            "agent_type": "Open vSwitch agent",
            "binary": "sextant",
            "host": chassis.id.as_str(),
            "topic": "N/A",
            "alive": self.is_alive(facts, chassis),
            "admin_state_up": true,
            "availability_zone": null,
            "description": null,
            "resources_synced": null,
            "created_at": null,
            "started_at": null,
            "heartbeat_timestamp": null,
            "configurations": {
                "tunnel_types": [chassis.encap.kind.as_str()],
                "tunneling_ip": chassis.encap.endpoints.first(),
                "tunneling_ips": chassis.encap.endpoints.addresses().collect::<Vec<_>>(),
                "no_tunnel_to": unreached,
                "bridge_mappings": chassis.bridge_mappings,
                "hostname": machine.and_then(|machine| machine.name.as_deref()),
                "datapath_type": machine.map(|machine| machine.datapath_type.as_str()),
                "controller": facts.owners().get(&chassis.id).map(|owner| owner.controller.as_str()),
                "missing": missing,
                "refused_flows": shortfall.flows.len(),
                "ports_down": shortfall.ports.len(),
            },
        }))
    }

    /// Whether a hypervisor was read, and its database and switch are connected: to this controller, or to another that owns it.
    pub(crate) fn is_alive(&self, facts: &Facts, chassis: &Chassis) -> bool {
        let Some(hypervisors) = &self.hypervisors else {
            return chassis.observed;
        };
        let both = [&hypervisors.seats, &hypervisors.switches];
        let is_connected = both.iter().all(|seats| seats.is_taken(&chassis.id));
        let owner = facts.owners().get(&chassis.id);
        is_connected && (chassis.observed || owner.is_some())
            || is_owned_elsewhere(hypervisors, facts, chassis)
    }
}

/// Whether another controller that lives owns a hypervisor, and does not say that it is gone.
fn is_owned_elsewhere(hypervisors: &Hypervisors, facts: &Facts, chassis: &Chassis) -> bool {
    let owner = facts.owners().get(&chassis.id);
    let cluster = hypervisors.cluster.as_ref();
    cluster.is_some_and(|cluster| cluster.is_anothers(owner)) && !facts.gone().contains(&chassis.id)
}

/// The system-id if it is a UUID, as Open vSwitch makes it. Else a UUID derived from it.
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

#[cfg(test)]
mod tests {
    use super::*;
    use sextant_model::{Encap, EncapKind};

    #[tokio::test(start_paused = true)]
    async fn who_forgets_a_hypervisor_is_answered_though_others_tell_of_it_again() {
        let id = ChassisId::new("h1");
        let mut known = Snapshot::default();
        let encap = Encap {
            endpoints: IpAddr::V6(Ipv6Addr::LOCALHOST).into(),
            kind: EncapKind::Vxlan,
        };
        known.facts.put_chassis(Chassis::new(id.clone(), encap));
        let (publisher, snapshots) = Snapshots::new(known);
        let asked = tokio::time::Instant::now();
        let refused = forgotten(snapshots.clone(), &id).await;
        assert!(refused.is_err());
        assert_eq!(asked.elapsed(), FORGETTING);
        publisher.publish(Snapshot::default());
        assert!(forgotten(snapshots, &id).await.is_ok());
    }
}
