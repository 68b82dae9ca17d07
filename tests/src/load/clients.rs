//! Clients of the API of a controller that has nothing else to do: what a write and a list take.

use super::latency::Latencies;
use super::usage::Usage;
use crate::api::Api;
use crate::cloud::{Network, SubnetSpec};
use crate::error::LabError;
use crate::loopback::Loopback;
use serde_json::{Value, json};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::thread;
use std::time::{Duration, Instant};

/// How many ports one request makes where that is not measured.
const BULK: usize = 100;

/// A controller, and clients of its API.
#[derive(Debug)]
pub struct Clients {
    controller: Loopback,
    api: Api,
    network: Network,
}

impl Clients {
    /// Starts a controller and makes a network whose ports get an address from a pool.
    ///
    /// # Errors
    /// What failed on the way.
    pub fn start() -> Result<Self, LabError> {
        let controller = Loopback::without_quotas()?;
        let api = controller.api()?;
        let network = api.create_network("clients")?;
        let subnet = SubnetSpec::with_mode("2001:db8:1::/64", "dhcpv6-stateful");
        api.create_subnet(&network, &subnet)?;
        Ok(Self {
            controller,
            api,
            network,
        })
    }

    /// What one write of a few pages takes to be durable on the controller's disk, without a
    /// controller: no write of the API can be faster.
    ///
    /// # Errors
    /// [`LabError::Io`].
    pub fn disk(&self, times: u64) -> Result<Latencies, LabError> {
        const PAGES: usize = 12 << 10;
        let path = self.controller.folder().join("disk");
        let what = format!("write {}", path.display());
        let file = File::create(&path).map_err(LabError::io(&what))?;
        let mut latencies = Latencies::default();
        for n in 0..times {
            let begin = Instant::now();
            file.write_all_at(&[0x5a; PAGES], n % 16 * PAGES as u64)
                .map_err(LabError::io(&what))?;
            file.sync_data().map_err(LabError::io(&what))?;
            latencies.add(begin.elapsed(), 1);
        }
        Ok(latencies)
    }

    /// Makes ports, each when the one before has been answered.
    ///
    /// # Errors
    /// The API has refused one.
    pub fn one_by_one(&self, count: usize) -> Result<Latencies, LabError> {
        let mut latencies = Latencies::default();
        for _ in 0..count {
            let begin = Instant::now();
            create(&self.api, &self.network, 1)?;
            latencies.add(begin.elapsed(), 1);
        }
        Ok(latencies)
    }

    /// So many clients make ports at once. How many a second, and how long each took.
    ///
    /// # Errors
    /// The API has refused one.
    pub fn at_once(&self, clients: usize, time: Duration) -> Result<(f64, Latencies), LabError> {
        let apis = (0..clients)
            .map(|_| self.controller.api())
            .collect::<Result<Vec<_>, _>>()?;
        let begin = Instant::now();
        let end = begin + time;
        let total = thread::scope(|scope| {
            let running: Vec<_> = apis
                .iter()
                .map(|api| scope.spawn(move || until(end, api, &self.network)))
                .collect();
            let mut total = (0, Latencies::default());
            for client in running {
                let (count, latencies) = client
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
                total.0 += count;
                total.1.merge(&latencies);
            }
            Ok::<_, LabError>(total)
        })?;
        let (count, latencies) = total;
        Ok((f64::from(count) / begin.elapsed().as_secs_f64(), latencies))
    }

    /// Sees to it that there are so many ports, neither more nor less.
    ///
    /// # Errors
    /// The API has refused something.
    pub fn fill(&self, ports: usize) -> Result<(), LabError> {
        let (_, body) = self.api.get("/v2.0/ports?fields=id")?;
        let ids: Vec<&str> = items(&body)
            .filter_map(|port| port["id"].as_str())
            .collect();
        for id in ids.iter().skip(ports) {
            self.api.delete_object("ports", id)?;
        }
        let mut missing = ports.saturating_sub(ids.len());
        while missing > 0 {
            let count = missing.min(BULK);
            create(&self.api, &self.network, count)?;
            missing -= count;
        }
        Ok(())
    }

    /// Reads the list of all ports so many times, whole.
    ///
    /// # Errors
    /// The API has refused, or there are not so many ports.
    pub fn list(&self, times: usize, ports: usize) -> Result<Latencies, LabError> {
        let mut latencies = Latencies::default();
        for _ in 0..times {
            let begin = Instant::now();
            let reply = self.api.request("GET", "/v2.0/ports", &[], "")?;
            latencies.add(begin.elapsed(), 1);
            let found = items(&reply.json()).count();
            if found != ports {
                return Err(LabError::unexpected("the number of ports", found));
            }
        }
        Ok(latencies)
    }

    /// Reads the list of all ports so many times, a page after the other. How long a page took.
    ///
    /// # Errors
    /// The API has refused, or the pages do not have so many ports together.
    pub fn pages(&self, times: usize, size: usize, ports: usize) -> Result<Latencies, LabError> {
        let mut latencies = Latencies::default();
        for _ in 0..times {
            let mut next = Some(format!("/v2.0/ports?limit={size}"));
            let mut found = 0;
            while let Some(page) = next {
                let begin = Instant::now();
                let reply = self.api.request("GET", &page, &[], "")?;
                latencies.add(begin.elapsed(), 1);
                let body = reply.json();
                found += items(&body).count();
                next = link_to_next(&body);
            }
            if found != ports {
                return Err(LabError::unexpected("the number of ports", found));
            }
        }
        Ok(latencies)
    }

    /// What the controller has used so far.
    ///
    /// # Errors
    /// [`LabError::Io`] when it has ended.
    pub fn controller(&self) -> Result<Usage, LabError> {
        self.controller.usage()
    }
}

fn until(end: Instant, api: &Api, network: &Network) -> Result<(u32, Latencies), LabError> {
    let (mut count, mut latencies) = (0, Latencies::default());
    loop {
        let begin = Instant::now();
        if begin >= end {
            return Ok((count, latencies));
        }
        create(api, network, 1)?;
        latencies.add(begin.elapsed(), 1);
        count += 1;
    }
}

/// Makes ports with one request, and returns them.
pub(super) fn create(api: &Api, network: &Network, count: usize) -> Result<Vec<Value>, LabError> {
    post(api, &json!({"network_id": network.id}), count)
}

/// The same for a project.
pub(super) fn create_for(
    api: &Api,
    network: &Network,
    project: &str,
    count: usize,
) -> Result<Vec<Value>, LabError> {
    post(
        api,
        &json!({"network_id": network.id, "project_id": project}),
        count,
    )
}

fn post(api: &Api, port: &Value, count: usize) -> Result<Vec<Value>, LabError> {
    let wanted = match count {
        1 => json!({ "port": port }),
        _ => json!({ "ports": vec![port; count] }),
    };
    let (status, mut body) = api.post("/v2.0/ports", &wanted)?;
    if status != 201 {
        let what = "the answer to create port";
        return Err(LabError::unexpected(
            what,
            format!("status {status}, {body}"),
        ));
    }
    match body["ports"].as_array_mut() {
        Some(ports) => Ok(std::mem::take(ports)),
        None => Ok(vec![body["port"].take()]),
    }
}

fn items(body: &Value) -> impl Iterator<Item = &Value> {
    body["ports"].as_array().into_iter().flatten()
}

fn link_to_next(body: &Value) -> Option<String> {
    let links = body["ports_links"].as_array()?;
    let next = links.iter().find(|link| link["rel"] == "next")?;
    next["href"].as_str().map(str::to_owned)
}
