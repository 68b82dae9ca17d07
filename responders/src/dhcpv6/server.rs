//! Chooses a server's answer (RFC 9915 §18.3) for a port whose addresses are decided.
//!
//! One of the IA_NAs in a message gets the port's addresses: the first that names one of them, else the first. The
//! others get none. The server sets the lifetimes and ignores the client's wishes.

use super::codec::Dhcpv6MessageType;
use super::option::{Ia, IaKind, Status};
use super::query::Dhcpv6Query;
use super::reply::Dhcpv6Reply;
use crate::answer::Learned;
use crate::frame::Ipv6Packet;
use sextant_model::{Dhcpv6Service, LeasedAddress, PortId};
use std::net::{IpAddr, Ipv6Addr};

/// The fact about an address that a client gives up.
type Lesson = fn(PortId, IpAddr) -> Learned;

/// The answer and the facts.
///
/// # Errors
/// Why there is no answer.
pub(super) fn serve(
    service: &Dhcpv6Service,
    packet: &Ipv6Packet<'_>,
    query: &Dhcpv6Query<'_>,
) -> Result<(Dhcpv6Reply, Vec<Learned>), &'static str> {
    let exchange = Dhcpv6Exchange {
        service,
        packet,
        query,
    };
    let reply = match query.kind {
        Dhcpv6MessageType::Solicit => exchange.solicit(),
        Dhcpv6MessageType::Request => exchange.request(),
        Dhcpv6MessageType::Confirm => exchange.confirm()?,
        Dhcpv6MessageType::Renew => exchange.renew(),
        Dhcpv6MessageType::Rebind => exchange.rebind()?,
        Dhcpv6MessageType::Release => {
            return Ok(exchange.give_up(|port, address| Learned::Released { port, address }));
        }
        Dhcpv6MessageType::Decline => {
            return Ok(exchange.give_up(|port, address| Learned::Declined { port, address }));
        }
        Dhcpv6MessageType::InformationRequest => exchange.information_request(),
        Dhcpv6MessageType::Advertise
        | Dhcpv6MessageType::Reply
        | Dhcpv6MessageType::Reconfigure => return Err("a message that servers send"),
    };
    Ok((reply, Vec::new()))
}

/// A message and the service that answers it.
struct Dhcpv6Exchange<'a> {
    service: &'a Dhcpv6Service,
    packet: &'a Ipv6Packet<'a>,
    query: &'a Dhcpv6Query<'a>,
}

impl Dhcpv6Exchange<'_> {
    /// §18.3.1, §18.3.9. Without a lease to commit, a Solicit with Rapid Commit is answered like any other.
    fn solicit(&self) -> Dhcpv6Reply {
        let commit = self.query.rapid_commit && self.holder().is_some();
        let mut reply = if commit {
            let mut reply = self.reply();
            reply.rapid_commit();
            reply
        } else {
            let mut advertise = self.start(Dhcpv6MessageType::Advertise);
            advertise.preference(self.service.options.preference);
            advertise
        };
        self.assign(&mut reply);
        reply.configuration(self.service, self.query);
        reply
    }

    /// §18.3.2.
    fn request(&self) -> Dhcpv6Reply {
        let mut reply = self.reply();
        self.assign(&mut reply);
        reply.configuration(self.service, self.query);
        reply
    }

    /// §18.3.3.
    fn confirm(&self) -> Result<Dhcpv6Reply, &'static str> {
        if self.addresses().next().is_none() {
            return Err("no address to confirm");
        }
        if !self.knows_link() {
            return Err("the prefixes of the link are not known");
        }
        let astray = self.addresses().any(|address| self.is_astray(address));
        let mut reply = self.reply();
        reply.status(if astray {
            Status::NotOnLink
        } else {
            Status::Success
        });
        Ok(reply)
    }

    /// §18.3.4. The client's leases are this server's, so those that the port does not have end.
    fn renew(&self) -> Dhcpv6Reply {
        let mut reply = self.reply();
        let holder = self.holder();
        for (index, ia) in self.query.ias().enumerate() {
            let addresses = ia.addresses().map(|ia| ia.address);
            let mut stale = addresses
                .filter(|address| !self.is_leased(*address))
                .peekable();
            if Some(index) == holder {
                reply.lease(ia.iaid, &self.service.addresses, stale);
            } else if ia.kind == IaKind::NonTemporary && stale.peek().is_some() {
                reply.lease(ia.iaid, &[], stale);
            } else {
                reply.refuse(ia.kind, ia.iaid, unavailable(ia.kind));
            }
        }
        reply.configuration(self.service, self.query);
        reply
    }

    /// §18.3.5. The leases may be another server's: only those that are wrong on this link end.
    fn rebind(&self) -> Result<Dhcpv6Reply, &'static str> {
        let mut reply = self.reply();
        let holder = self.holder();
        let mut known = false;
        for (index, ia) in self.non_temporary() {
            let addresses = ia.addresses().map(|ia| ia.address);
            let mut astray = addresses
                .filter(|address| self.is_astray(*address))
                .peekable();
            let leases: &[LeasedAddress] = if Some(index) == holder {
                &self.service.addresses
            } else {
                &[]
            };
            if !leases.is_empty() || astray.peek().is_some() {
                reply.lease(ia.iaid, leases, astray);
                known = true;
            }
        }
        reply.configuration(self.service, self.query);
        if known {
            Ok(reply)
        } else {
            Err("leases of another server")
        }
    }

    /// §18.3.6.
    fn information_request(&self) -> Dhcpv6Reply {
        let mut reply = self.reply();
        reply.configuration(self.service, self.query);
        reply
    }

    /// §18.3.7 and §18.3.8: Release and Decline get the same answer, but are different facts.
    fn give_up(&self, lesson: Lesson) -> (Dhcpv6Reply, Vec<Learned>) {
        let mut reply = self.reply();
        let mut learned = Vec::new();
        reply.status(Status::Success);
        for ia in self.query.ias() {
            let mut ours = ia
                .addresses()
                .filter(|ia| self.is_leased(ia.address))
                .map(|ia| lesson(self.service.port, ia.address.into()))
                .peekable();
            if ours.peek().is_none() {
                reply.refuse(ia.kind, ia.iaid, Status::NoBinding);
            }
            for fact in ours {
                if !learned.contains(&fact) {
                    learned.push(fact);
                }
            }
        }
        (reply, learned)
    }

    /// Answers every identity association of a client that asks for new leases.
    fn assign(&self, reply: &mut Dhcpv6Reply) {
        let holder = self.holder();
        let is_request = self.query.kind == Dhcpv6MessageType::Request;
        for (index, ia) in self.query.ias().enumerate() {
            let has_moved = is_request && ia.addresses().any(|ia| self.is_astray(ia.address));
            if ia.kind == IaKind::NonTemporary && has_moved {
                reply.refuse(ia.kind, ia.iaid, Status::NotOnLink);
            } else if Some(index) == holder {
                reply.lease(ia.iaid, &self.service.addresses, std::iter::empty());
            } else {
                reply.refuse(ia.kind, ia.iaid, unavailable(ia.kind));
            }
        }
    }

    fn reply(&self) -> Dhcpv6Reply {
        self.start(Dhcpv6MessageType::Reply)
    }

    fn start(&self, kind: Dhcpv6MessageType) -> Dhcpv6Reply {
        Dhcpv6Reply::new(kind, self.service, self.packet, self.query)
    }

    /// The identity association that gets the port's addresses. `None` without addresses, or without an IA_NA.
    fn holder(&self) -> Option<usize> {
        if self.service.addresses.is_empty() {
            return None;
        }
        self.non_temporary()
            .find(|(_, ia)| ia.addresses().any(|ia| self.is_leased(ia.address)))
            .or_else(|| self.non_temporary().next())
            .map(|(index, _)| index)
    }

    /// The IA_NAs, with their place among all identity associations.
    fn non_temporary(&self) -> impl Iterator<Item = (usize, Ia<'_>)> {
        self.query
            .ias()
            .enumerate()
            .filter(|(_, ia)| ia.kind == IaKind::NonTemporary)
    }

    fn addresses(&self) -> impl Iterator<Item = Ipv6Addr> {
        self.query
            .ias()
            .flat_map(|ia| ia.addresses())
            .map(|ia| ia.address)
    }

    fn is_leased(&self, address: Ipv6Addr) -> bool {
        self.service
            .addresses
            .iter()
            .any(|lease| lease.address == address)
    }

    fn knows_link(&self) -> bool {
        !self.service.on_link.is_empty()
    }

    /// Whether the address is known to be wrong on this link.
    fn is_astray(&self, address: Ipv6Addr) -> bool {
        self.knows_link()
            && !self.is_leased(address)
            && !self
                .service
                .on_link
                .iter()
                .any(|prefix| prefix.contains(&address))
    }
}

fn unavailable(kind: IaKind) -> Status {
    match kind {
        IaKind::NonTemporary | IaKind::Temporary => Status::NoAddrsAvail,
        IaKind::Prefixes => Status::NoPrefixAvail,
    }
}
