//! Lists: filters, fields, order and pages.

mod candidates;
mod filters;
mod parse;
pub(crate) mod rows;
mod scan;
mod selection;
pub(crate) mod stage;
#[cfg(test)]
mod tests;

use crate::api::contract::conditions::Conditions;
use crate::api::contract::error::ApiError;
use crate::api::contract::resource::{AttributeOf, Resource};
use crate::api::contract::shown::{Fields, Shown};
use crate::api::contract::view::ResourceView;
use axum::extract::Query as Pairs;
use axum::http::Uri;
use filters::Filters;
use parse::{SortDirection, conditions, order};
use scan::Scan;
use selection::Selection;
use serde_json::{Map, Value, json};
use stage::ListStage;
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

/// How much of a page has been shown.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ShownPage<Id> {
    pub(crate) count: usize,
    /// The first and the last of it.
    pub(crate) ends: Option<(Id, Id)>,
}

impl<Id: Copy> ShownPage<Id> {
    pub(crate) fn add(&mut self, id: Id) {
        self.count += 1;
        let first = self.ends.map_or(id, |(first, _)| first);
        self.ends = Some((first, id));
    }
}

impl<R: Resource> Query<R> {
    /// The query of a list of these resources.
    pub(crate) fn of(given: Vec<(String, String)>) -> Result<Self, ApiError> {
        let conditions = conditions::<R>(&given)?;
        Ok(Self {
            conditions,
            fields: all(&given, "fields"),
            order: order::<R>(&all(&given, "sort_key"), &all(&given, "sort_dir"))?,
            limit: last(&given, "limit")
                .map(|limit| parse::limit(&limit))
                .transpose()?
                .filter(|limit| *limit > 0),
            marker: last(&given, "marker"),
            reverse: last(&given, "page_reverse")
                .is_some_and(|value| value.eq_ignore_ascii_case("true")),
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

    /// Begins the list.
    ///
    /// # Errors
    /// The caller's fault: the marker is not in the list.
    pub(crate) fn begin(&self, view: ResourceView<'_>) -> Result<ListStage<R>, ApiError> {
        let marker = self.marked(view)?;
        let most = self.limit.unwrap_or(usize::MAX);
        let Some(descending) = self.descending_ids() else {
            let all = (Bound::Unbounded, Bound::Unbounded);
            let selection = Selection::new(self, view, marker.as_ref(), most);
            return Ok(ListStage::Sorting(
                Scan::new(all, false, usize::MAX),
                selection,
            ));
        };
        let backwards = descending != self.reverse;
        let beyond = marker.map_or(Bound::Unbounded, |marker| Bound::Excluded(marker.id()));
        let span = match backwards {
            true => (Bound::Unbounded, beyond),
            false => (beyond, Bound::Unbounded),
        };
        let scan = Scan::new(span, backwards, most);
        match self.reverse {
            true => Ok(ListStage::Backwards(scan, Vec::new())),
            false => Ok(ListStage::Ordered(scan)),
        }
    }

    /// The resource that the page begins after, or ends before.
    fn marked(&self, view: ResourceView<'_>) -> Result<Option<Arc<R>>, ApiError> {
        let Some(marker) = &self.marker else {
            return Ok(None);
        };
        if self.order.is_empty() {
            return view.caller.find::<R>(view.intent, marker).map(Some);
        }
        let filters = Filters::<R>::of(&self.conditions);
        let found = R::find(view.intent, marker);
        let found =
            found.filter(|found| found.id().to_string() == *marker && filters.hold(found, view));
        found.map(Some).ok_or_else(|| R::missing(marker))
    }

    /// Whether ids go down, if the list is in the order of ids.
    fn descending_ids(&self) -> Option<bool> {
        match self.order.first() {
            None => Some(false),
            Some((attribute, direction)) if attribute.name == "id" => {
                Some(*direction == SortDirection::Descending)
            }
            Some(_) => None,
        }
    }

    /// Links to the next and the previous page, where Neutron gives them. `link` is the list's.
    pub(crate) fn links(&self, page: &ShownPage<R::Id>, link: &str) -> Vec<Value> {
        let Some(limit) = self.limit else {
            return Vec::new();
        };
        let short = page.count < limit;
        let mut links = Vec::new();
        if !short || self.reverse {
            let href = self.link(link, page.ends.map(|(_, last)| last), false);
            links.push(json!({"rel": "next", "href": href}));
        }
        if !short || !self.reverse {
            let href = self.link(link, page.ends.map(|(first, _)| first), true);
            links.push(json!({"rel": "previous", "href": href}));
        }
        links
    }

    /// A link to the page beyond an item. An empty page is beyond an end of the list, and links back to that end.
    fn link(&self, link: &str, item: Option<R::Id>, reverse: bool) -> String {
        let mut pairs: Vec<String> = self
            .given
            .iter()
            .filter(|(name, _)| name != "marker" && name != "page_reverse")
            .map(|(name, value)| format!("{}={}", escaped(name), escaped(value)))
            .collect();
        pairs.extend(item.map(|item| format!("marker={item}")));
        if reverse {
            pairs.push("page_reverse=True".to_owned());
        }
        format!("{link}?{}", pairs.join("&"))
    }
}

/// The values that a name is given, without empty ones.
fn all(given: &[(String, String)], name: &str) -> Vec<String> {
    let named = given
        .iter()
        .filter(|(given, value)| given == name && !value.is_empty());
    named.map(|(_, value)| value.clone()).collect()
}

fn last(given: &[(String, String)], name: &str) -> Option<String> {
    all(given, name).pop()
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
