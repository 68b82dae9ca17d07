//! Checks a client's message (RFC 9915 §16): which identifiers each type must, may and must not have.

use super::codec::{Dhcpv6Message, Dhcpv6MessageType, RawDhcpv6Options};
use super::option::{Codes, DecodedDhcpv6Option, Dhcpv6Fqdn, Ia};
use crate::answer::Malformed;
use crate::frame::Refusal;
use sextant_model::ClientTrait;

/// iPXE's user class, after its length (RFC 9915 §21.15).
const IPXE: &[u8] = b"\0\x04iPXE";

/// A client's message to answer. Every option in it is well formed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dhcpv6Query<'a> {
    /// Its type, one that clients send.
    pub(super) kind: Dhcpv6MessageType,
    /// The transaction id, to be echoed.
    pub(super) transaction: [u8; 3],
    /// The client's DUID, to be echoed. Only an Information-request may lack it.
    pub(super) client_id: Option<&'a [u8]>,
    /// Whether a Solicit may be answered with a Reply.
    pub(super) rapid_commit: bool,
    /// The options asked for.
    pub(super) requested: Codes<'a>,
    /// The client's name.
    pub(super) fqdn: Option<Dhcpv6Fqdn<'a>>,
    architectures: Codes<'a>,
    user_class: &'a [u8],
    options: RawDhcpv6Options<'a>,
}

/// The options that may occur once, as they are read.
#[derive(Default)]
struct SingleDhcpv6Options<'a> {
    client_id: Option<&'a [u8]>,
    server_id: Option<&'a [u8]>,
    requested: Option<Codes<'a>>,
    rapid_commit: Option<()>,
    fqdn: Option<Dhcpv6Fqdn<'a>>,
    architectures: Option<Codes<'a>>,
    user_class: Option<&'a [u8]>,
    has_ia: bool,
}

impl<'a> Dhcpv6Query<'a> {
    /// Checks a message against the rules for its type.
    ///
    /// # Errors
    /// Ignored where §16 says to discard the message, malformed where an option is.
    pub(super) fn parse(message: Dhcpv6Message<'a>, server_duid: &[u8]) -> Result<Self, Refusal> {
        if !is_clients(message.kind) {
            return Err(Refusal::Ignored("a message that servers send"));
        }
        let singles = SingleDhcpv6Options::collect(message.options)?;
        admit(message.kind, &singles, server_duid).map_err(Refusal::Ignored)?;
        Ok(Self {
            kind: message.kind,
            transaction: message.transaction,
            client_id: singles.client_id,
            rapid_commit: singles.rapid_commit.is_some(),
            requested: singles.requested.unwrap_or_default(),
            fqdn: singles.fqdn,
            architectures: singles.architectures.unwrap_or_default(),
            user_class: singles.user_class.unwrap_or_default(),
            options: message.options,
        })
    }

    /// All identity associations, in the client's order.
    pub(super) fn ias(&self) -> impl Iterator<Item = Ia<'a>> + use<'a> {
        self.options.flatten().filter_map(Ia::of)
    }

    /// Whether the client has this property.
    pub(super) fn is(&self, client: ClientTrait) -> bool {
        match client {
            ClientTrait::Ipxe => self.user_class == IPXE,
            ClientTrait::Architecture(number) => self.architectures.contains(number),
        }
    }
}

impl<'a> SingleDhcpv6Options<'a> {
    fn collect(options: RawDhcpv6Options<'a>) -> Result<Self, Malformed> {
        let mut singles = Self::default();
        for raw in options {
            let raw = raw?;
            if singles.repeats(DecodedDhcpv6Option::decode(raw)?) {
                let offset = raw.offset;
                let reason = "option that may occur once occurs twice";
                return Err(Malformed { offset, reason });
            }
        }
        Ok(singles)
    }

    /// Notes an option. Returns whether it was noted before. Options that servers do not read may have any form.
    fn repeats(&mut self, option: DecodedDhcpv6Option<'a>) -> bool {
        match option {
            DecodedDhcpv6Option::ClientId(duid) => self.client_id.replace(duid).is_some(),
            DecodedDhcpv6Option::ServerId(duid) => self.server_id.replace(duid).is_some(),
            DecodedDhcpv6Option::OptionRequest(codes) => self.requested.replace(codes).is_some(),
            DecodedDhcpv6Option::ClientFqdn(fqdn) => self.fqdn.replace(fqdn).is_some(),
            DecodedDhcpv6Option::ClientArchitectures(kinds) => {
                self.architectures.replace(kinds).is_some()
            }
            DecodedDhcpv6Option::UserClass(class) => self.user_class.replace(class).is_some(),
            DecodedDhcpv6Option::RapidCommit => self.rapid_commit.replace(()).is_some(),
            DecodedDhcpv6Option::Ia(_) => {
                self.has_ia = true;
                false
            }
            DecodedDhcpv6Option::IaAddress(_)
            | DecodedDhcpv6Option::IaPrefix(_)
            | DecodedDhcpv6Option::Preference(_)
            | DecodedDhcpv6Option::ElapsedTime(_)
            | DecodedDhcpv6Option::StatusCode { .. }
            | DecodedDhcpv6Option::DnsServers(_)
            | DecodedDhcpv6Option::DomainList(_)
            | DecodedDhcpv6Option::SntpServers(_)
            | DecodedDhcpv6Option::InformationRefreshTime(_)
            | DecodedDhcpv6Option::SolMaxRt(_)
            | DecodedDhcpv6Option::InfMaxRt(_)
            | DecodedDhcpv6Option::NtpServer(_)
            | DecodedDhcpv6Option::BootFileUrl(_)
            | DecodedDhcpv6Option::BootFileParameters(_)
            | DecodedDhcpv6Option::RelayMessage(_)
            | DecodedDhcpv6Option::InterfaceId(_)
            | DecodedDhcpv6Option::Other { .. } => false,
        }
    }
}

fn is_clients(kind: Dhcpv6MessageType) -> bool {
    match kind {
        Dhcpv6MessageType::Solicit
        | Dhcpv6MessageType::Request
        | Dhcpv6MessageType::Confirm
        | Dhcpv6MessageType::Renew
        | Dhcpv6MessageType::Rebind
        | Dhcpv6MessageType::Release
        | Dhcpv6MessageType::Decline
        | Dhcpv6MessageType::InformationRequest => true,
        Dhcpv6MessageType::Advertise
        | Dhcpv6MessageType::Reply
        | Dhcpv6MessageType::Reconfigure => false,
    }
}

/// The rules of RFC 9915 §16.2 to §16.12 for messages that servers receive.
fn admit(
    kind: Dhcpv6MessageType,
    singles: &SingleDhcpv6Options<'_>,
    ours: &[u8],
) -> Result<(), &'static str> {
    if kind == Dhcpv6MessageType::InformationRequest {
        if singles.has_ia {
            return Err("identity association in an information request");
        }
    } else if singles.client_id.is_none() {
        return Err("no client identifier");
    }
    let to_any = matches!(
        kind,
        Dhcpv6MessageType::Solicit | Dhcpv6MessageType::Confirm | Dhcpv6MessageType::Rebind
    );
    match singles.server_id {
        Some(_) if to_any => Err("server identifier in a message to any server"),
        Some(server_id) if server_id != ours => Err("foreign server identifier"),
        None if !to_any && kind != Dhcpv6MessageType::InformationRequest => {
            Err("no server identifier")
        }
        Some(_) | None => Ok(()),
    }
}
