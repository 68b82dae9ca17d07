//! Interfaces of routers: `add_router_interface` and `remove_router_interface`.
//!
//! All IPv6 subnets of a network share one port of a router, so that hosts see one router there with all prefixes; an IPv4
//! subnet has a port of its own. Every change stores the router again, so that of two that are made at the same time the
//! second looks again whether its subnet overlaps.

use super::attachment::{check_port, checked_gateway, refused, shared_port, subnets_of};
use super::extra_routes::refuse_needed;
use crate::api::Api;
use crate::api::contract::caller::Caller;
use crate::api::contract::draft::Draft;
use crate::api::contract::error::ApiError;
use crate::api::contract::port::{self, addresses};
use crate::api::contract::python;
use crate::api::contract::resource::Resource;
use crate::api::contract::values;
use crate::api::requests::incoming;
use axum::Json;
use axum::body::Body as Stream;
use axum::extract::{Extension, Path, State};
use axum::routing::put;
use serde_json::{Map, Value, json};
use sextant_model::{
    FixedIp, Intent, Key, Network, Port, PortId, ROUTER_INTERFACE_OWNER, RbacAction, RbacObject,
    Router, Subnet, SubnetId,
};
use std::collections::BTreeSet;
use std::sync::Arc;

pub(super) fn routes() -> axum::Router<Api> {
    axum::Router::new()
        .route("/v2.0/routers/{id}/add_router_interface", put(add))
        .route("/v2.0/routers/{id}/remove_router_interface", put(remove))
}

/// The name of what takes an interface away.
const REMOVE: &str = "remove_router_interface";

/// What a request names.
struct Named {
    subnet: Option<SubnetId>,
    port: Option<PortId>,
}

impl Named {
    fn read(body: &Map<String, Value>) -> Result<Self, ApiError> {
        let id = |name: &str| {
            let given = body.get(name).filter(|value| !value.is_null());
            let valid = |value: &Value| values::uuid(value).map_err(|_| no_uuid(value));
            given.map(valid).transpose()
        };
        let named = Self {
            subnet: id("subnet_id")?.map(SubnetId),
            port: id("port_id")?.map(PortId),
        };
        if named.subnet.is_none() && named.port.is_none() {
            return Err(refused("Either subnet_id or port_id must be specified"));
        }
        Ok(named)
    }
}

fn no_uuid(value: &Value) -> ApiError {
    refused(format!("'{}' is not a valid UUID", python::text(value)))
}

impl Named {
    /// The router, if the caller may do this with it and may use what is named.
    fn permitted(
        &self,
        caller: &Caller,
        intent: &Intent,
        router: &str,
        action: &str,
    ) -> Result<Arc<Router>, ApiError> {
        let router = caller.find::<Router>(intent, router)?;
        caller.may_act(intent, &*router, action)?;
        if let Some(id) = self.port {
            caller
                .find::<Port>(intent, &id.to_string())
                .map_err(|missing| match action {
                    REMOVE => no_interface(&router, id),
                    _ => missing,
                })?;
        }
        if let Some(id) = self.subnet {
            let subnet = caller.find::<Subnet>(intent, &id.to_string())?;
            let owned = caller.is_admin() || caller.is_of(&subnet.meta.project_id);
            // Being shared with every project is not enough.
            let mut policies = intent.policies_for(RbacObject::Network(subnet.network_id));
            let mut granted = || {
                policies.any(|policy| {
                    policy.action == RbacAction::AccessAsShared && caller.is_of(&policy.target)
                })
            };
            if !owned && !granted() {
                return Err(refused(format!(
                    "Cannot add interface to router because subnet {id} is not owned by project making the request"
                )));
            }
        }
        Ok(router)
    }
}

/// What was done, for the answer.
struct Done {
    port: Arc<Port>,
    subnets: Vec<SubnetId>,
}

async fn add(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    body: Stream,
) -> Result<Json<Value>, ApiError> {
    let named = Named::read(&incoming::json(&api, body, &id).await?)?;
    let (answer, _) = api
        .write(|draft| {
            let router = named.permitted(&caller, &draft.intent, &id, "add_router_interface")?;
            let done = match (named.subnet, named.port) {
                (Some(_), Some(_)) => {
                    return Err(refused("Cannot specify both subnet-id and port-id"));
                }
                (Some(subnet), None) => add_subnet(draft, &router, subnet)?,
                (None, Some(port)) => add_port(draft, &router, port)?,
                (None, None) => {
                    return Err(refused("Either subnet_id or port_id must be specified"));
                }
            };
            Ok(answer(&router, &done))
        })
        .await?;
    Ok(Json(answer))
}

async fn remove(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    body: Stream,
) -> Result<Json<Value>, ApiError> {
    let named = Named::read(&incoming::json(&api, body, &id).await?)?;
    let (answer, _) = api
        .write(|draft| {
            let router = named.permitted(&caller, &draft.intent, &id, REMOVE)?;
            let done = match (named.port, named.subnet) {
                (Some(port), subnet) => remove_port(draft, &router, port, subnet)?,
                (None, Some(subnet)) => remove_subnet(draft, &router, subnet)?,
                (None, None) => {
                    return Err(refused("Either subnet_id or port_id must be specified"));
                }
            };
            Ok(answer(&router, &done))
        })
        .await?;
    Ok(Json(answer))
}

fn answer(router: &Router, done: &Done) -> Value {
    let ids: Vec<String> = done.subnets.iter().map(ToString::to_string).collect();
    json!({
        "id": router.id.to_string(),
        "tenant_id": router.meta.project_id,
        "port_id": done.port.id.to_string(),
        "network_id": done.port.network_id.to_string(),
        "subnet_id": ids.first(),
        "subnet_ids": ids,
    })
}

/// Gives the router the subnet's gateway address.
fn add_subnet(draft: &mut Draft, router: &Router, id: SubnetId) -> Result<Done, ApiError> {
    let subnet = Subnet::get(&draft.intent, &id.to_string())?;
    let gateway = checked_gateway(&draft.intent, router, &subnet)?;
    let fixed = FixedIp {
        subnet_id: id,
        ip_address: gateway,
    };
    draft.relies_on(Key::Subnet(id));
    addresses::claim(draft, fixed)?;
    let mut port = port_for(draft, router, &subnet)?;
    port.fixed_ips.push(fixed);
    port::store(draft, port.clone());
    Ok(Done {
        port: Arc::new(port),
        subnets: vec![id],
    })
}

/// The router's port for a subnet: the one that IPv6 subnets of the network share, or a new one.
fn port_for(draft: &mut Draft, router: &Router, subnet: &Subnet) -> Result<Port, ApiError> {
    let shared = shared_port(&draft.intent, router, subnet);
    put_router(draft, router, shared.is_none());
    match shared {
        Some(port) => {
            let mut port = Port::clone(&port);
            draft.revise(&mut port.meta);
            Ok(port)
        }
        None => {
            let network = Network::get(&draft.intent, &subnet.network_id.to_string())?;
            let owned = (router.id, router.meta.project_id.clone());
            port::router_port(draft, network.id, owned, ROUTER_INTERFACE_OWNER)
        }
    }
}

/// Makes a port that exists the router's, with the addresses that it has.
fn add_port(draft: &mut Draft, router: &Router, id: PortId) -> Result<Done, ApiError> {
    let port = Port::get(&draft.intent, &id.to_string())?;
    let subnets = subnets_of(&draft.intent, &port);
    check_port(&draft.intent, router, &port, &subnets)?;
    for subnet in &subnets {
        draft.relies_on(Key::Subnet(subnet.id));
    }
    put_router(draft, router, true);
    let changed = Port {
        device_id: router.id.to_string(),
        device_owner: ROUTER_INTERFACE_OWNER.to_owned(),
        port_security_enabled: false,
        allowed_address_pairs: Vec::new(),
        security_groups: BTreeSet::new(),
        ..Port::clone(&port)
    };
    port::store_changed(draft, changed);
    Ok(Done {
        port,
        subnets: subnets.iter().map(|subnet| subnet.id).collect(),
    })
}

/// Takes the subnet's address from the router, and the port with its last one.
fn remove_subnet(draft: &mut Draft, router: &Router, id: SubnetId) -> Result<Done, ApiError> {
    Subnet::get(&draft.intent, &id.to_string())?;
    let has = |port: &&Arc<Port>| port.fixed_ips.iter().any(|fixed| fixed.subnet_id == id);
    let port = draft.intent.interfaces_of(router.id).find(has).cloned();
    let port = port.ok_or_else(|| not_attached(router, id))?;
    refuse_needed(&draft.intent, router, &[id])?;
    let (gone, kept): (Vec<FixedIp>, Vec<FixedIp>) = port
        .fixed_ips
        .iter()
        .copied()
        .partition(|fixed| fixed.subnet_id == id);
    put_router(draft, router, kept.is_empty());
    if kept.is_empty() {
        port::remove(draft, &port);
    } else {
        gone.into_iter()
            .for_each(|fixed| addresses::release(draft, fixed));
        let changed = Port {
            fixed_ips: kept,
            ..Port::clone(&port)
        };
        port::store_changed(draft, changed);
    }
    Ok(Done {
        port,
        subnets: vec![id],
    })
}

fn not_attached(router: &Router, subnet: SubnetId) -> ApiError {
    let router = router.id;
    ApiError::not_found(
        "RouterInterfaceNotFoundForSubnet",
        format!("Router {router} has no interface on subnet {subnet}"),
    )
}

fn no_interface(router: &Router, port: PortId) -> ApiError {
    let router = router.id;
    ApiError::not_found(
        "RouterInterfaceNotFound",
        format!("Router {router} does not have an interface with id {port}"),
    )
}

fn remove_port(
    draft: &mut Draft,
    router: &Router,
    id: PortId,
    subnet: Option<SubnetId>,
) -> Result<Done, ApiError> {
    let port = Port::find(&draft.intent, &id.to_string());
    let port = port.filter(|port| port.router() == Some(router.id));
    let port = port.ok_or_else(|| no_interface(router, id))?;
    let subnets: Vec<SubnetId> = port.fixed_ips.iter().map(|fixed| fixed.subnet_id).collect();
    if let Some(subnet) = subnet.filter(|subnet| !subnets.contains(subnet)) {
        return Err(ApiError::bad(
            "SubnetMismatchForPort",
            format!("Subnet on port {id} does not match the requested subnet {subnet}."),
        ));
    }
    refuse_needed(&draft.intent, router, &subnets)?;
    put_router(draft, router, true);
    port::remove(draft, &port);
    Ok(Done { port, subnets })
}

/// Stores the router again; Neutron counts a change of it when a port comes or goes, not when one changes.
fn put_router(draft: &mut Draft, router: &Router, revised: bool) {
    let mut meta = router.meta.clone();
    if revised {
        draft.revise(&mut meta);
    }
    router.put_with_meta(draft, meta);
}
