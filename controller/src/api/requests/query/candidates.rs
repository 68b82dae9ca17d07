//! The resources that a list has to look at.

use super::filters::Filters;
use crate::api::contract::index::Ids;
use crate::api::contract::kind::Kind;
use crate::api::contract::resource::{AttributeOf, Resource};
use crate::api::contract::view::ResourceView;
use sextant_model::Span;
use std::ops::Bound::{Excluded, Included, Unbounded};
use std::sync::Arc;

/// The resources that a list has to look at: all, or fewer if an index knows them.
pub(super) enum Candidates<R: Resource> {
    All,
    /// Those that an index yields, in order.
    Indexed(CandidateSource<R>),
    /// Those that an index yields for several values, or in several parts.
    Listed(Vec<R::Id>),
}

/// Where an index finds candidates.
pub(super) enum CandidateSource<R: Resource> {
    /// An attribute's values, which the query gives.
    Attribute(&'static AttributeOf<R>),
    /// What the caller may see.
    Caller,
}

/// What an index yields, in parts that are each in order.
type Parts<'a, R> = Vec<Ids<'a, <R as Kind>::Id>>;

impl<R: Resource> Candidates<R> {
    /// Those of the index that yields the fewest within the span. `None`: no index has ended after so many steps.
    pub(super) fn choose(
        filters: &Filters<'_, R>,
        view: ResourceView<'_>,
        span: Span<R::Id>,
        steps: usize,
    ) -> Option<Self> {
        let attributes = filters.attributes().map(CandidateSource::Attribute);
        let sources = attributes.chain([CandidateSource::Caller]);
        let found = sources.filter_map(|source| {
            let parts = source.find(filters, view, span)?;
            Some((source, parts))
        });
        let mut found: Vec<_> = found.collect();
        let source = match &found[..] {
            [] => return Some(Self::All),
            [(_, parts)] if parts.len() == 1 => found.swap_remove(0).0,
            _ => fewest(found, steps)?,
        };
        let parts = source.find(filters, view, span).unwrap_or_default();
        match parts.len() {
            1 => Some(Self::Indexed(source)),
            _ => Some(Self::Listed(merged(parts))),
        }
    }

    /// The candidates within a span, by id.
    pub(super) fn within<'a>(
        &'a self,
        filters: &Filters<'_, R>,
        view: ResourceView<'a>,
        span: Span<R::Id>,
        descending: bool,
    ) -> Box<dyn Iterator<Item = &'a Arc<R>> + 'a> {
        let all = R::table(view.intent);
        let ids: Ids<'a, R::Id> = match self {
            Self::All => {
                let range = all.range(span).map(|(_, resource)| resource);
                return match descending {
                    true => Box::new(range.rev()),
                    false => Box::new(range),
                };
            }
            Self::Indexed(source) => {
                let parts = source.find(filters, view, span).unwrap_or_default();
                Box::new(parts.into_iter().flatten())
            }
            Self::Listed(ids) => Box::new(slice(ids, span).iter().copied()),
        };
        match descending {
            true => Box::new(ids.rev().filter_map(|id| all.get(&id))),
            false => Box::new(ids.filter_map(|id| all.get(&id))),
        }
    }
}

impl<R: Resource> CandidateSource<R> {
    fn find<'a>(
        &self,
        filters: &Filters<'_, R>,
        view: ResourceView<'a>,
        span: Span<R::Id>,
    ) -> Option<Parts<'a, R>> {
        match self {
            Self::Attribute(attribute) => {
                let index = attribute.index?;
                index(view, filters.values(attribute)?, span)
            }
            Self::Caller => view.caller.visible::<R>(view.intent, span),
        }
    }
}

/// The source that yields the fewest ids. All go one step at a time until the first has ended, so that it costs no more
/// than the fewest, times the number of sources.
fn fewest<R: Resource>(
    found: Vec<(CandidateSource<R>, Parts<'_, R>)>,
    steps: usize,
) -> Option<CandidateSource<R>> {
    let running = found.into_iter();
    let mut running: Vec<_> = running
        .map(|(source, parts)| (source, parts.into_iter().flatten()))
        .collect();
    let ended = (0..steps).find_map(|_| {
        let mut running = running.iter_mut();
        running.position(|(_, ids)| ids.next().is_none())
    });
    ended.map(|ended| running.swap_remove(ended).0)
}

fn merged<Id: Ord>(parts: Vec<Ids<'_, Id>>) -> Vec<Id> {
    let mut ids: Vec<Id> = parts.into_iter().flatten().collect();
    // Its parts are in order, and a stable sort merges what is in order.
    ids.sort();
    ids.dedup();
    ids
}

fn slice<Id: Ord + Copy>(ids: &[Id], (low, high): Span<Id>) -> &[Id] {
    let first = match low {
        Unbounded => 0,
        Included(low) => ids.partition_point(|id| *id < low),
        Excluded(low) => ids.partition_point(|id| *id <= low),
    };
    let end = match high {
        Unbounded => ids.len(),
        Included(high) => ids.partition_point(|id| *id <= high),
        Excluded(high) => ids.partition_point(|id| *id < high),
    };
    ids.get(first..end).unwrap_or_default()
}
