//! How far a list has come. It advances by portions, so that nobody waits for a whole list.

use super::Query;
use super::filters::Filters;
use super::scan::Scan;
use super::selection::Selection;
use crate::api::contract::resource::Resource;
use crate::api::contract::view::ResourceView;
use std::sync::Arc;
use std::vec::IntoIter;

/// So many resources are compared in the time in which one is written.
const COMPARED: usize = 8;

/// How far a list has come.
pub(crate) enum ListStage<R: Resource> {
    /// Candidates come in the order of the list.
    Ordered(Scan<R>),
    /// They come from the end of the page to its beginning.
    Backwards(Scan<R>, Vec<Arc<R>>),
    /// All are compared.
    Sorting(Scan<R>, Selection<R>),
    /// The rest of the page is known.
    Chosen(IntoIter<Arc<R>>),
}

/// What a portion of work has led to.
pub(crate) struct ListProgress<R: Resource> {
    /// `None`: the list has ended.
    pub(crate) next: Option<ListStage<R>>,
    /// The next resources of the list.
    pub(crate) found: Vec<Arc<R>>,
    /// How many resources could have been written in the time.
    pub(crate) cost: usize,
}

impl<R: Resource> ListStage<R> {
    /// Works no longer than it takes to write so many resources.
    pub(crate) fn advance(
        self,
        query: &Query<R>,
        view: ResourceView<'_>,
        most: usize,
    ) -> ListProgress<R> {
        match self {
            Self::Ordered(scan) => in_order(scan, query, view, most),
            Self::Backwards(scan, items) => backwards(scan, items, query, view, most),
            Self::Sorting(scan, selection) => sorting(scan, selection, query, view, most),
            Self::Chosen(items) => chosen(items, most),
        }
    }
}

fn in_order<R: Resource>(
    mut scan: Scan<R>,
    query: &Query<R>,
    view: ResourceView<'_>,
    most: usize,
) -> ListProgress<R> {
    let filters = Filters::of(&query.conditions);
    let mut found = Vec::new();
    let cost = scan.next(&filters, view, most, |resource| {
        found.push(resource.clone());
    });
    ListProgress {
        next: (!scan.has_ended()).then_some(ListStage::Ordered(scan)),
        found,
        cost,
    }
}

fn backwards<R: Resource>(
    mut scan: Scan<R>,
    mut items: Vec<Arc<R>>,
    query: &Query<R>,
    view: ResourceView<'_>,
    most: usize,
) -> ListProgress<R> {
    let filters = Filters::of(&query.conditions);
    let most = most.saturating_mul(COMPARED);
    let looked_at = scan.next(&filters, view, most, |resource| {
        items.push(resource.clone());
    });
    let next = if scan.has_ended() {
        items.reverse();
        ListStage::Chosen(items.into_iter())
    } else {
        ListStage::Backwards(scan, items)
    };
    ListProgress::to(next, looked_at.div_ceil(COMPARED))
}

fn sorting<R: Resource>(
    mut scan: Scan<R>,
    mut selection: Selection<R>,
    query: &Query<R>,
    view: ResourceView<'_>,
    most: usize,
) -> ListProgress<R> {
    let filters = Filters::of(&query.conditions);
    let most = most.saturating_mul(COMPARED);
    let looked_at = scan.next(&filters, view, most, |resource| {
        selection.offer(query, view, resource);
    });
    let next = match scan.has_ended() {
        true => ListStage::Chosen(selection.finish(query).into_iter()),
        false => ListStage::Sorting(scan, selection),
    };
    ListProgress::to(next, looked_at.div_ceil(COMPARED))
}

fn chosen<R: Resource>(mut items: IntoIter<Arc<R>>, most: usize) -> ListProgress<R> {
    let found: Vec<Arc<R>> = items.by_ref().take(most).collect();
    let cost = found.len();
    ListProgress {
        next: (items.len() > 0).then_some(ListStage::Chosen(items)),
        found,
        cost,
    }
}

impl<R: Resource> ListProgress<R> {
    fn to(next: ListStage<R>, cost: usize) -> Self {
        let found = Vec::new();
        let next = Some(next);
        Self { next, found, cost }
    }
}
