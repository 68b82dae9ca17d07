//! Lists of what is not stored but follows from what is: filters and fields.

use super::super::error::ApiError;
use super::super::python;
use super::parse::{RESERVED, is};
use super::{Attributes, Conditions, query};
use axum::http::Uri;

/// What is asked of such a list.
pub(in super::super) struct Wanted {
    conditions: Conditions,
    fields: Vec<String>,
}

impl Wanted {
    /// The query of a list that can be filtered by these names.
    pub(in super::super) fn of(uri: &Uri, filters: &[&str]) -> Result<Self, ApiError> {
        let (mut conditions, mut fields) = (Conditions::new(), Vec::new());
        for (name, value) in query(uri)? {
            match name.as_str() {
                "fields" => fields.push(value),
                name if RESERVED.contains(&name) => {}
                name => conditions.entry(name.to_owned()).or_default().push(value),
            }
        }
        let known = |name: &&String| filters.contains(&name.as_str());
        let unknown: Vec<&str> = conditions
            .keys()
            .filter(|name| !known(name))
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

    /// Whether a row has for each filter one of its values.
    pub(in super::super) fn holds(&self, row: &Attributes) -> bool {
        self.conditions.iter().all(|(name, wanted)| {
            let value = row.get(name).unwrap_or(&serde_json::Value::Null);
            wanted.iter().any(|wanted| is(value, wanted))
        })
    }

    /// The values of one filter, if it is given.
    pub(in super::super) fn values(&self, name: &str) -> Option<&[String]> {
        self.conditions.get(name).map(Vec::as_slice)
    }

    /// The rows that are asked for, with the fields that are.
    pub(in super::super) fn select(
        &self,
        rows: impl Iterator<Item = Attributes>,
    ) -> Vec<Attributes> {
        let mut rows: Vec<Attributes> = rows.filter(|row| self.holds(row)).collect();
        if !self.fields.is_empty() {
            rows.iter_mut()
                .for_each(|row| row.retain(|name, _| self.fields.contains(name)));
        }
        rows
    }
}
