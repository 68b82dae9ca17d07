//! Lists of things that are not stored but derived: filters and fields.

use super::parse::RESERVED;
use super::{Attributes, query};
use crate::api::contract::conditions::{Conditions, is};
use crate::api::contract::error::ApiError;
use crate::api::contract::python;
use axum::http::Uri;
use serde_json::{Map, Value};

/// The query of such a list.
pub(crate) struct RowQuery {
    conditions: Conditions,
    fields: Vec<String>,
}

impl RowQuery {
    /// The query of a list that can be filtered by these names.
    pub(crate) fn of(uri: &Uri, filters: &[&str]) -> Result<Self, ApiError> {
        let (mut conditions, mut fields) = (Conditions::new(), Vec::new());
        for (name, value) in query(uri)? {
            match name.as_str() {
                "fields" => fields.push(value),
                name if RESERVED.contains(&name) => {}
                name => conditions.entry(name.to_owned()).or_default().push(value),
            }
        }
        let unknown: Vec<&str> = conditions
            .keys()
            .filter(|name| !filters.contains(&name.as_str()))
            .map(String::as_str)
            .collect();
        if unknown.is_empty() {
            Ok(Self { conditions, fields })
        } else {
            let names = python::names(unknown);
            let message = format!("{names} is invalid attribute for filtering");
            Err(ApiError::malformed(message))
        }
    }

    /// Whether a row has, for each filter, one of its values.
    pub(crate) fn holds(&self, row: &Attributes) -> bool {
        self.conditions.iter().all(|(name, wanted)| {
            let value = row.get(name).unwrap_or(&serde_json::Value::Null);
            wanted.iter().any(|wanted| is(value, wanted))
        })
    }

    /// The values of one filter, if it is given.
    pub(crate) fn values(&self, name: &str) -> Option<&[String]> {
        self.conditions.get(name).map(Vec::as_slice)
    }

    /// The requested rows with the requested fields.
    pub(crate) fn select(&self, rows: impl Iterator<Item = Attributes>) -> Vec<Attributes> {
        let mut rows: Vec<Attributes> = rows.filter(|row| self.holds(row)).collect();
        if !self.fields.is_empty() {
            rows.iter_mut()
                .for_each(|row| row.retain(|name, _| self.fields.contains(name)));
        }
        rows
    }
}

/// The fields of a JSON object.
pub(crate) fn fields(object: Value) -> Map<String, Value> {
    if let Value::Object(fields) = object {
        fields
    } else {
        Map::new()
    }
}
