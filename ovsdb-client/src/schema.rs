//! What a database holds: its tables, columns and their types (RFC 7047 §3.2).
//!
//! A client cannot do without: rows arrive with the columns left out that have their default value, a change of a set
//! arrives as the elements that differ but a change of an optional as the new value, and both are written alike. The
//! bounds that only the server enforces (ranges, lengths, enumerations) are not kept.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};
use std::sync::Arc;

use serde_json::{Map, Value as Json};
use thiserror::Error;
use uuid::Uuid;

use crate::value::{Atom, AtomSet, Real, Value, ValueError, count, excerpt};

/// The name of a table or column, shared by all that mention it.
pub type Name = Arc<str>;

/// The type of a scalar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AtomType {
    /// A signed integer of 64 bits.
    Integer,
    /// A real number.
    Real,
    /// Truth.
    Boolean,
    /// Text.
    String,
    /// A row's identity.
    Uuid,
}

/// How many elements a column takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Exactly one.
    One,
    /// None or one.
    Optional,
    /// Possibly more than one.
    Many,
}

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ColumnType {
    /// The elements, or the keys of a map.
    pub key: AtomType,
    /// The values of a map.
    pub value: Option<AtomType>,
    /// How many of them.
    pub shape: Shape,
}

/// A table's columns by name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TableSchema {
    /// The type of each column.
    pub columns: BTreeMap<Name, ColumnType>,
}

/// A database's tables by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatabaseSchema {
    /// The database's name, such as `Open_vSwitch`.
    pub name: String,
    /// The version of the schema, such as `8.3.1`; old servers may leave it out.
    pub version: Option<String>,
    /// The tables.
    pub tables: BTreeMap<Name, TableSchema>,
}

/// The server's schema is not one of RFC 7047 §3.2.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the server's schema has no valid {what}{}", place.as_ref().map(|place| format!(" in {place}")).unwrap_or_default())]
#[non_exhaustive]
pub struct SchemaError {
    /// What is missing or malformed.
    pub what: &'static str,
    /// The table or column that it belongs to.
    pub place: Option<String>,
}

impl SchemaError {
    fn of(what: &'static str) -> Self {
        Self { what, place: None }
    }

    fn at(mut self, name: &str) -> Self {
        self.place = Some(match self.place {
            None => name.into(),
            Some(inner) => format!("{name}.{inner}"),
        });
        self
    }
}

impl DatabaseSchema {
    /// Reads `<database-schema>`.
    ///
    /// # Errors
    /// [`SchemaError`].
    pub fn from_json(json: &Json) -> Result<Self, SchemaError> {
        let name = json["name"].as_str().ok_or(SchemaError::of("name"))?;
        let tables = object(&json["tables"], "tables")?;
        let tables = tables.iter().map(|(name, table)| {
            let table = TableSchema::from_json(table).map_err(|error| error.at(name))?;
            Ok((Name::from(name.as_str()), table))
        });
        Ok(Self {
            name: name.into(),
            version: json["version"].as_str().map(Into::into),
            tables: tables.collect::<Result<_, _>>()?,
        })
    }
}

impl TableSchema {
    fn from_json(json: &Json) -> Result<Self, SchemaError> {
        let columns = object(&json["columns"], "columns")?;
        let columns = columns.iter().map(|(name, column)| {
            let column_type = ColumnType::from_json(&column["type"]);
            let column_type = column_type.map_err(|error| error.at(name))?;
            Ok((Name::from(name.as_str()), column_type))
        });
        Ok(Self {
            columns: columns.collect::<Result<_, _>>()?,
        })
    }
}

fn object<'a>(json: &'a Json, what: &'static str) -> Result<&'a Map<String, Json>, SchemaError> {
    json.as_object().ok_or(SchemaError::of(what))
}

impl ColumnType {
    /// Reads `<type>`.
    ///
    /// # Errors
    /// [`SchemaError`].
    pub fn from_json(json: &Json) -> Result<Self, SchemaError> {
        if json.is_string() {
            let key = AtomType::from_json(json)?;
            return Ok(Self {
                key,
                value: None,
                shape: Shape::One,
            });
        }
        object(json, "type")?;
        let value = json.get("value").map(AtomType::from_json).transpose()?;
        Ok(Self {
            key: AtomType::from_json(&json["key"])?,
            value,
            shape: shape(json.get("min"), json.get("max"))?,
        })
    }

    /// Whether all that a column of this type may hold can be read as `wanted`: one as at most one, and any number as many.
    #[must_use]
    pub fn reads_as(&self, wanted: &Self) -> bool {
        let fits = match wanted.shape {
            Shape::One => self.shape == Shape::One,
            Shape::Optional => self.shape != Shape::Many,
            Shape::Many => true,
        };
        fits && (self.key, self.value) == (wanted.key, wanted.value)
    }

    /// The value of a column that nothing was ever written to (RFC 7047 §5.2.1).
    #[must_use]
    pub fn default_value(&self) -> Value {
        match (self.value, self.shape) {
            (Some(_), _) => Value::Map(BTreeMap::new()),
            (None, Shape::One) => Value::Atom(self.key.default_atom()),
            (None, Shape::Optional | Shape::Many) => Value::empty_set(),
        }
    }

    /// Reads a value of this type, in the one shape that it has: an atom where there is exactly one, else a set or a map.
    ///
    /// # Errors
    /// [`ValueError`] if it is another type's.
    pub fn read(&self, json: &Json) -> Result<Value, ValueError> {
        match (Value::from_json(json)?, self.value) {
            (Value::Map(pairs), Some(value)) => {
                let pairs = pairs
                    .into_iter()
                    .map(|(key, atom)| Ok((self.key.check(key)?, value.check(atom)?)));
                pairs.collect::<Result<_, _>>().map(Value::Map)
            }
            (Value::Set(elements), None) => self.shape_elements(elements, json),
            (Value::Atom(atom), None) if self.shape == Shape::One => {
                self.key.check(atom).map(Value::Atom)
            }
            (Value::Atom(atom), None) => self.shape_elements(AtomSet::from_iter([atom]), json),
            (Value::Map(_), None) => Err(wrong("a set or a scalar", json)),
            (Value::Atom(_) | Value::Set(_), Some(_)) => Err(wrong("a map", json)),
        }
    }

    fn shape_elements(&self, elements: AtomSet, json: &Json) -> Result<Value, ValueError> {
        let elements: AtomSet = elements
            .into_atoms()
            .map(|atom| self.key.check(atom))
            .collect::<Result<_, _>>()?;
        match (self.shape, elements.len()) {
            (Shape::One, 1) => elements
                .into_atoms()
                .next()
                .map(Value::Atom)
                .ok_or_else(|| wrong("exactly one element", json)),
            (Shape::One, _) => Err(wrong("exactly one element", json)),
            (Shape::Optional, 2..) => Err(wrong("at most one element", json)),
            (Shape::Optional | Shape::Many, _) => Ok(Value::Set(elements)),
        }
    }

    /// Changes `value` by the `difference` that an `update2` or `update3` notification carries (ovsdb-server(7), 4.1.14).
    ///
    /// Where there is at most one element the difference is the new value. Of sets it holds the elements that one of the
    /// two has. Of maps it holds the pairs to remove, recognised by their being there as they are, and the pairs to set.
    pub fn apply_difference(&self, value: &mut Value, difference: Value) {
        match (self.shape, value, difference) {
            (Shape::Many, Value::Set(elements), Value::Set(differing)) => {
                for element in differing.into_atoms() {
                    if !elements.remove(&element) {
                        elements.insert(element);
                    }
                }
            }
            (Shape::Many, Value::Map(pairs), Value::Map(differing)) => {
                for (key, new) in differing {
                    match pairs.get(&key) == Some(&new) {
                        true => pairs.remove(&key),
                        false => pairs.insert(key, new),
                    };
                }
            }
            (_, value, difference) => *value = difference,
        }
    }
}

impl Display for ColumnType {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let key = self.key.name();
        match (self.value, self.shape) {
            (Some(value), _) => write!(f, "a map of {key} to {}", value.name()),
            (None, Shape::One) => write!(f, "one {key}"),
            (None, Shape::Optional) => write!(f, "at most one {key}"),
            (None, Shape::Many) => write!(f, "a set of {key}"),
        }
    }
}

fn shape(min: Option<&Json>, max: Option<&Json>) -> Result<Shape, SchemaError> {
    let min = min.map_or(Some(1), count);
    let max = match max {
        None => Some(1),
        Some(Json::String(text)) if text == "unlimited" => Some(u64::MAX),
        Some(json) => count(json),
    };
    match (min, max) {
        (Some(1), Some(1)) => Ok(Shape::One),
        (Some(0), Some(1)) => Ok(Shape::Optional),
        (Some(0 | 1), Some(2..)) => Ok(Shape::Many),
        _ => Err(SchemaError::of("number of elements")),
    }
}

fn wrong(wanted: &'static str, found: &Json) -> ValueError {
    ValueError::WrongType {
        wanted,
        found: excerpt(found),
    }
}

impl AtomType {
    /// Reads `<base-type>`.
    fn from_json(json: &Json) -> Result<Self, SchemaError> {
        let name = json.as_str().or_else(|| json["type"].as_str());
        match name {
            Some("integer") => Ok(Self::Integer),
            Some("real") => Ok(Self::Real),
            Some("boolean") => Ok(Self::Boolean),
            Some("string") => Ok(Self::String),
            Some("uuid") => Ok(Self::Uuid),
            _ => Err(SchemaError::of("type")),
        }
    }

    fn default_atom(self) -> Atom {
        match self {
            Self::Integer => Atom::Integer(0),
            Self::Real => Atom::Real(Real::ZERO),
            Self::Boolean => Atom::Boolean(false),
            Self::String => Atom::String(String::new()),
            Self::Uuid => Atom::Uuid(Uuid::nil()),
        }
    }

    /// The atom as one of this type. A real number may have been written as an integer.
    fn check(self, atom: Atom) -> Result<Atom, ValueError> {
        match (self, atom) {
            (Self::Integer, atom @ Atom::Integer(_))
            | (Self::Real, atom @ Atom::Real(_))
            | (Self::Boolean, atom @ Atom::Boolean(_))
            | (Self::String, atom @ Atom::String(_))
            | (Self::Uuid, atom @ Atom::Uuid(_)) => Ok(atom),
            (Self::Real, Atom::Integer(integer)) => Ok(Atom::Real(Real::from(integer))),
            (_, atom) => Err(wrong(self.description(), &atom.to_json())),
        }
    }

    /// Its name in a schema.
    fn name(self) -> &'static str {
        match self {
            Self::Integer => "integer",
            Self::Real => "real",
            Self::Boolean => "boolean",
            Self::String => "string",
            Self::Uuid => "uuid",
        }
    }

    fn description(self) -> &'static str {
        match self {
            Self::Integer => "an integer of 64 bits",
            Self::Real => "a real number",
            Self::Boolean => "a boolean",
            Self::String => "a string",
            Self::Uuid => "a uuid",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn column(json: Json) -> ColumnType {
        ColumnType::from_json(&json).unwrap()
    }

    fn integers() -> ColumnType {
        column(json!({"key": "integer", "min": 0, "max": "unlimited"}))
    }

    fn texts() -> ColumnType {
        column(json!({"key": "string", "value": "string", "min": 0, "max": "unlimited"}))
    }

    #[test]
    fn a_column_has_one_shape_however_it_was_written() {
        let optional = column(json!({"key": {"type": "integer"}, "min": 0, "max": 1}));
        let one = column(json!("real"));
        assert_eq!(optional.read(&json!(4)), Ok(Value::set([4])));
        assert_eq!(optional.read(&json!(["set", [4]])), Ok(Value::set([4])));
        assert_eq!(one.read(&json!(["set", [4]])), one.read(&json!(4.0)));
        assert_eq!(integers().read(&json!(4)), Ok(Value::set([4])));
    }

    #[test]
    fn values_of_another_type_are_refused() {
        let optional = column(json!({"key": "integer", "min": 0}));
        for (column, json) in [
            (optional, json!(["set", [1, 2]])),
            (optional, json!("a")),
            (optional, json!(1e30)),
            (column(json!("string")), json!(["set", []])),
            (texts(), json!(["set", []])),
            (texts(), json!(["map", [["a", 1]]])),
            (integers(), json!(["map", []])),
        ] {
            assert!(
                matches!(column.read(&json), Err(ValueError::WrongType { .. })),
                "{json}"
            );
        }
    }

    #[test]
    fn defaults_are_those_of_the_rfc() {
        assert_eq!(column(json!("string")).default_value(), Value::from(""));
        assert_eq!(integers().default_value(), Value::empty_set());
        assert_eq!(texts().default_value(), Value::Map(BTreeMap::new()));
    }

    #[test]
    fn the_difference_of_an_optional_is_its_new_value() {
        let optional = column(json!({"key": "integer", "min": 0}));
        let mut value = Value::set([4]);
        optional.apply_difference(&mut value, Value::set([5]));
        assert_eq!(value, Value::set([5]));
        optional.apply_difference(&mut value, Value::empty_set());
        assert_eq!(value, Value::empty_set());
    }

    #[test]
    fn a_malformed_schema_says_where() {
        let schema = json!({"name": "D", "tables": {"T": {"columns": {"c": {"type": "text"}}}}});
        assert_eq!(
            DatabaseSchema::from_json(&schema).unwrap_err().to_string(),
            "the server's schema has no valid type in T.c"
        );
        assert!(DatabaseSchema::from_json(&json!(null)).is_err());
    }

    proptest! {
        #[test]
        fn a_set_plus_its_difference_is_the_new_set(
            old in prop::collection::btree_set(0..20_i64, 0..12),
            new in prop::collection::btree_set(0..20_i64, 0..12),
        ) {
            let mut value = Value::set(old.clone());
            integers().apply_difference(&mut value, Value::set(&old ^ &new));
            prop_assert_eq!(value, Value::set(new));
        }

        #[test]
        fn a_map_plus_its_difference_is_the_new_map(
            old in prop::collection::btree_map("[a-e]", "[xyz]", 0..6),
            new in prop::collection::btree_map("[a-e]", "[xyz]", 0..6),
        ) {
            let removed = old.iter().filter(|(key, _)| !new.contains_key(*key));
            let set = new.iter().filter(|(key, value)| old.get(*key) != Some(*value));
            let difference: BTreeMap<String, String> =
                removed.chain(set).map(|(key, value)| (key.clone(), value.clone())).collect();
            let mut value = Value::map(old);
            texts().apply_difference(&mut value, Value::map(difference));
            prop_assert_eq!(value, Value::map(new));
        }
    }
}
