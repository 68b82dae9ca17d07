//! How many objects of each kind each project has.

use crate::Counted;
use imbl::OrdMap;

/// Counts of objects by project and kind. Zero is not stored.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Counts(OrdMap<(String, Counted), u64>);

impl Counts {
    pub(crate) fn get(&self, project: &str, kind: Counted) -> u64 {
        let key = (project.to_owned(), kind);
        self.0.get(&key).copied().unwrap_or_default()
    }

    /// All that are not zero.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, Counted, u64)> {
        let all = self.0.iter();
        all.map(|((project, kind), count)| (project.as_str(), *kind, *count))
    }

    pub(crate) fn add(&mut self, project: &str, kind: Counted) {
        let count = self.get(project, kind);
        self.0.insert((project.to_owned(), kind), count + 1);
    }

    pub(crate) fn take(&mut self, project: &str, kind: Counted) {
        let key = (project.to_owned(), kind);
        match self.get(project, kind) {
            0 | 1 => self.0.remove(&key),
            count => self.0.insert(key, count - 1),
        };
    }
}
