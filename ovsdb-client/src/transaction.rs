//! Building a transaction and reading its reply (RFC 7047 §4.1.3 and §5.2).
//!
//! The operations of a [`Transaction`] take effect together or not at all. A row that is inserted under a name can be
//! referred to by [`Value::named_uuid`] anywhere in the same transaction; a name consists of letters, digits and `_`
//! and does not begin with a digit.

#[cfg(test)]
mod tests;

use std::time::Duration;

use serde_json::{Value as Json, json};
use thiserror::Error;
use uuid::Uuid;

use crate::row::Row;
use crate::schema::Name;
use crate::value::{self, Atom, Value, excerpt};

/// How a condition compares a column with its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// `<`, of numbers.
    Less,
    /// `<=`, of numbers.
    LessOrEqual,
    /// `==`.
    Equal,
    /// `!=`.
    NotEqual,
    /// `>=`, of numbers.
    GreaterOrEqual,
    /// `>`, of numbers.
    Greater,
    /// The column holds all elements of the value.
    Includes,
    /// The column holds no element of the value.
    Excludes,
}

impl Comparison {
    fn symbol(self) -> &'static str {
        match self {
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::GreaterOrEqual => ">=",
            Self::Greater => ">",
            Self::Includes => "includes",
            Self::Excludes => "excludes",
        }
    }
}

/// One of the conditions that a row has to meet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    column: Name,
    comparison: Comparison,
    value: Value,
}

impl Condition {
    /// The column compares thus with the value.
    pub fn new(column: impl Into<Name>, comparison: Comparison, value: impl Into<Value>) -> Self {
        Self {
            column: column.into(),
            comparison,
            value: value.into(),
        }
    }

    /// The column has this value.
    pub fn equal(column: impl Into<Name>, value: impl Into<Value>) -> Self {
        Self::new(column, Comparison::Equal, value)
    }

    /// The column, a set or a map, holds these elements among others.
    pub fn includes(column: impl Into<Name>, value: impl Into<Value>) -> Self {
        Self::new(column, Comparison::Includes, value)
    }

    /// The row is this one.
    #[must_use]
    pub fn uuid(uuid: Uuid) -> Self {
        Self::equal("_uuid", uuid)
    }

    pub(crate) fn to_json(&self) -> Json {
        json!([
            &*self.column,
            self.comparison.symbol(),
            self.value.to_json()
        ])
    }
}

/// How a mutation changes a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutator {
    /// `+=`, of numbers.
    Add,
    /// `-=`, of numbers.
    Subtract,
    /// `*=`, of numbers.
    Multiply,
    /// `/=`, of numbers.
    Divide,
    /// `%=`, of integers.
    Remainder,
    /// Adds elements to a set, or pairs to a map where the key is free.
    Insert,
    /// Removes elements from a set or a map; of a map also by key alone.
    Delete,
}

impl Mutator {
    fn symbol(self) -> &'static str {
        match self {
            Self::Add => "+=",
            Self::Subtract => "-=",
            Self::Multiply => "*=",
            Self::Divide => "/=",
            Self::Remainder => "%=",
            Self::Insert => "insert",
            Self::Delete => "delete",
        }
    }
}

/// A change of one column relative to what it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mutation {
    column: Name,
    mutator: Mutator,
    value: Value,
}

impl Mutation {
    /// Changes the column thus by the value.
    pub fn new(column: impl Into<Name>, mutator: Mutator, value: impl Into<Value>) -> Self {
        Self {
            column: column.into(),
            mutator,
            value: value.into(),
        }
    }

    /// Adds elements to a set, or pairs to a map where the key is free.
    pub fn insert(column: impl Into<Name>, value: impl Into<Value>) -> Self {
        Self::new(column, Mutator::Insert, value)
    }

    /// Removes elements of a set or pairs of a map; given a set of keys, whatever a map holds under them.
    pub fn delete(column: impl Into<Name>, value: impl Into<Value>) -> Self {
        Self::new(column, Mutator::Delete, value)
    }

    fn to_json(&self) -> Json {
        json!([&*self.column, self.mutator.symbol(), self.value.to_json()])
    }
}

/// What [`Transaction::wait`] waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// The rows found are those given.
    Equal,
    /// The rows found are not those given.
    NotEqual,
}

/// Operations that take effect together or not at all.
#[derive(Debug, Clone, PartialEq)]
pub struct Transaction {
    /// The parameters of `transact`: the database, then the operations.
    params: Vec<Json>,
}

impl Transaction {
    /// A transaction on a database, without operations as yet.
    pub fn new(database: impl Into<String>) -> Self {
        Self {
            params: vec![Json::String(database.into())],
        }
    }

    /// How many operations there are; also the index of the next one in the reply.
    #[must_use]
    pub fn len(&self) -> usize {
        self.params.len() - 1
    }

    /// Whether there are no operations.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Inserts a row, to which the other operations may refer by `name`. Gives [`OperationResult::Inserted`].
    ///
    /// Of tables that are not roots a row survives only if the transaction also refers to it.
    #[must_use]
    pub fn insert(self, table: &str, name: Option<&str>, row: Row) -> Self {
        let mut operation = json!({"op": "insert", "table": table, "row": row.to_json()});
        if let Some(name) = name {
            operation["uuid-name"] = name.into();
        }
        self.operation(operation)
    }

    /// Inserts a row with an identity of the caller's own, which makes that whoever does not know whether it was inserted
    /// may try again: the second time fails with `duplicate uuid`. Since Open vSwitch 2.13 (ovsdb-server(7), 5.2.1).
    /// Gives [`OperationResult::Inserted`].
    #[must_use]
    pub fn insert_as(self, table: &str, uuid: Uuid, row: Row) -> Self {
        let row = row.to_json();
        self.operation(
            json!({"op": "insert", "table": table, "uuid": uuid.to_string(), "row": row}),
        )
    }

    /// Sets columns of all rows that meet the conditions. Gives [`OperationResult::Count`].
    #[must_use]
    pub fn update(
        self,
        table: &str,
        conditions: impl IntoIterator<Item = Condition>,
        row: Row,
    ) -> Self {
        let conditions = list(conditions, |condition| condition.to_json());
        self.operation(
            json!({"op": "update", "table": table, "where": conditions, "row": row.to_json()}),
        )
    }

    /// Changes columns of all rows that meet the conditions. Gives [`OperationResult::Count`].
    #[must_use]
    pub fn mutate(
        self,
        table: &str,
        conditions: impl IntoIterator<Item = Condition>,
        mutations: impl IntoIterator<Item = Mutation>,
    ) -> Self {
        let conditions = list(conditions, |condition| condition.to_json());
        let mutations = list(mutations, |mutation| mutation.to_json());
        self.operation(
            json!({"op": "mutate", "table": table, "where": conditions, "mutations": mutations}),
        )
    }

    /// Deletes all rows that meet the conditions. Gives [`OperationResult::Count`].
    #[must_use]
    pub fn delete(self, table: &str, conditions: impl IntoIterator<Item = Condition>) -> Self {
        let conditions = list(conditions, |condition| condition.to_json());
        self.operation(json!({"op": "delete", "table": table, "where": conditions}))
    }

    /// Reads the given columns, or all if there are none given, of the rows that meet the conditions.
    /// Gives [`OperationResult::Rows`].
    #[must_use]
    pub fn select(
        self,
        table: &str,
        conditions: impl IntoIterator<Item = Condition>,
        columns: &[&str],
    ) -> Self {
        let conditions = list(conditions, |condition| condition.to_json());
        let mut operation = json!({"op": "select", "table": table, "where": conditions});
        if !columns.is_empty() {
            operation["columns"] = json!(columns);
        }
        self.operation(operation)
    }

    /// Waits until the given columns of the rows that meet the conditions are, or are not, `rows`; fails with
    /// `timed out` after `timeout` (counted in milliseconds; zero: unless it holds at once; `None`: waits for ever).
    /// Gives [`OperationResult::Done`].
    #[must_use]
    pub fn wait(
        self,
        table: &str,
        conditions: impl IntoIterator<Item = Condition>,
        columns: &[&str],
        until: Until,
        rows: impl IntoIterator<Item = Row>,
        timeout: Option<Duration>,
    ) -> Self {
        let mut operation = json!({
            "op": "wait",
            "table": table,
            "where": list(conditions, |condition| condition.to_json()),
            "columns": columns,
            "until": match until {
                Until::Equal => "==",
                Until::NotEqual => "!=",
            },
            "rows": list(rows, |row| row.to_json()),
        });
        if let Some(timeout) = timeout {
            operation["timeout"] = json!(i64::try_from(timeout.as_millis()).unwrap_or(i64::MAX));
        }
        self.operation(operation)
    }

    /// Notes in the database's log why the transaction was made. Gives [`OperationResult::Done`].
    #[must_use]
    pub fn comment(self, text: &str) -> Self {
        self.operation(json!({"op": "comment", "comment": text}))
    }

    /// Fails with `not owner` unless this connection owns the lock. Gives [`OperationResult::Done`].
    #[must_use]
    pub fn assert(self, lock: &str) -> Self {
        self.operation(json!({"op": "assert", "lock": lock}))
    }

    /// Asks that the reply come only when the transaction is on disk. Gives [`OperationResult::Done`].
    #[must_use]
    pub fn commit_durably(self) -> Self {
        self.operation(json!({"op": "commit", "durable": true}))
    }

    /// Makes the transaction fail with `aborted`, to learn what it would have done.
    #[must_use]
    pub fn abort(self) -> Self {
        self.operation(json!({"op": "abort"}))
    }

    fn operation(mut self, operation: Json) -> Self {
        self.params.push(operation);
        self
    }

    /// The parameters of the `transact` request.
    pub(crate) fn into_params(self) -> Json {
        Json::Array(self.params)
    }
}

fn list<T>(items: impl IntoIterator<Item = T>, json: impl Fn(T) -> Json) -> Json {
    items.into_iter().map(json).collect()
}

/// What an operation did.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum OperationResult {
    /// The identity that the inserted row was given.
    Inserted(Uuid),
    /// How many rows were found and changed or deleted.
    Count(u64),
    /// The rows that were selected. Without their schema, a set of one element looks like the element.
    Rows(Vec<Row>),
    /// Nothing to tell.
    Done,
}

/// Why a transaction had no effect.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TransactionError {
    /// The database refused an operation, and so the whole.
    #[error("the database refused operation {index}: {error}{}", suffix(.details))]
    Operation {
        /// Which operation, counted from zero.
        index: usize,
        /// The kind of error, such as `constraint violation` (RFC 7047 §3.1, §5.2).
        error: String,
        /// More about it, for people.
        details: Option<String>,
    },
    /// Each operation was fine, but not the whole: a constraint across rows, or the disk.
    #[error("the database refused the transaction: {error}{}", suffix(.details))]
    Commit {
        /// The kind of error, such as `referential integrity violation` (RFC 7047 §4.1.3).
        error: String,
        /// More about it, for people.
        details: Option<String>,
    },
    /// The server did not try: an unknown database, a malformed request, a cancelled or an interrupted one.
    #[error("the server refused the request: {error}{}", suffix(.details))]
    Request {
        /// The kind of error, such as `unknown database` or `canceled`.
        error: String,
        /// More about it, for people.
        details: Option<String>,
    },
    /// The peer's reply is not one to this transaction. What became of it is unknown.
    #[error("the peer's reply to the transaction makes no sense: {found}")]
    Malformed {
        /// The start of what was found, as JSON.
        found: String,
    },
}

fn suffix(details: &Option<String>) -> String {
    match details {
        Some(details) => format!(" ({details})"),
        None => String::new(),
    }
}

/// The results of a transaction's operations in their order, or why it had no effect.
pub type TransactionResult = Result<Vec<OperationResult>, TransactionError>;

/// Reads the reply to a transaction of `length` operations.
pub(crate) fn read_reply(reply: Result<Json, Json>, length: usize) -> TransactionResult {
    let results = match reply {
        Ok(Json::Array(results)) => results,
        Ok(json) => return Err(malformed(&json)),
        Err(json) => {
            let (error, details) = read_error(&json);
            return Err(TransactionError::Request { error, details });
        }
    };
    if let Some(index) = results.iter().position(is_error) {
        let (error, details) = read_error(&results[index]);
        return Err(match index < length {
            true => TransactionError::Operation {
                index,
                error,
                details,
            },
            false => TransactionError::Commit { error, details },
        });
    }
    if results.len() != length {
        return Err(malformed(&Json::Array(results)));
    }
    results.iter().map(read_result).collect()
}

fn is_error(json: &Json) -> bool {
    json.get("error").is_some()
}

/// The kind and details of `<error>`, which servers also send as plain text.
pub(crate) fn read_error(json: &Json) -> (String, Option<String>) {
    match json.get("error").unwrap_or(json).as_str() {
        Some(error) => {
            let details = json.get("details").and_then(Json::as_str);
            (error.to_owned(), details.map(str::to_owned))
        }
        None => (excerpt(json), None),
    }
}

fn malformed(json: &Json) -> TransactionError {
    TransactionError::Malformed {
        found: excerpt(json),
    }
}

fn read_result(json: &Json) -> Result<OperationResult, TransactionError> {
    let result = if let Some(uuid) = json.get("uuid") {
        match Atom::from_json(uuid) {
            Ok(Atom::Uuid(uuid)) => Some(OperationResult::Inserted(uuid)),
            _ => None,
        }
    } else if let Some(count) = json.get("count") {
        value::count(count).map(OperationResult::Count)
    } else if let Some(rows) = json.get("rows") {
        read_rows(rows).map(OperationResult::Rows)
    } else {
        json.is_object().then_some(OperationResult::Done)
    };
    result.ok_or_else(|| malformed(json))
}

fn read_rows(json: &Json) -> Option<Vec<Row>> {
    let rows = json.as_array()?.iter();
    rows.map(|row| Row::from_json(row.as_object()?).ok())
        .collect()
}
