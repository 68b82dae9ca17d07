//! Routers.

pub(crate) mod attachment;
pub(crate) mod extra_routes;
pub(crate) mod gateway;
pub(crate) mod interface;
pub(crate) mod readdress;

use crate::api::contract::attributes::{
    Patch, answer_only, attributes, fixed, read_only, writable,
};
use crate::api::contract::draft::Draft;
use crate::api::contract::error::ApiError;
use crate::api::contract::host_routes::host_routes;
use crate::api::contract::resource::Resource;
use crate::api::contract::values;
use gateway::PatchedGateway;
use rand::RngExt;
use sextant_model::{
    Claim, HostRoute, Meta, Object, ObjectKey, RbacObject, Router, RouterId, RouterKey,
};
use std::sync::Arc;

/// The largest number of a router in the pipeline: 24 bits.
const LAST_KEY: u32 = (1 << 24) - 1;

#[rustfmt::skip]
attributes! {
    /// What a request says about a router.
    RouterPatch of Router:
    writable("admin_state_up") => stored admin_state_up: bool = values::boolean;
    writable("external_gateway_info").no_filter().refers_to(named_network) => given gateway: PatchedGateway = gateway::patched, |router, view| gateway::shown(view.intent, router);
    read_only("routes").changeable().no_filter() => stored routes: Vec<HostRoute> = host_routes;
    fixed("availability_zone_hints").no_filter() => given availability_zone_hints: () = values::nothing, |_router| NONE;
    read_only("status"), |_router| "ACTIVE";
    answer_only("availability_zones"), |_router| NONE;
    answer_only("distributed"), |_router| false;
    answer_only("ha"), |_router| false;
    answer_only("flavor_id"), |_router| ();
}

const NONE: [(); 0] = [];

impl Resource for Router {
    type Patch = RouterPatch;
    const FIRST_REVISION: u64 = 1;

    fn create(draft: &mut Draft, meta: Meta, patch: &RouterPatch) -> Result<RouterId, ApiError> {
        let mut router = Self {
            id: RouterId(draft.uuid()),
            meta,
            admin_state_up: true,
            key: claim_key(draft)?,
            external_gateway: None,
            routes: Vec::new(),
        };
        patch.store(&mut router);
        if let Some(gateway) = &patch.gateway {
            gateway::set(draft, &mut router, gateway)?;
        }
        let id = router.id;
        draft.put(Object::Router(Arc::new(router)));
        Ok(id)
    }

    fn update(
        &self,
        mut changed: Self,
        draft: &mut Draft,
        patch: &RouterPatch,
    ) -> Result<(), ApiError> {
        if let Some(gateway) = &patch.gateway {
            gateway::set(draft, &mut changed, gateway)?;
        }
        if patch.gateway.is_some() || patch.routes.is_some() {
            extra_routes::check(&draft.intent, &changed)?;
        }
        draft.put(Object::Router(Arc::new(changed)));
        Ok(())
    }

    fn delete(&self, draft: &mut Draft) -> Result<(), ApiError> {
        let ports: Vec<String> = draft
            .intent
            .interfaces_of(self.id)
            .map(|port| port.id.to_string())
            .collect();
        if !ports.is_empty() {
            let (id, ports) = (self.id, ports.join(", "));
            return Err(ApiError::conflict(
                "RouterInUse",
                format!("Router {id} has ports still attached: {ports}"),
            ));
        }
        gateway::remove(draft, self);
        draft.delete(Claim::RouterKey(self.key));
        draft.delete(ObjectKey::Router(self.id));
        Ok(())
    }
}

fn named_network(patch: &RouterPatch) -> Vec<RbacObject> {
    match &patch.gateway {
        Some(PatchedGateway::Set(gateway, _)) => vec![RbacObject::Network(gateway.network_id)],
        Some(PatchedGateway::Cleared) | None => Vec::new(),
    }
}

fn claim_key(draft: &mut Draft) -> Result<RouterKey, ApiError> {
    let start = draft.dice.random_range(1..=LAST_KEY);
    for key in (start..=LAST_KEY).chain(1..start).map(RouterKey) {
        if draft.claim(Claim::RouterKey(key)) {
            return Ok(key);
        }
    }
    Err(ApiError::unavailable("There are too many routers."))
}
