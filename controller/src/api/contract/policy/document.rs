//! A file of rules: YAML (or JSON, which is YAML), whose keys are names and whose values are check strings.

use super::check::RuleCheck;
use super::fault::CheckFault;
use super::{PolicyFault, RuleText};
use serde_json::Value;
use serde_saphyr::Spanned;
use std::collections::BTreeMap;

/// The rules of a file. A file with comments alone has none.
pub(super) fn rules(text: &str) -> Result<BTreeMap<String, RuleText>, PolicyFault> {
    type Rules = Option<BTreeMap<String, Spanned<Value>>>;
    let read: Rules = serde_saphyr::from_str(text).map_err(|error| unreadable(&error))?;
    let mut rules = BTreeMap::new();
    for (name, value) in read.unwrap_or_default() {
        let line = usize::try_from(value.referenced.line()).unwrap_or(usize::MAX);
        let check = match value.value == "" && !is_quoted(text, line) {
            true => Err(CheckFault::NoText),
            false => check(&value.value),
        };
        let check = check.map_err(|fault| PolicyFault {
            line,
            why: format!("{name:?}: {fault}"),
        })?;
        rules.insert(name, RuleText { line, check });
    }
    Ok(rules)
}

/// Whether the empty text in a line was written as one. `!` without quotation marks is a tag in YAML, with an empty text.
fn is_quoted(text: &str, line: usize) -> bool {
    let line = text.lines().nth(line.saturating_sub(1)).unwrap_or_default();
    line.contains("\"\"") || line.contains("''")
}

fn unreadable(error: &serde_saphyr::Error) -> PolicyFault {
    let location = error.without_snippet().location();
    let line = location.map_or(1, |location| location.line());
    let why = error.without_snippet().to_string();
    PolicyFault {
        line: usize::try_from(line).unwrap_or(usize::MAX),
        why: why.lines().next().unwrap_or_default().to_owned(),
    }
}

/// A check string, or a list in oslo.policy's older form: any of the items, each a text or texts that all have to hold.
fn check(value: &Value) -> Result<RuleCheck, CheckFault> {
    match value {
        Value::String(text) => RuleCheck::parse(text),
        Value::Array(items) if items.is_empty() => Ok(RuleCheck::Always(true)),
        Value::Array(items) => {
            let checks: Result<_, _> = items.iter().map(all).collect();
            Ok(RuleCheck::Any(checks?))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => {
            Err(CheckFault::NoText)
        }
    }
}

fn all(item: &Value) -> Result<RuleCheck, CheckFault> {
    match item {
        Value::String(text) => RuleCheck::parse(text),
        Value::Array(texts) => {
            let checks: Result<_, _> = texts.iter().map(text).collect();
            Ok(RuleCheck::All(checks?))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => {
            Err(CheckFault::NoText)
        }
    }
}

fn text(value: &Value) -> Result<RuleCheck, CheckFault> {
    match value.as_str() {
        Some(text) => RuleCheck::parse(text),
        None => Err(CheckFault::NoText),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        rules(text).unwrap_err().to_string()
    }

    #[test]
    fn a_file_of_yaml_is_read() {
        let text = "# a comment\n\"create_network\": \"role:member\"\n\nget_port:\n  rule:a\n  or rule:b\n'x': [['rule:a', 'rule:b'], 'rule:c']\n'y': []\n";
        let read = rules(text).unwrap();
        let any = |text| RuleCheck::parse(text).unwrap();
        assert_eq!(read["create_network"].check, any("role:member"));
        assert_eq!(read["create_network"].line, 2);
        assert_eq!(read["get_port"].check, any("rule:a or rule:b"));
        assert_eq!(read["x"].check, any("(rule:a and rule:b) or rule:c"));
        assert_eq!(read["y"].check, RuleCheck::Always(true));
        for empty in ["", "\n", "# nothing\n", "{}", "---\n"] {
            assert_eq!(rules(empty).unwrap().len(), 0, "{empty:?}");
        }
        for everybody in ["a: \"\"\n", "a: ''\n", "\"a\":\n  \"\"\n"] {
            let all = &rules(everybody).unwrap()["a"];
            assert_eq!(all.check, RuleCheck::Always(true), "{everybody:?}");
        }
        assert_eq!(
            rules("{\"a\": \"!\"}").unwrap()["a"].check,
            RuleCheck::Always(false)
        );
    }

    #[test]
    fn the_line_of_what_is_wrong_is_said() {
        let wrong = error("a: role:x\n\nb: role:x and\n");
        assert_eq!(wrong, "line 3: \"b\": a check is missing at the end");
        for text in [
            "a: role:x\nb: !\n",
            "a: role:x\nb:\n",
            "a: x:y\nb: {c: d}\n",
            "a: role:b\nb: 5\n",
        ] {
            let wrong = error(text);
            assert!(wrong.starts_with("line "), "{wrong}");
        }
        for text in [
            "a: role:x\nb: @\n",
            "a: role:x\na: role:y\n",
            "a: role:x\n b: role:y\n",
            "a: role:x\n- b\n",
        ] {
            let wrong = error(text);
            assert!(wrong.starts_with("line 2"), "{text:?}: {wrong}");
        }
        assert!(error("- a\n- b\n").starts_with("line 1"));
    }

    #[test]
    fn a_bomb_of_aliases_is_refused() {
        let mut text = "a0: &a0 ['x:y']\n".to_owned();
        for level in 1..30 {
            let inner = vec![format!("*a{}", level - 1); 10].join(", ");
            text.push_str(&format!("a{level}: &a{level} [{inner}]\n"));
        }
        assert!(rules(&text).is_err());
        let deep = format!("a: {}", "[".repeat(100_000));
        assert!(rules(&deep).is_err());
    }
}
