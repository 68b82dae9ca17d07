//! DHCPv4 (RFC 2131): the server for the guest of one port.
//!
//! As with DHCPv6, the API decides what a port gets, so a lease is no state here: message and [`Dhcpv4Service`] alone
//! determine the answer. `codec` is the message format, `option` the options. `query` checks a client's message,
//! `server` chooses the answer (§4.3), `reply` and `configuration` write it.

pub mod codec;
mod configuration;
mod joined;
pub mod option;
mod query;
mod reply;
mod server;

use crate::answer::Answer;
use crate::frame::{Ipv4Packet, Refusal, UdpDatagram};
use codec::Dhcpv4Message;
use joined::Joined;
use query::Dhcpv4Query;
use sextant_model::Dhcpv4Service;

/// Where servers listen (RFC 2131 §4.1).
pub const SERVER_PORT: u16 = 67;
/// Where clients listen (RFC 2131 §4.1).
pub const CLIENT_PORT: u16 = 68;

/// Answers a message of the guest of a port.
pub(crate) fn answer(service: &Dhcpv4Service, packet: &Ipv4Packet<'_>) -> Answer {
    let datagram = match UdpDatagram::parse_ipv4(packet) {
        Ok(datagram) => datagram,
        Err(refusal) => return Answer::refused("udp", refusal.into()),
    };
    if datagram.destination_port != SERVER_PORT {
        return Answer::ignored("udp", "not to the DHCPv4 server port");
    }
    let message = match Dhcpv4Message::parse(datagram.body, datagram.offset) {
        Ok(message) => message,
        Err(malformed) => return Answer::malformed("dhcpv4", malformed),
    };
    let joined = Joined::of(message.options);
    let query = admit(service, packet)
        .and_then(|()| Dhcpv4Query::parse(message, &joined))
        .and_then(|query| of_port(service, query));
    match query {
        Ok(query) => server::serve(service, packet, &query),
        Err(refusal) => Answer::refused(Dhcpv4Query::name(&message), refusal.into()),
    }
}

/// Checks where a client's message is sent to.
fn admit(service: &Dhcpv4Service, packet: &Ipv4Packet<'_>) -> Result<(), Refusal> {
    if packet.destination.is_broadcast()
        || service
            .leases
            .iter()
            .any(|lease| lease.server == packet.destination)
    {
        Ok(())
    } else {
        Err(Refusal::Ignored("sent to another server"))
    }
}

/// Checks that a message is from the port's own Ethernet address. Behind a port may be a bridge with many hosts, and
/// all would get the same address.
fn of_port<'a>(
    service: &Dhcpv4Service,
    query: Dhcpv4Query<'a>,
) -> Result<Dhcpv4Query<'a>, Refusal> {
    if query.mac == service.mac {
        Ok(query)
    } else {
        Err(Refusal::Ignored("hardware address is not the port's"))
    }
}
