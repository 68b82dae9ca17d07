//! One of several controllers.

use super::Members;
use crate::api::Api;
use crate::error::LabError;
use crate::load::usage::Usage;
use crate::loopback::{Addresses, Loopback};
use std::thread;
use std::time::{Duration, Instant};

/// How long one port may take.
const ONE: Duration = Duration::from_secs(60);

/// A controller, which may be running or not.
#[derive(Debug)]
pub(super) struct SharingController {
    pub(super) api: Option<Api>,
    pub(super) controller: Loopback,
}

impl SharingController {
    pub(super) fn new(
        number: usize,
        addresses: Addresses,
        etcd: &Members,
        settle_after: u16,
    ) -> Result<Self, LabError> {
        const KINDS: [&str; 4] = ["network", "subnet", "port", "router"];
        let limits = KINDS.map(|kind| format!("quota_{kind} = -1\n")).concat();
        let endpoints = etcd.endpoints();
        let configuration = format!(
            "[store]\nkind = \"etcd\"\nendpoints = {endpoints:?}\n\n\
             [controllers]\nname = \"controller{number}\"\nsettle_after = {settle_after}\n\n\
             [quotas]\n{limits}"
        );
        Ok(Self {
            api: None,
            controller: Loopback::at(addresses, &configuration)?,
        })
    }

    pub(super) fn start(&mut self) -> Result<(), LabError> {
        self.controller.start_again()?;
        self.api = Some(self.controller.api()?);
        Ok(())
    }

    pub(super) fn stop(&mut self) {
        self.api = None;
        self.controller.kill();
    }

    pub(super) fn api(&self) -> Result<&Api, LabError> {
        let api = self.api.as_ref();
        api.ok_or_else(|| LabError::unexpected("the running controller", "stopped"))
    }

    /// The value after this beginning of a line of the metrics; 0 without one.
    pub(super) fn metric(&self, line: &str) -> Result<usize, LabError> {
        let page = format!("http://{}/metrics", self.controller.addresses().metrics);
        let text = self.api()?.text(&page)?;
        let value = text.lines().find_map(|found| found.strip_prefix(line));
        Ok(value.and_then(|count| count.parse().ok()).unwrap_or(0))
    }

    /// None if it does not run.
    pub(super) fn usage(&self) -> Result<Option<Usage>, LabError> {
        self.api
            .as_ref()
            .map(|_| self.controller.usage())
            .transpose()
    }
}

/// How long it took since until a port was `ACTIVE` at this API.
pub(super) fn wait_active(api: &Api, id: &str, begun: Instant) -> Result<Duration, LabError> {
    let path = format!("/v2.0/ports/{id}?fields=status");
    loop {
        let (_, body) = api.get(&path)?;
        if body["port"]["status"] == "ACTIVE" {
            return Ok(begun.elapsed());
        }
        if begun.elapsed() > ONE {
            return Err(LabError::unexpected("a port that was plugged in", body));
        }
        thread::sleep(Duration::from_millis(1));
    }
}
