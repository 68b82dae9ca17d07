//! The networks that many played hypervisors have ports of.

use super::clients::create_for;
use super::simulator::Simulator;
use crate::api::Api;
use crate::cloud::{Network, SubnetSpec};
use crate::error::LabError;
use serde_json::json;

/// How many ports are made with one request.
const CHUNK: usize = 250;

/// How many of what.
#[derive(Clone, Copy, Debug)]
pub struct Dimensions {
    /// Hypervisors.
    pub hypervisors: usize,
    /// Guests' ports.
    pub ports: usize,
    /// Ports of a network.
    pub network: usize,
    /// Hypervisors that a network's ports are on.
    pub spread: usize,
    /// Ports of one more network, which are on all hypervisors.
    pub large_network: usize,
    /// Whether all is one project's. Its default security group has all ports then, and each hypervisor knows all of them.
    pub one_project: bool,
}

/// Networks, whose ports are plugged in.
#[derive(Debug)]
pub(super) struct Networks {
    /// Each with its project.
    networks: Vec<(Network, String)>,
    /// How many ports they have.
    pub(super) ports: usize,
}

impl Networks {
    /// Makes networks and ports, and plugs the ports in.
    pub(super) fn make(
        api: &Api,
        simulator: &Simulator,
        dimensions: &Dimensions,
    ) -> Result<Self, LabError> {
        let mut networks = Self {
            networks: vec![],
            ports: 0,
        };
        let mut first = 0;
        while networks.ports < dimensions.ports {
            let count = dimensions.network.min(dimensions.ports - networks.ports);
            let project = networks.project(dimensions);
            let ids = networks.add(api, &project, count)?;
            plug(simulator, &ids, first, dimensions.spread);
            first += dimensions.spread;
        }
        if dimensions.large_network > 0 {
            let project = networks.project(dimensions);
            let ids = networks.add(api, &project, dimensions.large_network)?;
            plug(simulator, &ids, 0, dimensions.hypervisors);
        }
        Ok(networks)
    }

    /// One of them, with its project, by a number that goes round.
    pub(super) fn of(&self, number: usize) -> (&Network, &str) {
        let (network, project) = &self.networks[number % self.networks.len()];
        (network, project)
    }

    fn project(&self, dimensions: &Dimensions) -> String {
        let number = self.networks.len();
        format!("project{}", if dimensions.one_project { 0 } else { number })
    }

    /// A network with a subnet, a router and so many ports, whose ids are returned.
    fn add(&mut self, api: &Api, project: &str, ports: usize) -> Result<Vec<String>, LabError> {
        let number = self.networks.len();
        let name = format!("fleet{number}");
        let network = api.create_network_with(&name, json!({ "project_id": project }))?;
        let cidr = format!("2001:db8:{:x}:{:x}::/64", number >> 16, number & 0xffff);
        let subnet = SubnetSpec::with_mode(&cidr, "dhcpv6-stateful");
        let subnet = api.create_subnet(&network, &subnet)?;
        let router = api.create_router(&name)?;
        api.add_interface(&router, &subnet)?;
        let mut ids = Vec::new();
        while ids.len() < ports {
            let count = CHUNK.min(ports - ids.len());
            let made = create_for(api, &network, project, count)?;
            ids.extend(
                made.iter()
                    .filter_map(|port| port["id"].as_str().map(str::to_owned)),
            );
        }
        self.networks.push((network, project.to_owned()));
        self.ports += ports;
        Ok(ids)
    }
}

/// Plugs ports in, in turns on `spread` hypervisors from the `first` on.
fn plug(simulator: &Simulator, ids: &[String], first: usize, spread: usize) {
    let hypervisors = simulator.hypervisors();
    let spread = spread.clamp(1, hypervisors);
    for offset in 0..spread {
        let here = ids.iter().skip(offset).step_by(spread).cloned().collect();
        simulator.plug((first + offset) % hypervisors, here);
    }
}
