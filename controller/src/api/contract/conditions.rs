//! Conditions on resources in a list, and when a value meets one.

use serde_json::Value;
use std::collections::BTreeMap;

/// By name, the values that a resource may have.
pub(crate) type Conditions = BTreeMap<String, Vec<String>>;

/// Whether a value equals a parameter's text. For a list, whether one of its items does.
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
