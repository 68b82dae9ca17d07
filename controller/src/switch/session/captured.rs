//! Frames of captured ports, for who captures them.

use super::SwitchSession;
use crate::captures::Captures;
use rust_openflow::{Message, PacketIn};
use sextant_model::{ChassisId, Punt};

impl SwitchSession {
    /// Takes a packet that is a copy for who captures its port.
    pub(super) fn is_captured(&self, packet: &PacketIn) -> bool {
        let captures = &self.context.captures;
        if !captures.are_any() {
            return false;
        }
        let Some(Punt::Captured(port, direction)) = self.flows.punt(packet.cookie) else {
            return false;
        };
        captures.came_up(*port, *direction, &packet.data);
        let counted = &self.context.metrics.packet_ins;
        counted.with_label_values(&["capture"]).inc();
        true
    }
}

/// Copies an answer to a packet, if the port that asked is captured.
pub(super) fn copy_answer(
    captures: &Captures,
    chassis: &ChassisId,
    asked: &PacketIn,
    answer: &Message,
) {
    if captures.are_any()
        && let Some(port) = asked.in_port()
    {
        captures.sent(chassis, port, answer);
    }
}
