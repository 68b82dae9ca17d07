//! Visits a controller's page as a browser does: the requests of its views, and the first view in Debian's Chromium.

use super::latency::Latencies;
use crate::api::Api;
use crate::browser::Browser;
use crate::error::LabError;
use crate::loopback::Loopback;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Tells when the first view is on the screen, in milliseconds since it was asked for.
const DRAWN: &str = "const done = arguments[0]; const look = () => { \
    const heads = [...document.querySelectorAll('h2')].map((head) => head.textContent); \
    if (!heads.includes('From the outside in')) return requestAnimationFrame(look); \
    requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now()))); }; look();";

/// Somebody who looks at the page.
#[derive(Debug)]
pub struct PageVisit<'c> {
    api: Api,
    controller: &'c Loopback,
    /// Rows to ask for: a port of the network that has most, and this network.
    port: Value,
    network: String,
}

/// How a request of the page was answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PageAnswer {
    /// The request.
    pub what: String,
    /// From the request to the whole answer.
    pub latencies: Latencies,
    /// Octets of the last answer.
    pub octets: usize,
    /// Its rows.
    pub rows: usize,
}

impl<'c> PageVisit<'c> {
    pub(super) fn new(api: Api, controller: &'c Loopback) -> Result<Self, LabError> {
        let mut visit = Self {
            api,
            controller,
            port: Value::Null,
            network: String::new(),
        };
        let networks = visit.rows(&json!({"networks": {}}))?;
        let busiest = networks.iter().max_by_key(|row| row["ports"].as_u64());
        visit.network = busiest.map_or_else(String::new, |row| text(row, "network_id"));
        let asked = json!({"ports": {"network": visit.network, "limit": 2}});
        let ports = visit.rows(&asked)?;
        let plugged = ports.iter().find(|row| row["chassis"].is_string());
        let plugged = plugged.ok_or_else(|| LabError::unexpected("a port", networks.len()))?;
        visit.port = plugged.clone();
        Ok(visit)
    }

    /// What the page's views ask for.
    fn requests(&self) -> Vec<Value> {
        let (network, chassis) = (&self.network, text(&self.port, "chassis"));
        let id = text(&self.port, "port_id");
        vec![
            json!({"status": {}}),
            json!({"hypervisors": {"wrong": true, "limit": 200}}),
            json!({"hypervisors": {"limit": 200}}),
            json!({"networks": {"external": true, "busiest": true, "limit": 15}}),
            json!({"networks": {"external": false, "busiest": true, "limit": 15}}),
            json!({"routers": {"busiest": true, "limit": 15}}),
            json!({"hypervisors": {"limit": 100}}),
            json!({"hypervisors": {"chassis": chassis}}),
            json!({"networks": {"limit": 100}}),
            json!({"networks": {"network": network}}),
            json!({"routers": {"limit": 100}}),
            json!({"routers": {"gateway": true, "limit": 100}}),
            json!({"ports": {"limit": 100}}),
            json!({"ports": {"network": network, "limit": 100}}),
            json!({"ports": {"chassis": chassis, "limit": 100}}),
            json!({"networks": {"chassis": chassis}}),
            json!({"drops": {"chassis": chassis}}),
            json!({"why": {"port": id}}),
            json!({"search": {"text": self.port["addresses"][0]}}),
            json!({"search": {"text": self.port["mac"]}}),
            json!({"search": {"text": id.get(..8)}}),
            json!({"search": {"text": "fleet"}}),
            json!({"search": {"text": "nothing of this name"}}),
            json!({"prefixes": {}}),
            json!({"neighbors": {}}),
            json!({"drops": {"limit": 500}}),
        ]
    }

    /// Asks each so many times, and tells of each.
    ///
    /// # Errors
    /// The page refuses.
    pub fn ask(&self, times: u32, tell: impl Fn(&PageAnswer)) -> Result<(), LabError> {
        for request in self.requests() {
            let mut answer = PageAnswer {
                what: request.to_string(),
                ..PageAnswer::default()
            };
            for _ in 0..times {
                let begun = Instant::now();
                let text = self.answer(&request)?;
                answer.latencies.add(begun.elapsed(), 1);
                answer.octets = text.len();
                answer.rows = text.lines().count() - 1;
            }
            tell(&answer);
        }
        Ok(())
    }

    /// How long a browser takes until the first view is drawn, so many times. It has nothing of it before.
    ///
    /// # Errors
    /// There is no browser, or it draws nothing.
    pub fn draw(&self, times: u32) -> Result<Latencies, LabError> {
        let browser = Browser::beside(&self.api, self.controller.folder())?;
        let mut latencies = Latencies::default();
        for _ in 0..times {
            browser.open("about:blank")?;
            browser.open(&format!("{}/", self.address()))?;
            let drawn = browser.script_later(DRAWN, &[])?;
            let drawn = drawn
                .as_f64()
                .ok_or_else(|| LabError::unexpected("when it is drawn", &drawn))?;
            latencies.add(Duration::from_secs_f64(drawn / 1e3), 1);
        }
        Ok(latencies)
    }

    fn address(&self) -> String {
        format!("http://{}", self.controller.addresses().page)
    }

    /// The lines of an answer that came to its end.
    fn answer(&self, request: &Value) -> Result<String, LabError> {
        let url = format!("{}/ask", self.address());
        let reply = self.api.request("POST", &url, &[], &request.to_string())?;
        match reply.status == 200 && reply.text.ends_with("\"end\"\n") {
            true => Ok(reply.text),
            false => Err(LabError::unexpected(request.to_string(), reply.text)),
        }
    }

    fn rows(&self, request: &Value) -> Result<Vec<Value>, LabError> {
        let text = self.answer(request)?;
        let lines = text.lines().map(serde_json::from_str::<Value>);
        Ok(lines
            .filter_map(Result::ok)
            .filter(|line| line.is_object())
            .map(|mut line| line["row"].take())
            .collect())
    }
}

fn text(row: &Value, key: &str) -> String {
    row[key].as_str().unwrap_or_default().to_owned()
}
