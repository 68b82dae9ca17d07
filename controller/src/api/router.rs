//! Routers.

mod attachment;
pub(super) mod interface;

use super::attributes::{Attribute, Body, fixed, free, shown};
use super::draft::Draft;
use super::error::ApiError;
use super::query::Conditions;
use super::resource::{Resource, View};
use super::shown::Shown;
use super::values;
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
        free("routes").no_filter(),
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

    fn find(intent: &Intent, id: &str) -> Option<Arc<Self>> {
        intent.routers.get(&id.parse::<RouterId>().ok()?).cloned()
    }

    fn candidates(intent: &Intent, conditions: &Conditions) -> Vec<Arc<Self>> {
        match conditions.get("id") {
            Some(ids) => ids.iter().filter_map(|id| Self::find(intent, id)).collect(),
            None => intent.routers.values().cloned().collect(),
        }
    }

    fn table(intent: &Intent) -> Option<&OrdMap<Self::Id, Arc<Self>>> {
        Some(&intent.routers)
    }

    fn render(&self, _: View<'_>, shown: &mut Shown<'_>) {
        shown.all(json!({
            "admin_state_up": self.admin_state_up,
            "status": "ACTIVE",
            "external_gateway_info": null,
            "routes": [],
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
        let admin_state_up = admin_state_up(body)?.unwrap_or(true);
        let router = Self {
            id: RouterId(draft.uuid()),
            meta: draft.meta(name, description, project, 1),
            admin_state_up,
            key: claim_key(draft)?,
            external_gateway: None,
            routes: Vec::new(),
        };
        let id = router.id;
        draft.put(Object::Router(Arc::new(router)));
        Ok(id)
    }

    fn update(&self, draft: &mut Draft, body: &Body) -> Result<(), ApiError> {
        let mut router = self.clone();
        super::change_names(&mut router.meta, body)?;
        router.admin_state_up = admin_state_up(body)?.unwrap_or(self.admin_state_up);
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
        draft.delete(Key::RouterKey(self.key));
        draft.delete(Key::Router(self.id));
        Ok(())
    }
}

/// What may be set at any time, when nothing is asked that does not exist here.
fn admin_state_up(body: &Body) -> Result<Option<bool>, ApiError> {
    body.read("external_gateway_info", values::nothing)?;
    body.read("routes", values::nothing)?;
    body.read("admin_state_up", values::boolean)
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
