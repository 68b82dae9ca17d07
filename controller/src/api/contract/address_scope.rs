//! Address scopes: subnet pools of one scope do not overlap, so that their subnets can be routed to each other.
//!
//! Whoever puts a pool in a scope, or makes one there larger, stores the scope again, so that of two pools that would
//! overlap the second looks again.

use crate::api::contract::attributes::{Attribute, Body, free, required};
use crate::api::contract::draft::Draft;
use crate::api::contract::error::ApiError;
use crate::api::contract::rbac;
use crate::api::contract::resource::{Resource, View};
use crate::api::contract::shown::Shown;
use crate::api::contract::values;
use crate::api::rights::Ties;
use imbl::OrdMap;
use sextant_model::{
    AddressScope, AddressScopeId, Intent, Key, Meta, Object, RbacAction, RbacObject, SubnetPool,
};
use std::sync::Arc;

impl Resource for AddressScope {
    const NAME: &'static str = "address_scope";
    const COLLECTION: &'static str = "address_scopes";
    const PATH: &'static str = "address-scopes";
    const ATTRIBUTES: &'static [Attribute] = &[required("ip_version"), free("shared")];
    type Id = AddressScopeId;

    fn id(&self) -> AddressScopeId {
        self.id
    }

    fn meta(&self) -> &Meta {
        &self.meta
    }

    fn put_with_meta(&self, draft: &mut Draft, meta: Meta) {
        draft.put(Object::AddressScope(Arc::new(Self {
            meta,
            ..self.clone()
        })));
    }

    fn missing(id: &str) -> ApiError {
        ApiError::not_found(
            "AddressScopeNotFound",
            format!("Address scope {id} could not be found."),
        )
    }

    fn table(intent: &Intent) -> &OrdMap<Self::Id, Arc<Self>> {
        &intent.address_scopes
    }

    fn ties(&self) -> Ties {
        Ties::Object(RbacObject::AddressScope(self.id))
    }

    fn render(&self, view: View<'_>, shown: &mut Shown<'_>) {
        let object = RbacObject::AddressScope(self.id);
        shown.put("ip_version", self.ip_version);
        shown.put_with("shared", || {
            view.caller
                .is_granted(view.intent, object, RbacAction::AccessAsShared)
        });
    }

    fn create(draft: &mut Draft, project: String, body: &Body) -> Result<AddressScopeId, ApiError> {
        let name = body
            .read("name", values::text(values::LONG))?
            .unwrap_or_default();
        let description = body
            .read("description", values::text(values::LONG))?
            .unwrap_or_default();
        let scope = Self {
            id: AddressScopeId(draft.uuid()),
            meta: draft.meta(name, description, project, 0),
            ip_version: body.require("ip_version", values::ip_version)?,
            shared: body.read("shared", values::boolean)?.unwrap_or(false),
        };
        let id = scope.id;
        store(draft, scope)?;
        Ok(id)
    }

    fn update(&self, draft: &mut Draft, body: &Body) -> Result<(), ApiError> {
        let mut scope = self.clone();
        crate::api::contract::attributes::change_names(&mut scope.meta, body)?;
        scope.shared = body.read("shared", values::boolean)?.unwrap_or(self.shared);
        if self.shared && !scope.shared {
            return Err(ApiError::bad(
                "AddressScopeUpdateError",
                format!(
                    "Unable to update address scope {} : Shared address scope can't be unshared.",
                    self.id
                ),
            ));
        }
        draft.revise(&mut scope.meta);
        store(draft, scope)
    }

    fn delete(&self, draft: &mut Draft) -> Result<(), ApiError> {
        if pools_of(&draft.intent, self.id).next().is_some() {
            return Err(ApiError::conflict(
                "AddressScopeInUse",
                format!(
                    "Unable to complete operation on address scope {}. There are one or more subnet pools in use on the \
                     address scope.",
                    self.id
                ),
            ));
        }
        draft.delete(Key::AddressScope(self.id));
        Ok(())
    }
}

/// Stores it, shared with whom its attribute says.
fn store(draft: &mut Draft, scope: AddressScope) -> Result<(), ApiError> {
    let (object, shared) = (RbacObject::AddressScope(scope.id), scope.shared);
    let project = scope.meta.project_id.clone();
    draft.put(Object::AddressScope(Arc::new(scope)));
    rbac::share(draft, object, &project, shared)
}

/// The subnet pools in a scope.
pub(crate) fn pools_of(
    intent: &Intent,
    scope: AddressScopeId,
) -> impl Iterator<Item = &Arc<SubnetPool>> {
    let pools = intent.subnet_pools.values();
    pools.filter(move |pool| pool.address_scope_id == Some(scope))
}
