//! Lists: filters, fields, order and pages.

mod parse;
pub(crate) mod rows;

use crate::api::contract::attributes::Filter;
use crate::api::contract::conditions::{Conditions, is};
use crate::api::contract::error::ApiError;
use crate::api::contract::resource::{Resource, show};
use crate::api::contract::shown::{Fields, Shown};
use crate::api::contract::view::View;
use axum::extract::Query as Pairs;
use axum::http::Uri;
use imbl::OrdMap;
use parse::{Direction, compare, conditions, filter_of, order, tags_hold};
use serde_json::{Map, Value, json};
use sextant_model::Intent;
use std::cmp::Ordering;
use std::ops::Bound;
use std::sync::Arc;

const TAG_FILTERS: [&str; 4] = ["tags", "tags-any", "not-tags", "not-tags-any"];

/// Some attributes of a resource.
type Attributes = Map<String, Value>;

/// The parameters of a request, in order.
pub(crate) fn query(uri: &Uri) -> Result<Vec<(String, String)>, ApiError> {
    match Pairs::try_from_uri(uri) {
        Ok(Pairs(pairs)) => Ok(pairs),
        Err(error) => Err(ApiError::malformed(error.to_string())),
    }
}

/// What is asked of a list.
#[derive(Debug)]
pub(crate) struct Query {
    given: Vec<(String, String)>,
    conditions: Conditions,
    /// The names of those conditions that are on attributes' values.
    filters: Vec<String>,
    fields: Vec<String>,
    order: Vec<(String, Direction)>,
    limit: Option<usize>,
    marker: Option<String>,
    reverse: bool,
}

impl Query {
    /// The query of a list of these resources.
    pub(crate) fn of<R: Resource>(given: Vec<(String, String)>) -> Result<Self, ApiError> {
        let all = |name: &str| -> Vec<String> {
            let named = given
                .iter()
                .filter(|(given, value)| given == name && !value.is_empty());
            named.map(|(_, value)| value.clone()).collect()
        };
        let last = |name: &str| all(name).pop();
        let conditions = conditions::<R>(&given)?;
        Ok(Self {
            filters: conditions
                .keys()
                .filter(|name| matches!(filter_of::<R>(name), Some(Filter::Value)))
                .cloned()
                .collect(),
            conditions,
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

    /// The first project that the list is restricted to.
    pub(crate) fn project(&self) -> Option<&str> {
        let mut restrictions = ["project_id", "tenant_id"]
            .into_iter()
            .filter_map(|name| self.conditions.get(name));
        restrictions.find_map(|projects| projects.first().map(String::as_str))
    }

    /// Those fields of a resource that were asked for.
    pub(crate) fn fields(&self) -> Fields<'_> {
        match &self.fields[..] {
            [] => Fields::All,
            fields => Fields::Named(fields),
        }
    }

    /// The page of the list that was asked for.
    pub(crate) fn page<R: Resource>(&self, view: View<'_>) -> Result<Vec<Arc<R>>, ApiError> {
        if self.order.is_empty() && self.conditions.is_empty() {
            return self.of_all(R::table(view.intent), view);
        }
        let mut candidates = candidates::<R>(view.intent, &self.conditions);
        candidates.sort_by_key(|resource| resource.id());
        candidates.dedup_by_key(|resource| resource.id());
        if self.order.is_empty() {
            self.in_order_of_ids(candidates, view)
        } else {
            self.sorted(candidates, view)
        }
    }

    /// Looks at nothing but the page.
    fn of_all<R: Resource>(
        &self,
        all: &OrdMap<R::Id, Arc<R>>,
        view: View<'_>,
    ) -> Result<Vec<Arc<R>>, ApiError> {
        let marker = match &self.marker {
            Some(marker) => Bound::Excluded(view.caller.find::<R>(view.intent, marker)?.id()),
            None => Bound::Unbounded,
        };
        if self.reverse {
            let before = all.range((Bound::Unbounded, marker)).rev();
            let mut items = self.first(before.map(|(_, resource)| resource), view);
            items.reverse();
            Ok(items)
        } else {
            let after = all.range((marker, Bound::Unbounded));
            Ok(self.first(after.map(|(_, resource)| resource), view))
        }
    }

    /// Looks at no more candidates than the page takes.
    fn in_order_of_ids<R: Resource>(
        &self,
        candidates: Vec<Arc<R>>,
        view: View<'_>,
    ) -> Result<Vec<Arc<R>>, ApiError> {
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
    ) -> Vec<Arc<R>> {
        candidates
            .filter(|resource| self.conditions_hold(&***resource, view))
            .take(self.limit.unwrap_or(usize::MAX))
            .cloned()
            .collect()
    }

    fn sorted<R: Resource>(
        &self,
        candidates: Vec<Arc<R>>,
        view: View<'_>,
    ) -> Result<Vec<Arc<R>>, ApiError> {
        let keys: Vec<String> = self.order.iter().map(|(key, _)| key.clone()).collect();
        let mut items: Vec<(Attributes, Arc<R>)> = candidates
            .into_iter()
            .filter(|resource| self.conditions_hold(&**resource, view))
            .map(|resource| (attributes(&*resource, view.with_numbers(), &keys), resource))
            .collect();
        // Stable: what is the same by all keys stays in order of ids.
        items.sort_by(|(a, _), (b, _)| self.compare(a, b));
        self.cut(items.into_iter().map(|(_, resource)| resource).collect())
    }

    fn conditions_hold<R: Resource>(&self, resource: &R, view: View<'_>) -> bool {
        view.caller.may_read(view.intent, resource)
            && self.special_conditions_hold(resource, view)
            && (self.filters.is_empty() || self.filters_hold(resource, view))
    }

    fn special_conditions_hold<R: Resource>(&self, resource: &R, view: View<'_>) -> bool {
        self.conditions.iter().all(|(name, values)| {
            if TAG_FILTERS.contains(&name.as_str()) {
                tags_hold(resource.meta(), name, values)
            } else if let Some(Filter::Own(matches)) = filter_of::<R>(name) {
                matches(resource, values, view)
            } else {
                true
            }
        })
    }

    fn filters_hold<R: Resource>(&self, resource: &R, view: View<'_>) -> bool {
        let attributes = attributes(resource, view, &self.filters);
        self.filters.iter().all(|name| {
            let value = attributes.get(name).unwrap_or(&Value::Null);
            self.conditions[name].iter().any(|wanted| is(value, wanted))
        })
    }

    fn compare(&self, a: &Attributes, b: &Attributes) -> Ordering {
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
        Ordering::Equal
    }

    /// The items after the marker, or before it, as many as the limit allows.
    fn cut<R: Resource>(&self, mut items: Vec<Arc<R>>) -> Result<Vec<Arc<R>>, ApiError> {
        if let Some(marker) = &self.marker {
            let at = items
                .iter()
                .position(|item| item.id().to_string() == *marker)
                .ok_or_else(|| R::missing(marker))?;
            if self.reverse {
                items.truncate(at);
            } else {
                items.drain(..=at);
            }
        }
        if let Some(limit) = self.limit {
            if self.reverse {
                items.drain(..items.len().saturating_sub(limit));
            } else {
                items.truncate(limit);
            }
        }
        Ok(items)
    }

    /// Links to the pages after and before, where Neutron gives them.
    pub(crate) fn links<R: Resource>(&self, items: &[Arc<R>], link: &str) -> Vec<Value> {
        let Some(limit) = self.limit else {
            return Vec::new();
        };
        let short = items.len() < limit;
        let mut links = Vec::new();
        if !short || self.reverse {
            let href = self.link(link, items.last(), false);
            links.push(json!({"rel": "next", "href": href}));
        }
        if !short || !self.reverse {
            let href = self.link(link, items.first(), true);
            links.push(json!({"rel": "previous", "href": href}));
        }
        links
    }

    /// A link to what is beyond an item; beyond an empty page, which is past an end of the list, is that end.
    fn link<R: Resource>(&self, link: &str, item: Option<&Arc<R>>, reverse: bool) -> String {
        let mut pairs: Vec<String> = self
            .given
            .iter()
            .filter(|(name, _)| name != "marker" && name != "page_reverse")
            .map(|(name, value)| format!("{}={}", escaped(name), escaped(value)))
            .collect();
        pairs.extend(item.map(|item| format!("marker={}", item.id())));
        if reverse {
            pairs.push("page_reverse=True".to_owned());
        }
        format!("{link}?{}", pairs.join("&"))
    }
}

/// Those that can meet the conditions: all, or fewer where an attribute has an index.
fn candidates<R: Resource>(intent: &Intent, conditions: &Conditions) -> Vec<Arc<R>> {
    for attribute in R::attributes() {
        if let Some(index) = attribute.index
            && let Some(values) = conditions.get(attribute.name)
        {
            return values
                .iter()
                .flat_map(|value| index(intent, value))
                .collect();
        }
    }
    R::table(intent).values().cloned().collect()
}

fn attributes<R: Resource>(resource: &R, view: View<'_>, names: &[String]) -> Attributes {
    let hidden = view.caller.hidden(view.intent, resource);
    Shown::values(Fields::Named(names), |shown| {
        shown.hide(hidden);
        show(resource, view, shown);
    })
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
