//! Looks through candidates in the order of ids, a portion at a time.

use super::candidates::Candidates;
use super::filters::Filters;
use crate::api::contract::resource::Resource;
use crate::api::contract::view::ResourceView;
use sextant_model::Span;
use std::ops::Bound;
use std::sync::Arc;

/// A walk through candidates.
pub(crate) struct Scan<R: Resource> {
    /// `None`: they are not chosen yet.
    candidates: Option<Candidates<R>>,
    /// After how many steps the choice is given up for this turn.
    patience: usize,
    /// The ids that have not been looked at.
    span: Span<R::Id>,
    descending: bool,
    /// How many more resources are wanted.
    left: usize,
    ended: bool,
}

/// What a portion of the walk has found.
pub(super) struct Portion<R> {
    /// The resources that are in the list.
    pub(super) found: Vec<Arc<R>>,
    /// How many candidates were looked at.
    pub(super) looked_at: usize,
}

impl<R: Resource> Scan<R> {
    pub(super) fn new(span: Span<R::Id>, descending: bool, most: usize) -> Self {
        Self {
            candidates: None,
            patience: 0,
            span,
            descending,
            left: most,
            ended: false,
        }
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended
    }

    /// Looks at no more than so many candidates.
    pub(super) fn next(
        &mut self,
        filters: &Filters<'_, R>,
        view: ResourceView<'_>,
        most: usize,
    ) -> Portion<R> {
        let mut portion = Portion {
            found: Vec::new(),
            looked_at: 0,
        };
        self.choose(filters, view, most);
        let Some(candidates) = &self.candidates else {
            portion.looked_at = most;
            return portion;
        };
        let mut last = None;
        let candidates = candidates.within(filters, view, self.span, self.descending);
        for resource in candidates.take(most) {
            portion.looked_at += 1;
            last = Some(resource.id());
            if filters.hold(resource, view) {
                portion.found.push(resource.clone());
            }
            if portion.found.len() == self.left {
                break;
            }
        }
        self.left -= portion.found.len();
        self.ended = self.left == 0 || portion.looked_at < most;
        self.skip(last);
        portion
    }

    /// Chooses the candidates. It may take several turns, with twice the patience each.
    fn choose(&mut self, filters: &Filters<'_, R>, view: ResourceView<'_>, most: usize) {
        if self.candidates.is_none() {
            self.patience = most.max(2 * self.patience);
            self.candidates = Candidates::choose(filters, view, self.span, self.patience);
        }
    }

    fn skip(&mut self, last: Option<R::Id>) {
        let Some(last) = last.map(Bound::Excluded) else {
            return;
        };
        match self.descending {
            true => self.span.1 = last,
            false => self.span.0 = last,
        }
    }
}
