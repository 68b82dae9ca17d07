//! How a network's frames travel: its `provider:` attributes.
//!
//! Every network has a number of its own in the pipeline. A tunnelled network has the same number on the wire. A provider
//! network has a VLAN or no tag on its physical network, and shares it with no other network.

use crate::api::contract::draft::Draft;
use crate::api::contract::error::ApiError;
use crate::api::contract::network::NetworkPatch;
use rand::RngExt;
use sextant_model::{Claim, Facts, Key, Network, NetworkKey, NetworkType};

/// The largest number of a network: 24 bits (RFC 7348 §5).
const LAST_KEY: u32 = (1 << 24) - 1;
/// The last VLAN (IEEE 802.1Q).
const LAST_VLAN: u32 = 4094;

/// How a network's frames are to travel.
pub(super) enum Segment {
    /// In tunnels, by this number, or by any free one.
    Tunnel(NetworkType, Option<u32>),
    /// Untagged on a physical network.
    Flat(String),
    /// In this VLAN of a physical network, or in any free one.
    Vlan(String, Option<u16>),
}

/// What the request asks for.
struct AskedSegment {
    physical: Option<String>,
    id: Option<i64>,
}

impl Segment {
    /// The segment that a request asks for.
    pub(super) fn asked(patch: &NetworkPatch, facts: &Facts) -> Result<Self, ApiError> {
        let asked = AskedSegment {
            physical: patch.physical_network.clone().flatten(),
            id: patch.segmentation_id.flatten(),
        };
        match patch.network_type.as_ref().and_then(Option::as_deref) {
            None | Some("vxlan") => asked.tunnel(NetworkType::Vxlan),
            Some("gre") => asked.tunnel(NetworkType::Gre),
            Some("geneve") => asked.tunnel(NetworkType::Geneve),
            Some("flat") => asked.flat(facts),
            Some("vlan") => asked.vlan(facts),
            Some(other) => Err(ApiError::invalid_input(format!(
                "network_type value '{other}' not supported"
            ))),
        }
    }

    pub(super) fn kind(&self) -> NetworkType {
        match self {
            Self::Tunnel(kind, _) => *kind,
            Self::Flat(_) => NetworkType::Flat,
            Self::Vlan(..) => NetworkType::Vlan,
        }
    }

    /// Gives a network its numbers, if they are free.
    pub(super) fn claim(self, draft: &mut Draft, network: &mut Network) -> Result<(), ApiError> {
        match self {
            Self::Tunnel(_, id) => {
                network.key = claim_key(draft, id)?;
                network.segmentation_id = Some(network.key.0);
            }
            Self::Flat(physical) => {
                network.key = claim_key(draft, None)?;
                if !draft.claim(Claim::Segment(physical.clone(), None)) {
                    return Err(flat_in_use(&physical));
                }
                network.physical_network = Some(physical);
            }
            Self::Vlan(physical, vlan) => {
                network.key = claim_key(draft, None)?;
                let vlan = claim_vlan(draft, &physical, vlan)?;
                network.segmentation_id = Some(vlan.into());
                network.physical_network = Some(physical);
            }
        }
        Ok(())
    }
}

impl AskedSegment {
    fn tunnel(self, kind: NetworkType) -> Result<Segment, ApiError> {
        if self.physical.is_some() {
            let name = kind.as_str().to_uppercase();
            return Err(ApiError::invalid_input(format!(
                "provider:physical_network specified for {name} network"
            )));
        }
        let id = self.id.map(|id| within(id, LAST_KEY)).transpose()?;
        Ok(Segment::Tunnel(kind, id))
    }

    fn flat(self, facts: &Facts) -> Result<Segment, ApiError> {
        let physical = known(self.physical, "flat", facts)?;
        if self.id.is_some() {
            let message = "provider:segmentation_id specified for flat network";
            return Err(ApiError::invalid_input(message));
        }
        Ok(Segment::Flat(physical))
    }

    fn vlan(self, facts: &Facts) -> Result<Segment, ApiError> {
        let physical = known(self.physical, "VLAN", facts)?;
        let vlan = self.id.map(|id| within(id, LAST_VLAN)).transpose()?;
        let vlan = vlan.and_then(|vlan| u16::try_from(vlan).ok());
        Ok(Segment::Vlan(physical, vlan))
    }
}

/// The claim of a network on its part of the physical network.
pub(super) fn claimed(network: &Network) -> Option<Key> {
    let physical = network.physical_network.clone()?;
    let vlan = network
        .segmentation_id
        .and_then(|id| u16::try_from(id).ok());
    Some(Key::Claim(Claim::Segment(physical, vlan)))
}

/// A physical network that some hypervisor is attached to.
fn known(physical: Option<String>, label: &str, facts: &Facts) -> Result<String, ApiError> {
    let physical = physical.ok_or_else(|| {
        let message = format!("physical_network required for {label} provider network");
        ApiError::invalid_input(message)
    })?;
    let mut all = facts.chassis().values();
    if all.any(|chassis| chassis.bridge_mappings.contains_key(&physical)) {
        return Ok(physical);
    }
    let message = format!("physical_network '{physical}' unknown for {label} provider network");
    Err(ApiError::invalid_input(message))
}

fn within(id: i64, last: u32) -> Result<u32, ApiError> {
    let number = u32::try_from(id).ok();
    number
        .filter(|number| (1..=last).contains(number))
        .ok_or_else(|| {
            ApiError::invalid_input(format!("segmentation_id out of range (1 through {last})"))
        })
}

/// The number asked for, or a free one at random.
fn claim_key(draft: &mut Draft, id: Option<u32>) -> Result<NetworkKey, ApiError> {
    if let Some(id) = id {
        return match draft.claim(Claim::NetworkKey(NetworkKey(id))) {
            true => Ok(NetworkKey(id)),
            false => Err(ApiError::conflict(
                "TunnelIdInUse",
                format!("Unable to create the network. The tunnel ID {id} is in use."),
            )),
        };
    }
    let start = draft.dice.random_range(1..=LAST_KEY);
    let mut numbers = (start..=LAST_KEY).chain(1..start).map(NetworkKey);
    let free = numbers.find(|key| draft.claim(Claim::NetworkKey(*key)));
    free.ok_or_else(none_left)
}

/// The VLAN asked for, or the first free one.
fn claim_vlan(draft: &mut Draft, physical: &str, vlan: Option<u16>) -> Result<u16, ApiError> {
    match vlan {
        Some(vlan) if draft.claim(segment(physical, vlan)) => Ok(vlan),
        Some(vlan) => Err(ApiError::conflict(
            "VlanIdInUse",
            format!(
                "Unable to create the network. The VLAN {vlan} on physical network {physical} is in use."
            ),
        )),
        None => {
            let mut vlans = 1..=u16::try_from(LAST_VLAN).unwrap_or(u16::MAX);
            let free = vlans.find(|vlan| draft.claim(segment(physical, *vlan)));
            free.ok_or_else(none_left)
        }
    }
}

fn segment(physical: &str, vlan: u16) -> Claim {
    Claim::Segment(physical.to_owned(), Some(vlan))
}

fn none_left() -> ApiError {
    ApiError::conflict(
        "NoNetworkAvailable",
        "Unable to create the network. No tenant network is available for allocation.",
    )
}

fn flat_in_use(physical: &str) -> ApiError {
    ApiError::conflict(
        "FlatNetworkInUse",
        format!("Unable to create the flat network. Physical network {physical} is in use."),
    )
}
