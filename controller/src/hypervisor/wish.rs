//! What Sextant wants of a hypervisor.

use super::bfd::Watched;
use super::metadata::MetadataGuest;
use super::probes::Probes;
use sextant_model::{EncapKind, Endpoints, PortId};
use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;

/// What a hypervisor should have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// Its name. The bridge's datapath id is a hash of it.
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
    /// The guests that its metadata service should know. `None`: it should have no port for metadata.
    pub metadata: Option<BTreeMap<PortId, MetadataGuest>>,
}
