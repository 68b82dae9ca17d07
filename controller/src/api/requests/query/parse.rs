//! The parameters of lists: which are known, and how they are parsed.

use crate::api::contract::attributes::Filter;
use crate::api::contract::conditions::Conditions;
use crate::api::contract::error::ApiError;
use crate::api::contract::python;
use crate::api::contract::resource::{AttributeOf, Resource};
use serde_json::Value;
use sextant_model::Meta;
use std::cmp::Ordering;

/// Conditions on tags.
pub(super) const TAG_FILTERS: [&str; 4] = ["tags", "tags-any", "not-tags", "not-tags-any"];

/// Parameters that are not conditions.
pub(super) const RESERVED: [&str; 6] = [
    "fields",
    "limit",
    "marker",
    "page_reverse",
    "sort_key",
    "sort_dir",
];

/// The order of an attribute in a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SortDirection {
    Ascending,
    Descending,
}

fn is_filter<R: Resource>(name: &str) -> bool {
    let attribute = attribute_of::<R>(name);
    attribute.is_some_and(|attribute| !matches!(attribute.filter, Filter::Never))
        || R::has_tags() && TAG_FILTERS.contains(&name)
}

pub(super) fn conditions<R: Resource>(given: &[(String, String)]) -> Result<Conditions, ApiError> {
    let mut conditions = Conditions::new();
    let mut unknown = Vec::new();
    for (name, value) in given
        .iter()
        .filter(|(name, _)| !RESERVED.contains(&name.as_str()))
    {
        if !is_filter::<R>(name) && !unknown.contains(&name.as_str()) {
            unknown.push(name.as_str());
        }
        conditions
            .entry(name.clone())
            .or_default()
            .push(value.clone());
    }
    if unknown.is_empty() {
        Ok(conditions)
    } else {
        let names = python::names(unknown);
        Err(ApiError::malformed(format!(
            "{names} is invalid attribute for filtering"
        )))
    }
}

/// The attribute of this name, if requests know it.
fn attribute_of<R: Resource>(name: &str) -> Option<&'static AttributeOf<R>> {
    R::attributes().find(|attribute| attribute.is_known_as(name))
}

/// The attributes that a list is sorted by.
pub(super) fn order<R: Resource>(
    keys: &[String],
    directions: &[String],
) -> Result<Vec<(&'static AttributeOf<R>, SortDirection)>, ApiError> {
    let mut attributes = Vec::new();
    for key in keys {
        let Some(attribute) = attribute_of::<R>(key) else {
            let key = python::names([key.as_str()]);
            let message = format!("{key} is invalid attribute for sort_keys");
            return Err(ApiError::malformed(message));
        };
        attributes.push(attribute);
    }
    if !directions.is_empty() && directions.len() != keys.len() {
        return Err(ApiError::malformed(
            "The number of sort_keys and sort_dirs must be same",
        ));
    }
    let directions = directions
        .iter()
        .cloned()
        .chain(std::iter::repeat_with(|| "asc".to_owned()));
    attributes
        .into_iter()
        .zip(directions)
        .map(|(key, word)| Ok((key, direction(&word)?)))
        .collect()
}

pub(super) fn direction(word: &str) -> Result<SortDirection, ApiError> {
    match word {
        "asc" => Ok(SortDirection::Ascending),
        "desc" => Ok(SortDirection::Descending),
        _ => {
            let words = python::names([word]);
            Err(ApiError::malformed(format!(
                "{words} is invalid value for sort_dirs, valid value is 'asc' and 'desc'"
            )))
        }
    }
}

pub(super) fn limit(text: &str) -> Result<usize, ApiError> {
    text.parse().map_err(|_| {
        ApiError::bad_request(
            "limit",
            format!("limit must be an integer 0 or greater and not '{text}'"),
        )
    })
}

pub(super) fn tags_hold(meta: &Meta, filter: &str, values: &[String]) -> bool {
    let tags = values.iter().flat_map(|value| value.split(','));
    let mut held = tags.map(|tag| meta.tags.contains(tag));
    match filter {
        "tags" => held.all(|held| held),
        "tags-any" => held.any(|held| held),
        "not-tags" => !held.all(|held| held),
        _ => !held.any(|held| held),
    }
}

/// Null comes last.
pub(super) fn compare(a: &Value, b: &Value) -> Ordering {
    match (a, b) {
        (Value::String(a), Value::String(b)) => a.cmp(b),
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        (Value::Number(a), Value::Number(b)) => a.as_i64().cmp(&b.as_i64()),
        (a, b) => b.is_null().cmp(&a.is_null()),
    }
}
