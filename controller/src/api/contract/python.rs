//! Values as Python prints them, since Neutron's messages quote values that way.

use serde_json::Value;

/// `str(value)`.
pub(crate) fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| repr(value), str::to_owned)
}

/// `repr(value)`.
pub(crate) fn repr(value: &Value) -> String {
    match value {
        Value::Null => "None".to_owned(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => quoted(text),
        Value::Array(items) => list(items.iter().map(repr)),
        Value::Object(fields) => {
            let fields: Vec<String> = fields
                .iter()
                .map(|(name, value)| format!("{}: {}", quoted(name), repr(value)))
                .collect();
            format!("{{{}}}", fields.join(", "))
        }
    }
}

/// `repr` of a list of strings.
pub(crate) fn names<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    list(names.into_iter().map(quoted))
}

fn list(items: impl Iterator<Item = String>) -> String {
    format!("[{}]", items.collect::<Vec<_>>().join(", "))
}

fn quoted(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('\n', "\\n");
    if escaped.contains('\'') && !escaped.contains('"') {
        format!("\"{escaped}\"")
    } else {
        format!("'{}'", escaped.replace('\'', "\\'"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_read_as_in_neutrons_messages() {
        let value = json!({"a": [null, true, 5, "it's"], "b": {}});
        assert_eq!(repr(&value), r#"{'a': [None, True, 5, "it's"], 'b': {}}"#);
        assert_eq!(text(&json!("zz")), "zz");
        assert_eq!(names(["bogus", "x"]), "['bogus', 'x']");
    }
}
