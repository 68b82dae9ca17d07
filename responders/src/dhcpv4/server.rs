//! Chooses a server's answer (RFC 2131 §4.3) for a port whose addresses are decided.
//!
//! A client has one address at a time: the port's address that it names, else the first. The server sets the lifetimes
//! and ignores the client's wishes.

use super::codec::Dhcpv4MessageType;
use super::query::Dhcpv4Query;
use super::reply::Dhcpv4Reply;
use crate::answer::{Answer, Learned, Outcome, PacketVerdict};
use crate::frame::Ipv4Packet;
use sextant_model::{Dhcpv4Lease, Dhcpv4Service};
use std::net::Ipv4Addr;

/// The answer to a message.
pub(super) fn serve(
    service: &Dhcpv4Service,
    packet: &Ipv4Packet<'_>,
    query: &Dhcpv4Query<'_>,
) -> Answer {
    let Some(first) = service.leases.first() else {
        return Answer::ignored(query.kind.name(), "no address for this port");
    };
    let exchange = Dhcpv4Exchange {
        service,
        packet,
        query,
        first,
    };
    match query.kind {
        Dhcpv4MessageType::Discover => exchange.discover(),
        Dhcpv4MessageType::Request => exchange.request(),
        Dhcpv4MessageType::Decline => exchange.decline(),
        Dhcpv4MessageType::Release => exchange.release(),
        Dhcpv4MessageType::Inform => exchange.inform(),
        Dhcpv4MessageType::Offer | Dhcpv4MessageType::Ack | Dhcpv4MessageType::Nak => {
            exchange.ignore("a message that servers send")
        }
    }
}

/// A message and the service that answers it.
struct Dhcpv4Exchange<'a> {
    service: &'a Dhcpv4Service,
    packet: &'a Ipv4Packet<'a>,
    query: &'a Dhcpv4Query<'a>,
    /// The lease of a client that names no address.
    first: &'a Dhcpv4Lease,
}

impl Dhcpv4Exchange<'_> {
    /// §4.3.1; RFC 4039 §3.1.
    fn discover(&self) -> Answer {
        let asked = self.query.requested_address;
        let lease = asked
            .and_then(|address| self.lease(address))
            .unwrap_or(self.first);
        let kind = match self.query.rapid_commit {
            true => Dhcpv4MessageType::Ack,
            false => Dhcpv4MessageType::Offer,
        };
        self.grant(kind, lease)
    }

    /// §4.3.2. The client chose an offer, or asks whether the address that it remembers or uses is still right.
    fn request(&self) -> Answer {
        let address = match (self.query.server_id, self.query.requested_address) {
            (Some(server), _) if !self.is_server(server) => {
                return self.ignore("foreign server identifier");
            }
            (_, Some(requested)) => requested,
            (_, None) if self.query.message.client.is_unspecified() => {
                return self.ignore("request for no address");
            }
            (_, None) => self.query.message.client,
        };
        match self.lease(address) {
            Some(lease) => self.grant(Dhcpv4MessageType::Ack, lease),
            None => self.answered(Dhcpv4Reply::nak(
                self.service,
                self.query,
                self.first.server,
            )),
        }
    }

    /// §4.3.3.
    fn decline(&self) -> Answer {
        let (port, address) = (self.service.port, self.query.requested_address);
        self.give_up(address, |address| Learned::Declined {
            port,
            address: address.into(),
        })
    }

    /// §4.3.4.
    fn release(&self) -> Answer {
        let (port, address) = (self.service.port, Some(self.query.message.client));
        self.give_up(address, |address| Learned::Released {
            port,
            address: address.into(),
        })
    }

    fn give_up(
        &self,
        address: Option<Ipv4Addr>,
        lesson: impl FnOnce(Ipv4Addr) -> Learned,
    ) -> Answer {
        if !self
            .query
            .server_id
            .is_some_and(|server| self.is_server(server))
        {
            return self.ignore("foreign server identifier");
        }
        let Some(address) = address.filter(|address| self.lease(*address).is_some()) else {
            return self.ignore("not an address of this port");
        };
        Answer {
            frames: Vec::new(),
            outcome: self.outcome(PacketVerdict::Noted),
            learned: vec![lesson(address)],
        }
    }

    /// §4.3.5: configuration only, by unicast to an address that the client has from elsewhere.
    fn inform(&self) -> Answer {
        let claimed = [self.query.message.client, self.packet.source];
        let Some(client) = claimed
            .into_iter()
            .find(|address| !address.is_unspecified())
        else {
            return self.ignore("inform without an address");
        };
        let lease = self
            .service
            .leases
            .iter()
            .find(|lease| lease.address.contains(&client))
            .unwrap_or(self.first);
        self.answered(Dhcpv4Reply::inform(self.service, self.query, lease, client))
    }

    fn grant(&self, kind: Dhcpv4MessageType, lease: &Dhcpv4Lease) -> Answer {
        self.answered(Dhcpv4Reply::grant(kind, self.service, self.query, lease))
    }

    fn answered(&self, reply: Dhcpv4Reply) -> Answer {
        let verdict = PacketVerdict::Answered(reply.kind().name());
        Answer {
            frames: vec![reply.finish()],
            outcome: self.outcome(verdict),
            learned: Vec::new(),
        }
    }

    fn ignore(&self, reason: &'static str) -> Answer {
        Answer::ignored(self.query.kind.name(), reason)
    }

    fn outcome(&self, verdict: PacketVerdict) -> Outcome {
        let message = self.query.kind.name();
        Outcome { message, verdict }
    }

    fn lease(&self, address: Ipv4Addr) -> Option<&Dhcpv4Lease> {
        let mut leases = self.service.leases.iter();
        leases.find(|lease| lease.address.addr() == address)
    }

    fn is_server(&self, address: Ipv4Addr) -> bool {
        let mut leases = self.service.leases.iter();
        leases.any(|lease| lease.server == address)
    }
}
