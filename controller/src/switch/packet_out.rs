//! Frames on their way to a switch.

use bytes::Bytes;
use rust_openflow::{Action, Field, Message, NO_BUFFER, PacketOut, PortNo, Subfield, ports};
use sextant_flows::pipeline::{NETWORK, Stage};
use sextant_model::NetworkKey;
use sextant_responders::host::Way;

/// The message that has a switch send a frame by these actions.
pub(super) fn packet_out(actions: Vec<Action>, frame: Vec<u8>) -> Message {
    Message::PacketOut(PacketOut {
        buffer_id: NO_BUFFER,
        in_port: ports::CONTROLLER,
        actions,
        data: Bytes::from(frame),
    })
}

/// The actions that send a frame where it goes.
pub(super) fn actions(way: Way) -> Vec<Action> {
    match way {
        Way::Guests(network) => to_guests(network),
        Way::Uplink { port, vlan_tci } => tagged(vlan_tci, u32::from(port)),
    }
}

/// Through the table of multicast members: only to guests here.
fn to_guests(network: NetworkKey) -> Vec<Action> {
    vec![
        NETWORK.set(network.0),
        Action::resubmit(Stage::Switch.table()),
    ]
}

/// Out of a port with this `vlan_tci`; 0 for none.
pub(super) fn tagged(vlan_tci: u16, port: impl Into<PortNo>) -> Vec<Action> {
    let output = Action::output(port);
    if vlan_tci == 0 {
        return vec![output];
    }
    let tag = Action::Load {
        value: vlan_tci.into(),
        dst: Subfield::whole(Field::VLAN_TCI),
    };
    vec![tag, output]
}
