//! The first frame of a guest that a live migration brings here. Until then the guest is where it was.

use crate::flow::Flow;
use crate::pipeline::{Stage, classify};
use crate::view::View;
use rust_openflow::{Field, Match};
use sextant_model::{PortId, Punt};

/// A copy of what comes from the guest goes up, as often as the meter of the port's punts allows. It goes nowhere else.
pub(crate) fn expected(view: &View<'_>, id: PortId) -> Option<(Flow, u16)> {
    let key = (view.chassis.clone(), id);
    let ofport = *view.facts.expected().get(&key)?;
    let port = view.intent.ports.get(&id)?;
    if !port.admin_state_up {
        return None;
    }
    let from_guest = Match::new()
        .with(Field::IN_PORT, ofport)
        .mac(Field::ETH_SRC, port.mac_address.0);
    let flow = Flow::new(Stage::Classify, classify::PORT, from_guest)
        .copy_up(Punt::Appeared(id), ofport.into());
    Some((flow, ofport))
}
