//! Writes a client's message (RFC 9915 §18.2.1 to §18.2.7) directly into its frame.

use super::{IAID, Sender};
use crate::dhcpv6::codec::{Dhcpv6MessageType, put_option};
use crate::dhcpv6::{ALL_SERVERS, CLIENT_PORT, SERVER_PORT, option};
use crate::frame::{FrameBuilder, Ipv6Addresses};
use crate::ndp::multicast_mac;
use ipnet::Ipv6Net;

/// The octets of a usual message, so that its buffer seldom grows.
const USUAL_LEN: usize = 140;

/// A client's message.
#[derive(Clone, Copy, Debug)]
pub(super) struct PrefixClientMessage<'a> {
    /// Its type.
    pub(super) kind: Dhcpv6MessageType,
    /// The transaction id, which the answer repeats.
    pub(super) transaction: [u8; 3],
    /// The client's DUID.
    pub(super) client: &'a [u8],
    /// The DUID of the server that it is for. `None`: for any.
    pub(super) server: Option<&'a [u8]>,
    /// For how long it has been tried, in hundredths of a second.
    pub(super) elapsed: u16,
    /// The prefix that it is about. The unspecified prefix asks for a length (§18.2.4).
    pub(super) prefix: Ipv6Net,
}

impl PrefixClientMessage<'_> {
    /// The Ethernet frame with it, to all servers of the link.
    pub(super) fn frame(&self, sender: Sender) -> Vec<u8> {
        let addresses = Ipv6Addresses {
            source_mac: sender.mac,
            destination_mac: multicast_mac(ALL_SERVERS),
            source: sender.address,
            destination: ALL_SERVERS,
        };
        let mut frame = FrameBuilder::udp(addresses, CLIENT_PORT, SERVER_PORT, USUAL_LEN);
        self.put(frame.bytes());
        frame.finish()
    }

    fn put(&self, out: &mut Vec<u8>) {
        out.push(self.kind as u8);
        out.extend(self.transaction);
        put(out, option::CLIENT_ID, self.client);
        if let Some(server) = self.server {
            put(out, option::SERVER_ID, server);
        }
        put(out, option::ELAPSED_TIME, &self.elapsed.to_be_bytes());
        if self.kind != Dhcpv6MessageType::Release {
            put(
                out,
                option::OPTION_REQUEST,
                &option::SOL_MAX_RT.to_be_bytes(),
            );
        }
        put_option(out, option::IA_PD, |out| self.put_association(out));
    }

    /// The server sets the times: a client sends zeros (§21.21, §21.22).
    fn put_association(&self, out: &mut Vec<u8>) {
        out.extend(IAID.to_be_bytes());
        out.extend([0; 8]);
        put_option(out, option::IA_PREFIX, |out| {
            out.extend([0; 8]);
            out.push(self.prefix.prefix_len());
            out.extend(self.prefix.network().octets());
        });
    }
}

fn put(out: &mut Vec<u8>, code: u16, value: &[u8]) {
    put_option(out, code, |out| out.extend_from_slice(value));
}
