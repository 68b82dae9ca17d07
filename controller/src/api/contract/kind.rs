//! What all kinds of resources share as objects of the intent.

use crate::api::contract::draft::Draft;
use crate::api::contract::error::ApiError;
use imbl::OrdMap;
use serde::Serialize;
use sextant_model::{Intent, Meta, Object, ObjectId};
use std::fmt::Display;
use std::str::FromStr;
use std::sync::Arc;

/// A kind of resource: an object of the intent that the API knows by name and id.
pub(crate) trait Kind: Clone + Send + Sync + 'static {
    /// Its name in the API.
    const NAME: &'static str;
    /// Its plural in the API.
    const COLLECTION: &'static str;
    /// The path of its collection, under `/v2.0/`.
    const PATH: &'static str;
    /// Its id.
    type Id: ObjectId + Display + FromStr + Serialize;

    fn id(&self) -> Self::Id;
    fn meta(&self) -> &Meta;
    fn meta_mut(&mut self) -> &mut Meta;
    /// All objects of the kind.
    fn table(intent: &Intent) -> &OrdMap<Self::Id, Arc<Self>>;
    /// The object that the store keeps.
    fn into_object(self) -> Object;
    /// The error 404 for an id that does not exist.
    fn missing(id: &str) -> ApiError;

    /// The one of this id, if there is one.
    fn find(intent: &Intent, id: &str) -> Option<Arc<Self>> {
        let id: Self::Id = id.parse().ok()?;
        Self::table(intent).get(&id).cloned()
    }

    /// The one of this id.
    ///
    /// # Errors
    /// The caller's fault: there is no such object.
    fn get(intent: &Intent, id: impl Display) -> Result<Arc<Self>, ApiError> {
        let id = id.to_string();
        Self::find(intent, &id).ok_or_else(|| Self::missing(&id))
    }

    /// Stores the object unchanged, so that writers who rely on it check again.
    fn store_again(&self, draft: &mut Draft) {
        draft.put(self.clone().into_object());
    }

    /// Stores the object and counts a change of it.
    fn store_revised(&self, draft: &mut Draft) {
        let mut changed = self.clone();
        draft.revise(changed.meta_mut());
        draft.put(changed.into_object());
    }
}
