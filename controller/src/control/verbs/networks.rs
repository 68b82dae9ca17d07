//! `sextant networks`: each network on a line, with its subnets and how much of it there is.

use super::chassis_id;
use crate::control::table::{all_or_dash, given_or_dash, table};
use crate::control::{Give, OperatorView, Verb, VerbError};
use crate::snapshot::Snapshot;
use clap::Args;
use serde::{Deserialize, Serialize};
use sextant_model::{ChassisId, Network, NetworkId, RouterId, Subnet, SubnetId};
use std::cmp::Reverse;
use std::collections::BTreeSet;

/// Options of `networks`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Args, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NetworksVerb {
    /// Only this network.
    #[arg(long, value_name = "UUID")]
    pub network: Option<NetworkId>,
    /// Only external networks, or only the others.
    #[arg(long, value_name = "BOOL")]
    pub external: Option<bool>,
    /// Only networks with guests on this hypervisor (its system-id).
    #[arg(long, value_name = "NAME", value_parser = chassis_id)]
    pub chassis: Option<ChassisId>,
    /// At most so many.
    #[arg(long, value_name = "COUNT")]
    pub limit: Option<usize>,
    /// Those with most ports first, instead of in the order of ids.
    #[arg(long)]
    pub busiest: bool,
    /// Only those after this one, in the order of ids.
    #[arg(long, value_name = "UUID")]
    pub after: Option<NetworkId>,
}

/// A network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkRow {
    /// Its id.
    pub network_id: NetworkId,
    /// Its name.
    pub name: String,
    /// Whose it is.
    pub project_id: String,
    /// How it travels: `vxlan 1001`, `vlan 100 on physnet1`, ….
    pub kind: String,
    /// Whether it is external.
    pub external: bool,
    /// Whether it is enabled.
    pub enabled: bool,
    /// Its subnets.
    pub subnets: Vec<SubnetSummary>,
    /// The routers that it is attached to.
    pub routers: Vec<RouterId>,
    /// How many ports it has, those of routers included.
    pub ports: usize,
    /// How many ports of guests are plugged in.
    pub plugged: usize,
    /// How many of these have confirmed flows.
    pub active: usize,
    /// How many hypervisors have guests of it.
    pub hypervisors: usize,
}

/// A subnet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubnetSummary {
    /// Its id.
    pub subnet_id: SubnetId,
    /// Its prefix. `None`: it waits for a delegated one.
    pub cidr: Option<String>,
    /// How guests get their addresses: `slaac`, `dhcpv6-stateful`, `dhcpv6-stateless`, `dhcp` or `none`.
    pub mode: String,
}

impl Verb for NetworksVerb {
    type Row = NetworkRow;

    fn answer(&self, known: &OperatorView, give: Give<'_, NetworkRow>) -> Result<(), VerbError> {
        let snapshot = known.snapshots.latest();
        let here: Option<BTreeSet<NetworkId>> = self
            .chassis
            .as_ref()
            .map(|chassis| snapshot.facts.networks_on(chassis).collect());
        let intent = &snapshot.intent;
        let mut networks: Vec<&Network> = intent
            .networks
            .values()
            .map(|network| &**network)
            .filter(|network| self.means(network))
            .filter(|network| here.as_ref().is_none_or(|here| here.contains(&network.id)))
            .collect();
        if self.busiest {
            networks.sort_by_cached_key(|network| Reverse(intent.ports_of(network.id).count()));
        }
        networks
            .into_iter()
            .take(self.limit.unwrap_or(usize::MAX))
            .try_for_each(|network| give(row(&snapshot, network)))
    }

    fn show(&self, rows: &[NetworkRow]) -> String {
        if rows.is_empty() {
            return "no such networks\n".to_owned();
        }
        let head = [
            "NETWORK",
            "NAME",
            "KIND",
            "SUBNETS",
            "ROUTERS",
            "PORTS",
            "PLUGGED IN",
            "ACTIVE",
            "HYPERVISORS",
        ];
        table(head, rows.iter().map(NetworkRow::cells))
    }
}

impl NetworksVerb {
    /// Whether a network is one of those that are asked for, wherever its guests are.
    fn means(&self, network: &Network) -> bool {
        self.network.is_none_or(|only| only == network.id)
            && self
                .external
                .is_none_or(|external| external == network.external)
            && self.after.is_none_or(|after| network.id > after)
    }
}

fn row(snapshot: &Snapshot, network: &Network) -> NetworkRow {
    let (intent, facts, id) = (&snapshot.intent, &snapshot.facts, network.id);
    let bound: Vec<_> = intent
        .ports_of(id)
        .filter(|port| !port.is_of_router() && facts.binding(port.id).is_some())
        .collect();
    let active = bound
        .iter()
        .filter(|port| facts.active().contains(&port.id));
    let routers: BTreeSet<RouterId> = intent
        .router_ports_of(id)
        .chain(intent.gateway_ports_of(id))
        .filter_map(|port| port.device_id.parse().ok())
        .collect();
    NetworkRow {
        network_id: id,
        name: network.meta.name.clone(),
        project_id: network.meta.project_id.clone(),
        kind: kind(network),
        external: network.external,
        enabled: network.admin_state_up,
        subnets: intent
            .subnets_of(id)
            .map(|subnet| summary(subnet))
            .collect(),
        routers: routers.into_iter().collect(),
        ports: intent.ports_of(id).count(),
        active: active.count(),
        plugged: bound.len(),
        hypervisors: facts.count_chassis_with(id),
    }
}

fn kind(network: &Network) -> String {
    let mut kind = network.network_type.as_str().to_owned();
    if let Some(number) = network.segmentation_id {
        kind += &format!(" {number}");
    }
    if let Some(physical) = &network.physical_network {
        kind += &format!(" on {physical}");
    }
    kind
}

fn summary(subnet: &Subnet) -> SubnetSummary {
    SubnetSummary {
        subnet_id: subnet.id,
        cidr: (!subnet.awaits_prefix()).then(|| subnet.cidr.to_string()),
        mode: mode(subnet).to_owned(),
    }
}

/// How guests get their addresses.
pub(super) fn mode(subnet: &Subnet) -> &'static str {
    match subnet.ipv6_address_mode {
        _ if !subnet.enable_dhcp => "none",
        Some(mode) => mode.as_str(),
        None if subnet.cidr.network().is_ipv4() => "dhcp",
        None => "none",
    }
}

impl NetworkRow {
    fn cells(&self) -> [String; 9] {
        let kind = match (self.external, self.enabled) {
            (_, false) => format!("{}, DISABLED", self.kind),
            (true, true) => format!("{}, external", self.kind),
            (false, true) => self.kind.clone(),
        };
        [
            self.network_id.to_string(),
            given_or_dash(&self.name),
            kind,
            all_or_dash(self.subnets.iter().map(SubnetSummary::text)),
            self.routers.len().to_string(),
            self.ports.to_string(),
            self.plugged.to_string(),
            self.active.to_string(),
            self.hypervisors.to_string(),
        ]
    }
}

impl SubnetSummary {
    fn text(&self) -> String {
        match &self.cidr {
            Some(cidr) => format!("{cidr} ({})", self.mode),
            None => "awaits a prefix".to_owned(),
        }
    }
}
