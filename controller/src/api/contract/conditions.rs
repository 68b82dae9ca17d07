//! Conditions on resources in a list, and when a value meets one.

use serde_json::Value;
use std::collections::BTreeMap;

/// By name, the values of which a resource must have one.
pub(crate) type Conditions = BTreeMap<String, Vec<String>>;

/// Whether a value is what a parameter's text says. A list is if one of its items is.
pub(crate) fn is(value: &Value, wanted: &str) -> bool {
    match value {
        Value::Null => wanted.is_empty(),
        Value::Bool(value) => matches!(
            (value, wanted.to_lowercase().as_str()),
            (true, "true" | "1") | (false, "false" | "0")
        ),
        Value::Number(number) => number.to_string() == wanted,
        Value::String(text) => text == wanted,
        Value::Array(items) => items.iter().any(|item| is(item, wanted)),
        Value::Object(_) => false,
    }
}
