//! Tells what somebody else does to what Sextant made or set from what Sextant itself changes.
//!
//! What differs from what is wanted is mended whoever caused it. But only where this is wanted since before, and somebody
//! changed it meanwhile, is it worth a warning.

use super::schema::{Bridge, MONITORED};
use super::{INTEGRATION_BRIDGE, is_owned};
use sextant_ovsdb_client::{Row, RowChange, Table};

/// What Open vSwitch says of its own, and the ports that others add.
const NOT_WRITTEN: &[&str] = &["ports", "datapath_id", "ofport", "bfd_status"];

/// Whether any of these changes is to something that Sextant made, or to the integration bridge.
pub(super) fn meddles(changes: &[RowChange]) -> bool {
    changes.iter().any(is_meddling)
}

fn is_meddling(change: &RowChange) -> bool {
    let Some(old) = &change.old else {
        return false;
    };
    (is_owned(old) || is_integration_bridge(change, old)) && touches_what_is_written(change)
}

fn touches_what_is_written(change: &RowChange) -> bool {
    let monitored = MONITORED
        .iter()
        .filter(|(table, _)| *table == &*change.table);
    let mut columns = monitored.flat_map(|(_, columns)| columns.iter());
    columns.any(|(column, _)| !NOT_WRITTEN.contains(column) && change.touches(column))
}

fn is_integration_bridge(change: &RowChange, row: &Row) -> bool {
    &*change.table == Bridge::NAME && Bridge::of(row).name() == INTEGRATION_BRIDGE
}

#[cfg(test)]
mod tests {
    use super::*;
    use sextant_ovsdb_client::Value;
    use uuid::Uuid;

    fn change(table: &str, old: Option<Row>, new: Option<Row>) -> RowChange {
        RowChange::new(table, Uuid::nil(), old, new)
    }

    fn interface(owned: bool, kind: &str) -> Row {
        let ids: &[(&str, &str)] = if owned { &[super::super::OWNED] } else { &[] };
        let row = Row::new().with("external_ids", Value::map(ids.iter().copied()));
        row.with("type", kind)
    }

    #[test]
    fn what_is_ours_and_was_there_is_meddled_with() {
        let ours = || Some(interface(true, "vxlan"));
        let theirs = || Some(interface(false, "internal"));
        for (old, new, meddled) in [
            (None, ours(), false),
            (ours(), None, true),
            (ours(), Some(interface(true, "gre")), true),
            (ours(), Some(interface(false, "vxlan")), true),
            (ours(), ours(), false),
            (theirs(), None, false),
        ] {
            let change = change("Interface", old, new);
            assert_eq!(
                meddles(std::slice::from_ref(&change)),
                meddled,
                "{change:?}"
            );
        }
    }

    #[test]
    fn the_bridges_settings_count_whoever_made_it_and_its_ports_do_not() {
        let bridge = |mode: &str, ports: u128| {
            Row::new()
                .with("name", INTEGRATION_BRIDGE)
                .with("external_ids", Value::map::<&str, &str>([]))
                .with("fail_mode", mode)
                .with("ports", Value::set([Uuid::from_u128(ports)]))
        };
        let from = |new: Row| change("Bridge", Some(bridge("secure", 1)), Some(new));
        assert!(meddles(&[from(bridge("standalone", 1))]));
        assert!(!meddles(&[from(bridge("secure", 2))]));
    }
}
