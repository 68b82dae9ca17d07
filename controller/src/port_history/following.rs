//! What snapshots say of ports: where they are plugged in, and whether their flows are there.

use super::PortHistory;
use crate::snapshot::{Snapshot, Snapshots};
use imbl::ordmap::DiffItem;
use sextant_model::{Binding, PortId};

/// Records what changes, until the process stops.
pub async fn follow(history: PortHistory, mut snapshots: Snapshots) {
    let mut before = snapshots.latest();
    while let Ok(after) = snapshots.changed().await {
        compare(&history, &before, &after);
        before = after;
    }
}

fn compare(history: &PortHistory, before: &Snapshot, after: &Snapshot) {
    for change in before.facts.bindings().diff(after.facts.bindings()) {
        match change {
            DiffItem::Add(port, binding) => plugged_in(history, *port, binding),
            DiffItem::Remove(port, binding) => {
                history.record(*port, "unplugged", format!("from {}", binding.chassis), 1);
            }
            DiffItem::Update { old, new } => moved(history, *new.0, old.1, new.1),
        }
    }
    let (old, new) = (before.facts.active(), after.facts.active());
    for change in old.diff(new) {
        match change {
            imbl::ordset::DiffItem::Add(port) => {
                history.record(*port, "flows confirmed", "active", 1);
            }
            imbl::ordset::DiffItem::Remove(port) => {
                history.record(*port, "flows not confirmed", "waiting", 1);
            }
        }
    }
    for change in before.intent.ports.diff(&after.intent.ports) {
        if let DiffItem::Remove(port, _) = change {
            history.forget(*port);
        }
    }
    let ports = &after.intent.ports;
    history.forget_unless(ports.len(), |port| ports.contains_key(port));
}

fn plugged_in(history: &PortHistory, port: PortId, binding: &Binding) {
    let place = match binding.ofport {
        Some(number) => format!("on {}, OpenFlow port {number}", binding.chassis),
        None => format!("on {}, without an OpenFlow port", binding.chassis),
    };
    history.record(port, "plugged in", place, 1);
}

fn moved(history: &PortHistory, port: PortId, old: &Binding, new: &Binding) {
    if old.chassis != new.chassis {
        let way = format!("from {} to {}", old.chassis, new.chassis);
        history.record(port, "moved", way, 1);
    } else if old.ofport != new.ofport {
        plugged_in(history, port, new);
    }
}
