//! `sextant drops`: how many packets no flow of each table took, by hypervisor.

use super::chassis_id;
use super::flows::stage_asks;
use crate::control::table::table;
use crate::control::{Give, OperatorView, Verb, VerbError};
use clap::Args;
use serde::{Deserialize, Serialize};
use sextant_model::ChassisId;
use std::cmp::Reverse;

/// Options of `drops`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Args, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DropsVerb {
    /// Only this hypervisor (its system-id). Default: all.
    #[arg(long, value_name = "NAME", value_parser = chassis_id)]
    pub chassis: Option<ChassisId>,
    /// At most so many, of those with most packets.
    #[arg(long, value_name = "COUNT")]
    pub limit: Option<usize>,
}

/// The packets that were dropped in a table because no flow matched them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DropRow {
    /// The hypervisor.
    pub chassis: ChassisId,
    /// The table's name.
    pub stage: String,
    /// What the table decides.
    pub asks: String,
    /// How many, since Sextant first read the switch's counters.
    pub packets: u64,
}

impl Verb for DropsVerb {
    type Row = DropRow;

    fn answer(&self, known: &OperatorView, give: Give<'_, DropRow>) -> Result<(), VerbError> {
        let counted = known.metrics.packets_dropped.values();
        let mut rows: Vec<DropRow> = counted
            .into_iter()
            .map(|((chassis, stage), packets)| DropRow {
                chassis: ChassisId::new(&chassis),
                asks: stage_asks(&stage).to_owned(),
                stage,
                packets: u64::try_from(packets).unwrap_or(0),
            })
            .filter(|row| row.packets > 0)
            .filter(|row| {
                self.chassis
                    .as_ref()
                    .is_none_or(|only| *only == row.chassis)
            })
            .collect();
        // The worst first; those that are equal stay in the order of names.
        rows.sort_by_key(|row| Reverse(row.packets));
        rows.into_iter()
            .take(self.limit.unwrap_or(usize::MAX))
            .try_for_each(give)
    }

    fn show(&self, rows: &[DropRow]) -> String {
        if rows.is_empty() {
            return "no packets were dropped for want of a flow\n".to_owned();
        }
        let cells = rows.iter().map(|row| {
            [
                row.chassis.to_string(),
                row.stage.clone(),
                row.packets.to_string(),
                row.asks.clone(),
            ]
        });
        table(["HYPERVISOR", "TABLE", "PACKETS", "THE TABLE ASKS"], cells)
    }
}
