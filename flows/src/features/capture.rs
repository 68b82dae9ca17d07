//! Copies of the frames of ports that somebody captures: as the guest sent them, and as the guest gets them.
//!
//! Such a port has flows above those of all ports, at the entrance and where frames leave. They send a copy up and go on as the
//! flows below would. One more sends up what no guest may send, and drops it. A port that nobody captures has none of them.

use super::guest;
use crate::flow::Flow;
use crate::pipeline::{BACK, Holding, OUTPUT, Stage, classify, deliver};
use crate::view::View;
use rust_openflow::{Field, Match};
use sextant_model::{FrameDirection, Network, Port, Punt};

/// Meters of captures are above all others.
const CAPTURES: u32 = 1 << 20;

/// Whether a meter is one of captures.
#[must_use]
pub fn is_of_captures(meter: u32) -> bool {
    meter & CAPTURES != 0
}

/// The meter of a port's capture. `None`: nobody captures it.
pub(crate) fn meter(view: &View<'_>, port: &Port, ofport: u16) -> Option<u32> {
    let captured = view.facts.captured().contains(&port.id);
    captured.then_some(CAPTURES | u32::from(ofport))
}

/// The flows of a port that is captured.
pub(crate) fn port(view: &View<'_>, network: &Network, port: &Port, ofport: u16) -> Vec<Flow> {
    let Some(meter) = meter(view, port, ofport) else {
        return vec![];
    };
    let from_guest = Punt::Captured(port.id, FrameDirection::FromGuest);
    let to_guest = Punt::Captured(port.id, FrameDirection::ToGuest);
    let entrance = guest::classify(network, ofport);
    let sent = entrance.into_iter().map(|flow| Flow {
        priority: classify::CAPTURED,
        ..flow.copy_up_first(from_guest.clone(), meter)
    });
    // No guest may send with a tag: that is dropped, and who looks for the reason wants to see it.
    let tagged = Match::new().with(Field::IN_PORT, ofport);
    let tagged = Flow::new(Stage::Classify, classify::CAPTURED_IN_VAIN, tagged)
        .copy_up_first(from_guest.clone(), meter);
    let delivered = Match::new().holding(OUTPUT, ofport);
    let answered = Match::new()
        .with(Field::IN_PORT, ofport)
        .holding(OUTPUT, BACK);
    let taken = [delivered, answered].map(|matches| {
        let out = Flow::new(Stage::Deliver, deliver::CAPTURED, matches);
        out.apply(vec![OUTPUT.output()])
            .copy_up_first(to_guest.clone(), meter)
    });
    sent.chain([tagged]).chain(taken).collect()
}
