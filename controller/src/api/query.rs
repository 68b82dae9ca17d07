//! Lists: filters, fields, order and pages.

mod parse;

use super::error::ApiError;
use super::resource::{Resource, View, shown};
use axum::extract::Query as Pairs;
use axum::http::Uri;
use parse::{Direction, compare, conditions, is, order, tags_hold};
use serde_json::{Map, Value, json};
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

const TAG_FILTERS: [&str; 4] = ["tags", "tags-any", "not-tags", "not-tags-any"];

/// A resource as the API shows it.
type Shown = Map<String, Value>;

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
                .map(|limit| parse::limit(&limit))
                .transpose()?
                .filter(|limit| *limit > 0),
            marker: last("marker"),
            reverse: last("page_reverse").is_some_and(|value| value.eq_ignore_ascii_case("true")),
            given,
        })
    }

    /// Those fields of a resource that were asked for.
    pub(super) fn fields_of(&self, mut shown: Shown) -> Shown {
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
        let items = if self.order.is_empty() {
            self.in_order_of_ids::<R>(view)?
        } else {
            self.sorted::<R>(view)?
        };
        let links = self.links(&items, link);
        let items: Vec<_> = items.into_iter().map(|item| self.fields_of(item)).collect();
        let mut page = Map::from_iter([(R::COLLECTION.to_owned(), items.into())]);
        if !links.is_empty() {
            page.insert(format!("{}_links", R::COLLECTION), links.into());
        }
        Ok(page)
    }

    /// Renders no more than the page.
    fn in_order_of_ids<R: Resource>(&self, view: View<'_>) -> Result<Vec<Shown>, ApiError> {
        let mut candidates = R::candidates(view.intent, &self.conditions);
        candidates.sort_by_key(|resource| resource.id());
        candidates.dedup_by_key(|resource| resource.id());
        let marker = match &self.marker {
            Some(marker) => Some(view.caller.find::<R>(view.intent, marker)?.id()),
            None => None,
        };
        let before = |id| candidates.partition_point(|resource| resource.id() < id);
        let up_to = |id| candidates.partition_point(|resource| resource.id() <= id);
        if self.reverse {
            let candidates = marker.map_or(&candidates[..], |marker| &candidates[..before(marker)]);
            let mut items = self.first(candidates.iter().rev(), view);
            items.reverse();
            Ok(items)
        } else {
            let candidates = marker.map_or(&candidates[..], |marker| &candidates[up_to(marker)..]);
            Ok(self.first(candidates.iter(), view))
        }
    }

    fn first<'a, R: Resource>(
        &self,
        candidates: impl Iterator<Item = &'a Arc<R>>,
        view: View<'_>,
    ) -> Vec<Shown> {
        self.matching(candidates, view)
            .take(self.limit.unwrap_or(usize::MAX))
            .collect()
    }

    fn sorted<R: Resource>(&self, view: View<'_>) -> Result<Vec<Shown>, ApiError> {
        let candidates = R::candidates(view.intent, &self.conditions);
        let mut items: Vec<Shown> = self.matching(candidates.iter(), view).collect();
        items.sort_by(|a, b| self.compare(a, b));
        items.dedup_by(|a, b| a.get("id") == b.get("id"));
        self.cut::<R>(items)
    }

    fn matching<'a, R: Resource>(
        &self,
        candidates: impl Iterator<Item = &'a Arc<R>>,
        view: View<'_>,
    ) -> impl Iterator<Item = Shown> {
        candidates
            .filter(move |resource| view.caller.may_read(view.intent, &***resource))
            .filter(|resource| self.special_conditions_hold(&***resource))
            .map(move |resource| shown(&**resource, view))
            .filter(|item| self.conditions_hold::<R>(item))
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

    fn conditions_hold<R: Resource>(&self, item: &Shown) -> bool {
        let on_values = self.conditions.iter().filter(|(name, _)| {
            !TAG_FILTERS.contains(&name.as_str()) && !R::FILTERS.contains(&name.as_str())
        });
        on_values.into_iter().all(|(name, wanted)| {
            let value = item.get(name).unwrap_or(&Value::Null);
            wanted.iter().any(|wanted| is(value, wanted))
        })
    }

    fn compare(&self, a: &Shown, b: &Shown) -> Ordering {
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
    fn cut<R: Resource>(&self, mut items: Vec<Shown>) -> Result<Vec<Shown>, ApiError> {
        if let Some(marker) = &self.marker {
            let is_marker = |item: &Shown| item.get("id").and_then(Value::as_str) == Some(marker);
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
            if self.reverse {
                items = items.split_off(items.len().saturating_sub(limit));
            } else {
                items.truncate(limit);
            }
        }
        Ok(items)
    }

    /// Links to the pages after and before, where Neutron gives them.
    fn links(&self, items: &[Shown], link: &str) -> Vec<Value> {
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

    fn link(&self, link: &str, item: &Shown, reverse: bool) -> String {
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
