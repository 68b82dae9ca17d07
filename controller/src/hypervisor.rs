//! Hypervisors, as their ovsdb-servers show them: Sextant is their OVSDB manager.
//!
//! A session observes what is there ([`observe()`]) and provisions what should be ([`wanted`]): the bridge `br-int`, its
//! controller, the tunnel ports, those for BFD, the patch ports to the bridges of physical networks, the port for metadata, a limit of
//! connections. Both are pure; only the session talks.

mod bfd;
mod census;
mod complaints;
mod machine;
mod managers;
mod meddling;
mod metadata;
mod news;
mod observe;
pub mod outside;
mod patches;
mod place;
mod port;
mod probes;
mod provision;
mod schema;
mod session;
mod tunnels;
mod turn;
mod view;
mod wish;
mod zone_limit;

pub use bfd::Watched;
pub use metadata::MetadataGuest;
pub use observe::{NotReady, Observation, observe};
pub use probes::Probes;
pub use provision::{release, wanted};
pub use session::{HypervisorContext, listen};
pub use sextant_model::INTEGRATION_BRIDGE;
pub use wish::Wish;

use schema::Bridge;
use sextant_ovsdb_client::{Replica, Row};
use uuid::Uuid;

/// What Sextant made carries this key in `external_ids`.
const OWNED: (&str, &str) = ("sextant", "owned");
/// A patch port that Sextant made carries the physical network under this key, too.
const PHYSICAL_NETWORK: &str = "sextant-physical-network";
/// By which an administrator asks for a type of datapath.
const DATAPATH_TYPE: &str = "sextant-bridge-datapath-type";

/// The integration bridge's row.
fn integration_bridge(replica: &Replica) -> Option<(Uuid, Bridge<'_>)> {
    replica
        .all::<Bridge>()
        .find(|(_, bridge)| bridge.name() == INTEGRATION_BRIDGE)
}

/// Whether Sextant made a row, of whichever table.
fn is_owned(row: &Row) -> bool {
    row.map_entry("external_ids", OWNED.0) == Ok(Some(OWNED.1))
}
