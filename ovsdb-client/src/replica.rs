//! A copy of the monitored part of a database, kept up to date by the server's updates.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use uuid::Uuid;

use crate::monitor::{RowUpdate, Selection, Update, UpdateError};
use crate::row::{ColumnError, Row, wrong};
use crate::schema::{Name, TableSchema};
use crate::table::Table;
use crate::value::{Atom, AtomSet, Moved, Value};

/// Tables of rows by identity, and the transaction that they are as of.
///
/// A weak reference may be to a row that is gone. ovsdb-server removes weak references to a row with the row, but since Open
/// vSwitch 2.17 may miss those of rows that the same transaction changes. The members of a cluster need not miss the same
/// ones, nor does a server that starts again. A replica keeps what it was told first: about references to rows that are gone
/// it may differ from the server that it goes on with. [`Replica::get_all`] leaves them out.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Replica {
    schema: Arc<BTreeMap<Name, TableSchema>>,
    tables: BTreeMap<Name, BTreeMap<Uuid, Row>>,
    last_transaction: Uuid,
    /// Which rows these are; unknown while the server is about to select others.
    selection: Option<Selection>,
    synced: bool,
}

/// What became of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RowChange {
    /// The row's table.
    pub table: Name,
    /// The row's identity.
    pub uuid: Uuid,
    /// What it was; `None` if it is new.
    pub old: Option<Row>,
    /// What it is; `None` if it is gone.
    pub new: Option<Row>,
}

impl RowChange {
    /// The change of a row from `old` to `new`. `None`: there was no such row, or there is none.
    #[must_use]
    pub fn new(table: impl Into<Name>, uuid: Uuid, old: Option<Row>, new: Option<Row>) -> Self {
        Self {
            table: table.into(),
            uuid,
            old,
            new,
        }
    }

    /// Whether the row is new, gone, or this column of it differs.
    #[must_use]
    pub fn touches(&self, column: &str) -> bool {
        let [old, new] = [&self.old, &self.new].map(|row| {
            let row = row.as_ref();
            row.map(|row| row.value(column).ok())
        });
        old != new
    }

    /// The references to rows in this column that are gone, and those that came. Costs as much as differs, however many
    /// there are.
    ///
    /// # Errors
    /// [`ColumnError`].
    pub fn moved_uuids(
        &self,
        column: &str,
    ) -> Result<(BTreeSet<Uuid>, BTreeSet<Uuid>), ColumnError> {
        let [old, new] = [&self.old, &self.new].map(|row| match row {
            Some(row) => row.elements(column),
            None => Ok(AtomSet::new()),
        });
        let (old, new) = (old?, new?);
        let (mut gone, mut came) = (BTreeSet::new(), BTreeSet::new());
        for element in old.moved(&new) {
            let (atom, moved) = match element {
                Moved::Gone(atom) => (atom, &mut gone),
                Moved::Came(atom) => (atom, &mut came),
            };
            let Atom::Uuid(uuid) = atom else {
                return Err(wrong(column, "uuids"));
            };
            moved.insert(*uuid);
        }
        Ok((gone, came))
    }
}

impl Replica {
    /// A table's rows, in the order of their identities; none if the table is not monitored.
    pub fn rows(&self, table: &str) -> impl Iterator<Item = (Uuid, &Row)> {
        let rows = self.tables.get(table).into_iter().flatten();
        rows.map(|(uuid, row)| (*uuid, row))
    }

    /// A row by its identity.
    #[must_use]
    pub fn row(&self, table: &str, uuid: Uuid) -> Option<&Row> {
        self.tables.get(table)?.get(&uuid)
    }

    /// The rows of a declared table, in the order of their identities.
    pub fn all<'a, T: Table<'a>>(&'a self) -> impl Iterator<Item = (Uuid, T)> {
        self.rows(T::NAME).map(|(uuid, row)| (uuid, T::of(row)))
    }

    /// A row of a declared table.
    #[must_use]
    pub fn get<'a, T: Table<'a>>(&'a self, uuid: Uuid) -> Option<T> {
        self.row(T::NAME, uuid).map(T::of)
    }

    /// Those of these rows that are there, such as the ones that a column refers to.
    pub fn get_all<'a, T: Table<'a>>(
        &'a self,
        uuids: impl IntoIterator<Item = Uuid>,
    ) -> impl Iterator<Item = (Uuid, T)> {
        let rows = uuids.into_iter();
        rows.filter_map(|uuid| Some((uuid, self.get(uuid)?)))
    }

    /// The first row whose column has this value.
    pub fn find(&self, table: &str, column: &str, value: impl Into<Value>) -> Option<(Uuid, &Row)> {
        let value = value.into();
        self.rows(table)
            .find(|(_, row)| row.value(column) == Ok(&value))
    }

    /// Whether a column is monitored: it was asked for, and the database has it.
    #[must_use]
    pub fn has(&self, table: &str, column: &str) -> bool {
        let table = self.schema.get(table);
        table.is_some_and(|table| table.columns.contains_key(column))
    }

    /// The types of the monitored columns.
    #[must_use]
    pub fn schema(&self) -> &BTreeMap<Name, TableSchema> {
        &self.schema
    }

    /// The last transaction that is in here; nil where the server does not tell.
    #[must_use]
    pub fn last_transaction(&self) -> Uuid {
        self.last_transaction
    }

    /// Whether this is the database as it was at some time, rather than nothing as yet.
    #[must_use]
    pub fn is_synced(&self) -> bool {
        self.synced
    }

    /// The transaction that someone who wants these rows can go on from; nil if these are, or may be, others. A server
    /// that goes on sends what changed since, and nothing of rows that did not.
    pub(crate) fn resumable(&self, selection: &Selection) -> Uuid {
        match self.selection.as_ref() == Some(selection) {
            true => self.last_transaction,
            false => Uuid::nil(),
        }
    }

    /// Notes which rows these are.
    pub(crate) fn set_selection(&mut self, selection: Option<Selection>) {
        self.selection = selection;
    }

    pub(crate) fn set_last_transaction(&mut self, transaction: Uuid) {
        self.last_transaction = transaction;
    }

    /// Prepares for updates of these tables. Rows of other columns are of no use then, and forgotten.
    pub(crate) fn prepare(&mut self, schema: Arc<BTreeMap<Name, TableSchema>>) {
        if self.schema != schema {
            *self = Self {
                schema,
                ..Self::default()
            };
        }
    }

    /// Brings the rows up to date; gives what changed, in the order of the updates.
    ///
    /// # Errors
    /// [`UpdateError::UnknownRow`] or [`UpdateError::NotAskedFor`]. Then none of the updates has taken effect. The replica is of
    /// no known transaction any more, so that a later session is sent all rows again.
    pub fn apply(&mut self, updates: Vec<RowUpdate>) -> Result<Vec<RowChange>, UpdateError> {
        self.apply_after(Vec::with_capacity(updates.len()), updates)
    }

    /// Applies updates after `changes` that belong to them: both take effect, or neither.
    fn apply_after(
        &mut self,
        mut changes: Vec<RowChange>,
        updates: Vec<RowUpdate>,
    ) -> Result<Vec<RowChange>, UpdateError> {
        for update in updates {
            match self.apply_one(update) {
                Ok(change) => changes.extend(change),
                Err(error) => {
                    self.undo(changes);
                    self.last_transaction = Uuid::nil();
                    return Err(error);
                }
            }
        }
        Ok(changes)
    }

    fn undo(&mut self, changes: Vec<RowChange>) {
        for change in changes.into_iter().rev() {
            let rows = self.tables.entry(change.table).or_default();
            match change.old {
                Some(row) => rows.insert(change.uuid, row),
                None => rows.remove(&change.uuid),
            };
        }
    }

    /// Takes the updates for all there is: rows that they do not mention are gone.
    ///
    /// # Errors
    /// Those of [`Replica::apply`].
    pub(crate) fn replace(
        &mut self,
        updates: Vec<RowUpdate>,
    ) -> Result<Vec<RowChange>, UpdateError> {
        let mut gone = std::mem::take(&mut self.tables);
        for update in &updates {
            let row = gone
                .get_mut(&update.table)
                .and_then(|table| table.remove(&update.uuid));
            if let Some(row) = row {
                let table = self.tables.entry(update.table.clone()).or_default();
                table.insert(update.uuid, row);
            }
        }
        let gone = gone.into_iter().flat_map(|(table, rows)| {
            rows.into_iter().map(move |(uuid, row)| RowChange {
                table: table.clone(),
                uuid,
                old: Some(row),
                new: None,
            })
        });
        let changes = self.apply_after(gone.collect(), updates)?;
        self.synced = true;
        Ok(changes)
    }

    /// `None` if the row was like that already.
    fn apply_one(&mut self, update: RowUpdate) -> Result<Option<RowChange>, UpdateError> {
        let RowUpdate {
            table,
            uuid,
            change,
        } = update;
        let rows = self.tables.entry(table.clone()).or_default();
        let old = rows.get(&uuid).cloned();
        let new = match (change, &old) {
            (Update::Contents(row), _) => Some(row),
            (Update::Deleted, Some(_)) => None,
            (Update::Difference(difference), Some(old)) => {
                Some(changed(old.clone(), &difference, &table, &self.schema)?)
            }
            (Update::Deleted | Update::Difference(_), None) => {
                return Err(UpdateError::UnknownRow { table, uuid });
            }
        };
        match &new {
            Some(row) => rows.insert(uuid, row.clone()),
            None => rows.remove(&uuid),
        };
        let changed = old != new;
        Ok(changed.then_some(RowChange {
            table,
            uuid,
            old,
            new,
        }))
    }
}

/// The row with the differing columns changed.
fn changed(
    mut row: Row,
    difference: &Row,
    table: &Name,
    schema: &BTreeMap<Name, TableSchema>,
) -> Result<Row, UpdateError> {
    for (name, difference) in difference.columns() {
        let column_type = schema.get(table).and_then(|table| table.columns.get(name));
        let (Some(column_type), Some(value)) = (column_type, row.value_mut(name)) else {
            return Err(UpdateError::NotAskedFor {
                name: format!("{table}.{name}"),
            });
        };
        column_type.apply_difference(value, difference.clone());
    }
    Ok(row)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::DatabaseSchema;
    use serde_json::json;

    fn replica() -> Replica {
        let many = json!({"key": "integer", "min": 0, "max": "unlimited"});
        let schema = DatabaseSchema::from_json(&json!({"name": "D", "tables": {
            "T": {"columns": {"name": {"type": "string"}, "tags": {"type": many}}},
        }}));
        let mut replica = Replica::default();
        replica.prepare(Arc::new(schema.unwrap().tables));
        replica
    }

    fn row(name: &str, tags: &[i64]) -> Row {
        Row::new()
            .with("name", name)
            .with("tags", Value::set(tags.iter().copied()))
    }

    fn update(uuid: u128, change: Update) -> RowUpdate {
        RowUpdate {
            table: "T".into(),
            uuid: Uuid::from_u128(uuid),
            change,
        }
    }

    fn contents(uuid: u128, row: Row) -> RowUpdate {
        update(uuid, Update::Contents(row))
    }

    fn change(uuid: u128, old: Option<Row>, new: Option<Row>) -> RowChange {
        RowChange {
            table: "T".into(),
            uuid: Uuid::from_u128(uuid),
            old,
            new,
        }
    }

    #[test]
    fn a_row_lives_from_its_contents_through_differences_to_its_deletion() {
        let mut replica = replica();
        let steps = [
            Update::Contents(row("a", &[1, 2])),
            Update::Contents(row("a", &[1, 2])),
            Update::Difference(Row::new().with("tags", Value::set([2, 3]))),
            Update::Deleted,
        ];
        let changes = replica
            .apply(steps.map(|change| update(1, change)).into())
            .unwrap();
        assert_eq!(
            changes,
            [
                change(1, None, Some(row("a", &[1, 2]))),
                change(1, Some(row("a", &[1, 2])), Some(row("a", &[1, 3]))),
                change(1, Some(row("a", &[1, 3])), None),
            ]
        );
        assert!(changes[1].touches("tags") && !changes[1].touches("name"));
        assert_eq!(replica.rows("T").count(), 0);
    }

    #[test]
    fn references_that_came_and_went_are_told_apart() {
        let row = |references: &[u128]| {
            let references = references.iter().copied().map(Uuid::from_u128);
            Some(Row::new().with("refers", Value::set(references)))
        };
        let uuids = |numbers: &[u128]| -> BTreeSet<Uuid> {
            numbers.iter().copied().map(Uuid::from_u128).collect()
        };
        let moved = |old, new| change(1, old, new).moved_uuids("refers").unwrap();
        assert_eq!(
            moved(row(&[1, 2, 3]), row(&[2, 3, 4])),
            (uuids(&[1]), uuids(&[4]))
        );
        assert_eq!(moved(None, row(&[1])), (uuids(&[]), uuids(&[1])));
        assert_eq!(moved(row(&[1]), None), (uuids(&[1]), uuids(&[])));
        let numbers = |tags| Some(super::tests::row("a", tags));
        let change = change(1, numbers(&[1]), numbers(&[2]));
        assert!(change.moved_uuids("tags").is_err());
        assert!(change.moved_uuids("other").is_err());
    }

    #[test]
    fn a_change_of_an_unknown_row_is_refused() {
        let unknown = |change| replica().apply(vec![update(1, change)]).unwrap_err();
        assert!(matches!(
            unknown(Update::Deleted),
            UpdateError::UnknownRow { .. }
        ));
        assert!(matches!(
            unknown(Update::Difference(Row::new())),
            UpdateError::UnknownRow { .. }
        ));
    }

    #[test]
    fn updates_of_which_one_is_refused_take_no_effect() {
        let mut replica = replica();
        let first = [1, 2].map(|uuid| contents(uuid, row("a", &[1])));
        replica.apply(first.into()).unwrap();
        let before = replica.clone();
        let difference = |tag| Update::Difference(Row::new().with("tags", Value::set([tag])));
        let refused = || update(9, Update::Deleted);
        let updates = vec![
            update(2, Update::Deleted),
            update(1, difference(2)),
            update(1, difference(3)),
            contents(1, row("b", &[])),
            contents(3, row("b", &[])),
            refused(),
        ];
        replica.set_last_transaction(Uuid::from_u128(1));
        assert!(replica.apply(updates).is_err());
        assert_eq!(replica, before);
        replica.set_last_transaction(Uuid::from_u128(1));
        let other = vec![contents(3, row("b", &[])), refused()];
        assert!(replica.replace(other).is_err());
        assert_eq!(replica, before);
    }

    #[test]
    fn replacing_everything_tells_what_differs() {
        let mut replica = replica();
        let first = vec![
            contents(1, row("a", &[])),
            contents(2, row("b", &[])),
            contents(3, row("c", &[])),
        ];
        replica.apply(first).unwrap();
        let second = vec![
            contents(1, row("a", &[])),
            contents(2, row("b", &[7])),
            contents(4, row("d", &[])),
        ];
        assert_eq!(
            replica.replace(second).unwrap(),
            [
                change(3, Some(row("c", &[])), None),
                change(2, Some(row("b", &[])), Some(row("b", &[7]))),
                change(4, None, Some(row("d", &[]))),
            ]
        );
        let names: Vec<_> = replica
            .rows("T")
            .map(|(_, row)| row.string("name").unwrap())
            .collect();
        assert_eq!(names, ["a", "b", "d"]);
    }

    #[test]
    fn rows_are_found_by_identity_and_by_column() {
        let mut replica = replica();
        replica
            .apply(vec![update(5, Update::Contents(row("a", &[])))])
            .unwrap();
        let uuid = Uuid::from_u128(5);
        assert_eq!(replica.row("T", uuid), Some(&row("a", &[])));
        assert_eq!(
            replica.find("T", "name", "a").map(|(found, _)| found),
            Some(uuid)
        );
        assert_eq!(replica.find("T", "name", "b"), None);
        assert_eq!(replica.rows("U").count(), 0);
    }
}
