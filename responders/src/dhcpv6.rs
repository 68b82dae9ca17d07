//! DHCPv6 (RFC 9915, which replaced RFC 8415): the server for the guest of one port.
//!
//! The API decides what a port gets, so a lease is no state here: message and [`Dhcpv6Service`] alone determine the
//! answer. The same guest gets the same address from every hypervisor, and after every restart. `codec` is the message
//! format, `option` the options, `domain` names in them. `query` checks a client's message (§16), `server` chooses the
//! answer (§18.3), `reply` and `configuration` write it.

pub mod codec;
mod configuration;
pub mod domain;
pub mod option;
mod query;
pub mod relay;
mod reply;
mod server;

use crate::answer::{Answer, Outcome, PacketVerdict};
use crate::frame::{Ipv6Packet, Refusal, UdpDatagram};
use codec::Dhcpv6Message;
use query::Dhcpv6Query;
use sextant_model::{Dhcpv6Service, is_link_local};
use std::net::Ipv6Addr;

/// All_DHCP_Relay_Agents_and_Servers (RFC 9915 §7.1).
pub const ALL_SERVERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 1, 2);
/// Where clients listen (RFC 9915 §7.2).
pub const CLIENT_PORT: u16 = 546;
/// Where servers and relay agents listen (RFC 9915 §7.2).
pub const SERVER_PORT: u16 = 547;

/// Answers a message of the guest of a port.
pub(crate) fn answer(service: &Dhcpv6Service, packet: &Ipv6Packet<'_>) -> Answer {
    let datagram = match UdpDatagram::parse(packet) {
        Ok(datagram) => datagram,
        Err(refusal) => return Answer::refused("udp", refusal.into()),
    };
    if datagram.destination_port != SERVER_PORT {
        return Answer::ignored("udp", "not to the DHCPv6 server port");
    }
    let message = match Dhcpv6Message::parse(datagram.body, datagram.offset) {
        Ok(message) => message,
        Err((name, refusal)) => return Answer::refused(name, refusal.into()),
    };
    let name = message.kind.name();
    match admit(packet).and_then(|()| Dhcpv6Query::parse(message, &service.server_duid)) {
        Ok(query) => respond(service, packet, &query),
        Err(refusal) => Answer::refused(name, refusal.into()),
    }
}

/// Checks where a client's message comes from and goes to.
fn admit(packet: &Ipv6Packet<'_>) -> Result<(), Refusal> {
    if !is_link_local(packet.source) {
        return Err(Refusal::Ignored("source is not link-local")); // RFC 9915 §13.1
    }
    if packet.source_mac.is_multicast() {
        return Err(Refusal::Ignored("multicast Ethernet source"));
    }
    if packet.destination != ALL_SERVERS {
        return Err(Refusal::Ignored("not sent to all servers")); // RFC 9915 §16
    }
    Ok(())
}

fn respond(service: &Dhcpv6Service, packet: &Ipv6Packet<'_>, query: &Dhcpv6Query<'_>) -> Answer {
    let message = query.kind.name();
    let (reply, learned) = match server::serve(service, packet, query) {
        Ok(answer) => answer,
        Err(silence) => return Answer::ignored(message, silence),
    };
    let verdict = PacketVerdict::Answered(reply.kind().name());
    let Some(frames) = reply.finish() else {
        return Answer::ignored(message, "the answer would exceed a packet");
    };
    Answer {
        frames,
        outcome: Outcome { message, verdict },
        learned,
    }
}
