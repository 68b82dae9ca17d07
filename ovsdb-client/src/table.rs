//! Rows as types: which columns of which tables a program reads, declared in one place by [`tables!`](crate::tables).
//!
//! [`MonitorRequest::declared`](crate::MonitorRequest::declared) compares the declaration with the server's schema before
//! anything is monitored. So a row of the replica has every column that its type has, and reading one cannot fail.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use crate::row::{ColumnError, Row};
use crate::schema::{AtomType, ColumnType, Shape};
use crate::value::Atom;

/// Tables, and the columns of each with their types.
pub type Declaration = &'static [(&'static str, &'static [(&'static str, ColumnType)])];

/// The rows of a table, as [`tables!`](crate::tables) declares them.
pub trait Table<'a>: Copy {
    /// The table's name.
    const NAME: &'static str;
    /// The columns that are declared, and their types.
    const COLUMNS: &'static [(&'static str, ColumnType)];

    /// Takes a row for one of this table. Columns that it lacks read as what the server would put there (RFC 7047 §5.2.1).
    fn of(row: &'a Row) -> Self;

    /// The row as it is.
    fn row(self) -> &'a Row;
}

/// A type that a column is declared as.
pub trait Column {
    /// What the server's schema has to have for it.
    const TYPE: ColumnType;
    /// What reading it gives; its default is what a column holds that nothing was written to.
    type Read<'a>: Default;

    /// Reads a column of a row.
    ///
    /// # Errors
    /// [`ColumnError`].
    fn read<'a>(row: &'a Row, column: &str) -> Result<Self::Read<'a>, ColumnError>;
}

macro_rules! columns {
    ($($type:ty: $key:ident, $shape:ident, $value:expr, reads $read:ty = $accessor:ident;)*) => {
        $(impl Column for $type {
            const TYPE: ColumnType = ColumnType {
                key: AtomType::$key,
                value: $value,
                shape: Shape::$shape,
            };
            type Read<'a> = $read;

            fn read<'a>(row: &'a Row, column: &str) -> Result<Self::Read<'a>, ColumnError> {
                row.$accessor(column)
            }
        })*
    };
}

columns! {
    String: String, One, None, reads &'a str = string;
    Option<String>: String, Optional, None, reads Option<&'a str> = optional_string;
    BTreeSet<String>: String, Many, None, reads BTreeSet<&'a str> = strings;
    i64: Integer, One, None, reads i64 = integer;
    Option<i64>: Integer, Optional, None, reads Option<i64> = optional_integer;
    BTreeSet<i64>: Integer, Many, None, reads BTreeSet<i64> = integers;
    f64: Real, One, None, reads f64 = real;
    bool: Boolean, One, None, reads bool = boolean;
    Option<bool>: Boolean, Optional, None, reads Option<bool> = optional_boolean;
    Uuid: Uuid, One, None, reads Uuid = uuid;
    Option<Uuid>: Uuid, Optional, None, reads Option<Uuid> = optional_uuid;
    BTreeSet<Uuid>: Uuid, Many, None, reads BTreeSet<Uuid> = uuids;
    BTreeMap<String, String>: String, Many, Some(AtomType::String), reads TextMap<'a> = text_map;
    BTreeMap<String, Uuid>: String, Many, Some(AtomType::Uuid), reads BTreeMap<&'a str, Uuid> = uuids_by_text;
    BTreeMap<i64, Uuid>: Integer, Many, Some(AtomType::Uuid), reads BTreeMap<i64, Uuid> = uuids_by_integer;
}

/// A map from text to text, such as `external_ids`, as a row has it: nothing is copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TextMap<'a>(pub(crate) &'a BTreeMap<Atom, Atom>);

impl<'a> TextMap<'a> {
    /// What it holds under `key`.
    #[must_use]
    pub fn get(self, key: &str) -> Option<&'a str> {
        self.0.get(&Atom::from(key)).and_then(Atom::text)
    }

    /// All pairs, in the order of the keys.
    pub fn iter(self) -> impl Iterator<Item = (&'a str, &'a str)> {
        let pairs = self.0.iter();
        pairs.filter_map(|(key, value)| Some((key.text()?, value.text()?)))
    }
}

impl Default for TextMap<'_> {
    /// An empty map.
    fn default() -> Self {
        static EMPTY: BTreeMap<Atom, Atom> = BTreeMap::new();
        Self(&EMPTY)
    }
}

/// Declares the tables and columns that a program reads: a type for each table, with a method for each column, and a
/// [`Declaration`] of them all to monitor. A column whose name is no name of Rust is given as text.
///
/// ```
/// use std::collections::{BTreeMap, BTreeSet};
/// use sextant_ovsdb_client::{MonitorRequest, Row, Table, Value, tables};
/// use uuid::Uuid;
///
/// tables! {
///     /// What is read of `Open_vSwitch`.
///     const MONITORED;
///     /// A bridge.
///     Bridge = "Bridge" { name: String, ports: BTreeSet<Uuid>, fail_mode: Option<String> }
///     /// An interface.
///     Interface = "Interface" { kind = "type": String, external_ids: BTreeMap<String, String> }
/// }
///
/// let request = MonitorRequest::declared("Open_vSwitch", MONITORED);
/// # let _ = request;
/// let row = Row::new().with("type", "patch").with("external_ids", Value::map([("iface-id", "p1")]));
/// let interface = Interface::of(&row);
/// assert_eq!((interface.kind(), interface.external_ids().get("iface-id")), ("patch", Some("p1")));
/// ```
#[macro_export]
macro_rules! tables {
    (@column $field:ident $column:literal) => { $column };
    (@column $field:ident) => { stringify!($field) };
    (
        $(#[$all_doc:meta])*
        $vis:vis const $all:ident;
        $(
            $(#[$table_doc:meta])*
            $table:ident = $name:literal {
                $($(#[$doc:meta])* $field:ident $(= $column:literal)?: $kind:ty),* $(,)?
            }
        )*
    ) => {
        $(#[$all_doc])*
        $vis const $all: $crate::table::Declaration = &[
            $((<$table as $crate::Table>::NAME, <$table as $crate::Table>::COLUMNS)),*
        ];

        $(
            $(#[$table_doc])*
            #[derive(Debug, Clone, Copy, PartialEq, Eq)]
            $vis struct $table<'a>(&'a $crate::Row);

            impl<'a> $crate::Table<'a> for $table<'a> {
                const NAME: &'static str = $name;
                const COLUMNS: &'static [(&'static str, $crate::schema::ColumnType)] = &[
                    $(($crate::tables!(@column $field $($column)?), <$kind as $crate::table::Column>::TYPE)),*
                ];

                fn of(row: &'a $crate::Row) -> Self {
                    Self(row)
                }

                fn row(self) -> &'a $crate::Row {
                    self.0
                }
            }

            #[allow(dead_code, reason = "a column may be monitored only to notice that it changes")]
            impl<'a> $table<'a> {
                $(
                    $(#[$doc])*
                    #[doc = concat!("Column `", $crate::tables!(@column $field $($column)?), "`.")]
                    #[must_use]
                    $vis fn $field(self) -> <$kind as $crate::table::Column>::Read<'a> {
                        let column = $crate::tables!(@column $field $($column)?);
                        <$kind as $crate::table::Column>::read(self.0, column).unwrap_or_default()
                    }
                )*
            }
        )*
    };
}
