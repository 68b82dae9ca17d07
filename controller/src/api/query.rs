//! Lists: filters, fields, order and pages.

use super::attributes::STANDARD;
use super::error::ApiError;
use super::python;
use super::resource::{Resource, View, shown};
use axum::extract::Query as Pairs;
use axum::http::Uri;
use serde_json::{Map, Value, json};
use sextant_model::Meta;
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// Parameters that are no conditions.
const RESERVED: [&str; 6] = [
    "fields",
    "limit",
    "marker",
    "page_reverse",
    "sort_key",
    "sort_dir",
];
const TAG_FILTERS: [&str; 4] = ["tags", "tags-any", "not-tags", "not-tags-any"];

/// By name, the values of which a resource must have one.
pub(super) type Conditions = BTreeMap<String, Vec<String>>;

/// The parameters of a request, in order.
pub(super) fn query(uri: &Uri) -> Result<Vec<(String, String)>, ApiError> {
    match Pairs::try_from_uri(uri) {
        Ok(Pairs(pairs)) => Ok(pairs),
        Err(error) => Err(ApiError::malformed(error.to_string())),
    }
}

/// What is asked of a list.
#[derive(Debug)]
pub(super) struct Query {
    given: Vec<(String, String)>,
    conditions: Conditions,
    fields: Vec<String>,
    order: Vec<(String, Direction)>,
    limit: Option<usize>,
    marker: Option<String>,
    reverse: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    Ascending,
    Descending,
}

impl Query {
    /// The query of a list of these resources.
    pub(super) fn of<R: Resource>(given: Vec<(String, String)>) -> Result<Self, ApiError> {
        let all = |name: &str| -> Vec<String> {
            let named = given
                .iter()
                .filter(|(given, value)| given == name && !value.is_empty());
            named.map(|(_, value)| value.clone()).collect()
        };
        let last = |name: &str| all(name).pop();
        Ok(Self {
            conditions: conditions::<R>(&given)?,
            fields: all("fields"),
            order: order::<R>(&all("sort_key"), &all("sort_dir"))?,
            limit: last("limit")
                .map(|limit| self::limit(&limit))
                .transpose()?
                .filter(|limit| *limit > 0),
            marker: last("marker"),
            reverse: last("page_reverse").is_some_and(|value| value.eq_ignore_ascii_case("true")),
            given,
        })
    }

    /// Those fields of a resource that were asked for.
    pub(super) fn fields_of(&self, mut shown: Map<String, Value>) -> Map<String, Value> {
        if !self.fields.is_empty() {
            shown.retain(|name, _| self.fields.contains(name));
        }
        shown
    }

    /// The page of the list that was asked for, with its links.
    pub(super) fn page<R: Resource>(
        &self,
        view: View<'_>,
        link: &str,
    ) -> Result<Map<String, Value>, ApiError> {
        let mut items: Vec<Map<String, Value>> = R::candidates(view.intent, &self.conditions)
            .into_iter()
            .filter(|resource| self.special_conditions_hold(&**resource))
            .map(|resource| shown(&*resource, view))
            .filter(|item| self.conditions_hold::<R>(item))
            .collect();
        if !self.order.is_empty() {
            items.sort_by(|a, b| self.compare(a, b));
        }
        let items = self.cut::<R>(items)?;
        let links = self.links(&items, link);
        let items: Vec<_> = items.into_iter().map(|item| self.fields_of(item)).collect();
        let mut page = Map::from_iter([(R::COLLECTION.to_owned(), items.into())]);
        if !links.is_empty() {
            page.insert(format!("{}_links", R::COLLECTION), links.into());
        }
        Ok(page)
    }

    fn special_conditions_hold<R: Resource>(&self, resource: &R) -> bool {
        self.conditions.iter().all(|(name, values)| {
            if TAG_FILTERS.contains(&name.as_str()) {
                tags_hold(resource.meta(), name, values)
            } else if R::FILTERS.contains(&name.as_str()) {
                resource.meets(name, values)
            } else {
                true
            }
        })
    }

    fn conditions_hold<R: Resource>(&self, item: &Map<String, Value>) -> bool {
        let on_values = self.conditions.iter().filter(|(name, _)| {
            !TAG_FILTERS.contains(&name.as_str()) && !R::FILTERS.contains(&name.as_str())
        });
        on_values.into_iter().all(|(name, wanted)| {
            let value = item.get(name).unwrap_or(&Value::Null);
            wanted.iter().any(|wanted| is(value, wanted))
        })
    }

    fn compare(&self, a: &Map<String, Value>, b: &Map<String, Value>) -> Ordering {
        for (key, direction) in &self.order {
            let ordering = compare(a.get(key), b.get(key));
            let ordering = match direction {
                Direction::Ascending => ordering,
                Direction::Descending => ordering.reverse(),
            };
            if ordering.is_ne() {
                return ordering;
            }
        }
        compare(a.get("id"), b.get("id"))
    }

    /// The items after the marker, or before it, as many as the limit allows.
    fn cut<R: Resource>(
        &self,
        mut items: Vec<Map<String, Value>>,
    ) -> Result<Vec<Map<String, Value>>, ApiError> {
        if let Some(marker) = &self.marker {
            let is_marker =
                |item: &Map<String, Value>| item.get("id").and_then(Value::as_str) == Some(marker);
            let at = items
                .iter()
                .position(is_marker)
                .ok_or_else(|| R::missing(marker))?;
            items = if self.reverse {
                items[..at].to_vec()
            } else {
                items.split_off(at + 1)
            };
        }
        if let Some(limit) = self.limit {
            if self.reverse && self.marker.is_some() {
                items = items.split_off(items.len().saturating_sub(limit));
            } else {
                items.truncate(limit);
            }
        }
        Ok(items)
    }

    /// Links to the pages after and before, where Neutron gives them.
    fn links(&self, items: &[Map<String, Value>], link: &str) -> Vec<Value> {
        let (Some(limit), Some(first), Some(last)) = (self.limit, items.first(), items.last())
        else {
            return Vec::new();
        };
        let short = items.len() < limit;
        let mut links = Vec::new();
        if !short || self.reverse {
            links.push(json!({"rel": "next", "href": self.link(link, last, false)}));
        }
        if !short || !self.reverse {
            links.push(json!({"rel": "previous", "href": self.link(link, first, true)}));
        }
        links
    }

    fn link(&self, link: &str, item: &Map<String, Value>, reverse: bool) -> String {
        let mut pairs: Vec<String> = self
            .given
            .iter()
            .filter(|(name, _)| name != "marker" && name != "page_reverse")
            .map(|(name, value)| format!("{}={}", escaped(name), escaped(value)))
            .collect();
        let marker = item.get("id").and_then(Value::as_str).unwrap_or_default();
        pairs.push(format!("marker={marker}"));
        if reverse {
            pairs.push("page_reverse=True".to_owned());
        }
        format!("{link}?{}", pairs.join("&"))
    }
}

fn conditions<R: Resource>(given: &[(String, String)]) -> Result<Conditions, ApiError> {
    let known = |name: &str| {
        let attribute = STANDARD
            .iter()
            .chain(R::ATTRIBUTES)
            .find(|attribute| attribute.name == name);
        attribute.is_some_and(|attribute| attribute.filter)
            || R::FILTERS.contains(&name)
            || TAG_FILTERS.contains(&name)
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

fn order<R: Resource>(
    keys: &[String],
    directions: &[String],
) -> Result<Vec<(String, Direction)>, ApiError> {
    let known = |key: &&String| {
        STANDARD
            .iter()
            .chain(R::ATTRIBUTES)
            .any(|attribute| attribute.name == **key)
    };
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
        .map(|(key, direction)| Ok((key, self::direction(&direction)?)))
        .collect()
}

fn direction(word: &str) -> Result<Direction, ApiError> {
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

fn limit(text: &str) -> Result<usize, ApiError> {
    text.parse().map_err(|_| {
        ApiError::bad_request(
            "limit",
            format!("limit must be an integer 0 or greater and not '{text}'"),
        )
    })
}

/// Whether a value is what a parameter's text says. A list is if one of its items is.
fn is(value: &Value, wanted: &str) -> bool {
    match value {
        Value::Null => wanted.is_empty(),
        Value::Bool(value) => matches!(
            (value, wanted.to_lowercase().as_str()),
            (true, "true" | "1") | (false, "false" | "0")
        ),
        Value::Number(number) => number.to_string() == wanted,
        Value::String(text) => text == wanted,
        Value::Array(items) => items.iter().any(|item| is(item, wanted)),
        Value::Object(_) => false,
    }
}

fn tags_hold(meta: &Meta, filter: &str, values: &[String]) -> bool {
    let has = |tag: &str| meta.tags.contains(tag);
    let mut tags = values.iter().flat_map(|value| value.split(','));
    match filter {
        "tags" => tags.all(has),
        "tags-any" => tags.any(has),
        "not-tags" => !tags.all(has),
        _ => !tags.any(has),
    }
}

fn compare(a: Option<&Value>, b: Option<&Value>) -> Ordering {
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

/// Percent-encoding of all but unreserved characters (RFC 3986 §2.3).
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}
