//! What to monitor, and what the server then sends.
//!
//! Three methods exist, each better than the one before: `monitor` (RFC 7047 §4.1.5) sends whole rows, `monitor_cond`
//! (ovsdb-server(7), 4.1.12) sends differences and can leave rows out, `monitor_cond_since` (4.1.15) can also go on from
//! a transaction that is known already. [`Method::fallback`] leads from the best to the oldest. Whatever the method,
//! [`read_updates`] makes the same [`RowUpdate`]s of what arrives.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value as Json, json};
use thiserror::Error;
use uuid::Uuid;

use crate::row::Row;
use crate::schema::{ColumnType, DatabaseSchema, Name, TableSchema};
use crate::table::Declaration;
use crate::transaction::Condition;
use crate::value::{Value, ValueError, excerpt};

/// The columns of a database to keep a replica of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MonitorRequest {
    database: Name,
    /// Shared with its clones: whoever has many databases of one kind makes one request.
    tables: Arc<BTreeMap<Name, TableRequest>>,
    /// The conditions of the tables that have any.
    selection: Selection,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct TableRequest {
    /// With the type that a column has to have, where one was declared.
    columns: Vec<(Name, Option<ColumnType>)>,
    /// The same of those that the database may lack.
    optional_columns: Vec<(Name, Option<ColumnType>)>,
}

/// Which rows are monitored: those of a table that meet one of its conditions, all of a table that is not mentioned.
pub(crate) type Selection = BTreeMap<Name, Vec<Condition>>;

/// The database lacks what was asked for: it is too old, or the request is mistaken.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RequestMismatch {
    /// No such table.
    #[error("the database {database} has no table {table}")]
    NoTable {
        /// The database asked for.
        database: String,
        /// The table asked for.
        table: Name,
    },
    /// No such column.
    #[error("the table {table} of database {database} has no column {column}")]
    NoColumn {
        /// The database asked for.
        database: String,
        /// The table asked for.
        table: Name,
        /// The column asked for.
        column: Name,
    },
    /// The column is of another type than was declared.
    #[error(
        "column {column} of table {table} of database {database} holds {found}, where {wanted} is wanted"
    )]
    WrongType {
        /// The database asked for.
        database: String,
        /// The table asked for.
        table: Name,
        /// The column asked for.
        column: Name,
        /// The type that was declared.
        wanted: ColumnType,
        /// The type that the database has.
        found: ColumnType,
    },
}

impl TableRequest {
    /// Whether the database may lack the table: nothing is asked of it but what may be missing.
    fn is_optional(&self) -> bool {
        self.columns.is_empty() && !self.optional_columns.is_empty()
    }
}

impl MonitorRequest {
    /// A request for nothing of a database as yet.
    pub fn new(database: impl Into<Name>) -> Self {
        Self {
            database: database.into(),
            tables: Arc::default(),
            selection: Selection::new(),
        }
    }

    /// A request for what [`tables!`](crate::tables) declares, which the database has to have with these types.
    pub fn declared(database: impl Into<Name>, declaration: Declaration) -> Self {
        let mut request = Self::new(database);
        let tables = Arc::make_mut(&mut request.tables);
        for (table, columns) in declaration {
            let columns = columns.iter();
            let columns = columns.map(|(column, wanted)| ((*column).into(), Some(*wanted)));
            let table = tables.entry((*table).into()).or_default();
            table.columns.extend(columns);
        }
        request
    }

    /// Adds columns of a table, which the database has to have.
    #[must_use]
    pub fn table<C: Into<Name>>(
        mut self,
        table: impl Into<Name>,
        columns: impl IntoIterator<Item = C>,
    ) -> Self {
        let tables = Arc::make_mut(&mut self.tables);
        let request = tables.entry(table.into()).or_default();
        let columns = columns.into_iter();
        request
            .columns
            .extend(columns.map(|column| (column.into(), None)));
        self
    }

    /// Adds columns of a table that older databases may lack; where they do, rows come without them.
    #[must_use]
    pub fn optional_columns<C: Into<Name>>(
        mut self,
        table: impl Into<Name>,
        columns: impl IntoIterator<Item = C>,
    ) -> Self {
        let tables = Arc::make_mut(&mut self.tables);
        let request = tables.entry(table.into()).or_default();
        let columns = columns.into_iter();
        let columns = columns.map(|column| (column.into(), None));
        request.optional_columns.extend(columns);
        self
    }

    /// Adds what [`tables!`](crate::tables) declares and older databases may lack. Where a column is missing or has another
    /// type, rows come without it; a table of which nothing else is asked may be missing, too. [`Replica::has`](crate::Replica::has)
    /// says what is there.
    #[must_use]
    pub fn optional(mut self, declaration: Declaration) -> Self {
        let tables = Arc::make_mut(&mut self.tables);
        for (table, columns) in declaration {
            let columns = columns.iter();
            let columns = columns.map(|(column, wanted)| ((*column).into(), Some(*wanted)));
            let table = tables.entry((*table).into()).or_default();
            table.optional_columns.extend(columns);
        }
        self
    }

    /// Restricts a table to rows that meet one of the conditions given. Servers older than Open vSwitch 2.6 ignore it.
    #[must_use]
    pub fn matching(
        mut self,
        table: impl Into<Name>,
        conditions: impl IntoIterator<Item = Condition>,
    ) -> Self {
        let present = self.selection.entry(table.into()).or_default();
        present.extend(conditions);
        self
    }

    /// Restricts a table to rows that meet one of these conditions instead of those given before; no conditions, no
    /// restriction.
    pub(crate) fn restrict(&mut self, table: Name, conditions: Vec<Condition>) {
        match conditions.is_empty() {
            true => self.selection.remove(&table),
            false => self.selection.insert(table, conditions),
        };
    }

    /// The conditions of the tables that have any.
    pub(crate) fn selection(&self) -> &Selection {
        &self.selection
    }

    /// The database's name.
    #[must_use]
    pub fn database(&self) -> &str {
        &self.database
    }

    /// The types of the columns asked for.
    ///
    /// # Errors
    /// [`RequestMismatch`].
    pub(crate) fn resolve(
        &self,
        schema: &DatabaseSchema,
    ) -> Result<Arc<BTreeMap<Name, TableSchema>>, RequestMismatch> {
        let mut tables = BTreeMap::new();
        for (name, request) in self.tables.iter() {
            let Some(table) = schema.tables.get(name) else {
                if request.is_optional() {
                    continue;
                }
                return Err(RequestMismatch::NoTable {
                    database: self.database.to_string(),
                    table: name.clone(),
                });
            };
            tables.insert(name.clone(), self.resolve_columns(name, request, table)?);
        }
        Ok(Arc::new(tables))
    }

    fn resolve_columns(
        &self,
        name: &Name,
        request: &TableRequest,
        table: &TableSchema,
    ) -> Result<TableSchema, RequestMismatch> {
        let known = &table.columns;
        let required = request.columns.iter().map(|(column, wanted)| {
            let (database, table) = (self.database.to_string(), name.clone());
            match (known.get(column).copied(), *wanted) {
                (Some(found), Some(wanted)) if !found.reads_as(&wanted) => {
                    Err(RequestMismatch::WrongType {
                        database,
                        table,
                        column: column.clone(),
                        wanted,
                        found,
                    })
                }
                (Some(found), _) => Ok((column.clone(), found)),
                (None, _) => Err(RequestMismatch::NoColumn {
                    database,
                    table,
                    column: column.clone(),
                }),
            }
        });
        let optional = request.optional_columns.iter();
        let optional = optional.filter_map(|(column, wanted)| {
            let found = *known.get(column)?;
            let fits = wanted.is_none_or(|wanted| found.reads_as(&wanted));
            fits.then(|| (column.clone(), found))
        });
        let columns = required.chain(optional.map(Ok));
        Ok(TableSchema {
            columns: columns.collect::<Result<_, _>>()?,
        })
    }

    /// The parameters of the request, under the name `id`, going on from the transaction `since`.
    pub(crate) fn params(
        &self,
        method: Method,
        id: &Json,
        tables: &BTreeMap<Name, TableSchema>,
        since: Uuid,
    ) -> Json {
        let tables = tables.iter().map(|(name, table)| {
            let columns: Vec<&str> = table.columns.keys().map(|column| &**column).collect();
            let mut request = json!({ "columns": columns });
            let conditions = self.selection.get(name).map(Vec::as_slice);
            if let (Method::Cond | Method::CondSince, Some(conditions @ [_, ..])) =
                (method, conditions)
            {
                request["where"] = conditions_json(conditions);
            }
            (name.to_string(), json!([request]))
        });
        let tables: Map<String, Json> = tables.collect();
        match method {
            Method::CondSince => json!([&*self.database, id, tables, since.to_string()]),
            Method::Cond | Method::Plain => json!([&*self.database, id, tables]),
        }
    }
}

/// A list of conditions; an empty one holds of every row.
pub(crate) fn conditions_json(conditions: &[Condition]) -> Json {
    conditions.iter().map(Condition::to_json).collect()
}

/// How to monitor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// `monitor_cond_since`, since Open vSwitch 2.12; changes come as `update3`.
    CondSince,
    /// `monitor_cond`, since Open vSwitch 2.6; changes come as `update2`.
    Cond,
    /// `monitor`, of RFC 7047; changes come as `update`.
    Plain,
}

impl Method {
    /// The method's name in a request.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::CondSince => "monitor_cond_since",
            Self::Cond => "monitor_cond",
            Self::Plain => "monitor",
        }
    }

    /// What to try with a server that does not know this method.
    #[must_use]
    pub fn fallback(self) -> Option<Self> {
        match self {
            Self::CondSince => Some(Self::Cond),
            Self::Cond => Some(Self::Plain),
            Self::Plain => None,
        }
    }
}

/// What happened to one row, as the server tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowUpdate {
    /// The row's table.
    pub table: Name,
    /// The row's identity.
    pub uuid: Uuid,
    /// What happened.
    pub change: Update,
}

/// What happened to a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Update {
    /// These are all its columns that are monitored.
    Contents(Row),
    /// These columns differ thus; see [`ColumnType::apply_difference`](crate::schema::ColumnType::apply_difference).
    Difference(Row),
    /// It is gone.
    Deleted,
}

/// The peer's update is not one that its schema and earlier updates allow.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum UpdateError {
    /// The update has the wrong structure.
    #[error("the server's update is malformed: {found}")]
    Malformed {
        /// The start of what was found, as JSON.
        found: String,
    },
    /// A table or column that was not asked for.
    #[error("the server's update has {name}, which was not asked for")]
    NotAskedFor {
        /// The table, or table and column.
        name: String,
    },
    /// A value of the wrong type.
    #[error("the server's update of {table}.{column} is malformed")]
    Value {
        /// The table.
        table: Name,
        /// The column.
        column: String,
        /// What is wrong.
        source: ValueError,
    },
    /// A change of a row that is not there.
    #[error("the server's update changes row {uuid} of {table}, which it never sent")]
    UnknownRow {
        /// The table.
        table: Name,
        /// The row.
        uuid: Uuid,
    },
}

impl UpdateError {
    pub(crate) fn malformed(json: &Json) -> Self {
        Self::Malformed {
            found: excerpt(json),
        }
    }
}

/// Reads `<table-updates>` of [`Method::Plain`], else `<table-updates2>`.
///
/// # Errors
/// [`UpdateError`].
pub fn read_updates(
    method: Method,
    json: &Json,
    tables: &BTreeMap<Name, TableSchema>,
) -> Result<Vec<RowUpdate>, UpdateError> {
    let mut updates = Vec::new();
    for (name, rows) in object(json)? {
        let (table, schema) = tables
            .get_key_value(name.as_str())
            .ok_or_else(|| UpdateError::NotAskedFor { name: name.clone() })?;
        for (uuid, json) in object(rows)? {
            updates.push(RowUpdate {
                table: table.clone(),
                uuid: Uuid::parse_str(uuid).map_err(|_| UpdateError::malformed(rows))?,
                change: match method {
                    Method::Plain => read_update(json, table, schema)?,
                    Method::Cond | Method::CondSince => read_update2(json, table, schema)?,
                },
            });
        }
    }
    Ok(updates)
}

fn object(json: &Json) -> Result<&Map<String, Json>, UpdateError> {
    json.as_object().ok_or_else(|| UpdateError::malformed(json))
}

/// `<row-update>`: what the row was and what it is, either of which may be missing.
fn read_update(json: &Json, table: &Name, schema: &TableSchema) -> Result<Update, UpdateError> {
    match (json.get("old"), json.get("new")) {
        (_, Some(new)) => contents(new, table, schema),
        (Some(_), None) => Ok(Update::Deleted),
        (None, None) => Err(UpdateError::malformed(json)),
    }
}

/// `<row-update2>`: one member that says what happened.
fn read_update2(json: &Json, table: &Name, schema: &TableSchema) -> Result<Update, UpdateError> {
    let mut members = object(json)?.iter();
    let (Some((kind, row)), None) = (members.next(), members.next()) else {
        return Err(UpdateError::malformed(json));
    };
    match kind.as_str() {
        "initial" | "insert" => contents(row, table, schema),
        "modify" => columns(row, table, schema).map(difference),
        "delete" => Ok(Update::Deleted),
        _ => Err(UpdateError::malformed(json)),
    }
}

/// A whole row, of which the server leaves out the columns that have their default value.
fn contents(row: &Json, table: &Name, schema: &TableSchema) -> Result<Update, UpdateError> {
    let mut columns = columns(row, table, schema)?;
    let sent = columns.len();
    for (name, column) in &schema.columns {
        if !columns[..sent].iter().any(|(sent, _)| sent == name) {
            columns.push((name.clone(), column.default_value()));
        }
    }
    Ok(Update::Contents(columns.into_iter().collect()))
}

fn difference(columns: Vec<(Name, Value)>) -> Update {
    Update::Difference(columns.into_iter().collect())
}

/// The columns that were sent.
fn columns(
    row: &Json,
    table: &Name,
    schema: &TableSchema,
) -> Result<Vec<(Name, Value)>, UpdateError> {
    let columns = object(row)?.iter().map(|(name, json)| {
        let Some((name, column)) = schema.columns.get_key_value(name.as_str()) else {
            let name = format!("{table}.{name}");
            return Err(UpdateError::NotAskedFor { name });
        };
        let value = column.read(json).map_err(|source| UpdateError::Value {
            table: table.clone(),
            column: name.to_string(),
            source,
        })?;
        Ok((name.clone(), value))
    });
    columns.collect()
}
