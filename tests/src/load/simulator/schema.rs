//! The schema of Open vSwitch's database, as far as a server needs it.

use super::value::Value;
use crate::error::LabError;
use serde_json::{Value as Json, json};
use std::collections::{BTreeMap, HashMap};

/// Debian's package openvswitch-common has it.
const FILE: &str = "/usr/share/openvswitch/vswitch.ovsschema";

#[derive(Debug)]
pub(super) struct Schema {
    /// As it goes to who asks.
    pub(super) json: Json,
    pub(super) tables: BTreeMap<String, Table>,
}

#[derive(Debug)]
pub(super) struct Table {
    /// Whether rows stay that no other row names.
    pub(super) is_root: bool,
    pub(super) columns: BTreeMap<String, Column>,
}

#[derive(Debug)]
pub(super) struct Column {
    /// What it has in a new row.
    pub(super) default: Value,
    /// Whether it has one value at most.
    pub(super) single: bool,
}

impl Schema {
    pub(super) fn read() -> Result<Self, LabError> {
        let text = std::fs::read_to_string(FILE).map_err(LabError::io(format!(
            "read {FILE}, of Debian's package openvswitch-common"
        )))?;
        let json: Json =
            serde_json::from_str(&text).map_err(|error| LabError::unexpected(FILE, error))?;
        let tables = json["tables"].as_object().into_iter().flatten();
        let tables = tables
            .map(|(name, table)| (name.clone(), Table::read(table)))
            .collect();
        Ok(Self { json, tables })
    }

    /// What a new row of a table has.
    pub(super) fn new_row(&self, table: &str) -> BTreeMap<String, Value> {
        let columns = self.tables[table].columns.iter();
        columns
            .map(|(name, column)| (name.clone(), column.default.clone()))
            .collect()
    }
}

impl Table {
    fn read(json: &Json) -> Self {
        let columns = json["columns"].as_object().into_iter().flatten();
        Self {
            is_root: json["isRoot"] == true,
            columns: columns
                .map(|(name, column)| (name.clone(), Column::read(&column["type"])))
                .collect(),
        }
    }
}

impl Column {
    fn read(kind: &Json) -> Self {
        if !kind["value"].is_null() {
            return Self {
                default: Value::Map(vec![]),
                single: false,
            };
        }
        let empty = kind["min"] == 0;
        let key = if kind["key"].is_null() {
            kind
        } else {
            &kind["key"]
        };
        let default = if empty {
            Value::Set(vec![])
        } else {
            Value::read(
                &match key.as_str().or(key["type"].as_str()) {
                    Some("integer") => json!(0),
                    Some("real") => json!(0.0),
                    Some("boolean") => json!(false),
                    _ => json!(""),
                },
                &HashMap::new(),
            )
        };
        Self {
            default,
            single: kind["max"].is_null() || kind["max"] == 1,
        }
    }
}
