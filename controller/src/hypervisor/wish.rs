//! What Sextant wants of a hypervisor.

use super::bfd::Watched;
use sextant_model::{EncapKind, Endpoints};
use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::time::Duration;

/// What a hypervisor should have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// Its name, of which the bridge's datapath id is made.
    pub system_id: String,
    /// The targets that the bridge's controllers should have, as `tcp:[ADDRESS]:PORT`.
    pub controllers: BTreeSet<String>,
    /// How soon it notices that controllers do not answer.
    pub probes: Probes,
    /// The end of the target of the manager that Sextant is, as `:PORT`.
    pub manager_suffix: String,
    /// Its own tunnel endpoints: it should have tunnel ports of their families.
    pub endpoints: Endpoints,
    /// The protocols for which it should have tunnel ports.
    pub tunnels: BTreeSet<EncapKind>,
    /// The peers with which it should speak BFD.
    pub watched: Vec<Watched>,
    /// How many connections a zone of its connection tracker may have. `None`: what it has is left alone.
    pub zone_limit: Option<NonZeroU32>,
    /// Physical network to the bridge to which it should have a patch port.
    pub bridge_mappings: BTreeMap<String, String>,
}

/// Milliseconds of silence after which a hypervisor asks whether a controller is there; after as long again it gives it up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probes {
    /// Asked by its switch.
    pub of_switch: i64,
    /// Asked by its database.
    pub of_database: i64,
    /// Whether others wait to take over, so that an interval that Sextant has set before is set anew.
    pub are_strict: bool,
}

/// A process that has ended says so at once by TCP; this is for one whose machine is gone, and nothing hangs on it meanwhile:
/// flows stay. Open vSwitch's own five seconds part hypervisors from a Sextant that is only busy with the others.
const PATIENT: i64 = 30_000;

/// Where another controller takes over, the switch does not decide it, so it may be slower than the database.
const OF_SWITCH: i64 = 5_000;

impl Default for Probes {
    fn default() -> Self {
        Self {
            of_switch: PATIENT,
            of_database: PATIENT,
            are_strict: false,
        }
    }
}

impl Probes {
    /// Where another controller takes over from one that does not answer.
    #[must_use]
    pub fn of_several(interval: Duration) -> Self {
        let of_database = i64::try_from(interval.as_millis()).unwrap_or(i64::MAX);
        Self {
            of_switch: of_database.max(OF_SWITCH),
            of_database,
            are_strict: true,
        }
    }

    /// Whether a database's interval is to be set: it is none, or one that Sextant has set when other controllers were not there.
    #[must_use]
    pub fn replace(&self, set: Option<i64>) -> bool {
        match set {
            None => true,
            Some(set) => self.are_strict && set == PATIENT && set != self.of_database,
        }
    }
}
