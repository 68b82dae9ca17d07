//! Selects the page of a sorted list: the first resources after the marker, without sorting the others.

use super::parse::{SortDirection, compare};
use super::{Query, shown_value};
use crate::api::contract::resource::{AttributeOf, Resource};
use crate::api::contract::view::ResourceView;
use serde_json::Value;
use std::cmp::Ordering;
use std::mem::take;
use std::sync::Arc;

/// So many more than the page are kept before the rest is dropped.
const SPARE: usize = 1024;

/// The first of the resources that were offered.
pub(crate) struct Selection<R: Resource> {
    /// While `pruned`, the last of the first `most` is the one at `most - 1`.
    items: Vec<Ranked<R>>,
    most: usize,
    pruned: bool,
    marker: Option<Ranked<R>>,
    /// The keys of the resource that is offered.
    keys: Vec<Value>,
}

/// A resource with what it is sorted by.
struct Ranked<R> {
    keys: Vec<Value>,
    resource: Arc<R>,
}

impl<R: Resource> Ranked<R> {
    fn rank(&self) -> (&[Value], R::Id) {
        (&self.keys, self.resource.id())
    }
}

impl<R: Resource> Selection<R> {
    /// Selects so many of those beyond a marker.
    pub(super) fn new(
        query: &Query<R>,
        view: ResourceView<'_>,
        marker: Option<&Arc<R>>,
        most: usize,
    ) -> Self {
        let marker = marker.map(|marker| Ranked {
            keys: query.sort_keys(marker, view).collect(),
            resource: marker.clone(),
        });
        Self {
            items: Vec::new(),
            most,
            pruned: false,
            marker,
            keys: Vec::new(),
        }
    }

    pub(super) fn offer(&mut self, query: &Query<R>, view: ResourceView<'_>, resource: &Arc<R>) {
        self.keys.clear();
        self.keys.extend(query.sort_keys(resource, view));
        if self.is_beyond(query, resource.id()) {
            return;
        }
        let keys = take(&mut self.keys);
        let resource = resource.clone();
        self.items.push(Ranked { keys, resource });
        if self.items.len() > self.most.saturating_add(self.most.max(SPARE)) {
            self.prune(query);
        }
    }

    /// Whether the offered resource is not after the marker, or after all of the page.
    fn is_beyond(&self, query: &Query<R>, id: R::Id) -> bool {
        let offered = (&self.keys[..], id);
        let before = self.marker.as_ref();
        let last = match self.pruned {
            true => self.items.get(self.most - 1),
            false => None,
        };
        before.is_some_and(|marker| query.compare(offered, marker.rank()).is_le())
            || last.is_some_and(|last| query.compare(offered, last.rank()).is_ge())
    }

    fn prune(&mut self, query: &Query<R>) {
        let last = self.most - 1;
        self.items
            .select_nth_unstable_by(last, |a, b| query.compare(a.rank(), b.rank()));
        self.items.truncate(self.most);
        self.pruned = true;
    }

    /// The selected resources in the order of the list.
    pub(super) fn finish(mut self, query: &Query<R>) -> Vec<Arc<R>> {
        if self.items.len() > self.most {
            self.prune(query);
        }
        self.items
            .sort_unstable_by(|a, b| query.compare(a.rank(), b.rank()));
        let items = self.items.into_iter();
        let mut page: Vec<Arc<R>> = items.map(|ranked| ranked.resource).collect();
        if query.reverse {
            page.reverse();
        }
        page
    }
}

impl<R: Resource> Query<R> {
    fn sort_keys(&self, resource: &Arc<R>, view: ResourceView<'_>) -> impl Iterator<Item = Value> {
        let view = view.with_numbers();
        let hidden = view.caller.hidden(view.intent, &**resource);
        let keys = self.order.iter();
        keys.map(move |(attribute, _)| key(attribute, &**resource, view, &hidden))
    }

    /// The order of the page: that of the list, or its reverse if the page is before the marker. The order of ids decides
    /// where all keys are equal.
    fn compare(&self, a: (&[Value], R::Id), b: (&[Value], R::Id)) -> Ordering {
        let pairs = a.0.iter().zip(b.0).zip(&self.order);
        let mut orderings = pairs.map(|((a, b), (_, direction))| match direction {
            SortDirection::Ascending => compare(a, b),
            SortDirection::Descending => compare(a, b).reverse(),
        });
        let ordering = orderings.find(|ordering| ordering.is_ne());
        let ordering = ordering.unwrap_or_else(|| a.1.cmp(&b.1));
        match self.reverse {
            true => ordering.reverse(),
            false => ordering,
        }
    }
}

fn key<R: Resource>(
    attribute: &AttributeOf<R>,
    resource: &R,
    view: ResourceView<'_>,
    hidden: &[&str],
) -> Value {
    match attribute.rank {
        Some(rank) if !hidden.contains(&attribute.name) => rank(resource).into(),
        Some(_) | None => shown_value(attribute, resource, view, hidden),
    }
}
