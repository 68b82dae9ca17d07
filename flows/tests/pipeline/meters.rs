//! What is metered ends at the controller.

use crate::external::beside_a_gateway;
use crate::support::show;
use rust_openflow::{Action, Instruction};
use sextant_flows::Flow;
use std::collections::BTreeSet;

/// Open vSwitch before 3.2.6, 3.3.6, 3.4.4 and 3.5.2 never ends a flow that has a meter, then what ovs-vswitchd does itself
/// (rewriting of ND, ARP or ICMP), then a list of actions within an action (`dpif_execute_helper_cb` in lib/dpif.c): one
/// packet of a guest would stop a hypervisor.
#[test]
fn nothing_behind_a_meter_is_nested() {
    let mut metered = 0;
    for hypervisor in ["h1", "h2", "h3"] {
        let flows: Vec<Flow> = show::flows_of(&beside_a_gateway(), hypervisor)
            .iter()
            .map(|(_, flow)| flow)
            .collect();
        for flow in flows.iter().filter(|flow| passes_meter(flow)) {
            metered += 1;
            let behind = reachable(&flows, flow);
            let here = [flow].into_iter();
            let there = flows.iter();
            let there = there.filter(|flow| behind.contains(&flow.stage.table()));
            for flow in here.chain(there) {
                assert!(!actions(flow).any(is_nested), "{flow:?}");
            }
        }
    }
    assert!(metered > 5, "{metered} flows pass a meter");
}

fn passes_meter(flow: &Flow) -> bool {
    let mut instructions = flow.instructions.iter();
    instructions.any(|instruction| matches!(instruction, Instruction::Meter(_)))
}

fn actions(flow: &Flow) -> impl Iterator<Item = &Action> {
    let instructions = flow.instructions.iter();
    instructions.flat_map(|instruction| {
        if let Instruction::Apply(actions) = instruction {
            actions.as_slice()
        } else {
            &[]
        }
    })
}

/// In the datapath it becomes a list of actions within an action.
fn is_nested(action: &Action) -> bool {
    matches!(
        action,
        Action::Clone(_)
            | Action::CheckPktLarger { .. }
            | Action::Controller { meter: Some(_), .. }
    )
}

/// The tables where a packet may get from a flow.
fn reachable(flows: &[Flow], from: &Flow) -> BTreeSet<u8> {
    let mut reached = BTreeSet::new();
    let mut open: Vec<u8> = next(from).collect();
    while let Some(table) = open.pop() {
        if reached.insert(table) {
            let there = flows.iter().filter(|flow| flow.stage.table() == table);
            open.extend(there.flat_map(next));
        }
    }
    reached
}

fn next(flow: &Flow) -> impl Iterator<Item = u8> {
    let instructions = flow.instructions.iter();
    let goto = instructions.filter_map(|instruction| {
        if let Instruction::GotoTable(table) = instruction {
            Some(*table)
        } else {
            None
        }
    });
    let again = actions(flow).filter_map(|action| {
        if let Action::Resubmit { table, .. } | Action::ResubmitCt { table, .. } = action {
            *table
        } else if let Action::Ct(ct) = action {
            ct.table
        } else {
            None
        }
    });
    goto.chain(again)
}
