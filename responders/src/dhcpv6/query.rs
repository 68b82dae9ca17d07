//! Checks a client's message (RFC 9915 §16): which identifiers each type must, may and must not have.

use super::codec::{Message, MessageType, Options};
use super::option::{Codes, DhcpOption, Fqdn, Ia};
use crate::answer::Malformed;
use crate::frame::Refusal;
use sextant_model::ClientTrait;

/// iPXE's user class, after its length (RFC 9915 §21.15).
const IPXE: &[u8] = b"\0\x04iPXE";

/// A client's message to answer. Every option in it is well formed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Query<'a> {
    /// Its type, one that clients send.
    pub(super) kind: MessageType,
    /// The transaction id, to be echoed.
    pub(super) transaction: [u8; 3],
    /// The client's DUID, to be echoed. Only an Information-request may lack it.
    pub(super) client_id: Option<&'a [u8]>,
    /// Whether a Solicit may be answered with a Reply.
    pub(super) rapid_commit: bool,
    /// The options asked for.
    pub(super) requested: Codes<'a>,
    /// The client's name.
    pub(super) fqdn: Option<Fqdn<'a>>,
    architectures: Codes<'a>,
    user_class: &'a [u8],
    options: Options<'a>,
}

/// The options that may occur once, as they are read.
#[derive(Default)]
struct Singles<'a> {
    client_id: Option<&'a [u8]>,
    server_id: Option<&'a [u8]>,
    requested: Option<Codes<'a>>,
    rapid_commit: Option<()>,
    fqdn: Option<Fqdn<'a>>,
    architectures: Option<Codes<'a>>,
    user_class: Option<&'a [u8]>,
    has_ia: bool,
}

impl<'a> Query<'a> {
    /// Checks a message against the rules for its type.
    ///
    /// # Errors
    /// Ignored where §16 says to discard the message, malformed where an option is.
    pub(super) fn parse(message: Message<'a>, server_duid: &[u8]) -> Result<Self, Refusal> {
        if !is_clients(message.kind) {
            return Err(Refusal::Ignored("a message that servers send"));
        }
        let singles = Singles::collect(message.options)?;
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

impl<'a> Singles<'a> {
    fn collect(options: Options<'a>) -> Result<Self, Malformed> {
        let mut singles = Self::default();
        for raw in options {
            let raw = raw?;
            if singles.repeats(DhcpOption::decode(raw)?) {
                let offset = raw.offset;
                let reason = "option that may occur once occurs twice";
                return Err(Malformed { offset, reason });
            }
        }
        Ok(singles)
    }

    /// Notes an option. Returns whether it was noted before. Options that servers do not read may have any form.
    fn repeats(&mut self, option: DhcpOption<'a>) -> bool {
        match option {
            DhcpOption::ClientId(duid) => self.client_id.replace(duid).is_some(),
            DhcpOption::ServerId(duid) => self.server_id.replace(duid).is_some(),
            DhcpOption::OptionRequest(codes) => self.requested.replace(codes).is_some(),
            DhcpOption::ClientFqdn(fqdn) => self.fqdn.replace(fqdn).is_some(),
            DhcpOption::ClientArchitectures(kinds) => self.architectures.replace(kinds).is_some(),
            DhcpOption::UserClass(class) => self.user_class.replace(class).is_some(),
            DhcpOption::RapidCommit => self.rapid_commit.replace(()).is_some(),
            DhcpOption::Ia(_) => {
                self.has_ia = true;
                false
            }
            DhcpOption::IaAddress(_)
            | DhcpOption::IaPrefix(_)
            | DhcpOption::Preference(_)
            | DhcpOption::ElapsedTime(_)
            | DhcpOption::StatusCode { .. }
            | DhcpOption::DnsServers(_)
            | DhcpOption::DomainList(_)
            | DhcpOption::SntpServers(_)
            | DhcpOption::InformationRefreshTime(_)
            | DhcpOption::SolMaxRt(_)
            | DhcpOption::InfMaxRt(_)
            | DhcpOption::NtpServer(_)
            | DhcpOption::BootFileUrl(_)
            | DhcpOption::BootFileParameters(_)
            | DhcpOption::RelayMessage(_)
            | DhcpOption::InterfaceId(_)
            | DhcpOption::Other { .. } => false,
        }
    }
}

fn is_clients(kind: MessageType) -> bool {
    match kind {
        MessageType::Solicit
        | MessageType::Request
        | MessageType::Confirm
        | MessageType::Renew
        | MessageType::Rebind
        | MessageType::Release
        | MessageType::Decline
        | MessageType::InformationRequest => true,
        MessageType::Advertise | MessageType::Reply | MessageType::Reconfigure => false,
    }
}

/// The rules of RFC 9915 §16.2 to §16.12 for messages that servers receive.
fn admit(kind: MessageType, singles: &Singles<'_>, ours: &[u8]) -> Result<(), &'static str> {
    if kind == MessageType::InformationRequest {
        if singles.has_ia {
            return Err("identity association in an information request");
        }
    } else if singles.client_id.is_none() {
        return Err("no client identifier");
    }
    let to_any = matches!(
        kind,
        MessageType::Solicit | MessageType::Confirm | MessageType::Rebind
    );
    match singles.server_id {
        Some(_) if to_any => Err("server identifier in a message to any server"),
        Some(server_id) if server_id != ours => Err("foreign server identifier"),
        None if !to_any && kind != MessageType::InformationRequest => Err("no server identifier"),
        Some(_) | None => Ok(()),
    }
}
