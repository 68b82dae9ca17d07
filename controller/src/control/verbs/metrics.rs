//! `sextant metrics`: the page that Prometheus reads.

use crate::control::{Give, OperatorView, Verb, VerbError};
use clap::Args;
use serde::{Deserialize, Serialize};

/// Options of `metrics`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Args, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MetricsVerb {
    /// Only metrics whose name contains this.
    #[arg(value_name = "PART")]
    pub part: Option<String>,
}

/// A line of the page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MetricLine {
    /// The line.
    pub line: String,
}

impl Verb for MetricsVerb {
    type Row = MetricLine;

    fn answer(&self, known: &OperatorView, give: Give<'_, MetricLine>) -> Result<(), VerbError> {
        let page = known.metrics.render();
        let page = page.map_err(|error| VerbError::Unfit(error.to_string()))?;
        page.lines()
            .filter(|line| self.is_meant(line))
            .try_for_each(|line| {
                give(MetricLine {
                    line: line.to_owned(),
                })
            })
    }

    fn show(&self, rows: &[MetricLine]) -> String {
        rows.iter().map(|row| format!("{}\n", row.line)).collect()
    }
}

impl MetricsVerb {
    fn is_meant(&self, line: &str) -> bool {
        let mut words = line.split([' ', '{']);
        let name = match words.next() {
            Some("#") => words.nth(1),
            first => first,
        };
        let part = self.part.as_deref().unwrap_or_default();
        name.is_some_and(|name| name.contains(part))
    }
}
