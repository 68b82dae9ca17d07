//! Flows as sorted text, one a line.

use super::cloud::Cloud;
use rust_openflow::TableId;
use sextant_flows::pipeline::Stage;
use sextant_flows::{Flow, Flows};
use sextant_model::ChassisId;
use std::cmp::Reverse;
use std::collections::BTreeSet;

pub(crate) fn flows_of(cloud: &Cloud, hypervisor: &str) -> Flows {
    Flows::compute(&cloud.intent, &cloud.facts, &ChassisId::new(hypervisor))
}

/// Every flow of a hypervisor.
pub(crate) fn everything(cloud: &Cloud, hypervisor: &str) -> String {
    let lines = lines(&flows_of(cloud, hypervisor));
    text(lines.iter().map(|line| (' ', line)))
}

/// What a change to the cloud takes from a hypervisor's flows (`-`) and adds to them (`+`).
pub(crate) fn change(
    cloud: &mut Cloud,
    hypervisor: &str,
    change: impl FnOnce(&mut Cloud),
) -> String {
    let before = lines(&flows_of(cloud, hypervisor));
    change(cloud);
    let after = lines(&flows_of(cloud, hypervisor));
    let gone = before.difference(&after).map(|line| ('-', line));
    let come = after.difference(&before).map(|line| ('+', line));
    let mut both: Vec<_> = gone.chain(come).collect();
    both.sort_by(|(a_sign, a), (b_sign, b)| (a, b_sign).cmp(&(b, a_sign)));
    text(both.into_iter())
}

type Line = (TableId, Reverse<u16>, String);

fn lines(flows: &Flows) -> BTreeSet<Line> {
    let line = |flow: &Flow| {
        let (table, priority) = (flow.stage.table(), Reverse(flow.priority));
        (table, priority, flow.to_flow_mod(0).to_string())
    };
    flows.iter().map(|(_, flow)| line(&flow)).collect()
}

fn text<'a>(lines: impl Iterator<Item = (char, &'a Line)>) -> String {
    let mut text = String::new();
    let mut last = None;
    for (sign, (table, _, line)) in lines {
        if last.replace(*table) != Some(*table) {
            text.push_str(&format!("# {}\n", stage_name(*table)));
        }
        let (_, rest) = line.split_once(' ').unwrap();
        text.push_str(&format!("{sign}{rest}\n"));
    }
    text
}

pub(crate) fn stage_name(table: TableId) -> &'static str {
    Stage::of(table).unwrap().name()
}

/// The flows of one stage.
pub(crate) fn stage(cloud: &Cloud, hypervisor: &str, stage: Stage) -> String {
    let mut lines = lines(&flows_of(cloud, hypervisor));
    lines.retain(|(table, ..)| *table == stage.table());
    text(lines.iter().map(|line| (' ', line)))
}
