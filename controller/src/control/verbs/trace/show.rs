//! A trace as text for people: a line for each look-up and for each end.

use super::TraceRow;
use crate::control::table::or_dash;

/// The lines of a step.
pub(super) fn show_step(row: &TraceRow) -> String {
    match row {
        TraceRow::Arrived { chassis, packet } => format!("# hypervisor {chassis}: {packet}\n"),
        TraceRow::LookedUp {
            table,
            stage,
            flow,
            wanted_by,
            ..
        } => {
            let flow = flow.as_deref().unwrap_or("no flow");
            let wanted_by = wanted_by.join(", ");
            format!("{table:>3} {stage}: {flow} # {wanted_by}\n")
        }
        TraceRow::Delivered { port_id, packet } => format!("=> port {port_id} gets it: {packet}\n"),
        TraceRow::Tunnelled {
            peer: Some(peer),
            remote,
            packet,
        } => format!(
            "=> to hypervisor {peer} at {}: {packet}\n",
            or_dash(*remote)
        ),
        TraceRow::Tunnelled {
            peer: None,
            remote,
            packet,
        } => format!(
            "=> lost in the underlay: no hypervisor expects it at {}: {packet}\n",
            or_dash(*remote)
        ),
        TraceRow::Outside {
            physical_network,
            packet,
        } => format!("=> to physical network {physical_network}: {packet}\n"),
        TraceRow::Metadata { packet } => {
            format!("=> to this hypervisor's metadata service: {packet}\n")
        }
        TraceRow::Astray { ofport, packet } => {
            format!("=> by OpenFlow port {ofport}, which is no port of the cloud: {packet}\n")
        }
        TraceRow::SentUp { reason, packet, .. } => {
            format!("=> Sextant gets it, for {reason}: {packet}\n")
        }
        TraceRow::Dropped { stage, reason, .. } => format!("=> dropped in {stage}: {reason}\n"),
    }
}
