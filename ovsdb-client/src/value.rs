//! The values of OVSDB: atoms, sets and maps, and their JSON notation (RFC 7047 §5.1).
//!
//! A set of one element and an atom look the same on the wire, and a real number may be written like an integer, so
//! that only a column's type tells what was meant: see [`ColumnType`](crate::schema::ColumnType), which brings a value
//! that was read from JSON into the one shape that its column has.

mod set;

use std::cmp::Ordering;
use std::collections::BTreeMap;

use serde_json::{Value as Json, json};
use thiserror::Error;
use uuid::Uuid;

pub use set::AtomSet;
pub(crate) use set::Moved;

/// A finite real number, ordered by size; zero has one sign.
#[derive(Debug, Clone, Copy)]
pub struct Real(f64);

impl Real {
    pub(crate) const ZERO: Self = Self(0.0);

    /// The real number, unless it is infinite or not a number: JSON has no notation for these.
    #[must_use]
    pub fn new(number: f64) -> Option<Self> {
        number.is_finite().then_some(Self(number + 0.0))
    }

    /// The number.
    #[must_use]
    pub fn get(self) -> f64 {
        self.0
    }
}

impl From<i64> for Real {
    /// The nearest real number: beyond 2^53 not every integer is one.
    fn from(integer: i64) -> Self {
        Self(integer as f64)
    }
}

impl Ord for Real {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl PartialOrd for Real {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Real {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Real {}

/// A scalar.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Atom {
    /// A signed integer.
    Integer(i64),
    /// A real number.
    Real(Real),
    /// Truth.
    Boolean(bool),
    /// Text.
    String(String),
    /// A row's identity, or a reference to it.
    Uuid(Uuid),
    /// A reference to a row that the same transaction inserts under this name.
    NamedUuid(String),
}

/// A column's value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Value {
    /// Exactly one scalar.
    Atom(Atom),
    /// Any number of scalars; an optional column is a set of at most one.
    Set(AtomSet),
    /// Scalars by scalar.
    Map(BTreeMap<Atom, Atom>),
}

/// JSON that is not the notation of a value.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ValueError {
    /// Not an atom, a set or a map.
    #[error("{json} is not an OVSDB value")]
    NotAValue {
        /// The start of the JSON found.
        json: String,
    },
    /// A set or a map names an element twice.
    #[error("the element {element} occurs twice")]
    Duplicate {
        /// The element as JSON.
        element: String,
    },
    /// A value of another type than the column's.
    #[error("{found} where {wanted} is wanted")]
    WrongType {
        /// What the column holds.
        wanted: &'static str,
        /// The start of what was found, as JSON.
        found: String,
    },
}

impl ValueError {
    fn not_a_value(json: &Json) -> Self {
        Self::NotAValue {
            json: excerpt(json),
        }
    }
}

/// The first part of a JSON text, short enough for an error message.
pub(crate) fn excerpt(json: &Json) -> String {
    let text = json.to_string();
    match text.char_indices().nth(80) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// The integer that a number is, however it is written (RFC 7047 §3.1): `1e3` and `1000.0` are 1000.
pub(crate) fn integer(json: &Json) -> Option<i64> {
    /// The first integer that is too large; the smallest is exactly its negative.
    const BEYOND: f64 = (1_u64 << 63) as f64;
    json.as_i64().or_else(|| {
        let number = json.as_f64()?;
        let whole = number.fract() == 0.0 && (-BEYOND..BEYOND).contains(&number);
        whole.then_some(number as i64)
    })
}

/// The same, of a number that counts.
pub(crate) fn count(json: &Json) -> Option<u64> {
    json.as_u64().or_else(|| integer(json)?.try_into().ok())
}

impl Atom {
    pub(crate) fn text(&self) -> Option<&str> {
        if let Self::String(text) = self {
            Some(text)
        } else {
            None
        }
    }

    /// Reads `<atom>`.
    ///
    /// # Errors
    /// [`ValueError::NotAValue`].
    pub fn from_json(json: &Json) -> Result<Self, ValueError> {
        let atom = match json {
            Json::Bool(boolean) => Some(Self::Boolean(*boolean)),
            Json::String(text) => Some(Self::String(text.clone())),
            Json::Number(number) => match integer(json) {
                Some(integer) => Some(Self::Integer(integer)),
                None => number.as_f64().and_then(Real::new).map(Self::Real),
            },
            Json::Array(parts) => Self::from_tagged(parts),
            Json::Null | Json::Object(_) => None,
        };
        atom.ok_or_else(|| ValueError::not_a_value(json))
    }

    fn from_tagged(parts: &[Json]) -> Option<Self> {
        match parts {
            [Json::String(tag), Json::String(text)] if tag == "uuid" => {
                Uuid::parse_str(text).ok().map(Self::Uuid)
            }
            [Json::String(tag), Json::String(name)] if tag == "named-uuid" => {
                Some(Self::NamedUuid(name.clone()))
            }
            _ => None,
        }
    }

    /// Writes `<atom>`.
    #[must_use]
    pub fn to_json(&self) -> Json {
        match self {
            Self::Integer(integer) => json!(integer),
            Self::Real(real) => json!(real.0),
            Self::Boolean(boolean) => json!(boolean),
            Self::String(text) => json!(text),
            Self::Uuid(uuid) => json!(["uuid", uuid.to_string()]),
            Self::NamedUuid(name) => json!(["named-uuid", name]),
        }
    }
}

impl Value {
    /// A set; elements given twice count once.
    pub fn set<A: Into<Atom>>(elements: impl IntoIterator<Item = A>) -> Self {
        Self::Set(elements.into_iter().collect())
    }

    /// The value of an optional column that has none.
    #[must_use]
    pub fn empty_set() -> Self {
        Self::Set(AtomSet::new())
    }

    /// A map; of a key given twice the last value counts.
    pub fn map<K: Into<Atom>, V: Into<Atom>>(pairs: impl IntoIterator<Item = (K, V)>) -> Self {
        let pairs = pairs.into_iter();
        Self::Map(
            pairs
                .map(|(key, value)| (key.into(), value.into()))
                .collect(),
        )
    }

    /// A reference to the row that the same transaction inserts under `name`.
    pub fn named_uuid(name: impl Into<String>) -> Self {
        Self::Atom(Atom::NamedUuid(name.into()))
    }

    /// Reads `<value>`. A set of one element in brackets stays a set.
    ///
    /// # Errors
    /// [`ValueError::NotAValue`] or [`ValueError::Duplicate`].
    pub fn from_json(json: &Json) -> Result<Self, ValueError> {
        match json.as_array().map(Vec::as_slice) {
            Some([Json::String(tag), Json::Array(elements)]) if tag == "set" => set(elements),
            Some([Json::String(tag), Json::Array(pairs)]) if tag == "map" => map(pairs),
            _ => Atom::from_json(json).map(Self::Atom),
        }
    }

    /// Writes `<value>`; a set of one element as its element, as ovsdb-server does.
    #[must_use]
    pub fn to_json(&self) -> Json {
        match self {
            Self::Atom(atom) => atom.to_json(),
            Self::Set(elements) => match elements.first() {
                Some(only) if elements.len() == 1 => only.to_json(),
                _ => json!([
                    "set",
                    elements.iter().map(Atom::to_json).collect::<Vec<_>>()
                ]),
            },
            Self::Map(pairs) => {
                let pairs = pairs.iter();
                let pairs = pairs.map(|(key, value)| json!([key.to_json(), value.to_json()]));
                json!(["map", pairs.collect::<Vec<_>>()])
            }
        }
    }
}

fn set(elements: &[Json]) -> Result<Value, ValueError> {
    let mut set = AtomSet::new();
    for element in elements {
        if !set.insert(Atom::from_json(element)?) {
            return Err(ValueError::Duplicate {
                element: excerpt(element),
            });
        }
    }
    Ok(Value::Set(set))
}

fn map(pairs: &[Json]) -> Result<Value, ValueError> {
    let mut map = BTreeMap::new();
    for pair in pairs {
        let Some([key, value]) = pair.as_array().map(Vec::as_slice) else {
            return Err(ValueError::not_a_value(pair));
        };
        if map
            .insert(Atom::from_json(key)?, Atom::from_json(value)?)
            .is_some()
        {
            return Err(ValueError::Duplicate {
                element: excerpt(key),
            });
        }
    }
    Ok(Value::Map(map))
}

impl From<i64> for Atom {
    fn from(integer: i64) -> Self {
        Self::Integer(integer)
    }
}

impl From<bool> for Atom {
    fn from(boolean: bool) -> Self {
        Self::Boolean(boolean)
    }
}

impl From<&str> for Atom {
    fn from(text: &str) -> Self {
        Self::String(text.into())
    }
}

impl From<String> for Atom {
    fn from(text: String) -> Self {
        Self::String(text)
    }
}

impl From<Uuid> for Atom {
    fn from(uuid: Uuid) -> Self {
        Self::Uuid(uuid)
    }
}

impl From<Real> for Atom {
    fn from(real: Real) -> Self {
        Self::Real(real)
    }
}

impl<A: Into<Atom>> From<A> for Value {
    fn from(atom: A) -> Self {
        Self::Atom(atom.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn notation_is_that_of_the_rfc() {
        let uuid = Uuid::from_u128(7);
        let text = |value: Value| value.to_json().to_string();
        assert_eq!(text(Value::from(5)), "5");
        assert_eq!(text(Real::new(5.0).unwrap().into()), "5.0");
        assert_eq!(text(Value::set(["a"])), "\"a\"");
        assert_eq!(text(Value::empty_set()), r#"["set",[]]"#);
        assert_eq!(text(Value::set([2, 1, 2])), r#"["set",[1,2]]"#);
        assert_eq!(text(Value::map([("k", 1)])), r#"["map",[["k",1]]]"#);
        assert_eq!(text(Value::named_uuid("br")), r#"["named-uuid","br"]"#);
        assert_eq!(text(uuid.into()), format!(r#"["uuid","{uuid}"]"#));
    }

    #[test]
    fn what_is_no_value_is_refused() {
        for json in [
            json!(null),
            json!({}),
            json!([]),
            json!(["uuid", "7"]),
            json!(["set", [["set", []]]]),
            json!(["map", [["k"]]]),
        ] {
            assert!(
                matches!(Value::from_json(&json), Err(ValueError::NotAValue { .. })),
                "{json}"
            );
        }
        assert!(matches!(
            Value::from_json(&json!(["set", [1, 1]])),
            Err(ValueError::Duplicate { .. })
        ));
        assert!(matches!(
            Value::from_json(&json!(["map", [["a", 1], ["a", 2]]])),
            Err(ValueError::Duplicate { .. })
        ));
    }

    #[test]
    fn a_whole_number_is_an_integer_however_it_is_written() {
        for (text, expected) in [
            ("1e3", 1000),
            ("1000.0", 1000),
            ("-0.0", 0),
            ("12.5e1", 125),
            ("-9.223372036854775808e18", i64::MIN),
            ("9223372036854775807", i64::MAX),
        ] {
            let json = serde_json::from_str(text).unwrap();
            assert_eq!(
                Atom::from_json(&json),
                Ok(Atom::Integer(expected)),
                "{text}"
            );
        }
        for text in ["1.5", "1e-3", "1e19", "9223372036854775808", "-1e300"] {
            let json = serde_json::from_str(text).unwrap();
            assert!(
                matches!(Atom::from_json(&json), Ok(Atom::Real(_))),
                "{text}"
            );
        }
        assert_eq!(count(&json!(2.0)), Some(2));
        assert_eq!(count(&json!(-2.0)), None);
        assert_eq!(count(&json!(u64::MAX)), Some(u64::MAX));
    }

    #[test]
    fn zero_is_zero() {
        assert_eq!(Real::new(-0.0), Real::new(0.0));
        assert_eq!(Real::new(f64::NAN), None);
    }

    fn atoms() -> impl Strategy<Value = Atom> {
        prop_oneof![
            any::<i64>().prop_map(Atom::from),
            (-1e300..1e300)
                .prop_filter("no integer", |real: &f64| integer(&json!(real)).is_none())
                .prop_map(|real| Atom::Real(Real::new(real).unwrap())),
            any::<bool>().prop_map(Atom::from),
            any::<String>().prop_map(Atom::from),
            any::<u128>().prop_map(|bits| Atom::Uuid(Uuid::from_u128(bits))),
            "[a-z_]+".prop_map(Atom::NamedUuid),
        ]
    }

    proptest! {
        #[test]
        fn every_value_survives_its_notation(
            set in prop::collection::btree_set(atoms(), 0..6),
            map in prop::collection::btree_map(atoms(), atoms(), 0..6),
        ) {
            let map = Value::Map(map);
            let through = |value: &Value| {
                let text = value.to_json().to_string();
                Value::from_json(&serde_json::from_str(&text).unwrap()).unwrap()
            };
            prop_assert_eq!(through(&map), map);
            let set: AtomSet = set.into_iter().collect();
            match (set.len(), set.first()) {
                (1, Some(only)) => prop_assert_eq!(through(&Value::Set(set.clone())), Value::Atom(only.clone())),
                _ => prop_assert_eq!(through(&Value::Set(set.clone())), Value::Set(set)),
            }
        }
    }
}
