//! Writes an Advertise or a Reply directly into its frame.

use super::codec::{Dhcpv6MessageType, put_option};
use super::option::{self, IaKind, Status};
use super::query::Dhcpv6Query;
use super::{CLIENT_PORT, SERVER_PORT, configuration};
use crate::frame::{ETHERNET_LEN, FrameBuilder, IPV6_LEN, Ipv6Addresses, Ipv6Packet, fragments};
use sextant_model::{Dhcpv6Service, LeasedAddress};
use std::net::Ipv6Addr;

/// The octets of a usual answer, so that its buffer seldom grows.
const USUAL_LEN: usize = 320;

/// The octets of a frame with the longest payload of an IPv6 header.
const MAX_FRAME: usize = ETHERNET_LEN + IPV6_LEN + u16::MAX as usize;

/// An answer under construction.
pub(super) struct Dhcpv6Reply {
    kind: Dhcpv6MessageType,
    /// T1 and T2, the same in every IA of an answer (RFC 9915 §18.3.2).
    renewal: (u32, u32),
    transaction: [u8; 3],
    frame: FrameBuilder,
}

impl Dhcpv6Reply {
    /// A message to the sender of `packet`, with its header and both identifiers (RFC 9915 §18.3).
    pub(super) fn new(
        kind: Dhcpv6MessageType,
        service: &Dhcpv6Service,
        packet: &Ipv6Packet<'_>,
        query: &Dhcpv6Query<'_>,
    ) -> Self {
        let addresses = Ipv6Addresses {
            source_mac: service.server_mac,
            destination_mac: packet.source_mac,
            source: service.server_address,
            destination: packet.source,
        };
        let mut frame = FrameBuilder::udp(addresses, SERVER_PORT, CLIENT_PORT, USUAL_LEN);
        let bytes = frame.bytes();
        bytes.push(kind as u8);
        bytes.extend(query.transaction);
        if let Some(client_id) = query.client_id {
            put(bytes, option::CLIENT_ID, client_id);
        }
        put(bytes, option::SERVER_ID, &service.server_duid);
        Self {
            kind,
            renewal: renewal(&service.addresses),
            transaction: query.transaction,
            frame,
        }
    }

    /// The type of the message.
    pub(super) fn kind(&self) -> Dhcpv6MessageType {
        self.kind
    }

    /// The finished frames. There is one, or an answer too long for some links becomes fragments. `None` if it exceeds
    /// a packet.
    pub(super) fn finish(mut self) -> Option<Vec<Vec<u8>>> {
        let [a, b, c] = self.transaction;
        let identification = u32::from_be_bytes([self.kind as u8, a, b, c]);
        (self.frame.bytes().len() <= MAX_FRAME)
            .then(|| fragments(self.frame.finish(), identification))
    }

    /// Rapid Commit: the client has the leases already.
    pub(super) fn rapid_commit(&mut self) {
        put(self.frame.bytes(), option::RAPID_COMMIT, &[]);
    }

    /// The status of the whole message.
    pub(super) fn status(&mut self, status: Status) {
        put_status(self.frame.bytes(), status);
    }

    /// An identity association that gets nothing, with the status.
    pub(super) fn refuse(&mut self, kind: IaKind, iaid: u32, status: Status) {
        put_ia(self.frame.bytes(), kind, iaid, (0, 0), |out| {
            put_status(out, status);
        });
    }

    /// An identity association that gets `leases` and loses the addresses in `stale`.
    pub(super) fn lease(
        &mut self,
        iaid: u32,
        leases: &[LeasedAddress],
        stale: impl Iterator<Item = Ipv6Addr>,
    ) {
        let times = self.renewal;
        put_ia(
            self.frame.bytes(),
            IaKind::NonTemporary,
            iaid,
            times,
            |out| {
                for lease in leases {
                    put_address(out, lease);
                }
                for address in stale {
                    let (preferred, valid) = (0, 0);
                    put_address(
                        out,
                        &LeasedAddress {
                            address,
                            preferred,
                            valid,
                        },
                    );
                }
            },
        );
    }

    /// The server's preference. 0 is the default, so it is left out.
    pub(super) fn preference(&mut self, preference: u8) {
        if preference > 0 {
            put(self.frame.bytes(), option::PREFERENCE, &[preference]);
        }
    }

    /// The configuration that the client asked for (RFC 9915 §18.3).
    pub(super) fn configuration(&mut self, service: &Dhcpv6Service, query: &Dhcpv6Query<'_>) {
        configuration::put(self.frame.bytes(), service, query);
    }
}

/// T1 and T2: half and four fifths of the shortest preferred lifetime (RFC 9915 §21.4).
fn renewal(leases: &[LeasedAddress]) -> (u32, u32) {
    let preferred = leases
        .iter()
        .map(|lease| lease.preferred.min(lease.valid))
        .filter(|preferred| *preferred > 0)
        .min();
    match preferred {
        None => (0, 0),
        Some(u32::MAX) => (u32::MAX, u32::MAX),
        Some(preferred) => (preferred / 2, preferred / 5 * 4 + preferred % 5 * 4 / 5),
    }
}

fn put(out: &mut Vec<u8>, code: u16, value: &[u8]) {
    put_option(out, code, |out| out.extend_from_slice(value));
}

fn put_status(out: &mut Vec<u8>, status: Status) {
    put_option(out, option::STATUS_CODE, |out| {
        out.extend((status as u16).to_be_bytes());
        out.extend(status.message().bytes());
    });
}

fn put_ia(
    out: &mut Vec<u8>,
    kind: IaKind,
    iaid: u32,
    (t1, t2): (u32, u32),
    write: impl FnOnce(&mut Vec<u8>),
) {
    put_option(out, kind as u16, |out| {
        out.extend(iaid.to_be_bytes());
        if kind != IaKind::Temporary {
            out.extend(t1.to_be_bytes());
            out.extend(t2.to_be_bytes());
        }
        write(out);
    });
}

fn put_address(out: &mut Vec<u8>, lease: &LeasedAddress) {
    put_option(out, option::IA_ADDRESS, |out| {
        out.extend(lease.address.octets());
        out.extend(lease.preferred.min(lease.valid).to_be_bytes());
        out.extend(lease.valid.to_be_bytes());
    });
}
