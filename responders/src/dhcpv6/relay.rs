//! Messages of relay agents (RFC 9915 §9): they wrap a client's message to a server, and the answer back.
//!
//! ```text
//! |    msg-type   |   hop-count   |  link-address (16 octets)  |  peer-address (16 octets)  |  options …
//! ```
//!
//! A guest is no relay agent, so the server of a port refuses them. The codec is for servers and relay agents that are
//! reached over a network.

use super::codec::{RELAY_FORWARD, RELAY_REPLY, RawDhcpv6Options, put_option};
use super::option::RELAY_MESSAGE;
use crate::answer::Malformed;
use std::net::Ipv6Addr;

/// HOP_COUNT_LIMIT (RFC 9915 §7.6): a message that passed this many relay agents is discarded.
pub const HOP_COUNT_LIMIT: u8 = 8;
const HEADER_LEN: usize = 34;

/// The direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum RelayKind {
    /// To a server.
    Forward = RELAY_FORWARD,
    /// To a client.
    Reply = RELAY_REPLY,
}

/// A relay agent's message, its options still unread.
#[derive(Clone, Copy, Debug)]
pub struct RelayMessage<'a> {
    /// The direction.
    pub kind: RelayKind,
    /// The number of relay agents between the client and this one.
    pub hop_count: u8,
    /// An address of the link of the client, or zero.
    pub link_address: Ipv6Addr,
    /// The sender of the relayed message: the client, or another relay agent.
    pub peer_address: Ipv6Addr,
    /// Its options, the relayed message among them.
    pub options: RawDhcpv6Options<'a>,
}

impl<'a> RelayMessage<'a> {
    /// Opens the message in `bytes`, which begin `offset` octets into what offsets are counted from.
    ///
    /// # Errors
    /// Shorter than its header, or of another type.
    pub fn parse(bytes: &'a [u8], offset: usize) -> Result<Self, Malformed> {
        let (&[kind, hop_count, ref addresses @ ..], options) = bytes
            .split_first_chunk::<HEADER_LEN>()
            .ok_or_else(|| Malformed::new(offset, "relay message shorter than its header"))?;
        let kind = match kind {
            RELAY_FORWARD => RelayKind::Forward,
            RELAY_REPLY => RelayKind::Reply,
            _ => return Err(Malformed::new(offset, "not a relay message")),
        };
        let ([link_address, peer_address], _) = addresses.as_chunks::<16>() else {
            return Err(Malformed::new(
                offset,
                "relay message shorter than its header",
            ));
        };
        Ok(Self {
            kind,
            hop_count,
            link_address: (*link_address).into(),
            peer_address: (*peer_address).into(),
            options: RawDhcpv6Options::new(options, offset + HEADER_LEN),
        })
    }

    /// The relayed message and its offset. `None` if there is none, or more than one.
    ///
    /// # Errors
    /// An option is malformed.
    pub fn relayed(&self) -> Result<Option<(&'a [u8], usize)>, Malformed> {
        let mut relayed = None;
        for option in self.options {
            let option = option?;
            if option.code == RELAY_MESSAGE
                && relayed.replace((option.value, option.offset)).is_some()
            {
                return Ok(None);
            }
        }
        Ok(relayed)
    }

    /// Appends the message in wire format.
    pub fn put(&self, out: &mut Vec<u8>) {
        self.put_header(self.kind, out);
        out.extend_from_slice(self.options.bytes());
    }

    /// Appends the Relay-reply that takes a message back to this Relay-forward's sender. It has the same addresses and
    /// hop count. It also has every option that a relay agent needs back: those whose code `echoed` accepts
    /// (Interface-Id, RFC 9915 §19.3).
    ///
    /// # Errors
    /// An option of this message is malformed; then what was appended is incomplete.
    pub fn put_reply(
        &self,
        out: &mut Vec<u8>,
        echoed: impl Fn(u16) -> bool,
        message: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(), Malformed> {
        self.put_header(RelayKind::Reply, out);
        for option in self.options {
            let option = option?;
            if echoed(option.code) {
                put_option(out, option.code, |out| out.extend_from_slice(option.value));
            }
        }
        put_option(out, RELAY_MESSAGE, message);
        Ok(())
    }

    fn put_header(&self, kind: RelayKind, out: &mut Vec<u8>) {
        out.extend([kind as u8, self.hop_count]);
        out.extend(self.link_address.octets());
        out.extend(self.peer_address.octets());
    }
}

#[cfg(test)]
mod tests {
    use super::super::option::INTERFACE_ID;
    use super::*;
    use proptest::prelude::*;

    fn forward(hop_count: u8, interface: &[u8], inner: &[u8]) -> Vec<u8> {
        let mut out = vec![RELAY_FORWARD, hop_count];
        out.extend(Ipv6Addr::LOCALHOST.octets());
        out.extend(Ipv6Addr::UNSPECIFIED.octets());
        put_option(&mut out, INTERFACE_ID, |out| out.extend(interface));
        put_option(&mut out, RELAY_MESSAGE, |out| out.extend(inner));
        out
    }

    #[test]
    fn a_reply_goes_back_the_way_the_message_came() {
        let inner = forward(0, b"eth0", b"\x01abc");
        let outer = forward(1, b"tunnel", &inner);
        let outer = RelayMessage::parse(&outer, 0).unwrap();
        let (bytes, offset) = outer.relayed().unwrap().unwrap();
        let inner = RelayMessage::parse(bytes, offset).unwrap();
        assert_eq!(inner.relayed().unwrap().unwrap().0, b"\x01abc");
        let mut reply = Vec::new();
        let echoed = |code| code == INTERFACE_ID;
        outer
            .put_reply(&mut reply, echoed, |out| {
                inner
                    .put_reply(out, echoed, |out| out.extend(b"\x07abc"))
                    .unwrap();
            })
            .unwrap();
        let mut expected = forward(1, b"tunnel", &forward(0, b"eth0", b"\x07abc"));
        for (at, octet) in expected.iter_mut().enumerate() {
            // The inner header follows the outer one, its Interface-Id and the head of its Relay Message.
            if at == 0 || at == HEADER_LEN + 4 + "tunnel".len() + 4 {
                *octet = RELAY_REPLY;
            }
        }
        assert_eq!(reply, expected);
    }

    #[test]
    fn a_relayed_message_is_one() {
        let none = forward(0, b"", b"");
        let none = &none[..none.len() - 4];
        assert_eq!(RelayMessage::parse(none, 0).unwrap().relayed(), Ok(None));
        let mut two = forward(0, b"", b"a");
        put_option(&mut two, RELAY_MESSAGE, |out| out.extend(b"b"));
        assert_eq!(RelayMessage::parse(&two, 0).unwrap().relayed(), Ok(None));
        assert_eq!(RelayMessage::parse(&two[..33], 9).unwrap_err().offset, 9);
        two[0] = 1;
        assert_eq!(
            RelayMessage::parse(&two, 0).unwrap_err().reason,
            "not a relay message"
        );
    }

    proptest! {
        #[test]
        fn put_as_it_was_parsed(bytes in prop::collection::vec(any::<u8>(), 0..100), kind in 11_u8..15) {
            let mut bytes = bytes;
            if let Some(first) = bytes.first_mut() {
                *first = kind;
            }
            if let Ok(message) = RelayMessage::parse(&bytes, 0) {
                let mut again = Vec::new();
                message.put(&mut again);
                prop_assert_eq!(&again, &bytes);
                if let Ok(Some((relayed, offset))) = message.relayed() {
                    prop_assert_eq!(&bytes[offset..offset + relayed.len()], relayed);
                }
            }
        }
    }
}
