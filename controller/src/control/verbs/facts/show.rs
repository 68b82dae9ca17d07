//! Facts for people: a table a kind.
#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "each table picks the rows of its kind"
)]

use super::{FactKind, FactRow};
use crate::control::table::{or_dash, table};

/// A table of one kind, with a title. With `of_one` it is about one hypervisor.
pub(super) fn show_kind(kind: FactKind, of_one: bool, rows: &[FactRow]) -> String {
    let (title, table) = match kind {
        FactKind::Hypervisors => ("Hypervisors", show_hypervisors(rows)),
        FactKind::Bindings => ("Ports that are plugged in", show_bindings(rows)),
        FactKind::Gateways => ("Routers' external gateways", show_gateways(rows)),
        FactKind::Tunnels if of_one => ("Tunnels", show_tunnels(rows)),
        FactKind::Tunnels => (
            "Tunnels that carry nothing (all of a hypervisor: --chassis NAME)",
            show_tunnels(rows),
        ),
        FactKind::Holders => ("Holders of shared addresses", show_holders(rows)),
        FactKind::Delegations => ("Delegated prefixes", show_delegations(rows)),
        FactKind::Refused => ("Flows that switches refuse", show_refused(rows)),
    };
    format!("{title}\n{table}")
}

fn show_hypervisors(rows: &[FactRow]) -> String {
    let head = [
        "HYPERVISOR",
        "STATE",
        "DATABASE",
        "SWITCH",
        "ENDPOINTS",
        "ENCAP",
        "DATAPATH",
        "PRIORITY",
        "PHYSICAL",
        "PORTS",
        "ACTIVE",
        "OWNER",
    ];
    table(head, rows.iter().filter_map(hypervisor_cells))
}

fn hypervisor_cells(row: &FactRow) -> Option<[String; 12]> {
    match row {
        FactRow::Hypervisor {
            chassis,
            endpoints,
            encap,
            state,
            owner,
            database,
            switch,
            datapath,
            gateway_priority,
            physical_networks,
            ports,
            active,
        } => Some([
            chassis.to_string(),
            state.clone(),
            connected(*database),
            connected(*switch),
            endpoints.clone(),
            encap.clone(),
            or_dash(datapath.as_ref()),
            gateway_priority.to_string(),
            or_dash(Some(physical_networks.join(",")).filter(|names| !names.is_empty())),
            ports.to_string(),
            active.to_string(),
            or_dash(owner.as_ref()),
        ]),
        _ => None,
    }
}

fn connected(is_connected: bool) -> String {
    or_dash(is_connected.then_some("connected"))
}

fn show_bindings(rows: &[FactRow]) -> String {
    let head = ["PORT", "NETWORK", "HYPERVISOR", "OFPORT", "STATE"];
    table(head, rows.iter().filter_map(binding_cells))
}

fn binding_cells(row: &FactRow) -> Option<[String; 5]> {
    match row {
        FactRow::Binding {
            port_id,
            network_id,
            chassis,
            ofport,
            state,
        } => Some([
            port_id.to_string(),
            or_dash(*network_id),
            chassis.to_string(),
            or_dash(*ofport),
            state.clone(),
        ]),
        _ => None,
    }
}

fn show_gateways(rows: &[FactRow]) -> String {
    table(
        ["ROUTER", "NETWORK", "HYPERVISOR"],
        rows.iter().filter_map(gateway_cells),
    )
}

fn gateway_cells(row: &FactRow) -> Option<[String; 3]> {
    match row {
        FactRow::Gateway {
            router_id,
            network_id,
            chassis,
        } => Some([
            router_id.to_string(),
            network_id.to_string(),
            chassis.to_string(),
        ]),
        _ => None,
    }
}

fn show_tunnels(rows: &[FactRow]) -> String {
    table(
        ["HYPERVISOR", "PEER", "REMOTE", "STATE"],
        rows.iter().filter_map(tunnel_cells),
    )
}

fn tunnel_cells(row: &FactRow) -> Option<[String; 4]> {
    match row {
        FactRow::Tunnel {
            chassis,
            peer,
            remote,
            state,
        } => Some([
            chassis.to_string(),
            peer.to_string(),
            or_dash(*remote),
            state.clone(),
        ]),
        _ => None,
    }
}

fn show_holders(rows: &[FactRow]) -> String {
    table(
        ["NETWORK", "ADDRESS", "PORT", "MAC"],
        rows.iter().filter_map(holder_cells),
    )
}

fn holder_cells(row: &FactRow) -> Option<[String; 4]> {
    match row {
        FactRow::Holder {
            network_id,
            address,
            port_id,
            mac,
        } => Some([
            network_id.to_string(),
            address.to_string(),
            port_id.to_string(),
            mac.to_string(),
        ]),
        _ => None,
    }
}

fn show_delegations(rows: &[FactRow]) -> String {
    table(
        ["SUBNET", "PREFIX", "NETWORK", "VALID UNTIL"],
        rows.iter().filter_map(delegation_cells),
    )
}

fn delegation_cells(row: &FactRow) -> Option<[String; 4]> {
    match row {
        FactRow::Delegation {
            subnet_id,
            prefix,
            network_id,
            valid_until,
        } => Some([
            subnet_id.to_string(),
            prefix.clone(),
            network_id.to_string(),
            valid_until.to_string(),
        ]),
        _ => None,
    }
}

fn show_refused(rows: &[FactRow]) -> String {
    let refused = table(
        ["HYPERVISOR", "COOKIE", "MISSING", "ERROR"],
        rows.iter().filter_map(refused_cells),
    );
    refused + &rows.iter().filter_map(consequence).collect::<String>()
}

fn consequence(row: &FactRow) -> Option<String> {
    match row {
        FactRow::Without {
            chassis,
            ports,
            answers_solicitations,
        } => Some(format!(
            "On {chassis}, {ports} ports do without flows of their own; {answers_solicitations} answers solicitations.\n"
        )),
        _ => None,
    }
}

fn refused_cells(row: &FactRow) -> Option<[String; 4]> {
    match row {
        FactRow::Refused {
            chassis,
            cookie,
            missing,
            error,
        } => Some([
            chassis.to_string(),
            cookie.clone(),
            missing.clone(),
            error.clone(),
        ]),
        _ => None,
    }
}
