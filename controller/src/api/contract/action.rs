//! Actions: what can be done with a resource besides what can be done with every one.

use crate::api::contract::draft::Draft;
use crate::api::contract::error::ApiError;
use crate::api::contract::resource::Resource;
use serde_json::{Map, Value};

/// One action, asked for by `PUT /v2.0/routers/{id}/add_router_interface` and the like.
pub(crate) trait Action: Sized + Send + Sync + 'static {
    /// With what it is done.
    type Of: Resource;
    /// Its name in paths and in rules.
    const NAME: &'static str;

    /// What a request's body asks for.
    ///
    /// # Errors
    /// The caller's fault: the body has not the form that it should.
    fn read(body: Map<String, Value>) -> Result<Self, ApiError>;

    /// Does it.
    ///
    /// # Errors
    /// It cannot be done while the cloud is as it is.
    fn act(&self, draft: &mut Draft, with: &Self::Of) -> Result<Answer, ApiError>;
}

/// What the caller is answered.
pub(crate) enum Answer {
    /// This.
    Value(Value),
    /// The resource as it is after the action.
    Resource,
}
