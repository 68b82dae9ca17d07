//! Interfaces of routers: `add_router_interface` and `remove_router_interface`.
//!
//! All IPv6 subnets of a network share one port of a router. So hosts see one router with all prefixes. Each IPv4
//! subnet has a port of its own.

use super::attachment::{check_port, checked_gateway, refused, shared_port, subnets_of};
use super::extra_routes::refuse_needed;
use crate::api::contract::action::{Action, ActionAnswer};
use crate::api::contract::draft::Draft;
use crate::api::contract::error::ApiError;
use crate::api::contract::kind::Kind;
use crate::api::contract::placement::{self, addresses};
use crate::api::contract::python;
use crate::api::contract::values;
use serde_json::{Map, Value, json};
use sextant_model::{
    FixedIp, Network, ObjectKey, Port, PortId, ROUTER_INTERFACE_OWNER, Router, Subnet, SubnetId,
};
use std::collections::BTreeSet;
use std::sync::Arc;
use uuid::Uuid;

/// `add_router_interface`.
pub(crate) struct AddRouterInterface(pub(crate) NamedInterface);

/// `remove_router_interface`.
pub(crate) struct RemoveRouterInterface(pub(crate) NamedInterface);

impl Action for AddRouterInterface {
    type Of = Router;
    const NAME: &'static str = "add_router_interface";

    fn read(body: Map<String, Value>) -> Result<Self, ApiError> {
        NamedInterface::read(&body).map(Self)
    }

    fn act(&self, draft: &mut Draft, router: &Router) -> Result<ActionAnswer, ApiError> {
        let changed = match (self.0.subnet, self.0.port) {
            (Some(_), Some(_)) => return Err(refused("Cannot specify both subnet-id and port-id")),
            (Some(subnet), None) => add_subnet(draft, router, subnet)?,
            (None, Some(port)) => add_port(draft, router, port)?,
            (None, None) => return Err(nothing_named()),
        };
        Ok(changed.answer(router))
    }
}

impl Action for RemoveRouterInterface {
    type Of = Router;
    const NAME: &'static str = "remove_router_interface";

    fn read(body: Map<String, Value>) -> Result<Self, ApiError> {
        NamedInterface::read(&body).map(Self)
    }

    fn act(&self, draft: &mut Draft, router: &Router) -> Result<ActionAnswer, ApiError> {
        let changed = match (self.0.port, self.0.subnet) {
            (Some(port), subnet) => remove_port(draft, router, port, subnet)?,
            (None, Some(subnet)) => remove_subnet(draft, router, subnet)?,
            (None, None) => return Err(nothing_named()),
        };
        Ok(changed.answer(router))
    }
}

fn nothing_named() -> ApiError {
    refused("Either subnet_id or port_id must be specified")
}

/// What a request names.
pub(crate) struct NamedInterface {
    pub(crate) subnet: Option<SubnetId>,
    pub(crate) port: Option<PortId>,
}

impl NamedInterface {
    fn read(body: &Map<String, Value>) -> Result<Self, ApiError> {
        let named = Self {
            subnet: id(body, "subnet_id")?.map(SubnetId),
            port: id(body, "port_id")?.map(PortId),
        };
        if named.subnet.is_none() && named.port.is_none() {
            return Err(nothing_named());
        }
        Ok(named)
    }
}

fn id(body: &Map<String, Value>, name: &str) -> Result<Option<Uuid>, ApiError> {
    let given = body.get(name).filter(|value| !value.is_null());
    let id = given.map(|value| values::uuid(value).map_err(|_| no_uuid(value)));
    id.transpose()
}

fn no_uuid(value: &Value) -> ApiError {
    refused(format!("'{}' is not a valid UUID", python::text(value)))
}

/// An interface that was added, changed or removed.
struct ChangedInterface {
    port: Arc<Port>,
    subnets: Vec<SubnetId>,
}

impl ChangedInterface {
    fn answer(&self, router: &Router) -> ActionAnswer {
        let ids: Vec<String> = self.subnets.iter().map(ToString::to_string).collect();
        ActionAnswer::Value(json!({
            "id": router.id.to_string(),
            "tenant_id": router.meta.project_id,
            "port_id": self.port.id.to_string(),
            "network_id": self.port.network_id.to_string(),
            "subnet_id": ids.first(),
            "subnet_ids": ids,
        }))
    }
}

/// Gives the router the subnet's gateway address.
fn add_subnet(
    draft: &mut Draft,
    router: &Router,
    id: SubnetId,
) -> Result<ChangedInterface, ApiError> {
    let subnet = Subnet::get(&draft.intent, id)?;
    let gateway = checked_gateway(&draft.intent, router, &subnet)?;
    let fixed = FixedIp {
        subnet_id: id,
        ip_address: gateway,
    };
    draft.relies_on(ObjectKey::Subnet(id));
    addresses::claim(draft, fixed)?;
    let mut port = port_for(draft, router, &subnet)?;
    port.fixed_ips.push(fixed);
    placement::store(draft, port.clone());
    Ok(ChangedInterface {
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
            let network = Network::get(&draft.intent, subnet.network_id)?;
            let owned = (router.id, router.meta.project_id.clone());
            placement::router_port(draft, network.id, owned, ROUTER_INTERFACE_OWNER)
        }
    }
}

/// Makes an existing port the router's. It keeps its addresses.
fn add_port(draft: &mut Draft, router: &Router, id: PortId) -> Result<ChangedInterface, ApiError> {
    let port = Port::get(&draft.intent, id)?;
    let subnets = subnets_of(&draft.intent, &port);
    check_port(&draft.intent, router, &port, &subnets)?;
    for subnet in &subnets {
        draft.relies_on(ObjectKey::Subnet(subnet.id));
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
    placement::store_changed(draft, changed);
    Ok(ChangedInterface {
        port,
        subnets: subnets.iter().map(|subnet| subnet.id).collect(),
    })
}

/// Removes the subnet's address from the router, and the port with its last address.
fn remove_subnet(
    draft: &mut Draft,
    router: &Router,
    id: SubnetId,
) -> Result<ChangedInterface, ApiError> {
    Subnet::get(&draft.intent, id)?;
    let port = draft
        .intent
        .interfaces_of(router.id)
        .find(|port| port.has_address_of(id))
        .cloned()
        .ok_or_else(|| not_attached(router, id))?;
    refuse_needed(&draft.intent, router, &[id])?;
    let (gone, kept): (Vec<FixedIp>, Vec<FixedIp>) = port
        .fixed_ips
        .iter()
        .copied()
        .partition(|fixed| fixed.subnet_id == id);
    put_router(draft, router, kept.is_empty());
    if kept.is_empty() {
        placement::remove(draft, &port);
    } else {
        gone.into_iter()
            .for_each(|fixed| addresses::release(draft, fixed));
        let changed = Port {
            fixed_ips: kept,
            ..Port::clone(&port)
        };
        placement::store_changed(draft, changed);
    }
    Ok(ChangedInterface {
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

pub(crate) fn no_interface(router: &Router, port: PortId) -> ApiError {
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
) -> Result<ChangedInterface, ApiError> {
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
    placement::remove(draft, &port);
    Ok(ChangedInterface { port, subnets })
}

/// Stores the router again. Neutron counts a change when a port comes or goes, not when a port changes.
fn put_router(draft: &mut Draft, router: &Router, revised: bool) {
    match revised {
        true => router.store_revised(draft),
        false => router.store_again(draft),
    }
}
