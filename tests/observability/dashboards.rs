//! The dashboards: they are what their declarations say, ask for what exists, show every metric, and lead to each other.

use crate::{Outcome, catalogue, rules};
use serde_json::Value;
use sextant_controller::metrics::Metrics;
use sextant_lab::{Dashboard, grafana};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;

#[test]
fn the_dashboards_are_what_their_declarations_say() -> Outcome {
    let script = grafana("dashboards.py");
    let ended = Command::new("python3")
        .arg(script)
        .arg("--check")
        .output()?;
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{said}");
    Ok(())
}

#[test]
fn every_panel_and_annotation_asks_for_what_exists() -> Outcome {
    let queries = Dashboard::all_queries("5s")?;
    for query in &queries {
        catalogue::check(&query.expr)
            .map_err(|error| format!("{}: panel {}: {error}", query.dashboard, query.panel))?;
    }
    assert!(queries.len() > 100);
    for dashboard in Dashboard::all()? {
        let exprs = rules::values_of(&dashboard.json()["annotations"], "expr");
        for expr in &exprs {
            catalogue::check(expr.as_str().ok_or("no expression")?)?;
        }
        assert!(exprs.len() > 3, "{}", dashboard.uid());
    }
    Ok(())
}

#[test]
fn every_metric_is_on_a_dashboard() -> Outcome {
    let mut missing: BTreeSet<&str> = Metrics::CATALOGUE.iter().map(|metric| metric.0).collect();
    for query in Dashboard::all_queries("5s")? {
        for metric in catalogue::metrics_of(&query.expr)? {
            missing.remove(metric);
        }
    }
    assert_eq!(missing, BTreeSet::new());
    Ok(())
}

#[test]
fn every_legend_shows_labels_that_its_series_have() -> Outcome {
    let mut seen = 0;
    for dashboard in Dashboard::all()? {
        for target in targets(dashboard.json()) {
            let (expr, legend) = (
                target["expr"].as_str().ok_or("no expression")?,
                target["legendFormat"].as_str().ok_or("no legend")?,
            );
            let labels = catalogue::result_labels(expr)?;
            for shown in shown_in(legend) {
                let is_there = labels.iter().any(|label| label == shown);
                assert!(is_there, "{legend} of {expr}");
                seen += 1;
            }
        }
    }
    assert!(seen > 20);
    Ok(())
}

fn targets(tree: &Value) -> impl Iterator<Item = &Value> {
    let lists = rules::values_of(tree, "targets").into_iter();
    lists.flat_map(|list| list.as_array().into_iter().flatten())
}

/// The labels between double braces.
fn shown_in(legend: &str) -> impl Iterator<Item = &str> {
    let parts = legend.split("{{").skip(1);
    parts.filter_map(|part| part.split("}}").next())
}

#[test]
fn the_dashboards_can_be_provisioned() -> Outcome {
    let mut uids = BTreeSet::new();
    for dashboard in Dashboard::all()? {
        let (uid, json) = (dashboard.uid(), dashboard.json());
        assert!(
            grafana(&format!("dashboards/{uid}.json")).is_file(),
            "{uid}"
        );
        assert!(uids.insert(uid.to_owned()), "{uid} is the uid of two");
        assert!(json["schemaVersion"].as_u64() >= Some(39));
        // Both would ask a person who imports it; a provisioned dashboard has nobody to ask.
        assert!(json.get("__inputs").is_none() && json.get("id").is_none());
        for source in rules::values_of(json, "datasource") {
            let known = matches!(
                source["uid"].as_str(),
                Some("${datasource}" | "-- Grafana --")
            );
            assert!(known, "{uid}: {source}");
        }
    }
    assert!(uids.contains("sextant"), "the guide names it");
    Ok(())
}

#[test]
fn every_dashboard_keeps_what_was_chosen_on_another() -> Outcome {
    for dashboard in Dashboard::all()? {
        let json = dashboard.json();
        let variables = json["templating"]["list"].as_array().ok_or("no list")?;
        let names: Vec<_> = variables.iter().map(|variable| &variable["name"]).collect();
        assert_eq!(names, ["datasource", "instance", "chassis"]);
        for variable in &variables[1..] {
            let query = variable["query"]["query"].as_str().ok_or("no query")?;
            let (metric, label) = query
                .strip_prefix("label_values(")
                .and_then(|rest| rest.strip_suffix(")")?.split_once(", "))
                .ok_or("no label_values")?;
            catalogue::check(&format!("sum by ({label}) ({metric})"))?;
        }
    }
    Ok(())
}

#[test]
fn links_lead_to_dashboards_and_documents_that_exist() -> Outcome {
    let all = Dashboard::all()?;
    let uids: BTreeSet<&str> = all.iter().map(Dashboard::uid).collect();
    for dashboard in &all {
        let mut linked = BTreeSet::from([dashboard.uid()]);
        for link in dashboard.json()["links"].as_array().ok_or("no links")? {
            let url = link["url"].as_str().ok_or("no url")?;
            if let Some(uid) = url.strip_prefix("/d/") {
                assert_eq!(
                    (&link["includeVars"], &link["keepTime"]),
                    (&true.into(), &true.into())
                );
                linked.insert(uid);
            }
        }
        assert_eq!(linked, uids, "the links of {}", dashboard.uid());
        for url in rules::values_of(dashboard.json(), "url") {
            let url = url.as_str().ok_or("no url")?;
            assert!(leads_somewhere(url, &uids), "{}: {url}", dashboard.uid());
        }
    }
    Ok(())
}

fn leads_somewhere(url: &str, uids: &BTreeSet<&str>) -> bool {
    // What stands there for the name of an alert is named as the alerts are, and each has its runbook.
    let url = url.replace("${__data.fields.alertname}", "SextantDown");
    match (url.strip_prefix("/d/"), url.strip_prefix(rules::FILES)) {
        (Some(rest), _) => rest.split('?').next().is_some_and(|uid| uids.contains(uid)),
        (None, Some(file)) => grafana("..").join(file).is_file(),
        (None, None) => false,
    }
}

#[test]
fn the_columns_that_lead_elsewhere_are_labels_of_their_tables() -> Outcome {
    let mut seen = 0;
    for dashboard in Dashboard::all()? {
        let panels = dashboard.panels().into_iter();
        for panel in panels.filter(|panel| panel["type"] == "table") {
            for column in linked_columns(panel) {
                for target in panel["targets"].as_array().ok_or("no targets")? {
                    let labels = catalogue::result_labels(target["expr"].as_str().ok_or("none")?)?;
                    assert!(labels.contains(&column), "{column} of {}", panel["title"]);
                }
                seen += 1;
            }
        }
    }
    assert!(seen > 5);
    Ok(())
}

/// The columns of a table that have a link.
fn linked_columns(panel: &Value) -> Vec<String> {
    let all = panel["fieldConfig"]["overrides"].as_array();
    let linked = all.into_iter().flatten().filter(|one| {
        let properties = one["properties"].as_array().into_iter().flatten();
        properties
            .into_iter()
            .any(|property| property["id"] == "links")
    });
    linked
        .filter_map(|one| one["matcher"]["options"].as_str().map(str::to_owned))
        .collect()
}

#[test]
fn every_panel_has_a_place_a_unit_and_advice() -> Outcome {
    for dashboard in Dashboard::all()? {
        let (mut ids, mut cells) = (BTreeSet::new(), BTreeMap::new());
        for panel in dashboard.panels() {
            let title = panel["title"].as_str().ok_or("a panel without a title")?;
            let id = panel["id"].as_u64().ok_or(title)?;
            assert!(ids.insert(id), "{title}: its id is another's");
            for cell in cells_of(panel).ok_or(title)? {
                assert!(cell.0 < 24, "{title} is wider than the page");
                if let Some(other) = cells.insert(cell, title) {
                    panic!("{title} lies on {other}");
                }
            }
            if panel["type"] != "row" {
                let advice = panel["description"].as_str().unwrap_or_default();
                assert!(advice.len() > 30, "{title}: what does it mean?");
                let drawn = &panel["fieldConfig"]["defaults"];
                assert!(drawn["unit"].is_string(), "{title}: no unit");
                assert!(drawn["thresholds"].is_object(), "{title}: no thresholds");
            }
        }
    }
    Ok(())
}

/// The squares of the page that a panel covers.
fn cells_of(panel: &Value) -> Option<Vec<(u64, u64)>> {
    let of = |key: &str| panel["gridPos"][key].as_u64();
    let (x, y, w, h) = (of("x")?, of("y")?, of("w")?, of("h")?);
    Some(
        (x..x + w)
            .flat_map(|x| (y..y + h).map(move |y| (x, y)))
            .collect(),
    )
}

#[test]
fn the_first_row_alone_is_open() -> Outcome {
    for dashboard in Dashboard::all()? {
        let panels = dashboard.panels().into_iter();
        let rows: Vec<&Value> = panels.filter(|panel| panel["type"] == "row").collect();
        let open: Vec<usize> = (0..rows.len())
            .filter(|place| rows[*place]["collapsed"] == false)
            .collect();
        assert_eq!(open, [0], "{}", dashboard.uid());
    }
    Ok(())
}

#[test]
fn the_guide_speaks_of_every_dashboard_and_row() -> Outcome {
    let guide = fs::read_to_string(grafana("../docs/guides/observability.md"))?;
    for dashboard in Dashboard::all()? {
        let uid = dashboard.uid();
        let heading = format!(" (`/d/{uid}`)\n");
        let (_, section) = guide.split_once(&heading).ok_or(heading)?;
        let section = section.split("\n### ").next().unwrap_or_default();
        for panel in dashboard.panels() {
            let title = panel["title"].as_str().unwrap_or_default();
            let is_named = section.contains(&format!("**{title}**"));
            assert!(panel["type"] != "row" || is_named, "{uid}: {title}");
        }
    }
    Ok(())
}
