//! Networks that are outside as well: untagged or in a VLAN of a physical network, by way of the patch port to its bridge.
//!
//! Frames of such a network pass no tunnel: outside, every hypervisor sees them. What comes from there is trusted as much
//! as the operator's own switches are: an external router may advertise, an external server may answer DHCPv6.

use super::fragments;
use crate::flow::Flow;
use crate::pipeline::{Holding, NETWORK, ORIGIN, Stage, TAG, classify, origin, switch};
use crate::view::View;
use rust_openflow::{Action, Field, Match, Subfield};
use sextant_model::{Network, NetworkType};

/// The bit of `vlan_tci` that says that there is a tag (ovs-fields(7)).
pub(super) const TAGGED: u16 = 0x1000;
/// Tag and VLAN, whatever the priority.
pub(super) const TAG_AND_VLAN: u16 = 0x1fff;

/// The way out of a network to what is outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Outside {
    /// The patch port to the bridge of the physical network.
    pub(crate) port: u16,
    /// `vlan_tci` outside; 0 without a tag.
    pub(crate) tci: u16,
}

/// How a network gets out here; none if it is a tunnelled one, or this hypervisor has no bridge of its physical network.
pub(crate) fn outside(view: &View<'_>, network: &Network) -> Option<Outside> {
    let tci = match network.network_type {
        NetworkType::Vxlan | NetworkType::Gre | NetworkType::Geneve => return None,
        NetworkType::Flat => 0,
        NetworkType::Vlan => u16::try_from(network.segmentation_id?).ok()? | TAGGED,
    };
    let patch_ports = &view.own()?.patch_ports;
    let port = *patch_ports.get(network.physical_network.as_ref()?)?;
    Some(Outside { port, tci })
}

/// What guests here, and routers for them, send to a MAC that is no port's here goes outside.
pub(crate) fn way_out(view: &View<'_>, network: &Network) -> Option<Flow> {
    let of_guests = Match::new()
        .holding(NETWORK, network.key.0)
        .holding(ORIGIN, origin::GUEST);
    let outside = outside(view, network)?;
    Some(Flow::new(Stage::Switch, switch::OUTSIDE, of_guests).apply(out(outside).into()))
}

/// What comes from outside is on the network of its tag; one that says nothing but a priority is none (IEEE 802.1Q §6.9).
/// Where routers use the network, an answer has the tag again. Its fragments pass the meter of the way in.
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
    let arriving = |tci: u16| {
        let by_port = Match::new().with(Field::IN_PORT, outside.port);
        let matches = by_port.masked(Field::VLAN_TCI, tci, TAG_AND_VLAN);
        Flow::new(Stage::Classify, classify::PORT, matches)
            .apply(noted.clone())
            .goto(Stage::Border)
    };
    let with_priority = (outside.tci == 0).then(|| arriving(TAGGED));
    let mut flows = vec![arriving(outside.tci)];
    flows.extend(with_priority);
    flows.extend(fragments::arriving(Stage::Border, outside.port));
    flows
}

/// The meter of the way in of [`classify()`].
pub(crate) fn meter(view: &View<'_>, network: &Network) -> Option<u32> {
    outside(view, network).map(|outside| fragments::meter(outside.port))
}

/// Sends a frame outside. It has its tag from then on, so this comes last.
pub(crate) fn out(outside: Outside) -> [Action; 2] {
    [tag(outside.tci), Action::output(u32::from(outside.port))]
}

/// Pushes the tag, or takes it off (ovs-fields(7), `vlan_tci`).
pub(super) fn tag(tci: u16) -> Action {
    Action::Load {
        value: tci.into(),
        dst: Subfield::whole(Field::VLAN_TCI),
    }
}
