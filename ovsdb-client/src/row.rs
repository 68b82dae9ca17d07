//! A row's columns, and typed access to them.
//!
//! A [`Row`] is what a replica holds, what a `select` returns and what an `insert` or `update` is given. A copy shares
//! its columns until one of the two is changed. They are side by side in memory: rows have few columns, and there are very many rows.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Map, Value as Json};
use thiserror::Error;
use uuid::Uuid;

use crate::schema::Name;
use crate::table::TextMap;
use crate::value::{Atom, AtomSet, Real, Value, ValueError};

/// Columns by name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Row {
    /// In the order of their names.
    columns: Arc<[(Name, Value)]>,
}

/// A column was asked for that the row lacks, or as a type that it does not have: a mistake of the caller, who chose
/// which columns to monitor, or a database of an unexpected schema.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ColumnError {
    /// The row has no such column.
    #[error("there is no column {column} in this row; was it monitored?")]
    Missing {
        /// The column asked for.
        column: String,
    },
    /// The column holds something else.
    #[error("column {column} does not hold {wanted}")]
    WrongType {
        /// The column asked for.
        column: String,
        /// What it was asked for as.
        wanted: &'static str,
    },
}

impl Row {
    /// A row without columns; [`Row::with`] adds them.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// This row with one more column.
    #[must_use]
    pub fn with(mut self, column: impl Into<Name>, value: impl Into<Value>) -> Self {
        self.set(column, value);
        self
    }

    /// Adds or replaces a column.
    pub fn set(&mut self, column: impl Into<Name>, value: impl Into<Value>) {
        let (column, value) = (column.into(), value.into());
        match self.value_mut(&column) {
            Some(present) => *present = value,
            None => {
                let present = self.columns.iter().cloned();
                *self = present.chain([(column, value)]).collect();
            }
        }
    }

    pub(crate) fn value_mut(&mut self, column: &str) -> Option<&mut Value> {
        let place = self.place(column)?;
        let columns = Arc::make_mut(&mut self.columns);
        columns.get_mut(place).map(|(_, value)| value)
    }

    fn place(&self, column: &str) -> Option<usize> {
        self.columns
            .binary_search_by(|(name, _)| (**name).cmp(column))
            .ok()
    }

    /// The columns in the order of their names.
    pub fn columns(&self) -> impl Iterator<Item = (&Name, &Value)> {
        self.columns.iter().map(|(name, value)| (name, value))
    }

    /// A column as it is.
    ///
    /// # Errors
    /// [`ColumnError::Missing`].
    pub fn value(&self, column: &str) -> Result<&Value, ColumnError> {
        let found = self.place(column).map(|place| &self.columns[place].1);
        found.ok_or_else(|| ColumnError::Missing {
            column: column.into(),
        })
    }

    /// Text.
    ///
    /// # Errors
    /// [`ColumnError`].
    pub fn string(&self, column: &str) -> Result<&str, ColumnError> {
        self.one(column, "one string", Atom::text)
    }

    /// Optional text.
    ///
    /// # Errors
    /// [`ColumnError`].
    pub fn optional_string(&self, column: &str) -> Result<Option<&str>, ColumnError> {
        self.optional(column, "at most one string", Atom::text)
    }

    /// A set of texts, in order.
    ///
    /// # Errors
    /// [`ColumnError`].
    pub fn strings(&self, column: &str) -> Result<BTreeSet<&str>, ColumnError> {
        self.many(column, "strings", Atom::text)
    }

    /// An integer.
    ///
    /// # Errors
    /// [`ColumnError`].
    pub fn integer(&self, column: &str) -> Result<i64, ColumnError> {
        self.one(column, "one integer", integer)
    }

    /// An optional integer.
    ///
    /// # Errors
    /// [`ColumnError`].
    pub fn optional_integer(&self, column: &str) -> Result<Option<i64>, ColumnError> {
        self.optional(column, "at most one integer", integer)
    }

    /// A set of integers, in order.
    ///
    /// # Errors
    /// [`ColumnError`].
    pub fn integers(&self, column: &str) -> Result<BTreeSet<i64>, ColumnError> {
        self.many(column, "integers", integer)
    }

    /// A real number.
    ///
    /// # Errors
    /// [`ColumnError`].
    pub fn real(&self, column: &str) -> Result<f64, ColumnError> {
        self.one(column, "one real number", real)
    }

    /// Truth.
    ///
    /// # Errors
    /// [`ColumnError`].
    pub fn boolean(&self, column: &str) -> Result<bool, ColumnError> {
        self.one(column, "one boolean", boolean)
    }

    /// Optional truth.
    ///
    /// # Errors
    /// [`ColumnError`].
    pub fn optional_boolean(&self, column: &str) -> Result<Option<bool>, ColumnError> {
        self.optional(column, "at most one boolean", boolean)
    }

    /// A reference to a row.
    ///
    /// # Errors
    /// [`ColumnError`].
    pub fn uuid(&self, column: &str) -> Result<Uuid, ColumnError> {
        self.one(column, "one uuid", uuid)
    }

    /// An optional reference to a row.
    ///
    /// # Errors
    /// [`ColumnError`].
    pub fn optional_uuid(&self, column: &str) -> Result<Option<Uuid>, ColumnError> {
        self.optional(column, "at most one uuid", uuid)
    }

    /// References to rows, in order.
    ///
    /// # Errors
    /// [`ColumnError`].
    pub fn uuids(&self, column: &str) -> Result<BTreeSet<Uuid>, ColumnError> {
        self.many(column, "uuids", uuid)
    }

    /// A map from text to text, such as `external_ids`.
    ///
    /// # Errors
    /// [`ColumnError`].
    pub fn map(&self, column: &str) -> Result<BTreeMap<&str, &str>, ColumnError> {
        let wanted = "a map of strings";
        let pairs = self.pairs(column, wanted)?.iter();
        let pairs = pairs.map(|(key, value)| Some((key.text()?, value.text()?)));
        pairs
            .collect::<Option<_>>()
            .ok_or_else(|| wrong(column, wanted))
    }

    /// The same without a copy.
    ///
    /// # Errors
    /// [`ColumnError`].
    pub fn text_map(&self, column: &str) -> Result<TextMap<'_>, ColumnError> {
        self.pairs(column, "a map of strings").map(TextMap)
    }

    /// What a map from text to text holds under `key`.
    ///
    /// # Errors
    /// [`ColumnError`].
    pub fn map_entry(&self, column: &str, key: &str) -> Result<Option<&str>, ColumnError> {
        let wanted = "a map of strings";
        let value = self.pairs(column, wanted)?.get(&Atom::from(key));
        value
            .map(|value| value.text().ok_or_else(|| wrong(column, wanted)))
            .transpose()
    }

    /// A map from text to references to rows.
    ///
    /// # Errors
    /// [`ColumnError`].
    pub fn uuids_by_text(&self, column: &str) -> Result<BTreeMap<&str, Uuid>, ColumnError> {
        self.references(column, "a map of strings to uuids", Atom::text)
    }

    /// A map from integers to references to rows.
    ///
    /// # Errors
    /// [`ColumnError`].
    pub fn uuids_by_integer(&self, column: &str) -> Result<BTreeMap<i64, Uuid>, ColumnError> {
        self.references(column, "a map of integers to uuids", integer)
    }

    fn references<'a, T: Ord>(
        &'a self,
        column: &str,
        wanted: &'static str,
        read: fn(&'a Atom) -> Option<T>,
    ) -> Result<BTreeMap<T, Uuid>, ColumnError> {
        let pairs = self.pairs(column, wanted)?.iter();
        let pairs = pairs.map(|(key, value)| Some((read(key)?, uuid(value)?)));
        pairs
            .collect::<Option<_>>()
            .ok_or_else(|| wrong(column, wanted))
    }

    fn pairs(
        &self,
        column: &str,
        wanted: &'static str,
    ) -> Result<&BTreeMap<Atom, Atom>, ColumnError> {
        match self.value(column)? {
            Value::Map(pairs) => Ok(pairs),
            Value::Atom(_) | Value::Set(_) => Err(wrong(column, wanted)),
        }
    }

    /// The elements of a column, one or many.
    pub(crate) fn elements(&self, column: &str) -> Result<AtomSet, ColumnError> {
        match self.value(column)? {
            Value::Atom(atom) => Ok(AtomSet::from_iter([atom.clone()])),
            Value::Set(elements) => Ok(elements.clone()),
            Value::Map(_) => Err(wrong(column, "a set or a scalar")),
        }
    }

    fn one<'a, T>(
        &'a self,
        column: &str,
        wanted: &'static str,
        read: fn(&'a Atom) -> Option<T>,
    ) -> Result<T, ColumnError> {
        let one = match self.value(column)? {
            Value::Atom(atom) => read(atom),
            Value::Set(_) | Value::Map(_) => None,
        };
        one.ok_or_else(|| wrong(column, wanted))
    }

    fn optional<'a, T>(
        &'a self,
        column: &str,
        wanted: &'static str,
        read: fn(&'a Atom) -> Option<T>,
    ) -> Result<Option<T>, ColumnError> {
        let optional = match self.value(column)? {
            Value::Atom(atom) => Some(atom),
            Value::Set(elements) if elements.len() <= 1 => elements.first(),
            Value::Set(_) | Value::Map(_) => return Err(wrong(column, wanted)),
        };
        optional
            .map(|atom| read(atom).ok_or_else(|| wrong(column, wanted)))
            .transpose()
    }

    fn many<'a, T: Ord>(
        &'a self,
        column: &str,
        wanted: &'static str,
        read: fn(&'a Atom) -> Option<T>,
    ) -> Result<BTreeSet<T>, ColumnError> {
        let many = match self.value(column)? {
            Value::Atom(atom) => read(atom).map(|only| [only].into()),
            Value::Set(elements) => elements.iter().map(read).collect(),
            Value::Map(_) => None,
        };
        many.ok_or_else(|| wrong(column, wanted))
    }

    /// Reads `<row>` without knowing its columns' types.
    ///
    /// # Errors
    /// [`ValueError`].
    pub(crate) fn from_json(json: &Map<String, Json>) -> Result<Self, ValueError> {
        let columns = json
            .iter()
            .map(|(name, value)| Ok((Name::from(name.as_str()), Value::from_json(value)?)));
        columns.collect()
    }

    /// Writes `<row>`.
    pub(crate) fn to_json(&self) -> Json {
        let columns = self.columns.iter();
        columns
            .map(|(name, value)| (name.to_string(), value.to_json()))
            .collect()
    }
}

impl<N: Into<Name>, V: Into<Value>> FromIterator<(N, V)> for Row {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(columns: I) -> Self {
        let columns = columns.into_iter();
        let columns = columns.map(|(name, value)| (name.into(), value.into()));
        let mut columns: Vec<(Name, Value)> = columns.collect();
        columns.sort_by(|(one, _), (other, _)| one.cmp(other));
        // Of a column given twice the last value counts.
        columns.dedup_by(|later, earlier| {
            let is_again = later.0 == earlier.0;
            if is_again {
                std::mem::swap(later, earlier);
            }
            is_again
        });
        Self {
            columns: columns.into(),
        }
    }
}

pub(crate) fn wrong(column: &str, wanted: &'static str) -> ColumnError {
    ColumnError::WrongType {
        column: column.into(),
        wanted,
    }
}

fn integer(atom: &Atom) -> Option<i64> {
    if let Atom::Integer(integer) = atom {
        Some(*integer)
    } else {
        None
    }
}

/// What a `select` returns may have a real number written as an integer.
fn real(atom: &Atom) -> Option<f64> {
    if let Atom::Real(real) = atom {
        Some(real.get())
    } else {
        integer(atom).map(|integer| Real::from(integer).get())
    }
}

fn boolean(atom: &Atom) -> Option<bool> {
    if let Atom::Boolean(boolean) = atom {
        Some(*boolean)
    } else {
        None
    }
}

fn uuid(atom: &Atom) -> Option<Uuid> {
    if let Atom::Uuid(uuid) = atom {
        Some(*uuid)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> Row {
        Row::new()
            .with("name", "br-int")
            .with("ofport", Value::set([7]))
            .with("error", Value::empty_set())
            .with(
                "ports",
                Value::set([Uuid::from_u128(2), Uuid::from_u128(1)]),
            )
            .with("external_ids", Value::map([("iface-id", "p1")]))
            .with("other", Value::map([("a", 1)]))
    }

    #[test]
    fn columns_are_read_as_what_they_are() {
        let row = row();
        assert_eq!(row.string("name"), Ok("br-int"));
        assert_eq!(row.optional_integer("ofport"), Ok(Some(7)));
        assert_eq!(row.optional_string("error"), Ok(None));
        let selected = Row::new().with("weight", 3).with("tags", 4);
        assert_eq!(selected.real("weight"), Ok(3.0));
        assert_eq!(selected.integers("tags"), Ok([4].into()));
        assert_eq!(
            row.uuids("ports"),
            Ok([Uuid::from_u128(1), Uuid::from_u128(2)].into())
        );
        assert_eq!(
            row.map("external_ids"),
            Ok(BTreeMap::from([("iface-id", "p1")]))
        );
        assert_eq!(row.map_entry("external_ids", "iface-id"), Ok(Some("p1")));
        assert_eq!(row.map_entry("external_ids", "attached-mac"), Ok(None));
    }

    #[test]
    fn a_wrong_question_gets_an_error_that_names_the_column() {
        let row = row();
        assert_eq!(
            row.string("type").unwrap_err().to_string(),
            "there is no column type in this row; was it monitored?"
        );
        assert_eq!(
            row.integer("name").unwrap_err().to_string(),
            "column name does not hold one integer"
        );
        assert!(row.map("other").is_err());
        assert!(row.map_entry("other", "a").is_err());
        assert!(row.optional_uuid("ports").is_err());
    }

    #[test]
    fn maps_to_references_have_keys_of_one_type() {
        let (one, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let row = Row::new().with(
            "datapaths",
            Value::map([("system", one), ("netdev", other)]),
        );
        let row = row.with("ct_zones", Value::map([(7, one)]));
        let datapaths = BTreeMap::from([("netdev", other), ("system", one)]);
        assert_eq!(row.uuids_by_text("datapaths"), Ok(datapaths));
        assert_eq!(row.uuids_by_integer("ct_zones"), Ok([(7, one)].into()));
        assert!(row.uuids_by_text("ct_zones").is_err());
        assert!(row.uuids_by_integer("datapaths").is_err());
    }

    #[test]
    fn a_copy_keeps_its_columns() {
        let old = row();
        let mut new = old.clone();
        new.set("name", "br-ex");
        assert_eq!(old.string("name"), Ok("br-int"));
        assert_eq!(new.string("name"), Ok("br-ex"));
    }
}
