//! `sextant explain`: what a flow is for, and how many packets it took.

use super::chassis_id;
use super::flows::{cookie, known_chassis, owners, refusal, stage_asks};
use super::served::{ServedObject, served};
use crate::control::{Give, OperatorView, Verb, VerbError};
use crate::snapshot::Snapshot;
use clap::Args;
use rust_openflow::Cookie;
use rust_openflow::multipart::{FlowStats, FlowStatsRequest};
use serde::{Deserialize, Serialize};
use sextant_flows::pipeline::Stage;
use sextant_flows::{Flows, View};
use sextant_model::ChassisId;

/// Options of `explain`.
#[derive(Clone, Debug, PartialEq, Eq, Args, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExplainVerb {
    /// The flow's cookie, as ovs-ofctl dump-flows shows it: 0x….
    #[arg(value_name = "COOKIE", value_parser = cookie)]
    pub cookie: u64,
    /// Only on this hypervisor (its system-id). Default: on all.
    #[arg(long, value_name = "NAME", value_parser = chassis_id)]
    #[serde(default)]
    pub chassis: Option<ChassisId>,
}

/// A flow on a hypervisor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExplainedFlow {
    /// The hypervisor that should have it.
    pub chassis: ChassisId,
    /// Its table.
    pub table: u8,
    /// The table's name.
    pub stage: String,
    /// What the table decides.
    pub asks: String,
    /// The whole flow, as `ovs-ofctl` writes it.
    pub flow: String,
    /// The objects that want it, in words, with their ids.
    pub wanted_by: Vec<String>,
    /// The same, in parts.
    pub serves: Vec<ServedObject>,
    /// What its packets are answered with, where the flow sends them up.
    pub punt: Option<String>,
    /// How many packets it took.
    pub packets: Option<u64>,
    /// How many octets these were.
    pub bytes: Option<u64>,
    /// For how many seconds the switch has it.
    pub seconds: Option<u32>,
    /// Why there are no counters, or why the switch does not have it.
    pub absent: Option<String>,
}

impl Verb for ExplainVerb {
    type Row = ExplainedFlow;

    fn answer(&self, known: &OperatorView, give: Give<'_, ExplainedFlow>) -> Result<(), VerbError> {
        let snapshot = known.snapshots.latest();
        let mut found = false;
        for chassis in known_chassis(&snapshot, self.chassis.as_ref())? {
            let flows = Flows::compute(&snapshot.intent, &snapshot.facts, &chassis);
            if let Some(row) = self.explained(known, &snapshot, &flows, &chassis) {
                found = true;
                give(row)?;
            }
        }
        match found {
            true => Ok(()),
            false => Err(VerbError::Unfit(format!(
                "no hypervisor should have a flow with cookie {}: it is of before a change, or not Sextant's",
                Cookie(self.cookie)
            ))),
        }
    }

    fn show(&self, rows: &[ExplainedFlow]) -> String {
        rows.iter().map(ExplainedFlow::text).collect()
    }
}

impl ExplainVerb {
    fn explained(
        &self,
        known: &OperatorView,
        snapshot: &Snapshot,
        flows: &Flows,
        chassis: &ChassisId,
    ) -> Option<ExplainedFlow> {
        let cookie = Cookie(self.cookie);
        let flow = flows.get(cookie)?;
        let owners = owners(flows);
        let view = View::new(&snapshot.intent, &snapshot.facts, chassis);
        let serves = served(&view, &owners, (cookie, &flow), None);
        let counted = counted(known, snapshot, chassis, (cookie, flow.stage));
        let counters = counted.as_ref().ok();
        Some(ExplainedFlow {
            chassis: chassis.clone(),
            table: flow.stage.table().0,
            stage: flow.stage.name().to_owned(),
            asks: stage_asks(flow.stage.name()).to_owned(),
            flow: flow.to_flow_mod(cookie).to_string(),
            wanted_by: serves.iter().map(ServedObject::identified).collect(),
            serves,
            punt: flows.punt(cookie).map(|punt| punt.kind().to_owned()),
            packets: counters.map(|counters| counters.packets),
            bytes: counters.map(|counters| counters.bytes),
            seconds: counters.map(|counters| counters.duration_sec),
            absent: counted.as_ref().err().cloned(),
        })
    }
}

/// The flow as the switch has it, or why it does not.
fn counted(
    known: &OperatorView,
    snapshot: &Snapshot,
    chassis: &ChassisId,
    (cookie, stage): (Cookie, Stage),
) -> Result<FlowStats, String> {
    if let Some(refusal) = refusal(snapshot, chassis, cookie) {
        return Err(refusal);
    }
    let this = FlowStatsRequest {
        cookie,
        cookie_mask: u64::MAX,
        ..FlowStatsRequest::table(stage.table())
    };
    let flows = known.counters.ask(chassis, this);
    let flows = flows.map_err(|error| error.to_string())?;
    let flow = flows.into_iter().next();
    flow.ok_or_else(|| "its switch does not have the flow: sextant plan".to_owned())
}

impl ExplainedFlow {
    fn text(&self) -> String {
        let mut text = format!(
            "hypervisor {}, table {} ({})\n  asks:     {}\n  flow:     {}\n  serves:   {}\n",
            self.chassis,
            self.table,
            self.stage,
            self.asks,
            self.flow,
            self.wanted_by.join(", ")
        );
        if let Some(punt) = &self.punt {
            text += &format!("  sent up:  {punt}\n");
        }
        text += &match (self.packets, self.bytes, self.seconds, &self.absent) {
            (Some(packets), Some(bytes), Some(seconds), _) => {
                format!("  took:     {packets} packets, {bytes} octets in {seconds} s\n")
            }
            (_, _, _, Some(why)) => format!("  counters: none, {why}\n"),
            _ => String::new(),
        };
        text
    }
}
