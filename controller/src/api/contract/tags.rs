//! Tags of resources, as requests give them.

use crate::api::contract::error::ApiError;
use crate::api::contract::values::{self, Invalid};
use serde_json::Value;
use sextant_model::RaTagError;
use std::collections::BTreeSet;

/// The longest tag, in characters.
const LONGEST: usize = 255;
/// The most tags of a resource.
const MOST: usize = 50;

/// A list of tags.
pub(crate) fn tags(value: &Value) -> Result<BTreeSet<String>, Invalid> {
    let tags = values::list(values::text(LONGEST))(value)?;
    match tags.iter().find(|tag| tag.is_empty() || tag.contains(',')) {
        Some(tag) => Err(Invalid::Reason(format!("'{tag}' is not a valid tag"))),
        None => Ok(tags.into_iter().collect()),
    }
}

/// Refuses more tags than a resource may have.
pub(crate) fn refuse_many(tags: &BTreeSet<String>) -> Result<(), ApiError> {
    match tags.len() > MOST {
        true => Err(ApiError::malformed(format!(
            "The number of tags exceed the per-resource limit of {MOST}"
        ))),
        false => Ok(()),
    }
}

/// A tag that should set something about Router Advertisements, and cannot.
pub(crate) fn refused(error: RaTagError) -> ApiError {
    ApiError::invalid_input(error.to_string())
}
