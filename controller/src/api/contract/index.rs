//! Which resources can have an attribute's value, where an index knows them.
//!
//! An index yields candidates: all resources that have the value, and perhaps others. Lists check each of them. So an
//! index changes what a list costs, never what is in it.

use crate::api::contract::kind::Kind;
use crate::api::contract::view::ResourceView;
use sextant_model::{IndexedValue, Span};
use std::ops::RangeBounds;
use std::str::FromStr;

/// Ids in order.
pub(crate) type Ids<'a, Id> = Box<dyn DoubleEndedIterator<Item = Id> + 'a>;

/// For each of a filter's values, the ids within a span of the candidates. `None` if the index does not know a value.
pub(crate) type Index<R> = for<'a> fn(
    ResourceView<'a>,
    &[String],
    Span<<R as Kind>::Id>,
) -> Option<Vec<Ids<'a, <R as Kind>::Id>>>;

/// The candidates for texts that are indexed as they are.
pub(crate) fn texts<'a, R: Kind>(
    view: ResourceView<'a>,
    values: &[String],
    span: Span<R::Id>,
    indexed: for<'v> fn(&'v str) -> IndexedValue<'v>,
) -> Option<Vec<Ids<'a, R::Id>>> {
    let found = values.iter().map(|value| {
        let ids = view.intent.ids_with(indexed(value), span)?;
        Some(Box::new(ids) as Ids<'a, R::Id>)
    });
    found.collect()
}

/// The candidates for values that have a type. No resource has a value that cannot be parsed, but the empty one can stand
/// for no value.
pub(crate) fn parsed<'a, T: FromStr, I: Iterator<Item = Id> + DoubleEndedIterator + 'a, Id>(
    values: &[String],
    found: impl Fn(T) -> I,
) -> Option<Vec<Ids<'a, Id>>> {
    if values.iter().any(String::is_empty) {
        return None;
    }
    let values = values.iter().filter_map(|value| value.parse().ok());
    Some(
        values
            .map(|value| Box::new(found(value)) as Ids<'a, Id>)
            .collect(),
    )
}

/// This one, if it is within the span.
pub(crate) fn one<'a, Id: Ord + Copy + 'a>(id: Id, span: Span<Id>) -> Ids<'a, Id> {
    Box::new(Some(id).filter(|id| span.contains(id)).into_iter())
}

/// Candidates that are known in no order.
pub(crate) fn unordered<'a, Id: Ord + 'a>(
    ids: impl Iterator<Item = Id>,
    span: Span<Id>,
) -> Ids<'a, Id> {
    let mut ids: Vec<Id> = ids.filter(|id| span.contains(id)).collect();
    ids.sort_unstable();
    Box::new(ids.into_iter())
}
