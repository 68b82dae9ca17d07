//! The format of client/server messages (RFC 9915 §8): a type, a transaction id, and options as code, length, value.
//!
//! ```text
//!  0                   1                   2                   3
//! |    msg-type   |               transaction-id                  |
//! |          option-code          |           option-len          |
//! |                          option-data …                        |
//! ```
//!
//! Options are read in place, one after the other; an options area ends after the first that is malformed.

use crate::answer::Malformed;
use crate::frame::Refusal;

/// The type of a message (RFC 9915 §7.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Dhcpv6MessageType {
    /// A client looks for servers.
    Solicit = 1,
    /// A server offers.
    Advertise = 2,
    /// A client asks one server for what it offered.
    Request = 3,
    /// A client asks whether its addresses still fit the link.
    Confirm = 4,
    /// A client asks its server for longer lifetimes.
    Renew = 5,
    /// A client asks any server for longer lifetimes.
    Rebind = 6,
    /// A server answers.
    Reply = 7,
    /// A client gives up leases.
    Release = 8,
    /// A client found its addresses in use by others.
    Decline = 9,
    /// A server tells a client to come back.
    Reconfigure = 10,
    /// A client asks for configuration without leases.
    InformationRequest = 11,
}

pub(super) const RELAY_FORWARD: u8 = 12;
pub(super) const RELAY_REPLY: u8 = 13;

impl Dhcpv6MessageType {
    const ALL: [Self; 11] = [
        Self::Solicit,
        Self::Advertise,
        Self::Request,
        Self::Confirm,
        Self::Renew,
        Self::Rebind,
        Self::Reply,
        Self::Release,
        Self::Decline,
        Self::Reconfigure,
        Self::InformationRequest,
    ];

    /// The type with this number, if it is one between client and server.
    #[must_use]
    pub fn from_u8(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number).checked_sub(1)?).copied()
    }

    /// The name in metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Solicit => "solicit",
            Self::Advertise => "advertise",
            Self::Request => "request",
            Self::Confirm => "confirm",
            Self::Renew => "renew",
            Self::Rebind => "rebind",
            Self::Reply => "reply",
            Self::Release => "release",
            Self::Decline => "decline",
            Self::Reconfigure => "reconfigure",
            Self::InformationRequest => "information_request",
        }
    }
}

/// A client/server message, its options still unread.
#[derive(Clone, Copy, Debug)]
pub struct Dhcpv6Message<'a> {
    /// Its type.
    pub kind: Dhcpv6MessageType,
    /// Chosen by the client, repeated in the answer.
    pub transaction: [u8; 3],
    /// Its options.
    pub options: RawDhcpv6Options<'a>,
}

impl<'a> Dhcpv6Message<'a> {
    /// Opens the message in `bytes`, which begin `offset` octets into what offsets are counted from.
    ///
    /// # Errors
    /// With the name of the message for metrics. Ignored: a relay agent's message, or an unknown type (RFC 9915 §16).
    /// Malformed: shorter than its header.
    pub fn parse(bytes: &'a [u8], offset: usize) -> Result<Self, (&'static str, Refusal)> {
        let Some(([kind, transaction @ ..], options)) = bytes.split_first_chunk::<4>() else {
            let reason = "DHCPv6 message shorter than its header";
            return Err(("dhcpv6", Malformed { offset, reason }.into()));
        };
        let kind = Dhcpv6MessageType::from_u8(*kind).ok_or_else(|| foreign(*kind))?;
        Ok(Self {
            kind,
            transaction: *transaction,
            options: RawDhcpv6Options::new(options, offset + 4),
        })
    }
}

fn foreign(kind: u8) -> (&'static str, Refusal) {
    let relayed = Refusal::Ignored("from a relay agent");
    match kind {
        RELAY_FORWARD => ("relay_forward", relayed),
        RELAY_REPLY => ("relay_reply", relayed),
        _ => ("dhcpv6", Refusal::Ignored("unknown message type")),
    }
}

/// One option, its value still unread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawDhcpv6Option<'a> {
    /// Its code.
    pub code: u16,
    /// Its value.
    pub value: &'a [u8],
    /// Where the value begins.
    pub offset: usize,
}

/// An options area.
#[derive(Clone, Copy, Debug)]
pub struct RawDhcpv6Options<'a> {
    bytes: &'a [u8],
    offset: usize,
}

impl<'a> RawDhcpv6Options<'a> {
    /// The options in `bytes`, which begin `offset` octets into what offsets are counted from.
    #[must_use]
    pub fn new(bytes: &'a [u8], offset: usize) -> Self {
        Self { bytes, offset }
    }

    /// The octets of those that were not yet read.
    #[must_use]
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }
}

impl<'a> Iterator for RawDhcpv6Options<'a> {
    type Item = Result<RawDhcpv6Option<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.bytes.is_empty() {
            return None;
        }
        let offset = self.offset;
        let (item, rest) = match split(self.bytes, offset) {
            Ok((option, rest)) => (Ok(option), rest),
            Err(reason) => (Err(Malformed { offset, reason }), &[][..]),
        };
        self.offset += self.bytes.len() - rest.len();
        self.bytes = rest;
        Some(item)
    }
}

fn split(bytes: &[u8], offset: usize) -> Result<(RawDhcpv6Option<'_>, &[u8]), &'static str> {
    let (&[code, code_low, length, length_low], rest) =
        bytes.split_first_chunk().ok_or("option header cut short")?;
    let (value, rest) = rest
        .split_at_checked(usize::from(u16::from_be_bytes([length, length_low])))
        .ok_or("option past the end of what contains it")?;
    let option = RawDhcpv6Option {
        code: u16::from_be_bytes([code, code_low]),
        value,
        offset: offset + 4,
    };
    Ok((option, rest))
}

/// Appends an option whose value `write` appends. An option too long for its length field (65,535 octets) is left
/// out.
pub fn put_option(out: &mut Vec<u8>, code: u16, write: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend(code.to_be_bytes());
    out.extend([0; 2]);
    write(out);
    match u16::try_from(out.len() - start - 4) {
        Ok(length) => out[start + 2..start + 4].copy_from_slice(&length.to_be_bytes()),
        Err(_) => out.truncate(start),
    }
}
