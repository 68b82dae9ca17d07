//! The committed dashboards, read for what they ask: each panel's expressions, with Grafana's
//! variables filled in as a browser that shows all instances would.

use crate::error::LabError;
use serde_json::Value;
use std::fs;
use std::io;
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
    /// The uid of the panel's dashboard.
    pub dashboard: String,
    /// The panel's title.
    pub panel: String,
    /// The target's letter in the panel.
    pub reference: String,
    /// The expression, without variables.
    pub expr: String,
}

impl Dashboard {
    /// The dashboards that operators get, in the order of their files' names.
    ///
    /// # Errors
    /// [`LabError::Io`] or [`LabError::Unexpected`] when a file is no JSON.
    pub fn all() -> Result<Vec<Self>, LabError> {
        let folder = grafana("dashboards");
        let mut paths =
            paths_in(&folder).map_err(LabError::io(format!("read {}", folder.display())))?;
        paths.sort();
        paths.iter().map(|path| Self::read(path)).collect()
    }

    fn read(path: &Path) -> Result<Self, LabError> {
        let text =
            fs::read_to_string(path).map_err(LabError::io(format!("read {}", path.display())))?;
        let json = serde_json::from_str(&text)
            .map_err(|error| LabError::unexpected(path.display().to_string(), error))?;
        Ok(Self { json })
    }

    /// Every expression of every panel of all dashboards, as [`Self::queries`] has them.
    ///
    /// # Errors
    /// Those of [`Self::all`] and [`Self::queries`].
    pub fn all_queries(rate_interval: &str) -> Result<Vec<PanelQuery>, LabError> {
        let queries: Result<Vec<_>, _> = Self::all()?
            .iter()
            .map(|dashboard| dashboard.queries(rate_interval))
            .collect();
        Ok(queries?.concat())
    }

    /// What it is called in addresses: `/d/UID`.
    #[must_use]
    pub fn uid(&self) -> &str {
        self.json["uid"].as_str().unwrap_or_default()
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
    /// and every instance and hypervisor for `$instance` and `$chassis`.
    ///
    /// # Errors
    /// [`LabError::Unexpected`] when a panel has no expression or a variable is unknown.
    pub fn queries(&self, rate_interval: &str) -> Result<Vec<PanelQuery>, LabError> {
        let panels = self.panels().into_iter();
        let panels = panels.filter(|panel| panel["type"] != "row");
        let queries: Result<Vec<_>, _> = panels
            .map(|panel| queries_of(self.uid(), panel, rate_interval))
            .collect();
        Ok(queries?.concat())
    }
}

fn paths_in(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder)?;
    entries.map(|entry| Ok(entry?.path())).collect()
}

fn queries_of(
    dashboard: &str,
    panel: &Value,
    rate_interval: &str,
) -> Result<Vec<PanelQuery>, LabError> {
    let title = panel["title"].as_str().unwrap_or_default();
    let targets = panel["targets"].as_array().filter(|list| !list.is_empty());
    let targets = targets.ok_or_else(|| LabError::unexpected(format!("panel {title}"), panel))?;
    let queries = targets.iter().map(|target| {
        let expr = target["expr"].as_str().unwrap_or_default();
        let expr = expr
            .replace("$__rate_interval", rate_interval)
            .replace("$instance", ".*")
            .replace("$chassis", ".*");
        match expr.is_empty() || expr.contains('$') {
            true => Err(LabError::unexpected(
                format!("panel {title}'s expression"),
                target,
            )),
            false => Ok(PanelQuery {
                dashboard: dashboard.to_owned(),
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
            json: json!({"uid": "d", "panels": [{"type": "row", "panels": [panel]}]}),
        }
    }

    #[test]
    fn variables_are_filled_in_also_in_a_folded_row() {
        let expr = "rate(a{instance=~\"$instance\", chassis=~\"$chassis\"}[$__rate_interval])";
        let queries = dashboard(expr).queries("5s");
        let expected = PanelQuery {
            dashboard: "d".to_owned(),
            panel: "T".to_owned(),
            reference: "A".to_owned(),
            expr: "rate(a{instance=~\".*\", chassis=~\".*\"}[5s])".to_owned(),
        };
        assert_eq!(queries.unwrap(), [expected]);
    }

    #[test]
    fn an_unknown_variable_is_an_error() {
        let error = dashboard("a{peer=\"$peer\"}").queries("5s").unwrap_err();
        assert!(error.to_string().contains("$peer"), "{error}");
    }
}
