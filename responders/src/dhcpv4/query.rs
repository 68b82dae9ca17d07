//! Checks a client's message (RFC 2131 §4.3).

use super::codec::{BOOT_REQUEST, BROADCAST, Dhcpv4Message, Dhcpv4MessageType};
use super::joined::{Joined, JoinedOption};
use super::option::{self, DecodedDhcpv4Option, Dhcpv4Fqdn};
use crate::answer::Malformed;
use crate::frame::Refusal;
use sextant_model::{ClientTrait, MacAddr};
use std::net::Ipv4Addr;

/// ARP's number for Ethernet.
const ETHERNET: u8 = 1;
/// Every client accepts messages of this length (RFC 2132 §9.10).
const LEAST_MESSAGE: u16 = 576;
/// iPXE's user class.
const IPXE: &[u8] = b"iPXE";

/// A client's message to answer. Every option in it is well formed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dhcpv4Query<'a> {
    /// Its type, one that clients send.
    pub(super) kind: Dhcpv4MessageType,
    /// The message's fields.
    pub(super) message: Dhcpv4Message<'a>,
    /// The client's Ethernet address.
    pub(super) mac: MacAddr,
    /// The address that the client asks for.
    pub(super) requested_address: Option<Ipv4Addr>,
    /// The server that the client talks to.
    pub(super) server_id: Option<Ipv4Addr>,
    /// The client's identifier, to be echoed (RFC 6842).
    pub(super) client_id: Option<&'a [u8]>,
    /// The client's name.
    pub(super) fqdn: Option<Dhcpv4Fqdn<'a>>,
    /// Whether a Discover may be answered with an Ack.
    pub(super) rapid_commit: bool,
    /// Octets of the longest packet that the client takes.
    pub(super) max_size: u16,
    /// The options asked for.
    pub(super) requested: Requested,
    architectures: &'a [[u8; 2]],
    user_class: &'a [u8],
}

/// The codes of a parameter request list, from all its instances (RFC 3396). A client without such a list gets all
/// options.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Requested(Option<[u64; 4]>);

impl Requested {
    fn add(&mut self, codes: &[u8]) {
        let bits = self.0.get_or_insert_default();
        for code in codes {
            bits[usize::from(code >> 6)] |= 1 << (code & 63);
        }
    }

    /// Whether the client gets this option.
    pub(super) fn contains(&self, code: u8) -> bool {
        self.0
            .is_none_or(|bits| bits[usize::from(code >> 6)] >> (code & 63) & 1 == 1)
    }

    /// Whether the client asked for this option by its code.
    pub(super) fn names(&self, code: u8) -> bool {
        self.0.is_some() && self.contains(code)
    }
}

/// The options that may occur once, as they are read.
#[derive(Default)]
struct SingleDhcpv4Options<'a> {
    kind: Option<Dhcpv4MessageType>,
    requested_address: Option<Ipv4Addr>,
    server_id: Option<Ipv4Addr>,
    client_id: Option<&'a [u8]>,
    fqdn: Option<Dhcpv4Fqdn<'a>>,
    rapid_commit: Option<()>,
    max_size: Option<u16>,
    architectures: Option<&'a [[u8; 2]]>,
    user_class: Option<&'a [u8]>,
    requested: Requested,
}

impl<'a> Dhcpv4Query<'a> {
    /// The name of a message for metrics, even if the message is invalid.
    pub(super) fn name(message: &Dhcpv4Message<'_>) -> &'static str {
        message
            .options
            .flatten()
            .filter(|raw| raw.code == option::MESSAGE_TYPE)
            .find_map(|raw| Dhcpv4MessageType::from_u8(*raw.value.first()?))
            .map_or("dhcpv4", Dhcpv4MessageType::name)
    }

    /// Checks a message of an Ethernet client on this link, with its options `joined`.
    ///
    /// # Errors
    /// Ignored: it is no such message. Malformed: an option is.
    pub(super) fn parse(
        message: Dhcpv4Message<'a>,
        joined: &'a Joined<'a>,
    ) -> Result<Self, Refusal> {
        if message.op != BOOT_REQUEST {
            return Err(Refusal::Ignored("a message that servers send"));
        }
        if !message.relay.is_unspecified() {
            return Err(Refusal::Ignored("from a relay agent"));
        }
        if (message.hardware_type, message.hardware_len) != (ETHERNET, 6) {
            return Err(Refusal::Ignored("hardware address is not Ethernet"));
        }
        let singles = SingleDhcpv4Options::collect(joined)?;
        let kind = singles
            .kind
            .ok_or(Refusal::Ignored("BOOTP without a message type"))?;
        let [a, b, c, d, e, f, ..] = message.hardware_address;
        Ok(Self {
            kind,
            message,
            mac: MacAddr([a, b, c, d, e, f]),
            requested_address: singles.requested_address,
            server_id: singles.server_id,
            client_id: singles.client_id,
            fqdn: singles.fqdn,
            rapid_commit: singles.rapid_commit.is_some(),
            max_size: singles.max_size.unwrap_or(0).max(LEAST_MESSAGE),
            requested: singles.requested,
            architectures: singles.architectures.unwrap_or_default(),
            user_class: singles.user_class.unwrap_or_default(),
        })
    }

    /// Whether the client cannot receive unicast before it has its address.
    pub(super) fn wants_broadcast(&self) -> bool {
        self.message.flags & BROADCAST != 0
    }

    /// Whether the client has this property. The user class of iPXE comes with its length before it, as in RFC 3004, or
    /// without.
    pub(super) fn is(&self, client: ClientTrait) -> bool {
        match client {
            ClientTrait::Ipxe => {
                self.user_class
                    .strip_prefix(&[IPXE.len() as u8])
                    .unwrap_or(self.user_class)
                    == IPXE
            }
            ClientTrait::Architecture(number) => self.architectures.contains(&number.to_be_bytes()),
        }
    }
}

impl<'a> SingleDhcpv4Options<'a> {
    fn collect(joined: &'a Joined<'a>) -> Result<Self, Malformed> {
        let mut singles = Self::default();
        for option in joined.iter() {
            if let Some(read) = decode(option?)? {
                singles.note(read);
            }
        }
        Ok(singles)
    }

    /// Notes an option. Options that servers do not read may have any form.
    fn note(&mut self, option: DecodedDhcpv4Option<'a>) {
        match option {
            DecodedDhcpv4Option::MessageType(kind) => self.kind = Some(kind),
            DecodedDhcpv4Option::RequestedAddress(address) => {
                self.requested_address = Some(address)
            }
            DecodedDhcpv4Option::ServerId(address) => self.server_id = Some(address),
            DecodedDhcpv4Option::ClientId(id) => self.client_id = Some(id),
            DecodedDhcpv4Option::ClientFqdn(fqdn) => self.fqdn = Some(fqdn),
            DecodedDhcpv4Option::RapidCommit => self.rapid_commit = Some(()),
            DecodedDhcpv4Option::MaxMessageSize(size) => self.max_size = Some(size),
            DecodedDhcpv4Option::ClientArchitectures(kinds) => self.architectures = Some(kinds),
            DecodedDhcpv4Option::UserClass(class) => self.user_class = Some(class),
            DecodedDhcpv4Option::ParameterRequest(codes) => self.requested.add(codes),
            DecodedDhcpv4Option::SubnetMask(_)
            | DecodedDhcpv4Option::Routers(_)
            | DecodedDhcpv4Option::DnsServers(_)
            | DecodedDhcpv4Option::HostName(_)
            | DecodedDhcpv4Option::DomainName(_)
            | DecodedDhcpv4Option::Mtu(_)
            | DecodedDhcpv4Option::BroadcastAddress(_)
            | DecodedDhcpv4Option::LeaseTime(_)
            | DecodedDhcpv4Option::Overload(_)
            | DecodedDhcpv4Option::Message(_)
            | DecodedDhcpv4Option::RenewalTime(_)
            | DecodedDhcpv4Option::RebindingTime(_)
            | DecodedDhcpv4Option::BootFile(_)
            | DecodedDhcpv4Option::ClasslessRoutes(_)
            | DecodedDhcpv4Option::Other { .. } => {}
        }
    }
}

/// Decodes an option. `None` for options that servers do not read and that have several, different instances.
///
/// One of a fixed length makes no sense joined: a client that says the same twice means it once.
fn decode(option: JoinedOption<'_>) -> Result<Option<DecodedDhcpv4Option<'_>>, Malformed> {
    let first = match (DecodedDhcpv4Option::decode(option.whole), option.first) {
        (Ok(decoded), _) => return Ok(Some(decoded)),
        (Err(malformed), None) => return Err(malformed),
        (Err(_), Some(first)) => first,
    };
    let once = DecodedDhcpv4Option::decode(first)?;
    if option.alike {
        return Ok(Some(once));
    }
    if !is_read(first.code) {
        return Ok(None);
    }
    let offset = first.offset;
    let reason = "option that may occur once occurs twice";
    Err(Malformed { offset, reason })
}

/// Whether servers read this option.
fn is_read(code: u8) -> bool {
    matches!(
        code,
        option::MESSAGE_TYPE
            | option::REQUESTED_ADDRESS
            | option::SERVER_ID
            | option::CLIENT_ID
            | option::CLIENT_FQDN
            | option::RAPID_COMMIT
            | option::MAX_MESSAGE_SIZE
            | option::CLIENT_ARCHITECTURES
            | option::USER_CLASS
            | option::PARAMETER_REQUEST
    )
}
