//! Routers.

pub(crate) mod attachment;
mod extra_routes;
pub(crate) mod gateway;
mod interface;
pub(crate) mod readdress;

use crate::api::contract::attributes::{Attribute, Body, fixed, free, shown};
use crate::api::contract::draft::Draft;
use crate::api::contract::error::ApiError;
use crate::api::contract::resource::{Resource, View};
use crate::api::contract::shown::Shown;
use crate::api::contract::subnet::host_routes;
use crate::api::contract::values;
use imbl::OrdMap;
use rand::RngExt;
use serde_json::json;
use sextant_model::{Intent, Key, Meta, Object, Router, RouterId, RouterKey};
use std::sync::Arc;

/// The largest number of a router in the pipeline: 24 bits.
const LAST_KEY: u32 = (1 << 24) - 1;

impl Resource for Router {
    const NAME: &'static str = "router";
    const COLLECTION: &'static str = "routers";
    const ATTRIBUTES: &'static [Attribute] = &[
        free("admin_state_up"),
        free("external_gateway_info").no_filter(),
        shown("routes").changeable().no_filter(),
        fixed("availability_zone_hints").no_filter(),
        shown("status"),
    ];
    type Id = RouterId;

    fn id(&self) -> RouterId {
        self.id
    }

    fn meta(&self) -> &Meta {
        &self.meta
    }

    fn put_with_meta(&self, draft: &mut Draft, meta: Meta) {
        draft.put(Object::Router(Arc::new(Self {
            meta,
            ..self.clone()
        })));
    }

    fn missing(id: &str) -> ApiError {
        ApiError::not_found("RouterNotFound", format!("Router {id} could not be found"))
    }

    fn table(intent: &Intent) -> &OrdMap<Self::Id, Arc<Self>> {
        &intent.routers
    }

    fn render(&self, view: View<'_>, shown: &mut Shown<'_>) {
        shown.all(json!({
            "admin_state_up": self.admin_state_up,
            "status": "ACTIVE",
            "external_gateway_info": gateway::shown(view.intent, self),
            "routes": self.routes,
            "availability_zones": [],
            "availability_zone_hints": [],
            "distributed": false,
            "ha": false,
            "flavor_id": null,
        }));
    }

    fn create(draft: &mut Draft, project: String, body: &Body) -> Result<RouterId, ApiError> {
        let name = body
            .read("name", values::text(values::LONG))?
            .unwrap_or_default();
        let description = body
            .read("description", values::text(values::LONG))?
            .unwrap_or_default();
        body.read("availability_zone_hints", values::nothing)?;
        let mut router = Self {
            id: RouterId(draft.uuid()),
            meta: draft.meta(name, description, project, 1),
            admin_state_up: body
                .read("admin_state_up", values::boolean)?
                .unwrap_or(true),
            key: claim_key(draft)?,
            external_gateway: None,
            routes: Vec::new(),
        };
        if let Some(asked) = gateway::read(body)? {
            gateway::set(draft, &mut router, &asked)?;
        }
        let id = router.id;
        draft.put(Object::Router(Arc::new(router)));
        Ok(id)
    }

    fn update(&self, draft: &mut Draft, body: &Body) -> Result<(), ApiError> {
        let mut router = self.clone();
        crate::api::contract::attributes::change_names(&mut router.meta, body)?;
        if let Some(up) = body.read("admin_state_up", values::boolean)? {
            router.admin_state_up = up;
        }
        router.change_ways(draft, body)?;
        draft.revise(&mut router.meta);
        draft.put(Object::Router(Arc::new(router)));
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
        draft.delete(Key::RouterKey(self.key));
        draft.delete(Key::Router(self.id));
        Ok(())
    }
}

/// Where packets leave a router other than by its interfaces.
trait Ways {
    /// Takes over the gateway and the routes, which must fit each other.
    fn change_ways(&mut self, draft: &mut Draft, body: &Body) -> Result<(), ApiError>;
}

impl Ways for Router {
    fn change_ways(&mut self, draft: &mut Draft, body: &Body) -> Result<(), ApiError> {
        let asked = gateway::read(body)?;
        let routes = body.read("routes", host_routes)?;
        if asked.is_none() && routes.is_none() {
            return Ok(());
        }
        if let Some(asked) = asked {
            gateway::set(draft, self, &asked)?;
        }
        if let Some(routes) = routes {
            self.routes = routes;
        }
        extra_routes::check(&draft.intent, self)
    }
}

/// What can be done to a router besides what can be done to every resource.
pub(crate) fn routes() -> axum::Router<crate::api::Api> {
    interface::routes().merge(extra_routes::routes())
}

fn claim_key(draft: &mut Draft) -> Result<RouterKey, ApiError> {
    let start = draft.dice.random_range(1..=LAST_KEY);
    for key in (start..=LAST_KEY).chain(1..start).map(RouterKey) {
        if draft.claim(Key::RouterKey(key)) {
            return Ok(key);
        }
    }
    Err(ApiError::unavailable("There are too many routers."))
}
