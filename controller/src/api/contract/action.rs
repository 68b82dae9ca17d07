//! Actions: what can be done with some resources besides reading, making, changing and removing them.

use crate::api::contract::draft::Draft;
use crate::api::contract::error::ApiError;
use crate::api::contract::resource::Resource;
use serde_json::{Map, Value};

/// An action, requested by `PUT /v2.0/routers/{id}/add_router_interface` and the like.
pub(crate) trait Action: Sized + Send + Sync + 'static {
    /// The resource that it is done to.
    type Of: Resource;
    /// Its name in paths and in rules.
    const NAME: &'static str;

    /// Reads a request's body.
    ///
    /// # Errors
    /// The caller's fault: the body has not the form that it should.
    fn read(body: Map<String, Value>) -> Result<Self, ApiError>;

    /// Does it.
    ///
    /// # Errors
    /// It cannot be done while the cloud is as it is.
    fn act(&self, draft: &mut Draft, with: &Self::Of) -> Result<ActionAnswer, ApiError>;
}

/// The answer to the caller.
pub(crate) enum ActionAnswer {
    /// This.
    Value(Value),
    /// The resource as it is after the action.
    Resource,
}
