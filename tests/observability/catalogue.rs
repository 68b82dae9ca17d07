//! Holds an expression against the metrics that Sextant exports.

use crate::promql::{self, Matcher, Selector};
use sextant_controller::metrics::Metrics;
use std::collections::BTreeSet;

/// What Prometheus itself adds to each sample that it scrapes.
const SCRAPED: &[&str] = &["instance", "job"];
/// Metrics of Prometheus's own, of node_exporter, and those that Prometheus's library adds to Sextant's.
const FOREIGN: &[&str] = &[
    "node_nf_conntrack_entries",
    "node_nf_conntrack_entries_limit",
    "process_cpu_seconds_total",
    "process_max_fds",
    "process_open_fds",
    "process_resident_memory_bytes",
    "process_start_time_seconds",
    "up",
    "ALERTS",
    "scrape_duration_seconds",
    "scrape_samples_scraped",
];

/// A metric as it is declared.
struct Declared {
    name: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
    is_histogram: bool,
}

/// Says what in the expression does not exist.
pub(crate) fn check(expr: &str) -> Result<(), String> {
    for selector in promql::selectors(expr)? {
        let known = labels_of(&selector)?;
        for matcher in &selector.matchers {
            exists(&matcher.label, &known, &selector.metric)?;
            value_exists(matcher, &selector)?;
        }
    }
    for grouping in promql::groupings(expr)? {
        let known: Result<Vec<_>, _> = grouping.of.iter().map(labels_of).collect();
        let known = known?.concat();
        for label in &grouping.labels {
            exists(label, &known, "what is grouped")?;
        }
    }
    Ok(())
}

/// The declared metrics that an expression asks for.
pub(crate) fn metrics_of(expr: &str) -> Result<BTreeSet<&'static str>, String> {
    let selectors = promql::selectors(expr)?;
    let declared = selectors
        .iter()
        .filter_map(|selector| declared(&selector.metric));
    Ok(declared.map(|(metric, _)| metric.name).collect())
}

/// The labels that the samples of an expression have: those of its outermost grouping, else
/// those of its metrics.
pub(crate) fn result_labels(expr: &str) -> Result<Vec<String>, String> {
    let grouped = promql::groupings(expr)?.into_iter().next();
    if let Some(grouping) = grouped {
        return Ok(grouping.labels);
    }
    let labels: Result<Vec<_>, _> = promql::selectors(expr)?.iter().map(labels_of).collect();
    Ok(labels?.concat().into_iter().map(str::to_owned).collect())
}

/// Whether a word is the name of a metric, or of a series of a histogram.
pub(crate) fn is_metric(word: &str) -> bool {
    declared(word).is_some() || Metrics::CATALOGUE.iter().any(|&(name, ..)| name == word)
}

fn exists(label: &str, known: &[&str], of: &str) -> Result<(), String> {
    match known.contains(&label) {
        true => Ok(()),
        false => Err(format!("{of} has no label {label}; it has {known:?}")),
    }
}

/// A value that is named, not matched by a pattern, is one that the help lists after its label:
/// `outcome (confirmed, refused)`. A label without such a list takes any.
fn value_exists(matcher: &Matcher, selector: &Selector) -> Result<(), String> {
    let Some((metric, _)) = declared(&selector.metric) else {
        return Ok(());
    };
    let listed = metric.help.split_once(&format!("{} (", matcher.label));
    let Some((listed, _)) = listed.and_then(|(_, after)| after.split_once(')')) else {
        return Ok(());
    };
    let named = matches!(matcher.operator.as_str(), "=" | "!=");
    match !named || listed.split(", ").any(|value| value == matcher.value) {
        true => Ok(()),
        false => Err(format!(
            "{} is one of {listed}, not {}",
            matcher.label, matcher.value
        )),
    }
}

fn labels_of(selector: &Selector) -> Result<Vec<&'static str>, String> {
    if FOREIGN.contains(&selector.metric.as_str()) {
        return Ok([SCRAPED, &["alertname", "alertstate", "severity"]].concat());
    }
    let (metric, suffix) = declared(&selector.metric)
        .ok_or_else(|| format!("there is no metric {}", selector.metric))?;
    let le: &[&str] = if suffix == "_bucket" { &["le"] } else { &[] };
    Ok([SCRAPED, metric.labels, le].concat())
}

/// The metric that a series belongs to, and what the series' name has after the metric's.
fn declared(series: &str) -> Option<(Declared, &str)> {
    let all = Metrics::CATALOGUE
        .iter()
        .map(|&(name, kind, labels, help)| Declared {
            name,
            labels,
            help,
            is_histogram: kind.starts_with("Histogram"),
        });
    let mut matching = all.filter_map(|metric| {
        let suffix = series.strip_prefix(metric.name)?;
        let suffixes: &[&str] = if metric.is_histogram {
            &["_bucket", "_sum", "_count"]
        } else {
            &[""]
        };
        suffixes.contains(&suffix).then_some((metric, suffix))
    });
    matching.next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_exists_passes() {
        for right in [
            "sum by (le, route) (rate(sextant_api_request_duration_seconds_bucket{method=~\"GET\"}[5m]))",
            "rate(sextant_punt_duration_seconds_sum[1m]) / rate(sextant_punt_duration_seconds_count[1m])",
            "sextant_flow_operations_total{outcome=\"refused\", instance=~\".*\"}",
            "count(ALERTS{alertname=~\"Sextant.+\"}) + up{job=\"sextant\"}",
        ] {
            assert_eq!(check(right), Ok(()), "{right}");
        }
    }

    #[test]
    fn what_does_not_exist_is_found() {
        for (wrong, why) in [
            (
                "sextant_flow_operation_total",
                "no metric sextant_flow_operation_total",
            ),
            ("sextant_ports_bound_total", "no metric"),
            ("sextant_punt_duration_seconds", "no metric"),
            ("sextant_switches_connected_bucket", "no metric"),
            ("node_load1{instance=\"x\"}", "no metric node_load1"),
            ("sextant_packet_ins_total{reason=\"x\"}", "no label reason"),
            (
                "sextant_punt_duration_seconds_count{le=\"1\"}",
                "no label le",
            ),
            ("sum by (chassis) (sextant_ports_bound)", "no label chassis"),
            (
                "sum by (punt) (sextant_ports_bound) / sextant_packet_ins_total",
                "no label punt",
            ),
            (
                "sextant_flow_operations_total{outcome=\"rejected\"}",
                "outcome is one of confirmed, refused, left_out, not rejected",
            ),
        ] {
            let error = check(wrong).unwrap_err();
            assert!(error.contains(why), "{wrong}: {error}");
        }
    }

    #[test]
    fn the_labels_of_a_result_are_those_that_grouping_leaves() {
        assert_eq!(
            result_labels("sum by (punt) (sextant_packet_ins_total)").unwrap(),
            ["punt"]
        );
        assert_eq!(result_labels("sextant_ports_bound > 0").unwrap(), SCRAPED);
    }
}
