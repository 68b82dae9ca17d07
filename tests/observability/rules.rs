//! The files below `grafana/prometheus/`, as far as tests read them.

use crate::Outcome;
use serde::Deserialize;
use serde_json::Value;
use sextant_lab::grafana;
use std::fs;
use std::path::Path;

/// Where the project's files are for those who read a dashboard or an alert.
pub(crate) const FILES: &str = concat!(env!("CARGO_PKG_REPOSITORY"), "/blob/main/");

/// An alert rule.
#[derive(Debug, Deserialize)]
pub(crate) struct Alert {
    pub(crate) alert: String,
    pub(crate) expr: String,
    pub(crate) labels: Value,
    pub(crate) annotations: Annotations,
}

/// What a person is told.
#[derive(Debug, Deserialize)]
pub(crate) struct Annotations {
    pub(crate) summary: String,
    pub(crate) description: String,
    pub(crate) runbook_url: String,
}

/// What a unit test file of rules expects of an alert at some moments.
pub(crate) struct Expectations {
    pub(crate) asked: String,
    pub(crate) firing: usize,
    pub(crate) silent: usize,
}

/// Any YAML file as JSON.
pub(crate) fn yaml(path: &Path) -> Outcome<Value> {
    let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(serde_saphyr::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))?)
}

/// All alerts of `alerts.yml`.
pub(crate) fn alerts() -> Outcome<Vec<Alert>> {
    let file = yaml(&grafana("prometheus/alerts.yml"))?;
    let groups = file["groups"].as_array().into_iter().flatten();
    let rules = groups.flat_map(|group| group["rules"].as_array().into_iter().flatten());
    Ok(rules.map(Alert::deserialize).collect::<Result<_, _>>()?)
}

/// The values of a key, wherever it is, in order.
pub(crate) fn values_of<'a>(tree: &'a Value, key: &str) -> Vec<&'a Value> {
    let inner: Vec<&Value> = match tree {
        Value::Object(map) => map.values().collect(),
        Value::Array(list) => list.iter().collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    };
    let here = tree.get(key).into_iter();
    here.chain(inner.into_iter().flat_map(|inner| values_of(inner, key)))
        .collect()
}

/// What a unit test file of rules expects.
pub(crate) fn expectations(file: &Value) -> Vec<Expectations> {
    let checks = values_of(file, "promql_expr_test").into_iter();
    let checks = checks.flat_map(|list| list.as_array().into_iter().flatten());
    checks
        .map(|check| {
            let samples = check["exp_samples"].as_array().map(Vec::len);
            Expectations {
                asked: check["expr"].as_str().unwrap_or_default().to_owned(),
                firing: usize::from(samples.is_some_and(|count| count > 0)),
                silent: usize::from(samples == Some(0)),
            }
        })
        .collect()
}

/// The labels that a template shows: `{{ $labels.x }}`.
pub(crate) fn labels_shown(template: &str) -> Vec<&str> {
    let parts = template.split("$labels.").skip(1);
    parts
        .filter_map(|part| {
            part.split(|c: char| !c.is_alphanumeric() && c != '_')
                .next()
        })
        .collect()
}
