//! How many addresses of networks there are, and how many are used (`network-ip-availabilities`).

use crate::api::contract::caller::Caller;
use crate::api::contract::error::ApiError;
use crate::api::contract::ipam;
use crate::api::contract::kind::Kind;
use crate::api::requests::api::Api;
use crate::api::requests::query::rows::{RowQuery, fields};
use axum::Json;
use axum::extract::{Extension, Path, State};
use axum::http::Uri;
use axum::routing::get;
use serde::Serialize;
use serde_json::json;
use sextant_model::{AllocationPool, Intent, IpVersion, Network, Subnet};

const FILTERS: [&str; 5] = [
    "network_id",
    "network_name",
    "project_id",
    "tenant_id",
    "ip_version",
];

pub(crate) fn routes() -> axum::Router<Api> {
    axum::Router::new()
        .route("/v2.0/network-ip-availabilities", get(list))
        .route("/v2.0/network-ip-availabilities/{id}", get(show))
}

#[derive(Serialize)]
struct Many {
    network_ip_availabilities: Vec<Availability>,
}

#[derive(Serialize)]
struct One {
    network_ip_availability: Availability,
}

/// The numbers do not fit [`serde_json::Value`], so they are written directly.
#[derive(Serialize)]
struct Availability {
    network_id: String,
    network_name: String,
    project_id: String,
    tenant_id: String,
    total_ips: u128,
    used_ips: u128,
    subnet_ip_availability: Vec<OfSubnet>,
}

#[derive(Serialize)]
struct OfSubnet {
    subnet_id: String,
    subnet_name: String,
    ip_version: IpVersion,
    cidr: String,
    total_ips: u128,
    used_ips: u128,
}

async fn list(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    uri: Uri,
) -> Result<Json<Many>, ApiError> {
    let wanted = RowQuery::of(&uri, &FILTERS)?;
    let versions = wanted.values("ip_version");
    let snapshot = api.snapshots.latest();
    if !caller.may_do("get_network_ip_availability", None) {
        return Ok(Json(Many {
            network_ip_availabilities: vec![],
        }));
    }
    let networks = snapshot.intent.networks.values();
    let rows = networks
        .map(|network| availability(&snapshot.intent, network, versions))
        .filter(|row| versions.is_none() || !row.subnet_ip_availability.is_empty())
        .filter(|row| holds(&wanted, row, versions));
    Ok(Json(Many {
        network_ip_availabilities: rows.collect(),
    }))
}

/// Networks have no IP version. Filters by it were applied to their subnets before.
fn holds(wanted: &RowQuery, row: &Availability, versions: Option<&[String]>) -> bool {
    wanted.holds(&fields(json!({
        "network_id": row.network_id,
        "network_name": row.network_name,
        "project_id": row.project_id,
        "tenant_id": row.tenant_id,
        "ip_version": versions,
    })))
}

async fn show(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Json<One>, ApiError> {
    let snapshot = api.snapshots.latest();
    let network = Network::get(&snapshot.intent, &id)?;
    if !caller.may_do("get_network_ip_availability", None) {
        return Err(Network::missing(&id));
    }
    Ok(Json(One {
        network_ip_availability: availability(&snapshot.intent, &network, None),
    }))
}

fn availability(intent: &Intent, network: &Network, versions: Option<&[String]>) -> Availability {
    let subnets: Vec<OfSubnet> = intent
        .subnets_of(network.id)
        .map(|subnet| of_subnet(intent, subnet))
        .filter(|row| {
            versions.is_none_or(|versions| versions.contains(&row.ip_version.number().to_string()))
        })
        .collect();
    Availability {
        network_id: network.id.to_string(),
        network_name: network.meta.name.clone(),
        project_id: network.meta.project_id.clone(),
        tenant_id: network.meta.project_id.clone(),
        total_ips: sum(&subnets, |subnet| subnet.total_ips),
        used_ips: sum(&subnets, |subnet| subnet.used_ips),
        subnet_ip_availability: subnets,
    }
}

fn sum(subnets: &[OfSubnet], number: fn(&OfSubnet) -> u128) -> u128 {
    let numbers = subnets.iter().map(number);
    numbers.fold(0, u128::saturating_add)
}

/// As in Neutron, all addresses of a subnet without pools count.
fn of_subnet(intent: &Intent, subnet: &Subnet) -> OfSubnet {
    let total_ips = match &subnet.allocation_pools[..] {
        [] => ipam::size_of(subnet.cidr),
        pools => pools
            .iter()
            .map(AllocationPool::size)
            .fold(0, u128::saturating_add),
    };
    OfSubnet {
        subnet_id: subnet.id.to_string(),
        subnet_name: subnet.meta.name.clone(),
        ip_version: IpVersion::of_prefix(subnet.cidr),
        cidr: subnet.cidr.to_string(),
        total_ips,
        used_ips: intent.claimed_addresses(subnet.id).count() as u128,
    }
}
