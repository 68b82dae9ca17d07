//! Hypervisors, as their ovsdb-servers show them: Sextant is their OVSDB manager.
//!
//! A session observes what is there ([`observe()`]) and provisions what should be ([`wanted`]): the bridge `br-int`, its
//! controller, the tunnel ports, those for BFD, the patch ports to the bridges of physical networks. Both are pure; only the session
//! talks.

mod bfd;
mod census;
mod meddling;
mod news;
mod observe;
mod patches;
mod place;
mod port;
mod provision;
mod session;
mod tunnels;
mod turn;
mod wish;

pub use bfd::Watched;
pub use observe::{NotReady, Observation, observe};
pub use provision::{release, wanted};
pub use session::{Context, listen};
pub use wish::Wish;

use crate::stream::Stream;
use sextant_ovsdb_client::{Connection, Replica, Row};
use uuid::Uuid;

/// The bridge that guests are plugged into.
pub const INTEGRATION_BRIDGE: &str = "br-int";
/// What Sextant made carries this key in `external_ids`.
const OWNED: (&str, &str) = ("sextant", "owned");
/// A patch port that Sextant made carries the physical network under this key, too.
const PHYSICAL_NETWORK: &str = "sextant-physical-network";
const DATABASE: &str = "Open_vSwitch";

/// The tables and columns that Sextant reads (ovs-vswitchd.conf.db(5)).
const MONITORED: &[(&str, &[&str])] = &[
    (
        "Open_vSwitch",
        &["external_ids", "bridges", "manager_options", "ovs_version"],
    ),
    (
        "Bridge",
        &[
            "name",
            "ports",
            "controller",
            "fail_mode",
            "protocols",
            "datapath_id",
            "datapath_type",
            "other_config",
            "stp_enable",
            "rstp_enable",
            "external_ids",
        ],
    ),
    ("Port", &["name", "interfaces", "external_ids"]),
    (
        "Interface",
        &[
            "name",
            "type",
            "options",
            "ofport",
            "bfd",
            "bfd_status",
            "external_ids",
        ],
    ),
    (
        "Controller",
        &[
            "target",
            "connection_mode",
            "max_backoff",
            "inactivity_probe",
            "external_ids",
        ],
    ),
    ("Manager", &["target", "max_backoff", "inactivity_probe"]),
];

fn monitor(connection: &mut Connection<Stream>) {
    connection.monitor(
        DATABASE,
        MONITORED
            .iter()
            .map(|(table, columns)| (*table, columns.iter().copied())),
    );
}

/// The integration bridge's row.
fn integration_bridge(replica: &Replica) -> Option<(Uuid, &Row)> {
    replica.find("Bridge", "name", INTEGRATION_BRIDGE)
}

fn is_owned(row: &Row) -> bool {
    row.map_entry("external_ids", OWNED.0) == Ok(Some(OWNED.1))
}
