//! A trace as text for people: a line for each look-up and for each end.

use super::{SwitchDifference, TraceRow};
use crate::control::table::or_dash;
use sextant_model::ChassisId;

/// The lines of a step.
pub(super) fn show_step(row: &TraceRow, with_flows: bool) -> String {
    match row {
        TraceRow::Arrived {
            chassis, packet, ..
        } => format!("# hypervisor {chassis}: {packet}\n"),
        TraceRow::LookedUp { .. } => show_look_up(row, with_flows),
        TraceRow::Delivered { .. }
        | TraceRow::Tunnelled { .. }
        | TraceRow::Outside { .. }
        | TraceRow::Metadata { .. }
        | TraceRow::Astray { .. } => show_leaving(row),
        TraceRow::SentUp { reason, packet, .. } => {
            format!("=> Sextant gets it, for {reason}: {packet}\n")
        }
        TraceRow::Dropped { stage, reason, .. } => format!("=> dropped in {stage}: {reason}\n"),
        TraceRow::Switched {
            chassis,
            differences,
            unasked,
        } => show_switched(chassis, differences, unasked.as_deref()),
        TraceRow::Ended { sentence } => format!("{sentence}\n"),
    }
}

fn show_look_up(row: &TraceRow, with_flows: bool) -> String {
    let TraceRow::LookedUp {
        table,
        stage,
        flow,
        cookie,
        serves,
        ..
    } = row
    else {
        return String::new();
    };
    let serves: Vec<&str> = serves.iter().map(|object| object.words.as_str()).collect();
    let serves = serves.join(", ");
    let cookie = cookie.as_deref().unwrap_or("no flow");
    let line = format!("{table:>3} {stage:17} {cookie:18} {serves}");
    let flow = flow.as_ref().filter(|_| with_flows);
    let flow = flow.map_or_else(String::new, |flow| format!("      {flow}\n"));
    format!("{}\n{flow}", line.trim_end())
}

#[allow(
    clippy::wildcard_enum_match_arm,
    reason = "the other steps are shown elsewhere"
)]
fn show_leaving(row: &TraceRow) -> String {
    match row {
        TraceRow::Delivered { port, packet, .. } => format!("=> {port} gets it: {packet}\n"),
        TraceRow::Tunnelled {
            peer,
            remote,
            packet,
            ..
        } => {
            let to = match peer {
                Some(peer) => format!("to hypervisor {peer}"),
                None => "lost in the underlay: no hypervisor expects it".to_owned(),
            };
            format!("=> {to} at {}: {packet}\n", or_dash(*remote))
        }
        TraceRow::Outside {
            physical_network,
            packet,
            ..
        } => format!("=> to physical network {physical_network}: {packet}\n"),
        TraceRow::Metadata { packet, .. } => {
            format!("=> to this hypervisor's metadata service: {packet}\n")
        }
        TraceRow::Astray { ofport, packet } => {
            format!("=> by OpenFlow port {ofport}, which is no port of the cloud: {packet}\n")
        }
        _ => String::new(),
    }
}

fn show_switched(
    chassis: &ChassisId,
    differences: &[SwitchDifference],
    unasked: Option<&str>,
) -> String {
    if let Some(why) = unasked {
        return format!("?? the switch of {chassis} was not asked: {why}\n");
    }
    if differences.is_empty() {
        return format!("== the switch of {chassis} meets the same flows, and ends the same\n");
    }
    let lines = differences.iter().map(show_difference);
    let lines: String = lines.collect();
    format!(
        "!! the switch of {chassis} does otherwise, if it is the one that was asked (sextant plan --chassis {chassis}):\n{lines}"
    )
}

fn show_difference(difference: &SwitchDifference) -> String {
    match difference {
        SwitchDifference::OnlyTraced {
            table,
            stage,
            cookie,
        } => {
            let cookie = cookie.as_deref().unwrap_or("no flow");
            format!("   only by Sextant: {table:>3} {stage:17} {cookie}\n")
        }
        SwitchDifference::OnlySwitch {
            table,
            stage,
            cookie,
            flow,
        } => {
            let cookie = cookie.as_deref().unwrap_or("no flow");
            let line = format!("   only the switch: {table:>3} {stage:17} {cookie:18} {flow}");
            format!("{}\n", line.trim_end())
        }
        SwitchDifference::End { traced, switch } => {
            format!("   it ends at:      {traced} by Sextant, {switch} by the switch\n")
        }
    }
}
