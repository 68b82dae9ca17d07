//! What is metered ends at the controller, or is a fragment.

use crate::external::beside_a_gateway;
use crate::support::show;
use rust_openflow::{Action, Field, Instruction, TableId};
use sextant_flows::{Flow, is_of_fragments};
use std::collections::BTreeSet;

/// Open vSwitch before 3.2.6, 3.3.6, 3.4.4 and 3.5.2 never ends a flow that has a meter, then what ovs-vswitchd does itself
/// (rewriting of ND, ARP or ICMP), then a list of actions within an action (`dpif_execute_helper_cb` in lib/dpif.c): one
/// packet of a guest would stop a hypervisor.
#[test]
fn nothing_behind_a_meter_is_nested() {
    let mut metered = 0;
    for hypervisor in ["h1", "h2", "h3"] {
        let flows = flows(hypervisor);
        let of_punts = |flow: &&Flow| meter(flow).is_some_and(|meter| !is_of_fragments(meter));
        for flow in flows.iter().filter(of_punts) {
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

/// Of the three things that it takes, behind the meters of fragments there is no rewriting.
#[test]
fn fragments_are_metered_where_they_come_in_and_never_rewritten() {
    for (hypervisor, ways_in) in [("h1", 1), ("h2", 2), ("h3", 1)] {
        let flows = flows(hypervisor);
        let fragments = |flow: &&Flow| meter(flow).is_some_and(is_of_fragments);
        let metered: Vec<_> = flows.iter().filter(fragments).collect();
        assert_eq!(metered.len(), 2 * ways_in, "IPv6 and IPv4 each");
        let some: Vec<Flow> = flows
            .iter()
            .filter(|flow| takes_fragments(flow))
            .cloned()
            .collect();
        for flow in metered {
            let behind = reachable(&some, flow);
            let rewriting = some.iter().find(|flow| {
                behind.contains(&flow.stage.table()) && actions(flow).any(is_rewriting)
            });
            assert_eq!(rewriting, None);
        }
    }
}

fn flows(hypervisor: &str) -> Vec<Flow> {
    let flows = show::flows_of(&beside_a_gateway(), hypervisor);
    flows.iter().map(|(_, flow)| flow).collect()
}

/// Whether a fragment that passed the martians' stage may match: no ARP, no whole packet, no Neighbor Discovery.
fn takes_fragments(flow: &Flow) -> bool {
    let is = |field, values: &[u128]| {
        let entry = flow.matches.get(field);
        entry.is_some_and(|entry| values.contains(&entry.value))
    };
    let whole = is(Field::IP_FRAG, &[0]);
    !is(Field::ETH_TYPE, &[0x0806]) && !whole && !is(Field::ICMPV6_TYPE, &[133, 134, 135, 136, 137])
}

/// What ovs-vswitchd does itself.
fn is_rewriting(action: &Action) -> bool {
    let dst = if let Action::SetField { field, .. } = action {
        *field
    } else if let Action::Move { dst, .. } | Action::Load { dst, .. } = action {
        dst.field
    } else {
        return false;
    };
    let fields = [
        Field::ICMPV6_TYPE,
        Field::ICMPV4_TYPE,
        Field::ND_TLL,
        Field::ND_TARGET,
        Field::ND_RESERVED,
        Field::ARP_OP,
    ];
    fields.contains(&dst)
}

fn meter(flow: &Flow) -> Option<u32> {
    let mut instructions = flow.instructions.iter();
    instructions.find_map(|instruction| {
        if let Instruction::Meter(meter) = instruction {
            Some(*meter)
        } else {
            None
        }
    })
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
fn reachable(flows: &[Flow], from: &Flow) -> BTreeSet<TableId> {
    let mut reached = BTreeSet::new();
    let mut open: Vec<TableId> = next(from).collect();
    while let Some(table) = open.pop() {
        if reached.insert(table) {
            let there = flows.iter().filter(|flow| flow.stage.table() == table);
            open.extend(there.flat_map(next));
        }
    }
    reached
}

fn next(flow: &Flow) -> impl Iterator<Item = TableId> {
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
