//! Requests recorded from a real Neutron, sent to Sextant in their order: status, error and body must be the same, but for
//! the differences listed in `replay/differences.rs`, each with its reason.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod api;
#[path = "replay/differences.rs"]
mod differences;
#[path = "replay/extensions.rs"]
mod extensions;

use api::{Answer, Cloud};
use axum::http::{Method, Request};
use differences::{Difference, of};
use serde_json::{Map, Value, json};
use sextant_model::{Counted, DefaultQuotas, MacAddr, Settings};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv6Addr};

/// One recorded request with its answer.
struct Recorded {
    label: String,
    method: Method,
    path: String,
    accept: String,
    body: Value,
    status: u16,
    answer: Value,
}

fn recorded(file: &str) -> Vec<Recorded> {
    let path = format!(
        "{}/tests/neutron_api/{file}.json",
        env!("CARGO_MANIFEST_DIR")
    );
    let entries: Vec<Value> =
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let entry = |entry: &Value| Recorded {
        label: text(&entry["label"]),
        method: text(&entry["request"]["method"]).parse().unwrap(),
        path: text(&entry["request"]["path"]),
        accept: text(&entry["request"]["headers"]["Accept"]),
        body: entry["request"]["body"].clone(),
        status: u16::try_from(entry["response"]["status"].as_u64().unwrap()).unwrap(),
        answer: entry["response"]["body"].clone(),
    };
    entries.iter().map(entry).collect()
}

/// Replays files against a cloud of their own and returns what is different from what was recorded.
async fn replay(files: &[&str]) -> Vec<String> {
    // Neutron was configured for tunnels over IPv4, whose headers are shorter by 20 octets, and with prefix delegation.
    let settings = Settings {
        underlay_mtu: 1520,
        ipv6_pd_enabled: true,
        quotas: recorded_quotas(),
        ..Settings::default()
    };
    let cloud = Cloud::with(settings);
    left_from_before(&cloud, files).await;
    let mut matcher = Matcher::default();
    let mut complaints = Vec::new();
    for file in files {
        let entries = recorded(file);
        for entry in &entries {
            complaints.extend(replay_one(&cloud, &mut matcher, file, entry).await);
        }
        let unused = differences::labels(file)
            .filter(|label| !entries.iter().any(|entry| entry.label == *label));
        complaints.extend(unused.map(|label| format!("{label}: no such request")));
    }
    complaints
}

/// As the Neutron that was recorded was configured.
fn recorded_quotas() -> DefaultQuotas {
    let defaults = DefaultQuotas::default();
    DefaultQuotas::new(|kind| match kind {
        Counted::Network | Counted::Router => Some(1000),
        Counted::Subnet => Some(3000),
        Counted::Port => Some(5000),
        Counted::SubnetPool
        | Counted::SecurityGroup
        | Counted::SecurityGroupRule
        | Counted::RbacPolicy => defaults.limit(kind),
    })
}

/// Some lists were recorded with what an earlier session had left in them.
async fn left_from_before(cloud: &Cloud, files: &[&str]) {
    let project = "22222222222222222222222222222222";
    if files[0] == "07_ports" {
        let groups = format!("security-groups?project_id={project}");
        cloud.get(&groups).await.ok();
    }
    if !["01_discovery", "02_networks"].contains(&files[0]) {
        return;
    }
    cloud
        .post("networks", json!({"network": {"name": "n1"}}))
        .await
        .ok();
    let network = cloud
        .post(
            "networks",
            json!({"network": {"name": "q", "project_id": project}}),
        )
        .await
        .ok();
    let id = &network["network"]["id"];
    let subnet = json!({"network_id": id, "ip_version": 6, "cidr": "2001:db8:c1::/64"});
    cloud.post("subnets", json!({"subnet": subnet})).await.ok();
}

async fn replay_one(
    cloud: &Cloud,
    matcher: &mut Matcher,
    file: &str,
    entry: &Recorded,
) -> Vec<String> {
    let label = &entry.label;
    let difference = of(file, label);
    if difference.is_some_and(Difference::is_left_out) {
        return Vec::new();
    }
    let answer = send(cloud, matcher, entry).await;
    let found = matcher.compare(entry, &answer);
    let status = answer.status.as_u16();
    match difference {
        None => found
            .into_iter()
            .map(|found| format!("{label}: {found}"))
            .collect(),
        Some(_) if found.is_empty() => vec![format!("{label}: is no different")],
        Some(difference) if difference.answers(status, &answer.body) => Vec::new(),
        Some(_) => vec![format!(
            "{label}: neither as recorded nor as listed: {status} {}",
            answer.body
        )],
    }
}

async fn send(cloud: &Cloud, matcher: &mut Matcher, entry: &Recorded) -> Answer {
    matcher.give(&entry.body);
    let octets = match &entry.body {
        Value::Null => String::new(),
        Value::String(verbatim) => verbatim.clone(),
        Value::Array(_) | Value::Object(_) | Value::Bool(_) | Value::Number(_) => {
            matcher.translated(&entry.body).to_string()
        }
    };
    let request = Request::builder()
        .method(entry.method.clone())
        .uri(matcher.translated_text(&entry.path));
    let request = request
        .header("accept", &entry.accept)
        .header("host", "127.0.0.1:9696");
    cloud.send(request.body(octets.into()).unwrap()).await
}

/// Compares answers. What Neutron chose freely (ids, MACs, addresses of pools) it learns to translate into what Sextant
/// chose.
#[derive(Clone, Default)]
struct Matcher {
    chosen: BTreeMap<String, String>,
    /// What requests named: nothing of it is a free choice.
    given: BTreeSet<String>,
    found: Vec<String>,
}

impl Matcher {
    fn compare(&mut self, entry: &Recorded, answer: &Answer) -> Vec<String> {
        if answer.status.as_u16() == entry.status {
            self.same("", &entry.answer, &answer.body);
        } else {
            let status = answer.status.as_u16();
            self.found.push(format!(
                "{status} {}, recorded {} {}",
                answer.body, entry.status, entry.answer
            ));
        }
        std::mem::take(&mut self.found)
    }

    fn give(&mut self, value: &Value) {
        match value {
            Value::String(text) => {
                self.given.insert(text.clone());
            }
            Value::Array(items) => items.iter().for_each(|item| self.give(item)),
            Value::Object(fields) => fields.values().for_each(|value| self.give(value)),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    fn same(&mut self, at: &str, recorded: &Value, answered: &Value) {
        match (recorded, answered) {
            (Value::Object(recorded), Value::Object(answered)) => {
                self.same_fields(at, recorded, answered)
            }
            (Value::Array(recorded), Value::Array(answered)) => {
                self.same_items(at, recorded, answered)
            }
            (Value::String(recorded), Value::String(answered)) => {
                self.same_text(at, recorded, answered)
            }
            (recorded, answered) if recorded == answered => {}
            _ => self
                .found
                .push(format!("{at} is {answered}, recorded {recorded}")),
        }
    }

    fn same_fields(
        &mut self,
        at: &str,
        recorded: &Map<String, Value>,
        answered: &Map<String, Value>,
    ) {
        let names: BTreeSet<&String> = recorded.keys().chain(answered.keys()).collect();
        for name in names
            .into_iter()
            .filter(|name| !differences::is_attribute(name))
        {
            let at = format!("{at}/{name}");
            match (recorded.get(name), answered.get(name)) {
                (Some(recorded), Some(answered))
                    if differences::is_empty(name, recorded, answered) => {}
                (Some(recorded), Some(answered)) => self.same(&at, recorded, answered),
                (recorded, answered) => self
                    .found
                    .push(format!("{at} is {answered:?}, recorded {recorded:?}")),
            }
        }
    }

    /// Lists may be in the order of what was chosen freely, so their items are matched by what they are.
    fn same_items(&mut self, at: &str, recorded: &[Value], answered: &[Value]) {
        if recorded.len() != answered.len() {
            let (answered, recorded) = (Value::from(answered), Value::from(recorded));
            self.found
                .push(format!("{at} is {answered}, recorded {recorded}"));
            return;
        }
        let mut left: Vec<&Value> = answered.iter().collect();
        for recorded in recorded {
            let fits = |answered: &&Value| {
                let mut trial = Self {
                    found: Vec::new(),
                    ..self.clone()
                };
                trial.same(at, recorded, answered);
                trial.found.is_empty()
            };
            let position = left.iter().position(fits).unwrap_or(0);
            self.same(at, recorded, left.remove(position));
        }
    }

    fn same_text(&mut self, at: &str, recorded: &str, answered: &str) {
        let expected = self.translated_text(recorded);
        if expected == answered
            || is_time(recorded) && is_time(answered)
            || words(&expected) == words(answered)
        {
            return;
        }
        let taken = self.chosen.contains_key(recorded)
            || self.chosen.values().any(|chosen| chosen == answered);
        if !taken && self.is_free_choice(recorded, answered) {
            self.chosen.insert(recorded.to_owned(), answered.to_owned());
        } else if let Some((recorded, answered)) = self.named_first(&expected, answered) {
            self.chosen.insert(recorded, answered);
        } else {
            self.found
                .push(format!("{at} is {answered:?}, recorded {expected:?}"));
        }
    }

    /// The one id in which messages differ, of something that no answer has shown before.
    fn named_first(&self, recorded: &str, answered: &str) -> Option<(String, String)> {
        let (recorded, answered) = (in_order(recorded), in_order(answered));
        let mut different = recorded
            .iter()
            .zip(&answered)
            .filter(|(recorded, answered)| recorded != answered);
        let (id, other) = different.next()?;
        let one = recorded.len() == answered.len() && different.next().is_none();
        let new = !self
            .chosen
            .values()
            .any(|chosen| chosen == id || chosen == other);
        (one && new && self.is_free_choice(id, other))
            .then(|| ((*id).to_owned(), (*other).to_owned()))
    }

    fn is_free_choice(&self, recorded: &str, answered: &str) -> bool {
        let ids = is_id(recorded) && is_id(answered);
        let macs = is_made_mac(recorded) && is_made_mac(answered);
        let addresses = match (recorded.parse(), answered.parse()) {
            (Ok(IpAddr::V4(recorded)), Ok(IpAddr::V4(answered))) => {
                recorded.octets()[..3] == answered.octets()[..3]
            }
            (Ok(IpAddr::V6(recorded)), Ok(IpAddr::V6(answered))) => {
                recorded.octets()[..8] == answered.octets()[..8]
                    && mac_of(recorded).is_some() == mac_of(answered).is_some()
                    && mac_of(recorded).is_none_or(|mac| !self.given.contains(&mac.to_string()))
            }
            _ => false,
        };
        !self.given.contains(recorded) && (ids || macs || addresses)
    }

    fn translated(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => self.translated_text(text).into(),
            Value::Array(items) => items.iter().map(|item| self.translated(item)).collect(),
            Value::Object(fields) => {
                let fields = fields
                    .iter()
                    .map(|(name, value)| (name.clone(), self.translated(value)));
                Value::Object(fields.collect())
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
        }
    }

    /// Ids are within paths and messages as well; an address may be part of another, so it is translated alone only.
    fn translated_text(&self, text: &str) -> String {
        if let Some(chosen) = self.chosen.get(text) {
            return chosen.clone();
        }
        let ids = self.chosen.iter().filter(|(recorded, _)| is_id(recorded));
        ids.fold(text.to_owned(), |text, (recorded, chosen)| {
            text.replace(recorded, chosen)
        })
    }
}

fn is_id(text: &str) -> bool {
    text.len() == 36 && text.parse::<uuid::Uuid>().is_ok()
}

fn is_made_mac(text: &str) -> bool {
    text.starts_with("fa:16:3e:") && text.parse::<MacAddr>().is_ok()
}

/// The MAC of which an address is made (RFC 4291 appendix A), if it is.
fn mac_of(address: Ipv6Addr) -> Option<MacAddr> {
    let [.., a, b, c, 0xff, 0xfe, d, e, f] = address.octets() else {
        return None;
    };
    Some(MacAddr([a ^ 2, b, c, d, e, f]))
}

fn is_time(text: &str) -> bool {
    text.len() == 20 && text.ends_with('Z') && text.as_bytes()[10] == b'T'
}

/// Messages list ids in the order of ids, which were chosen freely.
fn words(text: &str) -> Vec<&str> {
    let mut words = in_order(text);
    words.sort_unstable();
    words
}

fn in_order(text: &str) -> Vec<&str> {
    let words = text.split([',', ' ', '.']);
    words.filter(|word| !word.is_empty()).collect()
}

macro_rules! replayed {
    ($($name:ident = $($file:literal),+;)*) => {$(
        #[tokio::test]
        async fn $name() {
            let complaints = replay(&[$($file),+]).await;
            assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
        }
    )*};
}

replayed! {
    discovery = "01_discovery";
    networks = "02_networks";
    the_sixteen_pairs_of_modes = "03_subnet_modes_16", "04_port_create_per_mode";
    subnets = "05_subnet_errors";
    subnet_pools = "06_subnetpools_pd";
    ports = "07_ports";
    routers = "08_routers";
    quotas = "09_quota";
}

#[tokio::test]
async fn the_extensions_of_the_page_are_those_that_are_listed() {
    let answer = Cloud::new().get("extensions").await.ok();
    let answered = answer["extensions"].as_array().unwrap().iter();
    let answered: BTreeSet<&str> = answered.filter_map(|one| one["alias"].as_str()).collect();
    let listed: BTreeSet<&str> = extensions::LISTED.iter().copied().collect();
    assert_eq!(answered, listed);
    let lacking = extensions::LACKING.iter().flat_map(|(_, aliases)| *aliases);
    let all: Vec<&str> = lacking.copied().chain(listed).collect();
    let once: BTreeSet<&&str> = all.iter().collect();
    assert_eq!(once.len(), all.len(), "an extension is named twice");
}

#[test]
fn the_page_of_differences_is_the_list_that_is_tested() {
    let path = format!(
        "{}/../docs/neutron-compatibility.md",
        env!("CARGO_MANIFEST_DIR")
    );
    if std::env::var_os("SEXTANT_UPDATE_DOCS").is_some() {
        std::fs::write(&path, whole_page()).unwrap();
    }
    let page = std::fs::read_to_string(&path).unwrap();
    assert!(
        page == whole_page(),
        "run with SEXTANT_UPDATE_DOCS=1 to write {path}"
    );
}

fn whole_page() -> String {
    differences::page() + &extensions::section()
}
