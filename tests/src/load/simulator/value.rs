//! Values of an OVSDB column (RFC 7047 §5.1), and how one becomes another (ovsdb-server(7), 4.1.14).

use serde_json::{Value as Json, json};
use std::collections::HashMap;

/// An atom alone is a set of one.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Set(Vec<Json>),
    Map(Vec<(Json, Json)>),
}

impl Value {
    /// Reads a value; rows that this transaction inserts go by the names in `named`.
    pub(super) fn read(json: &Json, named: &HashMap<String, String>) -> Self {
        let tagged = json.as_array().and_then(|parts| match &parts[..] {
            [tag, content] => Some((tag.as_str()?, content)),
            _ => None,
        });
        match tagged {
            Some(("set", Json::Array(atoms))) => {
                Self::Set(atoms.iter().map(|item| atom(item, named)).collect())
            }
            Some(("map", Json::Array(pairs))) => Self::Map(
                pairs
                    .iter()
                    .map(|pair| (atom(&pair[0], named), atom(&pair[1], named)))
                    .collect(),
            ),
            Some(_) | None => Self::Set(vec![atom(json, named)]),
        }
    }

    pub(super) fn write(&self) -> Json {
        match self {
            Self::Set(atoms) if atoms.len() == 1 => atoms[0].clone(),
            Self::Set(atoms) => json!(["set", atoms]),
            Self::Map(pairs) => {
                let pairs: Vec<Json> = pairs
                    .iter()
                    .map(|(key, value)| json!([key, value]))
                    .collect();
                json!(["map", pairs])
            }
        }
    }

    /// Mutator `insert` of RFC 7047 §5.1: keys that are there stay as they are.
    pub(super) fn insert(&mut self, more: Self) {
        match (self, more) {
            (Self::Set(atoms), Self::Set(more)) => {
                for item in more {
                    if !atoms.contains(&item) {
                        atoms.push(item);
                    }
                }
            }
            (Self::Map(pairs), Self::Map(more)) => {
                for (key, value) in more {
                    if !pairs.iter().any(|(present, _)| *present == key) {
                        pairs.push((key, value));
                    }
                }
            }
            (Self::Set(_), Self::Map(_)) | (Self::Map(_), Self::Set(_)) => {}
        }
    }

    /// Mutator `delete`; of a map by pairs, or by keys.
    pub(super) fn delete(&mut self, less: &Self) {
        match (self, less) {
            (Self::Set(atoms), Self::Set(less)) => atoms.retain(|item| !less.contains(item)),
            (Self::Map(pairs), Self::Map(less)) => pairs.retain(|pair| !less.contains(pair)),
            (Self::Map(pairs), Self::Set(keys)) => pairs.retain(|(key, _)| !keys.contains(key)),
            (Self::Set(_), Self::Map(_)) => {}
        }
    }

    /// What `update2` says of a column that was `old`: for a column of one value that value, for sets and maps what differs.
    pub(super) fn difference(&self, old: &Self, single: bool) -> Json {
        match (self, old) {
            (Self::Set(new), Self::Set(old)) if !single => {
                let gone = old.iter().filter(|item| !new.contains(item));
                let come = new.iter().filter(|item| !old.contains(item));
                Self::Set(gone.chain(come).cloned().collect()).write()
            }
            (Self::Map(new), Self::Map(old)) => {
                let gone = old
                    .iter()
                    .filter(|(key, _)| !(new.iter().any(|(other, _)| other == key)));
                let come = new.iter().filter(|pair| !old.contains(pair));
                Self::Map(gone.chain(come).cloned().collect()).write()
            }
            (new, _) => new.write(),
        }
    }

    /// The rows that it names.
    pub(super) fn references(&self) -> impl Iterator<Item = &str> {
        let (atoms, pairs): (&[Json], &[(Json, Json)]) = match self {
            Self::Set(atoms) => (atoms, &[]),
            Self::Map(pairs) => (&[], pairs),
        };
        let of_pairs = pairs.iter().flat_map(|(key, value)| [key, value]);
        let atoms = atoms.iter().chain(of_pairs);
        atoms.filter_map(|item| item.as_array()?.get(1)?.as_str())
    }

    /// The text that a map has under a key.
    pub(super) fn entry(&self, key: &str) -> Option<&str> {
        let Self::Map(pairs) = self else {
            return None;
        };
        let found = pairs.iter().find(|(other, _)| other == key);
        found.and_then(|(_, value)| value.as_str())
    }
}

fn atom(json: &Json, named: &HashMap<String, String>) -> Json {
    let name = json
        .as_array()
        .filter(|parts| parts.first().is_some_and(|tag| tag == "named-uuid"));
    let name = name.and_then(|parts| parts.get(1)?.as_str());
    match name {
        Some(name) => json!(["uuid", named.get(name)]),
        None => json.clone(),
    }
}
