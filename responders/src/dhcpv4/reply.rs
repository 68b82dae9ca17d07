//! Writes an Offer, an Ack or a Nak directly into its frame (RFC 2131 §4.1, §4.3, table 3).

use super::codec::{BOOT_REPLY, Dhcpv4Message, Dhcpv4MessageType};
use super::configuration::{self, Dhcpv4OptionWriter};
use super::option;
use super::query::Dhcpv4Query;
use super::{CLIENT_PORT, SERVER_PORT};
use crate::frame::{ETHERNET_LEN, Ipv4Addresses, Ipv4FrameBuilder};
use sextant_model::{Dhcpv4Lease, Dhcpv4Service, MacAddr};
use std::net::Ipv4Addr;

/// The octets of a usual answer, so that its buffer seldom grows.
const USUAL_LEN: usize = 400;
/// The least octets of a BOOTP message. Some clients insist on it (RFC 1542 §2.1).
const LEAST_LEN: usize = 300;
const BROADCAST_MAC: MacAddr = MacAddr([0xff; 6]);
/// The reason for a Nak.
const NOT_YOURS: &[u8] = b"not an address of this port";

/// An answer under construction.
pub(super) struct Dhcpv4Reply {
    kind: Dhcpv4MessageType,
    frame: Ipv4FrameBuilder,
    /// Where the frame has to end.
    end: usize,
}

impl Dhcpv4Reply {
    /// An address for a client, with its configuration.
    pub(super) fn grant(
        kind: Dhcpv4MessageType,
        service: &Dhcpv4Service,
        query: &Dhcpv4Query<'_>,
        lease: &Dhcpv4Lease,
    ) -> Self {
        let address = lease.address.addr();
        let mut reply = Self::new(
            kind,
            service,
            query,
            lease.server,
            recipient(query, address),
        );
        reply.fields(query, address, configuration::boot(service, query));
        let mut options = reply.options(kind, lease.server);
        options.client_id(query);
        if kind == Dhcpv4MessageType::Ack
            && query.rapid_commit
            && query.kind == Dhcpv4MessageType::Discover
        {
            options.put(option::RAPID_COMMIT, &[]);
        }
        options.times(service.lifetime);
        configuration::put(&mut options, service, query, lease);
        reply
    }

    /// Configuration only, for the client with this address.
    pub(super) fn inform(
        service: &Dhcpv4Service,
        query: &Dhcpv4Query<'_>,
        lease: &Dhcpv4Lease,
        client: Ipv4Addr,
    ) -> Self {
        let to = (service.mac, client);
        let mut reply = Self::new(Dhcpv4MessageType::Ack, service, query, lease.server, to);
        let nothing = Ipv4Addr::UNSPECIFIED;
        reply.fields(query, nothing, configuration::boot(service, query));
        let mut options = reply.options(Dhcpv4MessageType::Ack, lease.server);
        options.client_id(query);
        configuration::put(&mut options, service, query, lease);
        reply
    }

    /// A refusal. The client may have no valid address here, so the Nak is broadcast (§4.3.2).
    pub(super) fn nak(service: &Dhcpv4Service, query: &Dhcpv4Query<'_>, server: Ipv4Addr) -> Self {
        let to = (BROADCAST_MAC, Ipv4Addr::BROADCAST);
        let mut reply = Self::new(Dhcpv4MessageType::Nak, service, query, server, to);
        let nothing = Ipv4Addr::UNSPECIFIED;
        reply.fields(query, nothing, configuration::Boot::default());
        let mut options = reply.options(Dhcpv4MessageType::Nak, server);
        options.client_id(query);
        options.put(option::MESSAGE, NOT_YOURS);
        reply
    }

    fn new(
        kind: Dhcpv4MessageType,
        service: &Dhcpv4Service,
        query: &Dhcpv4Query<'_>,
        server: Ipv4Addr,
        (destination_mac, destination): (MacAddr, Ipv4Addr),
    ) -> Self {
        let addresses = Ipv4Addresses {
            source_mac: service.server_mac,
            destination_mac,
            source: server,
            destination,
        };
        let largest = query.max_size.min(service.mtu.max(576));
        Self {
            kind,
            frame: Ipv4FrameBuilder::udp(addresses, SERVER_PORT, CLIENT_PORT, USUAL_LEN),
            end: ETHERNET_LEN + usize::from(largest),
        }
    }

    /// BOOTP's fields. Neither a Nak nor an Offer repeats the client's address (table 3).
    fn fields(&mut self, query: &Dhcpv4Query<'_>, yours: Ipv4Addr, boot: configuration::Boot<'_>) {
        let client = if self.kind == Dhcpv4MessageType::Ack {
            query.message.client
        } else {
            Ipv4Addr::UNSPECIFIED
        };
        let mut boot_file = [0; 128];
        // The name needs a zero octet after it.
        if let Some(name) = boot.file.filter(|name| name.len() < boot_file.len()) {
            boot_file[..name.len()].copy_from_slice(name);
        }
        let fields = Dhcpv4Message {
            op: BOOT_REPLY,
            hops: 0,
            seconds: 0,
            client,
            yours,
            next_server: boot.server.unwrap_or(Ipv4Addr::UNSPECIFIED),
            server_name: &[0; 64],
            boot_file: &boot_file,
            ..query.message
        };
        fields.put_fields(self.frame.bytes());
    }

    fn options(&mut self, kind: Dhcpv4MessageType, server: Ipv4Addr) -> Dhcpv4OptionWriter<'_> {
        let mut options = Dhcpv4OptionWriter::new(self.frame.bytes(), self.end);
        options.put(option::MESSAGE_TYPE, &[kind as u8]);
        options.put(option::SERVER_ID, &server.octets());
        options
    }

    /// The type of the message.
    pub(super) fn kind(&self) -> Dhcpv4MessageType {
        self.kind
    }

    /// The finished frame.
    pub(super) fn finish(mut self) -> Vec<u8> {
        let bytes = self.frame.bytes();
        bytes.push(option::END);
        let least = Ipv4FrameBuilder::HEADERS + LEAST_LEN;
        bytes.resize(bytes.len().max(least), option::PAD);
        self.frame.finish()
    }
}

/// Where a client receives (§4.1). First its own address, then broadcast if the client asks for it, else the address
/// that it is given.
fn recipient(query: &Dhcpv4Query<'_>, yours: Ipv4Addr) -> (MacAddr, Ipv4Addr) {
    let client = query.message.client;
    if !client.is_unspecified() {
        (query.mac, client)
    } else if query.wants_broadcast() {
        (BROADCAST_MAC, Ipv4Addr::BROADCAST)
    } else {
        (query.mac, yours)
    }
}
