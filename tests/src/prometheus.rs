//! The real Prometheus beside the controller. It runs in the `ctl` namespace with the operators' scrape configuration
//! and alert rules, only faster. So a test can ask what an operator's dashboards and alerts would show.

use crate::api::Api;
use crate::dashboard;
use crate::deadline::wait_for;
use crate::error::LabError;
use crate::lab::Lab;
use crate::process::Process;
use crate::tools::Tools;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

const LISTEN: &str = "[::1]:9090";
const STARTING: Duration = Duration::from_secs(20);
const SCRAPED: Duration = Duration::from_secs(10);
/// How often targets are scraped and rules evaluated.
const INTERVAL: &str = "1s";

/// One element of an instant query's answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// The labels, with the metric's name as `__name__` where the expression keeps it.
    pub labels: BTreeMap<String, String>,
    /// The value; not a number where the expression has no answer, such as 0 / 0.
    pub value: f64,
}

/// An alert rule as Prometheus loaded it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Rule {
    /// The alert's name.
    pub name: String,
    /// `ok`, `err`, or `unknown` before the first evaluation.
    pub health: String,
    /// `inactive`, `pending` or `firing`.
    pub state: String,
}

/// A running Prometheus that scrapes the lab's controller every second. Its data goes with it.
#[derive(Debug)]
pub struct Prometheus {
    api: Api,
    // Ends before its folder is removed.
    process: Process,
    _data: DataFolder,
}

impl Prometheus {
    /// Starts it with what `grafana/prometheus/` has, and waits until it has scraped the
    /// controller.
    ///
    /// # Errors
    /// [`LabError::MissingTools`] without Debian's `prometheus`; [`LabError::Ended`] when it
    /// refuses its configuration; [`LabError::Timeout`] with the reason that it gives when
    /// nothing answers on the controller's metrics address.
    pub fn start(lab: &Lab) -> Result<Self, LabError> {
        Tools::check(&["prometheus"])?;
        let data = DataFolder::create(lab.home().join("prometheus"))?;
        let config = data.0.join("prometheus.json");
        let derived = faster(&dashboard::grafana("prometheus/prometheus.yml"))?;
        fs::write(&config, derived.to_string())
            .map_err(LabError::io(format!("write {}", config.display())))?;
        let words = words(&config, &data.0);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let prometheus = Self {
            api: lab.api().another()?,
            process: lab.spawn_in_ctl(&words)?,
            _data: data,
        };
        prometheus.ready()
    }

    fn ready(mut self) -> Result<Self, LabError> {
        self.process.wait_line("its ready line", STARTING, |line| {
            line.contains("Server is ready").then_some(())
        })?;
        wait_for("a scrape of every target", SCRAPED, || self.targets_up())?;
        Ok(self)
    }

    fn targets_up(&self) -> Result<(), String> {
        let targets = self
            .get("targets", &[])
            .map_err(|error| error.to_string())?;
        let targets = targets["activeTargets"].as_array();
        match targets.filter(|targets| !targets.is_empty()) {
            Some(targets) if targets.iter().all(|target| target["health"] == "up") => Ok(()),
            Some(targets) => Err(Value::from(targets.as_slice()).to_string()),
            None => Err("no target".to_owned()),
        }
    }

    /// Where it answers, in the `ctl` namespace.
    #[must_use]
    pub fn address(&self) -> String {
        format!("http://{LISTEN}")
    }

    /// The samples of an expression at this moment; none is no error.
    ///
    /// # Errors
    /// [`LabError::Http`] with the reason when the expression is wrong.
    pub fn query(&self, expr: &str) -> Result<Vec<Sample>, LabError> {
        let data = self.get("query", &[("query", expr)])?;
        let samples = samples(&data);
        samples.ok_or_else(|| LabError::unexpected(format!("the answer to {expr}"), &data))
    }

    /// Waits until an expression has samples, and at least one is a number. Rates need two scrapes, and quantiles an
    /// observation between them.
    ///
    /// # Errors
    /// [`LabError::Timeout`] with what the expression last gave.
    pub fn wait_samples(&self, expr: &str, timeout: Duration) -> Result<Vec<Sample>, LabError> {
        wait_for(&format!("samples of {expr}"), timeout, || {
            let samples = self.query(expr).map_err(|error| error.to_string())?;
            match samples.iter().any(|sample| !sample.value.is_nan()) {
                true => Ok(samples),
                false => Err(format!("{samples:?}")),
            }
        })
    }

    /// The alert rules that it has loaded.
    ///
    /// # Errors
    /// [`LabError::Http`] or [`LabError::Unexpected`] when it does not answer as documented.
    pub fn rules(&self) -> Result<Vec<Rule>, LabError> {
        let data = self.get("rules", &[("type", "alert")])?;
        let groups = data["groups"].as_array().into_iter().flatten();
        let rules = groups.flat_map(|group| group["rules"].as_array().into_iter().flatten());
        rules
            .map(|rule| {
                Rule::deserialize(rule).map_err(|_| LabError::unexpected("an alert rule", rule))
            })
            .collect()
    }

    /// `GET /api/v1/WHAT`: the answer's data.
    fn get(&self, what: &str, parameters: &[(&str, &str)]) -> Result<Value, LabError> {
        let pairs = parameters
            .iter()
            .map(|(key, value)| format!("{key}={}", percent_encoded(value)));
        let query = pairs.collect::<Vec<_>>().join("&");
        let url = format!("http://{LISTEN}/api/v1/{what}?{query}");
        let mut answer = self.api.request("GET", &url, &[], "")?.json();
        if answer["status"] == "success" {
            return Ok(answer["data"].take());
        }
        Err(LabError::Http {
            method: "GET".to_owned(),
            url,
            reason: answer.to_string(),
        })
    }
}

/// A folder that is removed with this value.
#[derive(Debug)]
struct DataFolder(PathBuf);

impl DataFolder {
    fn create(path: PathBuf) -> Result<Self, LabError> {
        fs::create_dir_all(&path).map_err(LabError::io(format!("make {}", path.display())))?;
        Ok(Self(path))
    }
}

impl Drop for DataFolder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn words(config: &Path, data: &Path) -> Vec<String> {
    vec![
        "prometheus".to_owned(),
        format!("--config.file={}", config.display()),
        format!("--storage.tsdb.path={}", data.join("tsdb").display()),
        format!("--web.listen-address={LISTEN}"),
    ]
}

/// The committed configuration with a test's pace and nobody to send alerts to. It is written
/// as JSON, which YAML includes.
fn faster(file: &Path) -> Result<Value, LabError> {
    let text =
        fs::read_to_string(file).map_err(LabError::io(format!("read {}", file.display())))?;
    let name = file.display().to_string();
    let mut config: Value =
        serde_saphyr::from_str(&text).map_err(|error| LabError::unexpected(&name, error))?;
    let map = config
        .as_object_mut()
        .ok_or_else(|| LabError::unexpected(&name, "no map"))?;
    map.remove("alerting");
    let pace = json!({"scrape_interval": INTERVAL, "evaluation_interval": INTERVAL});
    map.insert("global".to_owned(), pace);
    let folder = file.parent().unwrap_or(Path::new("/"));
    let rules = map.get_mut("rule_files").and_then(Value::as_array_mut);
    for rule in rules.into_iter().flatten() {
        let rule_file = rule
            .as_str()
            .ok_or_else(|| LabError::unexpected(&name, "a rule file without a name"))?;
        *rule = folder.join(rule_file).display().to_string().into();
    }
    Ok(config)
}

fn samples(data: &Value) -> Option<Vec<Sample>> {
    match data["resultType"].as_str()? {
        "vector" => data["result"].as_array()?.iter().map(sample).collect(),
        "scalar" => {
            let (labels, value) = (BTreeMap::new(), value_of(&data["result"])?);
            Some(vec![Sample { labels, value }])
        }
        _ => None,
    }
}

fn sample(element: &Value) -> Option<Sample> {
    let labels = element["metric"].as_object()?;
    Some(Sample {
        labels: labels
            .iter()
            .map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
            .collect::<Option<_>>()?,
        value: value_of(&element["value"])?,
    })
}

/// `[time, "value"]`.
fn value_of(pair: &Value) -> Option<f64> {
    pair[1].as_str()?.parse().ok()
}

/// As a query string needs it (RFC 3986 §2.3).
fn percent_encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                char::from(byte).to_string()
            }
            other => format!("%{other:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_survives_a_query_string() {
        assert_eq!(
            percent_encoded("a{b=~\"c+ d\"}[5m]"),
            "a%7Bb%3D~%22c%2B%20d%22%7D%5B5m%5D"
        );
    }

    #[test]
    fn a_sample_is_read_with_its_labels_and_odd_values() {
        let element = json!({"metric": {"le": "0.5"}, "value": [1.5, "NaN"]});
        let read = sample(&element).unwrap();
        assert!(read.labels["le"] == "0.5" && read.value.is_nan());
        assert_eq!(value_of(&json!([0, "+Inf"])), Some(f64::INFINITY));
        assert_eq!(sample(&json!({"metric": {}, "value": [1.5]})), None);
    }

    #[test]
    fn the_committed_configuration_is_taken_at_a_tests_pace() {
        let config = faster(&dashboard::grafana("prometheus/prometheus.yml")).unwrap();
        assert_eq!(config["global"]["scrape_interval"], "1s");
        let rules = Path::new(config["rule_files"][0].as_str().unwrap());
        assert!(rules.is_absolute() && rules.is_file(), "{config}");
    }
}
