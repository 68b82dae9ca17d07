//! `sextant plan`: how the flows of switches differ from those that they should have.
//!
//! Each table is read from the switch at the moment of the question. A session mends differences as it notices them, so
//! what is shown is under way, refused, or what somebody else keeps changing.

use super::chassis_id;
use super::flows::{known_chassis, refusal, stage_name};
use crate::control::{Give, OperatorView, Verb, VerbError};
use crate::flow_counters::NoCounters;
use crate::snapshot::Snapshot;
use clap::Args;
use rust_openflow::multipart::{FlowStats, FlowStatsRequest};
use rust_openflow::{Cookie, TableId};
use serde::{Deserialize, Serialize};
use sextant_flows::pipeline::STAGES;
use sextant_flows::{Doing, Doings, Flow, Flows, InstalledFlow};
use sextant_model::ChassisId;
use std::collections::BTreeMap;

/// Options of `plan`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Args, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PlanVerb {
    /// Only this hypervisor (its system-id). Default: all.
    #[arg(long, value_name = "NAME", value_parser = chassis_id)]
    pub chassis: Option<ChassisId>,
}

/// A row of the answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "row", rename_all = "snake_case")]
pub enum PlanRow {
    /// A flow that differs.
    Difference {
        /// The hypervisor.
        chassis: ChassisId,
        /// What is to be done.
        change: PlannedChange,
        /// The table.
        table: u8,
        /// The table's name.
        stage: String,
        /// The flow's cookie.
        cookie: String,
        /// The flow that should be there, or else what the switch has, as `ovs-ofctl` writes it.
        flow: String,
        /// Why the switch refuses it, if it does.
        refused: Option<String>,
    },
    /// What a switch comes to.
    Summary {
        /// The hypervisor.
        chassis: ChassisId,
        /// How many flows it should have.
        wanted: usize,
        /// How many it has.
        there: usize,
        /// How many flows differ.
        differences: usize,
        /// Why the switch was not read, if it was not.
        unread: Option<String>,
    },
}

/// What is to be done about a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlannedChange {
    /// It is missing.
    Add,
    /// It does something else than it should.
    Replace,
    /// Nobody wants it.
    Delete,
}

impl Verb for PlanVerb {
    type Row = PlanRow;

    fn answer(&self, known: &OperatorView, give: Give<'_, PlanRow>) -> Result<(), VerbError> {
        let snapshot = known.snapshots.latest();
        for chassis in known_chassis(&snapshot, self.chassis.as_ref())? {
            compare(known, &snapshot, &chassis, give)?;
        }
        Ok(())
    }

    fn show(&self, rows: &[PlanRow]) -> String {
        rows.iter().map(PlanRow::text).collect()
    }
}

/// Compares what a switch has with what it should have, table by table.
fn compare(
    known: &OperatorView,
    snapshot: &Snapshot,
    chassis: &ChassisId,
    give: Give<'_, PlanRow>,
) -> Result<(), VerbError> {
    let flows = Flows::compute(&snapshot.intent, &snapshot.facts, chassis);
    let mut wanted: BTreeMap<TableId, BTreeMap<Cookie, Flow>> = BTreeMap::new();
    for (cookie, flow) in flows.iter() {
        let of_table = wanted.entry(flow.stage.table()).or_default();
        of_table.insert(cookie, flow);
    }
    let (doings, mut there, mut differences) = (flows.doings(), 0, 0);
    for spec in STAGES {
        let table = spec.stage.table();
        let installed = match known.counters.ask(chassis, FlowStatsRequest::table(table)) {
            Ok(installed) => installed,
            Err(error) => return give(unread(chassis, flows.len(), error)),
        };
        there += installed.len();
        let of_table = wanted.remove(&table).unwrap_or_default();
        for (change, cookie, flow) in differing(&of_table, &installed, &doings) {
            differences += 1;
            give(PlanRow::Difference {
                chassis: chassis.clone(),
                change,
                table: table.0,
                stage: stage_name(table).to_owned(),
                cookie: cookie.to_string(),
                flow,
                refused: refusal(snapshot, chassis, cookie),
            })?;
        }
    }
    give(PlanRow::Summary {
        chassis: chassis.clone(),
        wanted: flows.len(),
        there,
        differences,
        unread: None,
    })
}

fn unread(chassis: &ChassisId, wanted: usize, error: NoCounters) -> PlanRow {
    PlanRow::Summary {
        chassis: chassis.clone(),
        wanted,
        there: 0,
        differences: 0,
        unread: Some(error.to_string()),
    }
}

/// The flows of a table that differ, as text.
fn differing(
    wanted: &BTreeMap<Cookie, Flow>,
    installed: &[FlowStats],
    doings: &Doings,
) -> Vec<(PlannedChange, Cookie, String)> {
    let there: BTreeMap<Cookie, &FlowStats> =
        installed.iter().map(|flow| (flow.cookie, flow)).collect();
    let mut differing = Vec::new();
    for (cookie, flow) in wanted {
        let change = match there.get(cookie) {
            None => PlannedChange::Add,
            Some(flow) if does_otherwise(flow, doings) => PlannedChange::Replace,
            Some(_) => continue,
        };
        differing.push((change, *cookie, flow.to_flow_mod(*cookie).to_string()));
    }
    for flow in installed
        .iter()
        .filter(|flow| !wanted.contains_key(&flow.cookie))
    {
        let text = format!("priority={}, {}", flow.priority, flow.matches);
        differing.push((PlannedChange::Delete, flow.cookie, text));
    }
    differing
}

fn does_otherwise(flow: &FlowStats, doings: &Doings) -> bool {
    let installed = InstalledFlow {
        table: flow.table,
        cookie: flow.cookie,
    };
    Doing::of(&flow.instructions).is_none_or(|doing| doings.differ(&installed, doing))
}

impl PlanRow {
    fn text(&self) -> String {
        match self {
            Self::Difference {
                change,
                flow,
                refused,
                ..
            } => {
                let sign = match change {
                    PlannedChange::Add => '+',
                    PlannedChange::Replace => '~',
                    PlannedChange::Delete => '-',
                };
                let refused = refused.as_ref();
                let refused = refused.map_or_else(String::new, |why| format!(" # {why}"));
                format!("{sign} {flow}{refused}\n")
            }
            Self::Summary {
                chassis,
                unread: Some(why),
                ..
            } => format!("# hypervisor {chassis}: not read, {why}\n"),
            Self::Summary {
                chassis,
                wanted,
                there,
                differences,
                ..
            } => format!(
                "# hypervisor {chassis}: {wanted} flows wanted, {there} there, {differences} differ\n"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rust_openflow::{FlowFlags, Instruction};
    use sextant_model::{Facts, Intent};

    fn installed(cookie: Cookie, flow: &Flow) -> FlowStats {
        FlowStats {
            table: flow.stage.table(),
            duration_sec: 0,
            duration_nsec: 0,
            priority: flow.priority,
            idle_timeout: 0,
            hard_timeout: 0,
            flags: FlowFlags::default(),
            cookie,
            packets: 0,
            bytes: 0,
            matches: flow.matches.clone(),
            instructions: flow.instructions.clone(),
        }
    }

    #[test]
    fn what_is_missing_changed_or_wanted_by_nobody_is_told_apart() {
        let flows = Flows::compute(&Intent::default(), &Facts::default(), &ChassisId::new("h1"));
        let doings = flows.doings();
        let wanted: BTreeMap<Cookie, Flow> = flows.iter().collect();
        let mut there: Vec<FlowStats> = wanted
            .iter()
            .map(|(cookie, flow)| installed(*cookie, flow))
            .collect();
        assert_eq!(differing(&wanted, &there, &doings), []);

        let missing = there.remove(0).cookie;
        let changed = there[0].cookie;
        there[0].instructions = vec![Instruction::Meter(77)];
        let foreign = Cookie(7);
        there[1].cookie = foreign;
        let renamed: Vec<Cookie> = wanted.keys().copied().skip(2).take(1).collect();
        let differing = differing(&wanted, &there, &doings);
        let found: Vec<_> = differing
            .iter()
            .map(|(change, cookie, _)| (*change, *cookie))
            .collect();
        let expected = [
            (PlannedChange::Add, missing),
            (PlannedChange::Replace, changed),
            (PlannedChange::Add, renamed[0]),
            (PlannedChange::Delete, foreign),
        ];
        assert_eq!(found, expected);
    }
}
