//! Parameters of lists: which are known, and when a value is what they say.

use super::TAG_FILTERS;
use crate::api::contract::attributes::Filter;
use crate::api::contract::conditions::Conditions;
use crate::api::contract::error::ApiError;
use crate::api::contract::python;
use crate::api::contract::resource::Resource;
use serde_json::Value;
use sextant_model::Meta;
use std::cmp::Ordering;

/// Parameters that are no conditions.
pub(super) const RESERVED: [&str; 6] = [
    "fields",
    "limit",
    "marker",
    "page_reverse",
    "sort_key",
    "sort_dir",
];

/// How a list is sorted by an attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    Ascending,
    Descending,
}

pub(super) fn conditions<R: Resource>(given: &[(String, String)]) -> Result<Conditions, ApiError> {
    let known = |name: &str| {
        let filter = filter_of::<R>(name);
        filter.is_some_and(|filter| !matches!(filter, Filter::Never))
            || R::has_tags() && TAG_FILTERS.contains(&name)
    };
    let mut conditions = Conditions::new();
    let mut unknown = Vec::new();
    for (name, value) in given
        .iter()
        .filter(|(name, _)| !RESERVED.contains(&name.as_str()))
    {
        if !known(name) && !unknown.contains(&name.as_str()) {
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

/// How lists are filtered by an attribute of this name, if there is one.
pub(super) fn filter_of<R: Resource>(name: &str) -> Option<&'static Filter<R>> {
    let attribute = R::attributes().find(|attribute| attribute.is_known_as(name));
    attribute.map(|attribute| &attribute.filter)
}

pub(super) fn order<R: Resource>(
    keys: &[String],
    directions: &[String],
) -> Result<Vec<(String, Direction)>, ApiError> {
    let known = |key: &&String| R::attributes().any(|attribute| attribute.is_known_as(key));
    if let Some(unknown) = keys.iter().find(|key| !known(key)) {
        return Err(ApiError::malformed(format!(
            "{} is invalid attribute for sort_keys",
            python::names([unknown.as_str()])
        )));
    }
    if !directions.is_empty() && directions.len() != keys.len() {
        return Err(ApiError::malformed(
            "The number of sort_keys and sort_dirs must be same",
        ));
    }
    let ascending = || "asc".to_owned();
    let directions = directions
        .iter()
        .cloned()
        .chain(std::iter::repeat_with(ascending));
    keys.iter()
        .cloned()
        .zip(directions)
        .map(|(key, word)| Ok((key, direction(&word)?)))
        .collect()
}

pub(super) fn direction(word: &str) -> Result<Direction, ApiError> {
    match word {
        "asc" => Ok(Direction::Ascending),
        "desc" => Ok(Direction::Descending),
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
    let has = |tag: &str| meta.tags.contains(tag);
    let mut tags = values.iter().flat_map(|value| value.split(','));
    match filter {
        "tags" => tags.all(has),
        "tags-any" => tags.any(has),
        "not-tags" => !tags.all(has),
        _ => !tags.any(has),
    }
}

pub(super) fn compare(a: Option<&Value>, b: Option<&Value>) -> Ordering {
    match (a, b) {
        (Some(Value::String(a)), Some(Value::String(b))) => a.cmp(b),
        (Some(Value::Bool(a)), Some(Value::Bool(b))) => a.cmp(b),
        (Some(Value::Number(a)), Some(Value::Number(b))) => a.as_i64().cmp(&b.as_i64()),
        (a, b) => {
            let is_null = |value: Option<&Value>| value.is_none_or(Value::is_null);
            is_null(b).cmp(&is_null(a))
        }
    }
}
