//! `sextant ports`: each port on a line, with where it is and whether its flows are there.

mod leases;

pub use leases::{LeaseProtocol, PortLease};

use super::chassis_id;
use crate::clock;
use crate::control::table::{all_or_dash, given_or_dash, or_dash, table};
use crate::control::{Give, OperatorView, Verb, VerbError};
use crate::snapshot::Snapshot;
use clap::Args;
use leases::leases;
use serde::{Deserialize, Serialize};
use sextant_model::{ChassisId, MacAddr, NetworkId, Port, PortId};
use std::fmt;
use std::net::IpAddr;

/// Options of `ports`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Args, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PortsVerb {
    /// Only ports of this network.
    #[arg(long, value_name = "UUID")]
    pub network: Option<NetworkId>,
    /// Only ports that are plugged in on this hypervisor (its system-id).
    #[arg(long, value_name = "NAME", value_parser = chassis_id)]
    pub chassis: Option<ChassisId>,
    /// Only ports that are plugged in and have no confirmed flows.
    #[arg(long)]
    pub waiting: bool,
    /// At most so many.
    #[arg(long, value_name = "COUNT")]
    pub limit: Option<usize>,
    /// Only those after this one, in the order of ids.
    #[arg(long, value_name = "UUID")]
    pub after: Option<PortId>,
}

/// How far a port has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PortState {
    /// It is disabled.
    Disabled,
    /// No interface of a hypervisor is for it.
    Unplugged,
    /// It is plugged in, and its switch has not confirmed its flows.
    Waiting,
    /// Its switch has confirmed its flows.
    Active,
    /// It is a router's, which is on every hypervisor that needs it.
    Router,
}

/// A port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortRow {
    /// Its id.
    pub port_id: PortId,
    /// Its name.
    pub name: String,
    /// Whose it is.
    pub project_id: String,
    /// Its network.
    pub network_id: NetworkId,
    /// Its MAC.
    pub mac: MacAddr,
    /// Its fixed addresses.
    pub addresses: Vec<IpAddr>,
    /// What uses it: `compute:nova`, `network:router_interface`, ….
    pub device_owner: String,
    /// Who uses it: the id of a server or router.
    pub device_id: String,
    /// How far it has come.
    pub state: PortState,
    /// Where it is plugged in.
    pub chassis: Option<ChassisId>,
    /// Its OpenFlow port there.
    pub ofport: Option<u16>,
    /// What its guest leased, as far as its history says.
    pub leases: Vec<PortLease>,
}

impl fmt::Display for PortState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Disabled => "disabled",
            Self::Unplugged => "unplugged",
            Self::Waiting => "WAITING",
            Self::Active => "active",
            Self::Router => "router",
        })
    }
}

impl Verb for PortsVerb {
    type Row = PortRow;

    fn answer(&self, known: &OperatorView, give: Give<'_, PortRow>) -> Result<(), VerbError> {
        let snapshot = known.snapshots.latest();
        // Only what the narrowest option names is looked at.
        match (&self.chassis, self.network) {
            (Some(chassis), _) => {
                let here = snapshot.facts.ports_on(chassis);
                let ports = here.filter_map(|id| snapshot.intent.ports.get(&id));
                self.page(known, &snapshot, ports.map(|port| &**port), give)
            }
            (None, Some(network)) => {
                let ports = snapshot.intent.ports_of(network);
                self.page(known, &snapshot, ports.map(|port| &**port), give)
            }
            (None, None) => {
                let ports = snapshot.intent.ports.values();
                self.page(known, &snapshot, ports.map(|port| &**port), give)
            }
        }
    }

    fn show(&self, rows: &[PortRow]) -> String {
        if rows.is_empty() {
            return "no such ports\n".to_owned();
        }
        let head = [
            "PORT",
            "NAME",
            "MAC",
            "ADDRESSES",
            "STATE",
            "ON",
            "OFPORT",
            "LEASES",
        ];
        table(head, rows.iter().map(PortRow::cells))
    }
}

impl PortsVerb {
    /// Those that are meant, as many as are asked for. All sources are in the order of ids.
    fn page<'s>(
        &self,
        known: &OperatorView,
        snapshot: &Snapshot,
        ports: impl Iterator<Item = &'s Port>,
        give: Give<'_, PortRow>,
    ) -> Result<(), VerbError> {
        ports
            .filter(|port| self.after.is_none_or(|after| port.id > after))
            .filter(|port| {
                self.network
                    .is_none_or(|network| port.network_id == network)
            })
            .map(|port| row(known, snapshot, port))
            .filter(|row| !self.waiting || row.state == PortState::Waiting)
            .take(self.limit.unwrap_or(usize::MAX))
            .try_for_each(give)
    }
}

/// What is shown of a port.
fn row(known: &OperatorView, snapshot: &Snapshot, port: &Port) -> PortRow {
    let events = known.history.of(port.id);
    let binding = snapshot.facts.binding(port.id);
    PortRow {
        port_id: port.id,
        name: port.meta.name.clone(),
        project_id: port.meta.project_id.clone(),
        network_id: port.network_id,
        mac: port.mac_address,
        addresses: port.fixed_ips.iter().map(|ip| ip.ip_address).collect(),
        device_owner: port.device_owner.clone(),
        device_id: port.device_id.clone(),
        state: state(snapshot, port),
        chassis: binding.map(|binding| binding.chassis.clone()),
        ofport: binding.and_then(|binding| binding.ofport),
        leases: leases(snapshot, port, &events, clock::now()),
    }
}

fn state(snapshot: &Snapshot, port: &Port) -> PortState {
    let facts = &snapshot.facts;
    match facts.binding(port.id) {
        _ if !port.admin_state_up => PortState::Disabled,
        _ if port.is_of_router() => PortState::Router,
        None => PortState::Unplugged,
        Some(_) if facts.active().contains(&port.id) => PortState::Active,
        Some(_) => PortState::Waiting,
    }
}

impl PortRow {
    fn cells(&self) -> [String; 8] {
        [
            self.port_id.to_string(),
            given_or_dash(&self.name),
            self.mac.to_string(),
            all_or_dash(&self.addresses),
            self.state.to_string(),
            or_dash(self.chassis.as_ref()),
            or_dash(self.ofport),
            all_or_dash(self.leases.iter().map(PortLease::show)),
        ]
    }
}
