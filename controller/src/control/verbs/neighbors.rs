//! `sextant neighbors`: next hops and hosts on external networks.

use crate::control::table::{or_dash, table};
use crate::control::{Give, OperatorView, Verb, VerbError};
use crate::neighbors::Neighbor;
use clap::{Args, Subcommand};
use serde::{Deserialize, Serialize};
use sextant_model::{MacAddr, NetworkId};
use std::net::IpAddr;

/// Options of `neighbors`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Args, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NeighborsVerb {
    /// Do this instead of showing them.
    #[command(subcommand)]
    pub action: Option<NeighborsAction>,
}

/// An action.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Subcommand, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NeighborsAction {
    /// Have every hypervisor forget what it learned of them, and ask again.
    Flush,
}

/// A neighbour.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NeighborRow {
    /// The hypervisor that knows it.
    pub chassis: String,
    /// The external network.
    pub network_id: NetworkId,
    /// [`Neighbor::address`].
    pub address: IpAddr,
    /// [`Neighbor::mac`].
    pub mac: Option<MacAddr>,
    /// [`Neighbor::state`].
    pub state: String,
    /// [`Neighbor::is_default_router`].
    pub default_router: bool,
}

impl Verb for NeighborsVerb {
    type Row = NeighborRow;

    fn answer(&self, known: &OperatorView, give: Give<'_, NeighborRow>) -> Result<(), VerbError> {
        if let Some(NeighborsAction::Flush) = self.action {
            tracing::info!("neighbors on external networks are forgotten and solicited again");
            known.neighbors.flush();
            return Ok(());
        }
        for ((chassis, network_id), neighbors) in known.neighbors.all() {
            for neighbor in neighbors {
                give(NeighborRow::new(chassis.to_string(), network_id, neighbor))?;
            }
        }
        Ok(())
    }

    fn only_reads(&self) -> bool {
        self.action.is_none()
    }

    fn show(&self, rows: &[NeighborRow]) -> String {
        if self.action.is_some() {
            return String::new();
        }
        let head = ["HYPERVISOR", "NETWORK", "ADDRESS", "MAC", "STATE", "ROUTER"];
        table(head, rows.iter().map(NeighborRow::cells))
    }
}

impl NeighborRow {
    fn new(chassis: String, network_id: NetworkId, neighbor: Neighbor) -> Self {
        Self {
            chassis,
            network_id,
            address: neighbor.address,
            mac: neighbor.mac,
            state: neighbor.state.to_owned(),
            default_router: neighbor.is_default_router,
        }
    }

    fn cells(&self) -> [String; 6] {
        [
            self.chassis.clone(),
            self.network_id.to_string(),
            self.address.to_string(),
            or_dash(self.mac),
            self.state.clone(),
            or_dash(self.default_router.then_some("default")),
        ]
    }
}
