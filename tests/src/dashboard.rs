//! The committed dashboards, read for what they ask: each panel's expressions, with Grafana's
//! variables filled in as a browser that shows all instances would.

use crate::error::LabError;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

/// A file below the project's `grafana/` folder.
#[must_use]
pub fn grafana(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../grafana")
        .join(path)
}

/// A Grafana dashboard.
#[derive(Clone, Debug, PartialEq)]
pub struct Dashboard {
    json: Value,
}

/// What one target of a panel asks Prometheus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PanelQuery {
    /// The panel's title.
    pub panel: String,
    /// The target's letter in the panel.
    pub reference: String,
    /// The expression, without variables.
    pub expr: String,
}

impl Dashboard {
    /// The dashboard that operators get.
    ///
    /// # Errors
    /// [`LabError::Io`] or [`LabError::Unexpected`] when the file is no JSON.
    pub fn sextant() -> Result<Self, LabError> {
        let path = grafana("dashboards/sextant.json");
        let text =
            fs::read_to_string(&path).map_err(LabError::io(format!("read {}", path.display())))?;
        let json = serde_json::from_str(&text)
            .map_err(|error| LabError::unexpected(path.display().to_string(), error))?;
        Ok(Self { json })
    }

    /// The whole dashboard.
    #[must_use]
    pub fn json(&self) -> &Value {
        &self.json
    }

    /// All panels in order, rows and what is folded into them included.
    #[must_use]
    pub fn panels(&self) -> Vec<&Value> {
        let top = self.json["panels"].as_array().into_iter().flatten();
        top.flat_map(|panel| {
            let inner = panel["panels"].as_array().into_iter().flatten();
            std::iter::once(panel).chain(inner)
        })
        .collect()
    }

    /// Every panel's expressions, with `rate_interval` (such as `5s`) for `$__rate_interval`
    /// and every instance for `$instance`.
    ///
    /// # Errors
    /// [`LabError::Unexpected`] when a panel has no expression or a variable is unknown.
    pub fn queries(&self, rate_interval: &str) -> Result<Vec<PanelQuery>, LabError> {
        let panels = self.panels().into_iter();
        let panels = panels.filter(|panel| panel["type"] != "row");
        let queries: Result<Vec<_>, _> = panels
            .map(|panel| queries_of(panel, rate_interval))
            .collect();
        Ok(queries?.concat())
    }
}

fn queries_of(panel: &Value, rate_interval: &str) -> Result<Vec<PanelQuery>, LabError> {
    let title = panel["title"].as_str().unwrap_or_default();
    let targets = panel["targets"].as_array().filter(|list| !list.is_empty());
    let targets = targets.ok_or_else(|| LabError::unexpected(format!("panel {title}"), panel))?;
    let queries = targets.iter().map(|target| {
        let expr = target["expr"].as_str().unwrap_or_default();
        let expr = expr
            .replace("$__rate_interval", rate_interval)
            .replace("$instance", ".*");
        match expr.is_empty() || expr.contains('$') {
            true => Err(LabError::unexpected(
                format!("panel {title}'s expression"),
                target,
            )),
            false => Ok(PanelQuery {
                panel: title.to_owned(),
                reference: target["refId"].as_str().unwrap_or_default().to_owned(),
                expr,
            }),
        }
    });
    queries.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn dashboard(expr: &str) -> Dashboard {
        let panel =
            json!({"title": "T", "type": "stat", "targets": [{"refId": "A", "expr": expr}]});
        Dashboard {
            json: json!({"panels": [{"type": "row", "panels": [panel]}]}),
        }
    }

    #[test]
    fn variables_are_filled_in_also_in_a_folded_row() {
        let queries = dashboard("rate(a{instance=~\"$instance\"}[$__rate_interval])").queries("5s");
        let expected = PanelQuery {
            panel: "T".to_owned(),
            reference: "A".to_owned(),
            expr: "rate(a{instance=~\".*\"}[5s])".to_owned(),
        };
        assert_eq!(queries.unwrap(), [expected]);
    }

    #[test]
    fn an_unknown_variable_is_an_error() {
        let error = dashboard("a{chassis=\"$chassis\"}")
            .queries("5s")
            .unwrap_err();
        assert!(error.to_string().contains("$chassis"), "{error}");
    }
}
