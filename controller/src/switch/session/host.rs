//! What a session does for its host: wraps frames for the switch.

use super::Session;
use bytes::Bytes;
use rust_openflow::{Action, Message, NO_BUFFER, PacketOut, ports};
use sextant_flows::Flows;
use sextant_flows::pipeline::{NETWORK, Stage};
use sextant_model::NetworkKey;
use sextant_responders::host::{FrameKind, OutgoingFrame, RouterPorts, Way};

impl Session {
    /// Sends the frames that the host has.
    pub(super) fn send_frames(&mut self) {
        while let Some(frame) = self.host.poll_frame() {
            self.count_frame(frame.kind);
            self.line.post([packet_out(frame)]);
        }
    }

    fn count_frame(&self, kind: FrameKind) {
        let metrics = &self.context.metrics;
        let advertisements = &metrics.router_advertisements;
        match kind {
            FrameKind::PeriodicAdvertisement => {
                advertisements.with_label_values(&["periodic"]).inc()
            }
            FrameKind::FinalAdvertisement => advertisements.with_label_values(&["final"]).inc(),
            FrameKind::Announcement => {}
        }
    }
}

fn packet_out(frame: OutgoingFrame) -> Message {
    let actions = match frame.way {
        Way::Guests(network) => to_guests(network),
    };
    Message::PacketOut(PacketOut {
        buffer_id: NO_BUFFER,
        in_port: ports::CONTROLLER,
        actions,
        data: Bytes::from(frame.octets),
    })
}

/// Through the table of multicast members: only to guests here.
fn to_guests(network: NetworkKey) -> Vec<Action> {
    vec![
        NETWORK.set(network.0),
        Action::resubmit(Stage::Switch.table()),
    ]
}

/// The routers' ports that these flows are for.
pub(super) fn router_ports(flows: &Flows) -> RouterPorts {
    let places = flows.interfaces().flat_map(|interface| {
        let addresses = interface.addresses.iter();
        addresses.map(|address| ((interface.network, *address), interface.mac))
    });
    RouterPorts {
        links: flows.links(),
        places: places.collect(),
    }
}
