//! `sextant hypervisors`: each hypervisor on a line, with what is wrong of it.

use super::chassis_id;
use crate::control::table::{all_or_dash, or_dash, table};
use crate::control::{Give, OperatorView, Verb, VerbError};
use crate::snapshot::Snapshot;
use clap::Args;
use serde::{Deserialize, Serialize};
use sextant_model::{Chassis, ChassisId};
use std::fmt;
use std::net::IpAddr;

/// Options of `hypervisors`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Args, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HypervisorsVerb {
    /// Only this hypervisor (its system-id).
    #[arg(long, value_name = "NAME", value_parser = chassis_id)]
    pub chassis: Option<ChassisId>,
    /// Only those of which something is wrong.
    #[arg(long)]
    pub wrong: bool,
    /// At most so many.
    #[arg(long, value_name = "COUNT")]
    pub limit: Option<usize>,
    /// Only those after this one, in the order of names.
    #[arg(long, value_name = "NAME", value_parser = chassis_id)]
    pub after: Option<ChassisId>,
}

/// How a hypervisor is connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConnectedParts {
    /// Its database and its switch are.
    Both,
    /// Its switch is not.
    DatabaseOnly,
    /// Its database is not.
    SwitchOnly,
    /// Neither is, to this controller. Another one owns it.
    Elsewhere,
    /// Neither is, to any controller that is known.
    Gone,
}

/// A hypervisor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HypervisorRow {
    /// Its `system-id`.
    pub chassis: ChassisId,
    /// How it is connected.
    pub connected: ConnectedParts,
    /// The controller that owns it, where there are several.
    pub owner: Option<String>,
    /// The tunnel protocol that its peers use.
    pub encap: String,
    /// Its tunnel endpoints.
    pub endpoints: Vec<IpAddr>,
    /// How many ports of guests are plugged in there.
    pub ports: usize,
    /// How many of them have confirmed flows.
    pub active: usize,
    /// How many routers have their gateway there.
    pub gateways: usize,
    /// The physical networks that it is on.
    pub physical_networks: Vec<String>,
    /// The hypervisors that it hears nothing of through their tunnel.
    pub silent_tunnels: Vec<ChassisId>,
    /// How many flows its switch refuses.
    pub refused_flows: usize,
}

impl fmt::Display for ConnectedParts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Both => "yes",
            Self::DatabaseOnly => "NO SWITCH",
            Self::SwitchOnly => "NO DATABASE",
            Self::Elsewhere => "elsewhere",
            Self::Gone => "GONE",
        })
    }
}

impl Verb for HypervisorsVerb {
    type Row = HypervisorRow;

    fn answer(&self, known: &OperatorView, give: Give<'_, HypervisorRow>) -> Result<(), VerbError> {
        let snapshot = known.snapshots.latest();
        let all = snapshot.facts.chassis().values();
        all.filter(|chassis| self.chassis.as_ref().is_none_or(|only| *only == chassis.id))
            .filter(|chassis| self.after.as_ref().is_none_or(|after| chassis.id > *after))
            .map(|chassis| row(known, &snapshot, chassis))
            .filter(|row| !self.wrong || row.is_wrong())
            .take(self.limit.unwrap_or(usize::MAX))
            .try_for_each(give)
    }

    fn show(&self, rows: &[HypervisorRow]) -> String {
        if rows.is_empty() {
            return match *self == Self::default() {
                true => "no hypervisor has joined: docs/guides/hypervisors.md\n".to_owned(),
                false => "no such hypervisors\n".to_owned(),
            };
        }
        let head = [
            "HYPERVISOR",
            "CONNECTED",
            "OWNER",
            "ENCAP",
            "ENDPOINTS",
            "PORTS",
            "ACTIVE",
            "GATEWAYS",
            "PHYSICAL NETWORKS",
            "WRONG",
        ];
        table(head, rows.iter().map(HypervisorRow::cells))
    }
}

fn row(known: &OperatorView, snapshot: &Snapshot, chassis: &Chassis) -> HypervisorRow {
    let (id, facts) = (&chassis.id, &snapshot.facts);
    let ports: Vec<_> = facts.ports_on(id).collect();
    let active = ports.iter().filter(|port| facts.active().contains(*port));
    let shortfall = facts.shortfall(id);
    HypervisorRow {
        chassis: id.clone(),
        connected: connected(known, snapshot, chassis),
        owner: facts
            .owners()
            .get(id)
            .map(|owner| owner.controller.to_string()),
        encap: chassis.encap.kind.to_string(),
        endpoints: chassis.encap.endpoints.addresses().collect(),
        active: active.count(),
        ports: ports.len(),
        gateways: facts.gateways_on(id).count(),
        physical_networks: chassis.bridge_mappings.keys().cloned().collect(),
        silent_tunnels: facts.unheard(id).cloned().collect(),
        refused_flows: shortfall.map_or(0, |shortfall| shortfall.flows.len()),
    }
}

fn connected(known: &OperatorView, snapshot: &Snapshot, chassis: &Chassis) -> ConnectedParts {
    let id = &chassis.id;
    match (known.databases.is_taken(id), known.switches.is_taken(id)) {
        (true, true) => ConnectedParts::Both,
        (true, false) if chassis.observed => ConnectedParts::DatabaseOnly,
        (false, true) => ConnectedParts::SwitchOnly,
        _ if snapshot.facts.gone().contains(id) => ConnectedParts::Gone,
        _ if !chassis.observed && snapshot.facts.owners().contains_key(id) => {
            ConnectedParts::Elsewhere
        }
        _ => ConnectedParts::Gone,
    }
}

impl HypervisorRow {
    fn cells(&self) -> [String; 10] {
        [
            self.chassis.to_string(),
            self.connected.to_string(),
            or_dash(self.owner.as_ref()),
            self.encap.clone(),
            all_or_dash(&self.endpoints),
            self.ports.to_string(),
            self.active.to_string(),
            self.gateways.to_string(),
            all_or_dash(&self.physical_networks),
            all_or_dash(self.wrong()),
        ]
    }

    /// Whether it needs somebody.
    fn is_wrong(&self) -> bool {
        let connected = matches!(
            self.connected,
            ConnectedParts::Both | ConnectedParts::Elsewhere
        );
        !connected || !self.wrong().is_empty()
    }

    /// What is wrong of it, besides its connections.
    fn wrong(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        if self.active < self.ports {
            wrong.push(format!("{} ports without flows", self.ports - self.active));
        }
        if self.refused_flows > 0 {
            wrong.push(format!("refuses {} flows", self.refused_flows));
        }
        if !self.silent_tunnels.is_empty() {
            let peers = all_or_dash(&self.silent_tunnels);
            wrong.push(format!("hears nothing of {peers}"));
        }
        wrong
    }
}
