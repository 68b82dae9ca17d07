//! Lists: filters, fields, order and pages.

mod filters;
mod parse;
pub(crate) mod rows;

use crate::api::contract::conditions::Conditions;
use crate::api::contract::error::ApiError;
use crate::api::contract::resource::{AttributeOf, Resource};
use crate::api::contract::shown::{Fields, Shown};
use crate::api::contract::view::ResourceView;
use axum::extract::Query as Pairs;
use axum::http::Uri;
use filters::Filters;
use imbl::OrdMap;
use parse::{SortDirection, compare, conditions, order};
use serde_json::{Map, Value, json};
use std::cmp::Ordering;
use std::ops::Bound;
use std::sync::Arc;

/// The fields of a row.
type Attributes = Map<String, Value>;

/// The parameters of a request, in order.
pub(crate) fn query(uri: &Uri) -> Result<Vec<(String, String)>, ApiError> {
    match Pairs::try_from_uri(uri) {
        Ok(Pairs(pairs)) => Ok(pairs),
        Err(error) => Err(ApiError::malformed(error.to_string())),
    }
}

/// The query of a list.
pub(crate) struct Query<R: Resource> {
    given: Vec<(String, String)>,
    conditions: Conditions,
    fields: Vec<String>,
    order: Vec<(&'static AttributeOf<R>, SortDirection)>,
    limit: Option<usize>,
    marker: Option<String>,
    reverse: bool,
}

impl<R: Resource> Query<R> {
    /// The query of a list of these resources.
    pub(crate) fn of(given: Vec<(String, String)>) -> Result<Self, ApiError> {
        let all = |name: &str| -> Vec<String> {
            let named = given
                .iter()
                .filter(|(given, value)| given == name && !value.is_empty());
            named.map(|(_, value)| value.clone()).collect()
        };
        let last = |name: &str| all(name).pop();
        let conditions = conditions::<R>(&given)?;
        Ok(Self {
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

    /// The first project in the query's filter.
    pub(crate) fn project(&self) -> Option<&str> {
        let mut restrictions = ["project_id", "tenant_id"]
            .into_iter()
            .filter_map(|name| self.conditions.get(name));
        restrictions.find_map(|projects| projects.first().map(String::as_str))
    }

    /// The fields of a resource that were asked for.
    pub(crate) fn fields(&self) -> Fields<'_> {
        match &self.fields[..] {
            [] => Fields::All,
            fields => Fields::Named(fields),
        }
    }

    /// The requested page of the list.
    pub(crate) fn page(&self, view: ResourceView<'_>) -> Result<Vec<Arc<R>>, ApiError> {
        if self.order.is_empty() && self.conditions.is_empty() {
            return self.of_all(R::table(view.intent), view);
        }
        let filters = Filters::of(&self.conditions);
        if self.order.is_empty() {
            self.in_order_of_ids(&filters, view)
        } else {
            self.sorted(&filters, view)
        }
    }

    /// Reads only the page itself.
    fn of_all(
        &self,
        all: &OrdMap<R::Id, Arc<R>>,
        view: ResourceView<'_>,
    ) -> Result<Vec<Arc<R>>, ApiError> {
        let filters = Filters::of(&self.conditions);
        let marker = match &self.marker {
            Some(marker) => Bound::Excluded(view.caller.find::<R>(view.intent, marker)?.id()),
            None => Bound::Unbounded,
        };
        if self.reverse {
            let before = all.range((Bound::Unbounded, marker)).rev();
            let mut items = self.first(before.map(|(_, resource)| resource), &filters, view);
            items.reverse();
            Ok(items)
        } else {
            let after = all.range((marker, Bound::Unbounded));
            Ok(self.first(after.map(|(_, resource)| resource), &filters, view))
        }
    }

    /// Reads no more candidates than the page needs.
    fn in_order_of_ids(
        &self,
        filters: &Filters<'_, R>,
        view: ResourceView<'_>,
    ) -> Result<Vec<Arc<R>>, ApiError> {
        let candidates = filters.candidates(view.intent);
        let marker = match &self.marker {
            Some(marker) => Some(view.caller.find::<R>(view.intent, marker)?.id()),
            None => None,
        };
        let before = |id| candidates.partition_point(|resource| resource.id() < id);
        let up_to = |id| candidates.partition_point(|resource| resource.id() <= id);
        if self.reverse {
            let candidates = marker.map_or(&candidates[..], |marker| &candidates[..before(marker)]);
            let mut items = self.first(candidates.iter().rev(), filters, view);
            items.reverse();
            Ok(items)
        } else {
            let candidates = marker.map_or(&candidates[..], |marker| &candidates[up_to(marker)..]);
            Ok(self.first(candidates.iter(), filters, view))
        }
    }

    fn first<'a>(
        &self,
        candidates: impl Iterator<Item = &'a Arc<R>>,
        filters: &Filters<'_, R>,
        view: ResourceView<'_>,
    ) -> Vec<Arc<R>> {
        candidates
            .filter(|resource| filters.hold(resource, view))
            .take(self.limit.unwrap_or(usize::MAX))
            .cloned()
            .collect()
    }

    fn sorted(
        &self,
        filters: &Filters<'_, R>,
        view: ResourceView<'_>,
    ) -> Result<Vec<Arc<R>>, ApiError> {
        let candidates = filters.candidates(view.intent).into_iter();
        let mut items: Vec<(Vec<Value>, Arc<R>)> = candidates
            .filter(|resource| filters.hold(resource, view))
            .map(|resource| (self.sort_keys(&resource, view.with_numbers()), resource))
            .collect();
        // A stable sort keeps the order of ids where all keys are equal.
        items.sort_by(|(a, _), (b, _)| self.compare(a, b));
        self.cut(items.into_iter().map(|(_, resource)| resource).collect())
    }

    fn sort_keys(&self, resource: &R, view: ResourceView<'_>) -> Vec<Value> {
        let hidden = view.caller.hidden(view.intent, resource);
        let keys = self.order.iter();
        keys.map(|(attribute, _)| shown_value(attribute, resource, view, &hidden))
            .collect()
    }

    fn compare(&self, a: &[Value], b: &[Value]) -> Ordering {
        let pairs = a.iter().zip(b).zip(&self.order);
        let orderings = pairs.map(|((a, b), (_, direction))| match direction {
            SortDirection::Ascending => compare(a, b),
            SortDirection::Descending => compare(a, b).reverse(),
        });
        orderings.fold(Ordering::Equal, Ordering::then)
    }

    /// The items after the marker, or before it, up to the limit.
    fn cut(&self, mut items: Vec<Arc<R>>) -> Result<Vec<Arc<R>>, ApiError> {
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

    /// Links to the next and the previous page, where Neutron gives them.
    pub(crate) fn links(&self, items: &[Arc<R>], link: &str) -> Vec<Value> {
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

    /// A link to the page beyond an item. An empty page is beyond an end of the list, and links back to that end.
    fn link(&self, link: &str, item: Option<&Arc<R>>, reverse: bool) -> String {
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

/// The value of an attribute. Null if it is not shown.
fn shown_value<R: Resource>(
    attribute: &AttributeOf<R>,
    resource: &R,
    view: ResourceView<'_>,
    hidden: &[&str],
) -> Value {
    match attribute.show {
        Some(show) if !hidden.contains(&attribute.name) => {
            Shown::value(|slot| show(resource, view, slot))
        }
        Some(_) | None => Value::Null,
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
