//! A set of scalars whose copies share what they have in common.

use std::fmt::{self, Debug, Formatter};

use imbl::OrdSet;
use imbl::ordset::DiffItem;

use crate::value::Atom;

/// Scalars in their order, each once. A copy shares with its original all that neither has changed, so that what a row was
/// and what it is cost little beside each other, and are compared at the cost of what differs.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct AtomSet(OrdSet<Atom>);

/// An element that one of two sets has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moved<'a> {
    Gone(&'a Atom),
    Came(&'a Atom),
}

impl AtomSet {
    /// An empty set.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many elements there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no elements.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether this is an element.
    #[must_use]
    pub fn contains(&self, atom: &Atom) -> bool {
        self.0.contains(atom)
    }

    /// The least element.
    #[must_use]
    pub fn first(&self) -> Option<&Atom> {
        self.0.get_min()
    }

    /// Adds an element; gives whether it was missing.
    pub fn insert(&mut self, atom: Atom) -> bool {
        self.0.insert(atom).is_none()
    }

    /// Removes an element; gives whether it was there.
    pub fn remove(&mut self, atom: &Atom) -> bool {
        self.0.remove(atom).is_some()
    }

    /// The elements in their order.
    pub fn iter(&self) -> impl Iterator<Item = &Atom> {
        self.0.iter()
    }

    /// The elements in their order, which the set gives away.
    pub fn into_atoms(self) -> impl Iterator<Item = Atom> {
        self.0.into_iter()
    }

    /// What differs in `new`. Costs as much as that, however many elements there are.
    pub(crate) fn moved<'a>(&'a self, new: &'a Self) -> impl Iterator<Item = Moved<'a>> {
        self.0.diff(&new.0).map(|item| match item {
            DiffItem::Remove(atom) => Moved::Gone(atom),
            DiffItem::Add(atom) => Moved::Came(atom),
        })
    }
}

impl<A: Into<Atom>> FromIterator<A> for AtomSet {
    /// Elements given twice count once.
    fn from_iter<I: IntoIterator<Item = A>>(elements: I) -> Self {
        Self(elements.into_iter().map(Into::into).collect())
    }
}

impl Debug for AtomSet {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
