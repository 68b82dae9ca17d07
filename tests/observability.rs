//! What operators get to see Sextant with: the dashboards, the alert rules and their runbooks, their provisioning
//! and their guide name only what exists, and the real Prometheus understands them.

use sextant_controller::config::Config;
use sextant_controller::metrics::Metrics;
use sextant_lab::{
    Controller, ControllerOptions, Dashboard, Lab, LabError, LabOptions, Prometheus, Tools,
    grafana, wait_for,
};
use std::collections::BTreeSet;
use std::error::Error;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

#[path = "observability/catalogue.rs"]
mod catalogue;
#[path = "observability/dashboards.rs"]
mod dashboards;
#[path = "observability/exporter.rs"]
mod exporter;
#[path = "observability/promql.rs"]
mod promql;
#[path = "observability/rules.rs"]
mod rules;
#[path = "observability/runbooks.rs"]
mod runbooks;

const SOON: Duration = Duration::from_secs(15);

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// Set for the process that plays the exporter, so that nobody else becomes it by accident.
const EXPORTER: &str = "SEXTANT_TEST_EXPORTER";

#[test]
fn every_alert_asks_for_what_exists_and_says_what_to_do() -> Outcome {
    let alerts = rules::alerts()?;
    for alert in &alerts {
        catalogue::check(&alert.expr).map_err(|error| format!("{}: {error}", alert.alert))?;
        let labels = catalogue::result_labels(&alert.expr)?;
        let (summary, description) = (&alert.annotations.summary, &alert.annotations.description);
        for shown in [summary, description]
            .into_iter()
            .flat_map(|text| rules::labels_shown(text))
        {
            assert!(
                labels.iter().any(|label| label == shown),
                "{} shows {shown}",
                alert.alert
            );
        }
        assert!(
            summary.contains("$labels.instance"),
            "{}: which instance?",
            alert.alert
        );
        assert!(description.len() > 100, "{}: what to do?", alert.alert);
        assert!(
            matches!(
                alert.labels["severity"].as_str(),
                Some("warning" | "critical")
            ),
            "{}",
            alert.alert
        );
        assert!(
            alert.alert.starts_with("Sextant"),
            "the dashboards count alerts by this prefix"
        );
    }
    assert!(alerts.len() >= 7);
    Ok(())
}

fn promtool(words: &[&str], files: &[String]) -> Outcome<String> {
    Tools::check(&["promtool"])?;
    let output = Command::new("promtool").args(words).args(files).output()?;
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    match output.status.success() {
        true => Ok(said),
        false => Err(said.into()),
    }
}

fn path(file: &str) -> String {
    grafana(file).display().to_string()
}

#[test]
fn prometheus_accepts_configuration_and_rules() -> Outcome {
    let said = promtool(&["check", "config"], &[path("prometheus/prometheus.yml")])?;
    assert!(said.contains("1 rule files found"), "{said}");
    promtool(
        &["check", "rules", "--lint=all", "--lint-fatal"],
        &[path("prometheus/alerts.yml")],
    )?;
    Ok(())
}

#[test]
fn every_alert_is_tested_and_passes() -> Outcome {
    let mut files = Vec::new();
    for alert in rules::alerts()? {
        let file = path(&format!("prometheus/tests/{}.yml", alert.alert));
        let tests = rules::yaml(Path::new(&file))?;
        for series in rules::values_of(&tests, "series") {
            let series = series.as_str().ok_or("a series that is no text")?;
            catalogue::check(series).map_err(|error| format!("{file}: {error}"))?;
        }
        let expected = rules::expectations(&tests);
        let own = expected.iter().filter(|check| {
            check
                .asked
                .contains(&format!("alertname=\"{}\"", alert.alert))
        });
        let (firing, silent) = own.fold((0, 0), |(firing, silent), check| {
            (firing + check.firing, silent + check.silent)
        });
        assert!(
            firing > 0 && silent > 0,
            "{file}: fires {firing} times, is silent {silent} times"
        );
        files.push(file);
    }
    let committed = fs::read_dir(grafana("prometheus/tests"))?.count();
    assert_eq!(committed, files.len(), "a test file whose alert is gone");
    promtool(&["test", "rules"], &files)?;
    Ok(())
}

#[test]
fn scrape_and_provisioning_agree_with_each_other_and_with_the_defaults() -> Outcome {
    let scrape = rules::yaml(&grafana("prometheus/prometheus.yml"))?;
    let targets = &scrape["scrape_configs"][0]["static_configs"][0]["targets"];
    assert_eq!(targets[0], Config::default().metrics_listen.to_string());
    assert_eq!(
        scrape["scrape_configs"][0]["job_name"], "sextant",
        "SextantDown asks for this job"
    );

    let source =
        &rules::yaml(&grafana("provisioning/datasources/prometheus.yaml"))?["datasources"][0];
    assert_eq!(source["type"], "prometheus");
    assert_eq!(
        source["jsonData"]["timeInterval"],
        scrape["global"]["scrape_interval"]
    );

    let provider = &rules::yaml(&grafana("provisioning/dashboards/sextant.yaml"))?["providers"][0];
    assert_eq!(provider["type"], "file");
    let guide = fs::read_to_string(grafana("../docs/guides/observability.md"))?;
    assert!(guide.contains(provider["options"]["path"].as_str().ok_or("no path")?));
    Ok(())
}

#[test]
fn the_guide_speaks_of_every_alert() -> Outcome {
    let guide = fs::read_to_string(grafana("../docs/guides/observability.md"))?;
    for alert in rules::alerts()? {
        let name = alert.alert;
        let row = format!("| [`{name}`](../runbooks/{name}.md) |");
        assert!(guide.contains(&row), "{name}");
    }
    Ok(())
}

fn small_lab() -> Result<Lab, LabError> {
    Lab::start(LabOptions {
        hypervisors: 0,
        ..LabOptions::default()
    })
}

/// This test binary in Sextant's place.
fn start_exporter(lab: &Lab) -> Outcome<Controller> {
    let script = lab.home().join("exporter");
    let me = std::env::current_exe()?;
    let words = "--exact --ignored --nocapture an_exporter_that_never_ends";
    fs::write(
        &script,
        format!("#!/bin/sh\nexec {} {words}\n", me.display()),
    )?;
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755))?;
    Ok(lab.start_controller(ControllerOptions {
        binary: Some(script),
        env: vec![(EXPORTER.to_owned(), "yes".to_owned())],
        ..ControllerOptions::default()
    })?)
}

#[test]
#[ignore = "run by the test that scrapes it"]
fn an_exporter_that_never_ends() -> Outcome {
    if std::env::var_os(EXPORTER).is_some() {
        exporter::serve(&Metrics::new()?)?;
    }
    Ok(())
}

#[test]
fn the_real_prometheus_answers_every_panel_and_evaluates_every_rule() -> Outcome {
    let lab = small_lab()?;
    let _exporter = start_exporter(&lab)?;
    let prometheus = Prometheus::start(&lab)?;
    for query in Dashboard::all_queries("5s")? {
        let samples = prometheus.wait_samples(&query.expr, SOON);
        samples.map_err(|error| format!("{}: panel {}: {error}", query.dashboard, query.panel))?;
    }
    let error = prometheus.query("sum by").unwrap_err().to_string();
    assert!(error.contains("parse error"), "{error}");

    let loaded: BTreeSet<String> = prometheus
        .rules()?
        .into_iter()
        .map(|rule| rule.name)
        .collect();
    let committed = rules::alerts()?.into_iter().map(|alert| alert.alert);
    assert_eq!(loaded, committed.collect());
    wait_for("what the exporter shows to reach the alerts", SOON, || {
        alarm(&prometheus)
    })?;

    drop(prometheus);
    assert!(!lab.home().join("prometheus").exists());
    let after = lab.in_ctl(&["ss", "-Htln", "sport", "=", ":9090"])?;
    assert_eq!(after.stdout, "", "Prometheus still listens");
    Ok(())
}

/// Whether every rule could be evaluated, and saw what the exporter shows.
fn alarm(prometheus: &Prometheus) -> Result<(), String> {
    let rules = prometheus.rules().map_err(|error| error.to_string())?;
    let is = |name: &str, state: &str| {
        rules
            .iter()
            .any(|rule| rule.name == name && rule.state == state)
    };
    let seen = is("SextantStoreUnavailable", "firing")
        && is("SextantSwitchDisconnected", "pending")
        && is("SextantDown", "inactive");
    match seen && rules.iter().all(|rule| rule.health == "ok") {
        true => Ok(()),
        false => Err(format!("{rules:?}")),
    }
}

#[test]
fn a_prometheus_with_nothing_to_scrape_says_so() -> Outcome {
    let lab = small_lab()?;
    let error = Prometheus::start(&lab).unwrap_err().to_string();
    assert!(error.contains("connection refused"), "{error}");
    Ok(())
}
