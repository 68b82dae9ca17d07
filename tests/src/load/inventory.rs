//! A cloud with many ports of many projects, and clients that do to it what Nova does at each boot and each end of a
//! server.

use super::latency::Latencies;
use super::usage::Usage;
use crate::api::Api;
use crate::cloud::{Network, SubnetSpec};
use crate::error::LabError;
use crate::loopback::Loopback;
use serde_json::{Value, json};
use std::thread;
use std::time::{Duration, Instant};

/// How many ports there are on a network, and how many one request makes.
const OF_A_NETWORK: usize = 100;
/// How many hosts have them.
const HOSTS: usize = 1000;

/// A controller with ports of its own.
#[derive(Debug)]
pub struct Inventory {
    controller: Loopback,
    api: Api,
    networks: Vec<Network>,
    ports: usize,
    /// One of the ports.
    sample: Value,
    /// Numbers the servers.
    servers: usize,
}

/// The lives of servers' ports.
#[derive(Debug, Default)]
pub struct Cycles {
    /// How long each took, from the first request to the last answer.
    pub whole: Latencies,
    /// How long the list by `device_id` took, which each begins with.
    pub lists: Latencies,
    /// How many there were.
    pub count: u32,
    /// What the controller has used for all of them.
    pub spent: Duration,
}

/// What a list has taken.
#[derive(Debug)]
pub struct Listed {
    /// How long each took.
    pub latencies: Latencies,
    /// What the controller has used for each.
    pub spent: Duration,
}

impl Cycles {
    /// Takes in others.
    pub fn merge(&mut self, other: &Self) {
        self.whole.merge(&other.whole);
        self.lists.merge(&other.lists);
        self.count += other.count;
        self.spent += other.spent;
    }
}

impl Inventory {
    /// Starts a controller and makes so many ports, 100 on each network, a project a network.
    ///
    /// # Errors
    /// What failed on the way.
    pub fn start(ports: usize) -> Result<Self, LabError> {
        let controller = Loopback::without_quotas()?;
        let api = controller.api()?;
        let mut inventory = Self {
            controller,
            api,
            networks: Vec::new(),
            ports: 0,
            sample: Value::Null,
            servers: 0,
        };
        while inventory.ports < ports {
            inventory.add_network(OF_A_NETWORK.min(ports - inventory.ports))?;
        }
        Ok(inventory)
    }

    fn add_network(&mut self, ports: usize) -> Result<(), LabError> {
        let number = self.networks.len();
        let owner = json!({"project_id": project(number)});
        let network = self
            .api
            .create_network_with(&format!("net{number}"), owner)?;
        let cidr = format!("2001:db8:{number:x}::/64");
        let subnet = SubnetSpec::with_mode(&cidr, "dhcpv6-stateful");
        self.api.create_subnet(&network, &subnet)?;
        let first = self.ports;
        let ports: Vec<Value> = (first..first + ports)
            .map(|n| {
                json!({
                    "network_id": network.id,
                    "project_id": project(number),
                    "name": format!("port{n}"),
                    "device_id": device(n),
                    "device_owner": "compute:nova",
                    "binding:host_id": host(n),
                })
            })
            .collect();
        self.ports += ports.len();
        let made = self.post("/v2.0/ports", &json!({ "ports": ports }))?;
        self.sample = made["ports"][0].clone();
        self.networks.push(network);
        Ok(())
    }

    fn post(&self, path: &str, body: &Value) -> Result<Value, LabError> {
        expect(201, self.api.post(path, body)?)
    }

    /// So many clients let servers come and go, each on a network of its own.
    ///
    /// # Errors
    /// The API has refused something, or a list was wrong.
    pub fn cycles(&mut self, clients: usize, time: Duration) -> Result<Cycles, LabError> {
        let before = self.controller()?;
        let end = Instant::now() + time;
        let apis = (0..clients)
            .map(|_| self.controller.api())
            .collect::<Result<Vec<_>, _>>()?;
        let first = self.ports + self.servers;
        let mut cycles = thread::scope(|scope| {
            let networks = self.networks.iter().enumerate().cycle();
            let running: Vec<_> = (first..)
                .zip(&apis)
                .zip(networks)
                .map(|((first, api), (number, network))| {
                    let devices = (first..).step_by(clients);
                    scope.spawn(move || until(end, api, network, &project(number), devices))
                })
                .collect();
            let mut all = Cycles::default();
            for client in running {
                let cycles = client
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
                all.merge(&cycles);
            }
            Ok::<_, LabError>(all)
        })?;
        cycles.spent = self.controller()?.processor_since(&before);
        // However unevenly the clients went on, no number comes twice.
        self.servers += clients * (cycles.count as usize + 1);
        Ok(cycles)
    }

    /// Lists by each of the filters that are usual, with the number of ports that each finds.
    #[must_use]
    pub fn filters(&self) -> Vec<(&'static str, String, usize)> {
        let network = (self.ports - 1) % OF_A_NETWORK + 1;
        // One host in `HOSTS` has each port of the same number modulo `HOSTS`.
        let first = self.ports - network;
        let on_host = self.ports.saturating_sub(first % HOSTS).div_ceil(HOSTS);
        vec![
            ("device_id", self.sampled("device_id"), 1),
            ("fixed_ips, address", self.fixed("ip_address"), 1),
            ("fixed_ips, subnet", self.fixed("subnet_id"), network),
            ("mac_address", self.sampled("mac_address"), 1),
            ("name", self.sampled("name"), 1),
            ("binding:host_id", self.sampled("binding:host_id"), on_host),
            ("project_id", self.sampled("project_id"), network),
            ("network_id", self.sampled("network_id"), network),
        ]
    }

    fn sampled(&self, name: &str) -> String {
        format!("{name}={}", self.sample[name].as_str().unwrap_or_default())
    }

    fn fixed(&self, name: &str) -> String {
        let value = self.sample["fixed_ips"][0][name].as_str();
        format!("fixed_ips={name}%3D{}", value.unwrap_or_default())
    }

    /// Reads a list so many times, and checks how many ports it has.
    ///
    /// # Errors
    /// The API has refused, or the list has another number of ports.
    pub fn list(&self, query: &str, times: u32, ports: usize) -> Result<Listed, LabError> {
        let path = format!("/v2.0/ports?{query}");
        let before = self.controller()?;
        let mut latencies = Latencies::default();
        for _ in 0..times {
            let begin = Instant::now();
            let reply = self.api.request("GET", &path, &[], "")?;
            latencies.add(begin.elapsed(), 1);
            let body = expect(200, (reply.status, reply.json()))?;
            let found = body["ports"].as_array().map_or(0, Vec::len);
            if found != ports {
                return Err(LabError::unexpected(
                    format!("the number of ports of {path}"),
                    found,
                ));
            }
        }
        let spent = self.controller()?.processor_since(&before) / times.max(1);
        Ok(Listed { latencies, spent })
    }

    /// The id of one of the ports.
    #[must_use]
    pub fn sample(&self) -> &str {
        self.sample["id"].as_str().unwrap_or_default()
    }

    /// What the controller has used so far.
    ///
    /// # Errors
    /// [`LabError::Io`] when it has ended.
    pub fn controller(&self) -> Result<Usage, LabError> {
        self.controller.usage()
    }
}

fn until(
    end: Instant,
    api: &Api,
    network: &Network,
    project: &str,
    devices: impl Iterator<Item = usize>,
) -> Result<Cycles, LabError> {
    let mut cycles = Cycles::default();
    for number in devices {
        let begin = Instant::now();
        if begin >= end {
            break;
        }
        let listed = cycle(api, network, project, number)?;
        cycles.whole.add(begin.elapsed(), 1);
        cycles.lists.add(listed, 1);
        cycles.count += 1;
    }
    Ok(cycles)
}

/// A server comes and goes. Returns how long the first list took.
fn cycle(api: &Api, network: &Network, project: &str, number: usize) -> Result<Duration, LabError> {
    let device = device(number);
    let by_device = format!("/v2.0/ports?tenant_id={project}&device_id={device}");
    let begin = Instant::now();
    let before = expect(200, api.get(&by_device)?)?;
    let listed = begin.elapsed();
    let port = json!({
        "network_id": network.id,
        "project_id": project,
        "device_id": device,
        "device_owner": "compute:nova",
    });
    let made = expect(201, api.post("/v2.0/ports", &json!({ "port": port }))?)?;
    let id = made["port"]["id"].as_str().unwrap_or_default();
    let path = format!("/v2.0/ports/{id}");
    let bound = json!({"port": {"binding:host_id": host(number)}});
    expect(200, api.put(&path, &bound)?)?;
    let after = expect(200, api.get(&by_device)?)?;
    let counts = [before, after].map(|list| list["ports"].as_array().map_or(0, Vec::len));
    if counts != [0, 1] {
        let counts = format!("{counts:?}");
        return Err(LabError::unexpected("the ports of a server", counts));
    }
    expect(204, api.delete(&path)?)?;
    Ok(listed)
}

fn expect(wanted: u16, (status, body): (u16, Value)) -> Result<Value, LabError> {
    if status == wanted {
        return Ok(body);
    }
    let answer = format!("status {status}, {body}");
    Err(LabError::unexpected("the answer of the API", answer))
}

fn project(number: usize) -> String {
    format!("{number:032x}")
}

/// As Nova names servers: a UUID.
fn device(number: usize) -> String {
    format!("5e2fe200-0000-4000-8000-{number:012x}")
}

fn host(number: usize) -> String {
    format!("compute-{:04}", number % HOSTS)
}
