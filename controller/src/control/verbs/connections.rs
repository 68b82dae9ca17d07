//! What of a hypervisor is not connected.

use crate::control::OperatorView;
use sextant_model::{ChassisId, Facts};

/// What of a hypervisor is not connected, in words. `None`: nothing is missing, or another controller sees to it.
pub(super) fn missing_of(
    known: &OperatorView,
    facts: &Facts,
    id: &ChassisId,
) -> Option<&'static str> {
    let is_gone = facts.gone().contains(id);
    let chassis = facts.chassis().get(id);
    let is_here = chassis.is_some_and(|chassis| chassis.observed);
    if !is_gone && !is_here {
        return None;
    }
    match (known.databases.is_taken(id), known.switches.is_taken(id)) {
        (true, true) => None,
        (false, true) => Some("its database"),
        (true, false) => Some("its switch"),
        // Its database may be connected to the owner.
        (false, false) if !is_here && facts.owners().contains_key(id) => Some("its switch"),
        (false, false) => Some("its database and its switch"),
    }
}
