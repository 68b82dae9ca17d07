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

    /// Looks at no more than so many candidates, and hands over those that are in the list. Returns how many it looked at.
    pub(super) fn next(
        &mut self,
        filters: &Filters<'_, R>,
        view: ResourceView<'_>,
        most: usize,
        mut found: impl FnMut(&Arc<R>),
    ) -> usize {
        self.choose(filters, view, most);
        let Some(candidates) = &self.candidates else {
            return most;
        };
        let (mut looked_at, mut last) = (0, None);
        let candidates = candidates.within(filters, view, self.span, self.descending);
        for resource in candidates.take(most) {
            looked_at += 1;
            last = Some(resource.id());
            if filters.hold(resource, view) {
                found(resource);
                self.left -= 1;
            }
            if self.left == 0 {
                break;
            }
        }
        self.ended = self.left == 0 || looked_at < most;
        self.skip(last);
        looked_at
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
