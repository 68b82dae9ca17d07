//! What a server's message says, as far as prefix delegation needs (RFC 9915 §16.3, §16.10).

use super::IAID;
use crate::answer::Malformed;
use crate::dhcpv6::CLIENT_PORT;
use crate::dhcpv6::codec::{Dhcpv6Message, Dhcpv6MessageType, RawDhcpv6Options};
use crate::dhcpv6::option::{self, DecodedDhcpv6Option, Ia, IaPrefix};
use crate::frame::{Ipv6Packet, Refusal, UdpDatagram};
use ipnet::Ipv6Net;
use sextant_model::is_link_local;

/// An Advertise or a Reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeardServer {
    pub(super) kind: Dhcpv6MessageType,
    pub(super) transaction: [u8; 3],
    client: Vec<u8>,
    pub(super) server: Vec<u8>,
    pub(super) preference: u8,
    /// The status of the whole message; 0 is success.
    pub(super) status: u16,
    pub(super) sol_max_rt: Option<u32>,
    /// Our identity association.
    pub(super) association: Option<Association>,
}

/// An identity association. Times are in seconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Association {
    pub(super) t1: u32,
    pub(super) t2: u32,
    /// Its status; 0 is success.
    pub(super) status: u16,
    pub(super) prefixes: Vec<Prefix>,
}

/// A prefix in it. Times are in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Prefix {
    pub(super) prefix: Ipv6Net,
    pub(super) preferred: u32,
    pub(super) valid: u32,
    /// Its status; 0 is success.
    pub(super) status: u16,
}

/// The options that may occur once, as they are read.
#[derive(Default)]
struct SingleServerOptions<'a> {
    client: Option<&'a [u8]>,
    server: Option<&'a [u8]>,
    preference: Option<u8>,
    status: Option<u16>,
    sol_max_rt: Option<u32>,
    association: Option<Ia<'a>>,
}

impl HeardServer {
    /// Reads an Ethernet frame without a VLAN tag.
    ///
    /// # Errors
    /// With the name of the message for metrics. Ignored: what is not a server's answer to a client, and what clients
    /// discard (RFC 9915 §16). Malformed: cut short, or an option that is read here is.
    pub fn parse(frame: &[u8]) -> Result<Self, (&'static str, Refusal)> {
        let packet = Ipv6Packet::parse(frame).map_err(|refusal| ("frame", refusal))?;
        let datagram = UdpDatagram::parse(&packet).map_err(|refusal| ("udp", refusal))?;
        if datagram.destination_port != CLIENT_PORT {
            return Err(("udp", Refusal::Ignored("not to the DHCPv6 client port")));
        }
        let message = Dhcpv6Message::parse(datagram.body, datagram.offset)?;
        admit(&packet, message.kind)
            .and_then(|()| Self::read(&message))
            .map_err(|refusal| (message.kind.name(), refusal))
    }

    /// The DUID of the client that it is for.
    #[must_use]
    pub fn client(&self) -> &[u8] {
        &self.client
    }

    /// The name in metrics: `advertise` or `reply`.
    #[must_use]
    pub fn message(&self) -> &'static str {
        self.kind.name()
    }

    fn read(message: &Dhcpv6Message<'_>) -> Result<Self, Refusal> {
        let singles = SingleServerOptions::collect(message.options)?;
        let missing = Refusal::Ignored;
        let client = singles.client.ok_or(missing("no client identifier"))?;
        let server = singles.server.ok_or(missing("no server identifier"))?;
        Ok(Self {
            kind: message.kind,
            transaction: message.transaction,
            client: client.to_vec(),
            server: server.to_vec(),
            preference: singles.preference.unwrap_or_default(),
            status: singles.status.unwrap_or_default(),
            sol_max_rt: singles.sol_max_rt,
            association: singles.association.map(Association::of),
        })
    }
}

fn admit(packet: &Ipv6Packet<'_>, kind: Dhcpv6MessageType) -> Result<(), Refusal> {
    if !is_link_local(packet.source) {
        return Err(Refusal::Ignored("source is not link-local"));
    }
    match kind {
        Dhcpv6MessageType::Advertise | Dhcpv6MessageType::Reply => Ok(()),
        // §16.11: the client never agreed to accept one.
        Dhcpv6MessageType::Reconfigure => {
            Err(Refusal::Ignored("reconfigure that was not agreed to"))
        }
        Dhcpv6MessageType::Solicit
        | Dhcpv6MessageType::Request
        | Dhcpv6MessageType::Confirm
        | Dhcpv6MessageType::Renew
        | Dhcpv6MessageType::Rebind
        | Dhcpv6MessageType::Release
        | Dhcpv6MessageType::Decline
        | Dhcpv6MessageType::InformationRequest => {
            Err(Refusal::Ignored("a message that clients send"))
        }
    }
}

impl<'a> SingleServerOptions<'a> {
    fn collect(options: RawDhcpv6Options<'a>) -> Result<Self, Malformed> {
        let mut singles = Self::default();
        for raw in options {
            let raw = raw?;
            if is_read(raw.code) && singles.repeats(DecodedDhcpv6Option::decode(raw)?) {
                let offset = raw.offset;
                let reason = "option that may occur once occurs twice";
                return Err(Malformed { offset, reason });
            }
        }
        Ok(singles)
    }

    /// Notes an option. Returns whether it was noted before. Other clients' associations are skipped.
    #[expect(clippy::wildcard_enum_match_arm, reason = "few options are read")]
    fn repeats(&mut self, option: DecodedDhcpv6Option<'a>) -> bool {
        match option {
            DecodedDhcpv6Option::ClientId(duid) => self.client.replace(duid).is_some(),
            DecodedDhcpv6Option::ServerId(duid) => self.server.replace(duid).is_some(),
            DecodedDhcpv6Option::Preference(preference) => {
                self.preference.replace(preference).is_some()
            }
            DecodedDhcpv6Option::StatusCode { code, .. } => self.status.replace(code).is_some(),
            DecodedDhcpv6Option::SolMaxRt(time) => self.sol_max_rt.replace(time).is_some(),
            DecodedDhcpv6Option::Ia(ia) if ia.iaid == IAID => {
                self.association.replace(ia).is_some()
            }
            _ => false,
        }
    }
}

/// Options that clients do not read may have any form.
fn is_read(code: u16) -> bool {
    matches!(
        code,
        option::CLIENT_ID
            | option::SERVER_ID
            | option::PREFERENCE
            | option::STATUS_CODE
            | option::SOL_MAX_RT
            | option::IA_PD
    )
}

impl Association {
    fn of(ia: Ia<'_>) -> Self {
        Self {
            t1: ia.t1,
            t2: ia.t2,
            status: status(ia.options),
            prefixes: ia.prefixes().filter_map(Prefix::of).collect(),
        }
    }
}

impl Prefix {
    fn of(prefix: IaPrefix<'_>) -> Option<Self> {
        Some(Self {
            prefix: Ipv6Net::new(prefix.prefix, prefix.length).ok()?.trunc(),
            preferred: prefix.preferred,
            valid: prefix.valid,
            status: status(prefix.options),
        })
    }
}

/// The status in options. Without one it is 0, success.
fn status(options: RawDhcpv6Options<'_>) -> u16 {
    let mut decoded = options
        .flatten()
        .filter_map(|raw| DecodedDhcpv6Option::decode(raw).ok());
    let status = decoded.find_map(|option| {
        let DecodedDhcpv6Option::StatusCode { code, .. } = option else {
            return None;
        };
        Some(code)
    });
    status.unwrap_or_default()
}
