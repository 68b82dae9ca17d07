//! A set of scalars, small where it has few and shared where it has many.

use std::cmp::Ordering;
use std::fmt::{self, Debug, Formatter};

use imbl::OrdSet;
use imbl::ordset::DiffItem;

use crate::value::Atom;

/// So many elements are kept side by side. An optional column has one at most, and a database has thousands of these.
const FEW: usize = 8;

/// Scalars in their order, each once. Of a set with many, a copy shares with its original all that neither has changed, so that
/// what a row was and what it is cost little beside each other, and are compared at the cost of what differs.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct AtomSet(Elements);

/// How many there are decides which one it is, so equal sets are kept alike.
#[derive(Clone, PartialEq, Eq)]
enum Elements {
    /// At most [`FEW`], in order.
    Few(Box<[Atom]>),
    Many(OrdSet<Atom>),
}

impl Default for Elements {
    fn default() -> Self {
        Self::Few(Box::default())
    }
}

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
        match &self.0 {
            Elements::Few(few) => few.len(),
            Elements::Many(many) => many.len(),
        }
    }

    /// Whether there are no elements.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether this is an element.
    #[must_use]
    pub fn contains(&self, atom: &Atom) -> bool {
        match &self.0 {
            Elements::Few(few) => few.binary_search(atom).is_ok(),
            Elements::Many(many) => many.contains(atom),
        }
    }

    /// The least element.
    #[must_use]
    pub fn first(&self) -> Option<&Atom> {
        match &self.0 {
            Elements::Few(few) => few.first(),
            Elements::Many(many) => many.get_min(),
        }
    }

    /// Adds an element; gives whether it was missing.
    pub fn insert(&mut self, atom: Atom) -> bool {
        let few = match &mut self.0 {
            Elements::Many(many) => return many.insert(atom).is_none(),
            Elements::Few(few) => few,
        };
        let Err(place) = few.binary_search(&atom) else {
            return false;
        };
        let mut elements = std::mem::take(few).into_vec();
        elements.insert(place, atom);
        self.0 = Elements::of(elements);
        true
    }

    /// Removes an element; gives whether it was there.
    pub fn remove(&mut self, atom: &Atom) -> bool {
        match &mut self.0 {
            Elements::Many(many) => {
                let was_there = many.remove(atom).is_some();
                if many.len() <= FEW {
                    self.0 = Elements::Few(many.iter().cloned().collect());
                }
                was_there
            }
            Elements::Few(few) => {
                let Ok(place) = few.binary_search(atom) else {
                    return false;
                };
                let mut elements = std::mem::take(few).into_vec();
                elements.remove(place);
                self.0 = Elements::of(elements);
                true
            }
        }
    }

    /// The elements in their order.
    pub fn iter(&self) -> impl Iterator<Item = &Atom> {
        let (few, many): (&[Atom], _) = match &self.0 {
            Elements::Few(few) => (few, None),
            Elements::Many(many) => (&[], Some(many)),
        };
        few.iter().chain(many.into_iter().flat_map(OrdSet::iter))
    }

    /// The elements in their order, which the set gives away.
    pub fn into_atoms(self) -> impl Iterator<Item = Atom> {
        let (few, many) = match self.0 {
            Elements::Few(few) => (few.into_vec(), None),
            Elements::Many(many) => (Vec::new(), Some(many)),
        };
        few.into_iter().chain(many.into_iter().flatten())
    }

    /// What differs in `new`. Costs as much as that where there are many elements.
    pub(crate) fn moved<'a>(&'a self, new: &'a Self) -> Box<dyn Iterator<Item = Moved<'a>> + 'a> {
        if let (Elements::Many(old), Elements::Many(new)) = (&self.0, &new.0) {
            return Box::new(old.diff(new).map(|item| match item {
                DiffItem::Remove(atom) => Moved::Gone(atom),
                DiffItem::Add(atom) => Moved::Came(atom),
            }));
        }
        // One of the two has few, so looking for each element costs about as much as what differs.
        let gone = self.iter().filter(|atom| !new.contains(atom));
        let came = new.iter().filter(|atom| !self.contains(atom));
        Box::new(gone.map(Moved::Gone).chain(came.map(Moved::Came)))
    }
}

impl Elements {
    /// These, which are in order.
    fn of(elements: Vec<Atom>) -> Self {
        match elements.len() <= FEW {
            true => Self::Few(elements.into_boxed_slice()),
            false => Self::Many(elements.into_iter().collect()),
        }
    }
}

impl Ord for AtomSet {
    /// By the first element that differs.
    fn cmp(&self, other: &Self) -> Ordering {
        self.iter().cmp(other.iter())
    }
}

impl PartialOrd for AtomSet {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<A: Into<Atom>> FromIterator<A> for AtomSet {
    /// Elements given twice count once.
    fn from_iter<I: IntoIterator<Item = A>>(elements: I) -> Self {
        let mut elements: Vec<Atom> = elements.into_iter().map(Into::into).collect();
        elements.sort();
        elements.dedup();
        Self(Elements::of(elements))
    }
}

impl Debug for AtomSet {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn set_of(numbers: impl IntoIterator<Item = i64>) -> AtomSet {
        numbers.into_iter().collect()
    }

    proptest! {
        #[test]
        fn a_set_of_few_and_one_of_many_are_alike(
            steps in prop::collection::vec((any::<bool>(), 0..20_i64), 0..60),
            other in prop::collection::btree_set(0..20_i64, 0..16),
        ) {
            let (mut set, mut model) = (AtomSet::new(), BTreeSet::new());
            for (adds, number) in steps {
                let atom = Atom::from(number);
                match adds {
                    true => prop_assert_eq!(set.insert(atom), model.insert(number)),
                    false => prop_assert_eq!(set.remove(&atom), model.remove(&number)),
                }
                let atoms: Vec<Atom> = model.iter().copied().map(Atom::from).collect();
                prop_assert!(set.iter().eq(&atoms));
                prop_assert_eq!((set.len(), set.first()), (atoms.len(), atoms.first()));
                prop_assert_eq!(set.contains(&Atom::from(number)), adds);
                prop_assert_eq!(&set, &set_of(model.iter().copied()));
            }
            let new = set_of(other.iter().copied());
            prop_assert_eq!(set.cmp(&new), model.iter().cmp(other.iter()));
            let (mut gone, mut came) = (AtomSet::new(), AtomSet::new());
            for moved in set.moved(&new) {
                match moved {
                    Moved::Gone(atom) => prop_assert!(gone.insert(atom.clone())),
                    Moved::Came(atom) => prop_assert!(came.insert(atom.clone())),
                }
            }
            prop_assert_eq!(gone, set_of(&model - &other));
            prop_assert_eq!(came, set_of(&other - &model));
            prop_assert!(set.into_atoms().eq(model.into_iter().map(Atom::from)));
        }
    }
}
