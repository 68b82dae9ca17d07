//! Provider networks: they are untagged or in a VLAN of a physical network, behind the patch port to its bridge.
//!
//! Frames of such a network pass no tunnel, since every hypervisor sees them outside. What comes from there is trusted
//! like the operator's own switches: an external router may advertise, an external server may answer DHCPv6.

use super::fragments;
use crate::flow::Flow;
use crate::pipeline::{Holding, NETWORK, ORIGIN, Stage, TAG, classify, origin, switch};
use crate::view::View;
use rust_openflow::{Action, Field, Match, Subfield};
use sextant_model::{Network, NetworkType};

/// The bit of `vlan_tci` that says that there is a tag (ovs-fields(7)).
pub(super) const TAGGED: u16 = 0x1000;
/// Tag and VLAN, at any priority.
pub(super) const TAG_AND_VLAN: u16 = 0x1fff;

/// How a network gets outside from one hypervisor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ProviderLink {
    /// The patch port to the bridge of the physical network.
    pub(crate) port: u16,
    /// Its `vlan_tci` outside; 0 without a tag.
    pub(crate) tci: u16,
}

/// How a network gets outside from here. `None` if it is tunnelled, or if this hypervisor has no bridge of its physical
/// network.
pub(crate) fn outside(view: &View<'_>, network: &Network) -> Option<ProviderLink> {
    let tci = match network.network_type {
        NetworkType::Vxlan | NetworkType::Gre | NetworkType::Geneve => return None,
        NetworkType::Flat => 0,
        NetworkType::Vlan => u16::try_from(network.segmentation_id?).ok()? | TAGGED,
    };
    let patch_ports = &view.own()?.patch_ports;
    let port = *patch_ports.get(network.physical_network.as_ref()?)?;
    Some(ProviderLink { port, tci })
}

/// Sends outside what guests here, and routers for them, send to a MAC that no port here has.
pub(crate) fn way_out(view: &View<'_>, network: &Network) -> Option<Flow> {
    let of_guests = Match::new()
        .holding(NETWORK, network.key.0)
        .holding(ORIGIN, origin::GUEST);
    let outside = outside(view, network)?;
    Some(Flow::new(Stage::Switch, switch::OUTSIDE, of_guests).apply(out(outside).into()))
}

/// Packets from outside are on the network of their tag. A tag with only a priority counts as no tag (IEEE 802.1Q
/// §6.9). Where routers use the network, the tag is kept for their answers. Fragments pass the meter of the patch port.
pub(crate) fn classify(view: &View<'_>, network: &Network, external: bool) -> Vec<Flow> {
    let Some(outside) = outside(view, network) else {
        return vec![];
    };
    let mut noted = vec![
        tag(0),
        NETWORK.set(network.key.0),
        ORIGIN.set(origin::PROVIDER),
    ];
    if external {
        noted.push(TAG.set(outside.tci));
    }
    let mut tags = vec![outside.tci];
    if outside.tci == 0 {
        tags.push(TAGGED);
    }
    let mut flows: Vec<_> = tags
        .into_iter()
        .map(|tci| {
            let by_port = Match::new().with(Field::IN_PORT, outside.port);
            let matches = by_port.masked(Field::VLAN_TCI, tci, TAG_AND_VLAN);
            Flow::new(Stage::Classify, classify::PORT, matches)
                .apply(noted.clone())
                .goto(Stage::Border)
        })
        .collect();
    flows.extend(fragments::arriving(Stage::Border, outside.port));
    flows
}

/// The meter of the fragments that [`classify()`] lets in.
pub(crate) fn meter(view: &View<'_>, network: &Network) -> Option<u32> {
    outside(view, network).map(|outside| fragments::meter(outside.port))
}

/// Sends a frame outside. This action comes last, since the frame has its tag from then on.
pub(crate) fn out(outside: ProviderLink) -> [Action; 2] {
    [tag(outside.tci), Action::output(u32::from(outside.port))]
}

/// Pushes the tag, or removes it (ovs-fields(7), `vlan_tci`).
pub(super) fn tag(tci: u16) -> Action {
    Action::Load {
        value: tci.into(),
        dst: Subfield::whole(Field::VLAN_TCI),
    }
}
