//! Address scopes: subnet pools of one scope do not overlap, so that their subnets can be routed to each other.
//!
//! A writer that puts a pool into a scope, or enlarges one there, stores the scope again. So of two pools that would
//! overlap, the second is checked again.

use crate::api::contract::attributes::{attributes, required, writable};
use crate::api::contract::draft::Draft;
use crate::api::contract::error::ApiError;
use crate::api::contract::index::{self, Ids};
use crate::api::contract::rbac;
use crate::api::contract::resource::Resource;
use crate::api::contract::ties::Ties;
use crate::api::contract::values;
use crate::api::contract::view::ResourceView;
use sextant_model::{
    AddressScope, AddressScopeId, Intent, IpVersion, Meta, Object, ObjectKey, RbacAction,
    RbacObject, Span, SubnetPool,
};
use std::sync::Arc;

#[rustfmt::skip]
attributes! {
    /// What a request says about an address scope.
    AddressScopePatch of AddressScope:
    required("ip_version") => required ip_version: IpVersion = values::ip_version, |scope| scope.ip_version;
    writable("shared").index(rbac::shared::<AddressScope>) => stored shared: bool = values::boolean, |scope, view| is_shared(scope, view);
}

impl Resource for AddressScope {
    type Patch = AddressScopePatch;

    fn ties(&self) -> Ties {
        Ties::Object(RbacObject::AddressScope(self.id))
    }

    fn tied_to<'a>(
        _: &'a Intent,
        object: RbacObject,
        span: Span<AddressScopeId>,
    ) -> Option<Ids<'a, AddressScopeId>> {
        match object {
            RbacObject::AddressScope(id) => Some(index::one(id, span)),
            RbacObject::Network(_) | RbacObject::SecurityGroup(_) | RbacObject::SubnetPool(_) => {
                None
            }
        }
    }

    fn create(
        draft: &mut Draft,
        meta: Meta,
        patch: &AddressScopePatch,
    ) -> Result<AddressScopeId, ApiError> {
        let scope = Self {
            id: AddressScopeId(draft.uuid()),
            meta,
            ip_version: patch.ip_version()?,
            shared: patch.shared.unwrap_or(false),
        };
        let id = scope.id;
        store(draft, scope)?;
        Ok(id)
    }

    fn update(
        &self,
        changed: Self,
        draft: &mut Draft,
        _: &AddressScopePatch,
    ) -> Result<(), ApiError> {
        if self.shared && !changed.shared {
            return Err(ApiError::bad(
                "AddressScopeUpdateError",
                format!(
                    "Unable to update address scope {} : Shared address scope can't be unshared.",
                    self.id
                ),
            ));
        }
        store(draft, changed)
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
        draft.delete(ObjectKey::AddressScope(self.id));
        Ok(())
    }
}

/// Whether the caller may use it by an access policy.
fn is_shared(scope: &AddressScope, view: ResourceView<'_>) -> bool {
    let object = RbacObject::AddressScope(scope.id);
    view.caller
        .is_granted(view.intent, object, RbacAction::AccessAsShared)
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
