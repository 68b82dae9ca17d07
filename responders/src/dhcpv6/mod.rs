//! DHCPv6 (RFC 9915, which replaced RFC 8415).

use crate::answer::Answer;
use crate::frame::Ipv6Packet;
use sextant_model::Dhcpv6Service;

pub(crate) fn answer(service: &Dhcpv6Service, packet: &Ipv6Packet<'_>) -> Answer {
    let _ = (service, packet);
    Answer::ignored("dhcpv6", "under construction")
}
