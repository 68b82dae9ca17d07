//! The state machine of a client (RFC 9915 §18.2).

use super::exchange::{PrefixExchange, Retransmission};
use super::grant::{self, status_name};
use super::heard::HeardServer;
use super::message::PrefixClientMessage;
use super::{Effect, Lease, PrefixClientState, Sender, duid};
use crate::dhcpv6::codec::Dhcpv6MessageType;
use ipnet::Ipv6Net;
use sextant_model::SubnetId;
use std::net::Ipv6Addr;
use std::time::{Duration, Instant};

/// SOL_MAX_RT (RFC 9915 §7.6), until a server sets it.
const SOL_MAX_RT: Duration = Duration::from_secs(3600);
/// The range in which a server may set it, in seconds (RFC 9915 §21.24).
const SOL_MAX_RT_RANGE: std::ops::RangeInclusive<u32> = 60..=86_400;
/// The preference that ends the search at once (RFC 9915 §18.2.9).
const HIGHEST_PREFERENCE: u8 = u8::MAX;
/// The wish if no prefix is known: the length that a subnet needs.
const ANY_PREFIX: (Ipv6Addr, u8) = (Ipv6Addr::UNSPECIFIED, 64);

/// Asks for the prefix of one subnet, extends it, and gives it back.
///
/// Sans-IO: the owner hands in what it hears. At [`poll_timeout`](Self::poll_timeout) it calls
/// [`handle_timeout`](Self::handle_timeout), and sends the frames that are due from the gateway port. Random numbers
/// are arguments: any `u64`, a new one each time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    duid: Vec<u8>,
    sender: Sender,
    lease: Option<Lease>,
    /// Its last prefix.
    known: Option<Ipv6Net>,
    sol_max_rt: Duration,
    /// How often servers refused what they had offered, since the last lease.
    setbacks: u32,
    phase: Phase,
    frame: Option<Vec<u8>>,
}

/// The client's state, with its progress.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Phase {
    Soliciting(PrefixExchange, Option<Offer>),
    Requesting(PrefixExchange, Offer),
    Bound,
    Renewing(PrefixExchange),
    Rebinding(PrefixExchange),
    Releasing(PrefixExchange, Offer),
    Released,
}

/// A server's offer of a prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Offer {
    server: Vec<u8>,
    prefix: Ipv6Net,
    /// How good it is: the server's preference, whether it is the known prefix, and how long it is preferred.
    rank: (u8, bool, u32),
}

impl Offer {
    /// The prefix of this server, whatever others offer.
    fn of(server: &[u8], prefix: Ipv6Net) -> Self {
        Self {
            server: server.to_vec(),
            prefix,
            rank: (0, false, 0),
        }
    }
}

impl Client {
    /// Starts with Solicit, after a random delay (SOL_MAX_DELAY). With a known lease it starts with Rebind, as after a
    /// change of the link (RFC 9915 §18.2.12). The lease counts meanwhile, and also if nobody answers.
    #[must_use]
    pub fn new(
        subnet: SubnetId,
        sender: Sender,
        known: Option<Lease>,
        now: Instant,
        random: u64,
    ) -> Self {
        let prefix = known.as_ref().map(|lease| lease.prefix);
        let lease = known.filter(|lease| !lease.has_ended(now));
        let phase = match lease {
            Some(_) => {
                let exchange = PrefixExchange::delayed(Retransmission::confirm(), now, random);
                Phase::Rebinding(exchange)
            }
            None => soliciting(SOL_MAX_RT, now, random),
        };
        Self {
            duid: duid(subnet),
            sender,
            lease,
            known: prefix,
            sol_max_rt: SOL_MAX_RT,
            setbacks: 0,
            phase,
            frame: None,
        }
    }

    /// Sends from here from now on.
    pub fn set_sender(&mut self, sender: Sender) {
        self.sender = sender;
    }

    /// Its lease.
    #[must_use]
    pub fn lease(&self) -> Option<&Lease> {
        self.lease.as_ref()
    }

    /// Its state.
    #[must_use]
    pub fn state(&self) -> PrefixClientState {
        match self.phase {
            Phase::Soliciting(..) => PrefixClientState::Soliciting,
            Phase::Requesting(..) => PrefixClientState::Requesting,
            Phase::Bound => PrefixClientState::Bound,
            Phase::Renewing(_) => PrefixClientState::Renewing,
            Phase::Rebinding(_) => PrefixClientState::Rebinding,
            Phase::Releasing(..) | Phase::Released => PrefixClientState::Releasing,
        }
    }

    /// Whether it gave its prefix back, and has nothing more to send.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.phase == Phase::Released
    }

    /// When to call [`handle_timeout`](Self::handle_timeout). `None` if it waits for nothing: it is done, or its lease
    /// never ends.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let lease = self.lease.as_ref();
        let exchange = self.phase.exchange().and_then(PrefixExchange::poll_timeout);
        let turn = lease.and_then(|lease| match self.phase {
            Phase::Bound => earlier(lease.renew_at, lease.rebind_at),
            Phase::Renewing(_) => lease.rebind_at,
            Phase::Soliciting(..)
            | Phase::Requesting(..)
            | Phase::Rebinding(_)
            | Phase::Releasing(..)
            | Phase::Released => None,
        });
        let end = lease.and_then(|lease| lease.valid_until);
        earlier(earlier(exchange, turn), end)
    }

    /// Sends what is due. The lease may end with it: see [`lease`](Self::lease).
    pub fn handle_timeout(&mut self, now: Instant, random: u64) {
        self.expire(now, random);
        while let Some(phase) = self.turn(now, random) {
            if matches!(phase, Phase::Soliciting(..)) {
                self.lease = None;
            }
            self.phase = phase;
        }
        if let Some(frame) = self.send(now, random) {
            self.frame = Some(frame);
        }
    }

    /// The Ethernet frame to send, to all servers of the link.
    pub fn poll_frame(&mut self) -> Option<Vec<u8>> {
        self.frame.take()
    }

    /// Gives the prefix back. The lease ends at once.
    pub fn release(&mut self, now: Instant, random: u64) {
        let lease = self.lease.take();
        let held = match (&self.phase, lease) {
            (Phase::Releasing(..) | Phase::Released, _) => return,
            (_, Some(lease)) => Some(Offer::of(&lease.server, lease.prefix)),
            // The server may have granted the prefix already, so it is given back, too.
            (Phase::Requesting(exchange, offer), None) if exchange.sent() > 0 => {
                Some(offer.clone())
            }
            (_, None) => None,
        };
        self.phase = match held {
            Some(held) => {
                let exchange = PrefixExchange::new(Retransmission::release(), now, random);
                Phase::Releasing(exchange, held)
            }
            None => Phase::Released,
        };
    }

    /// Takes a server's message. What the client sends because of it is due at once.
    pub fn handle_message(&mut self, message: &HeardServer, now: Instant, random: u64) -> Effect {
        let asked = self.phase.exchange().is_some_and(|exchange| {
            exchange.sent() > 0 && exchange.transaction() == message.transaction
        });
        if !asked || message.client() != self.duid {
            return Effect::NotForUs;
        }
        match (&self.phase, message.kind) {
            (Phase::Soliciting(..), Dhcpv6MessageType::Advertise) => {
                self.offered(message, now, random)
            }
            (Phase::Requesting(..), Dhcpv6MessageType::Reply) => {
                self.answered(message, now, random)
            }
            (Phase::Renewing(_) | Phase::Rebinding(_), Dhcpv6MessageType::Reply) => {
                self.extended(message, now, random)
            }
            (Phase::Releasing(..), Dhcpv6MessageType::Reply) => {
                self.phase = Phase::Released; // whatever its status is (§18.2.10.2)
                Effect::Taken
            }
            _ => Effect::Refused("not an answer to what was asked"),
        }
    }

    /// An Advertise (§18.2.9).
    fn offered(&mut self, message: &HeardServer, now: Instant, random: u64) -> Effect {
        self.learn(message);
        let found = match message.best(self.known) {
            Ok(found) => found,
            Err(reason) => return Effect::Refused(reason),
        };
        let is_known = self.known == Some(found.prefix);
        let offer = Offer {
            rank: (message.preference, is_known, found.preferred),
            ..Offer::of(&message.server, found.prefix)
        };
        let Phase::Soliciting(exchange, best) = &mut self.phase else {
            return Effect::NotForUs;
        };
        if exchange.sent() > 1 || message.preference == HIGHEST_PREFERENCE {
            self.phase = requesting(offer, now, random);
        } else if best.as_ref().is_none_or(|best| best.rank < offer.rank) {
            *best = Some(offer);
        }
        Effect::Taken
    }

    /// A Reply to a Request (§18.2.10.1).
    fn answered(&mut self, message: &HeardServer, now: Instant, random: u64) -> Effect {
        let Phase::Requesting(_, offer) = &self.phase else {
            return Effect::NotForUs;
        };
        let wanted = offer.prefix;
        self.learn(message);
        match message.best(Some(wanted)) {
            Ok(granted) => self.bind(message.lease(granted, now)),
            // The same server is asked again, as often as if it had not answered.
            Err(reason) if message.failure() == Some(grant::UNSPECIFIED_FAILURE) => {
                Effect::Refused(reason)
            }
            Err(reason) => {
                let had = self.lease.take().is_some();
                let timing = Retransmission::solicit(self.sol_max_rt);
                let exchange = PrefixExchange::after(self.setbacks, timing, now, random);
                self.setbacks = self.setbacks.saturating_add(1);
                self.phase = Phase::Soliciting(exchange, None);
                if had {
                    Effect::Lost
                } else {
                    Effect::Refused(reason)
                }
            }
        }
    }

    /// A Reply to a Renew or a Rebind (§18.2.10.1). What it does not mention does not change.
    fn extended(&mut self, message: &HeardServer, now: Instant, random: u64) -> Effect {
        self.learn(message);
        let Some(lease) = &self.lease else {
            return Effect::NotForUs;
        };
        if message.failure() == Some(grant::NO_BINDING) {
            let offer = Offer::of(&message.server, lease.prefix);
            self.phase = requesting(offer, now, random);
            return Effect::Refused(status_name(grant::NO_BINDING));
        }
        let preferred = lease.preferred_until.is_none_or(|until| now < until);
        match message.best(Some(lease.prefix)) {
            Ok(_) if preferred && !message.mentions(lease.prefix) => Effect::Taken,
            Ok(granted) => self.bind(message.lease(granted, now)),
            Err(_) if message.withdraws(lease.prefix) => {
                self.lease = None;
                self.phase = soliciting(self.sol_max_rt, now, random);
                Effect::Lost
            }
            Err(reason) => Effect::Refused(reason),
        }
    }

    fn bind(&mut self, lease: Lease) -> Effect {
        let before = self.lease.as_ref().map(|lease| lease.prefix);
        let effect = match before == Some(lease.prefix) {
            true => Effect::Extended,
            false => Effect::Granted,
        };
        self.known = Some(lease.prefix);
        self.setbacks = 0;
        self.lease = Some(lease);
        self.phase = Phase::Bound;
        effect
    }

    /// SOL_MAX_RT counts even in a message that is otherwise useless (§18.2.9).
    fn learn(&mut self, message: &HeardServer) {
        let said = message.sol_max_rt;
        let Some(seconds) = said.filter(|seconds| SOL_MAX_RT_RANGE.contains(seconds)) else {
            return;
        };
        self.sol_max_rt = Duration::from_secs(seconds.into());
        if let Phase::Soliciting(exchange, _) = &mut self.phase {
            exchange.set_longest(self.sol_max_rt);
        }
    }

    fn expire(&mut self, now: Instant, random: u64) {
        if self
            .lease
            .as_ref()
            .is_none_or(|lease| !lease.has_ended(now))
        {
            return;
        }
        self.lease = None;
        // If a server is already being asked for it again, that goes on.
        if !matches!(self.phase, Phase::Requesting(..)) {
            self.phase = soliciting(self.sol_max_rt, now, random);
        }
    }

    /// The phase that the time leads to. `None` if the phase stays.
    fn turn(&self, now: Instant, random: u64) -> Option<Phase> {
        let lease = self.lease.as_ref();
        let [renew, rebind] = [
            lease.and_then(|lease| lease.renew_at),
            lease.and_then(|lease| lease.rebind_at),
        ]
        .map(|at| at.is_some_and(|at| at <= now));
        match &self.phase {
            Phase::Soliciting(exchange, Some(best)) if exchange.is_due(now) => {
                Some(requesting(best.clone(), now, random))
            }
            Phase::Requesting(exchange, _) if exchange.has_failed(now) => {
                Some(soliciting(self.sol_max_rt, now, random))
            }
            Phase::Bound | Phase::Renewing(_) if rebind => {
                Some(Phase::Rebinding(extending(now, random)))
            }
            Phase::Bound if renew => Some(Phase::Renewing(extending(now, random))),
            // Nobody said that the lease does not fit the link, so it stays (§18.2.12).
            Phase::Rebinding(exchange) if exchange.has_failed(now) => Some(Phase::Bound),
            Phase::Releasing(exchange, _) if exchange.has_failed(now) => Some(Phase::Released),
            Phase::Soliciting(..)
            | Phase::Requesting(..)
            | Phase::Bound
            | Phase::Renewing(_)
            | Phase::Rebinding(_)
            | Phase::Releasing(..)
            | Phase::Released => None,
        }
    }

    /// The frame that is due.
    fn send(&mut self, now: Instant, random: u64) -> Option<Vec<u8>> {
        let elapsed = self.phase.exchange_mut()?.send(now, random)?;
        let transaction = self.phase.exchange()?.transaction();
        let lease = self.lease.as_ref();
        let (kind, server, prefix) = match &self.phase {
            Phase::Soliciting(..) => (Dhcpv6MessageType::Solicit, None, self.known),
            Phase::Requesting(_, offer) => (
                Dhcpv6MessageType::Request,
                Some(&offer.server),
                Some(offer.prefix),
            ),
            Phase::Renewing(_) => {
                let server = lease.map(|lease| &lease.server);
                (
                    Dhcpv6MessageType::Renew,
                    server,
                    lease.map(|lease| lease.prefix),
                )
            }
            Phase::Rebinding(_) => (
                Dhcpv6MessageType::Rebind,
                None,
                lease.map(|lease| lease.prefix),
            ),
            Phase::Releasing(_, held) => (
                Dhcpv6MessageType::Release,
                Some(&held.server),
                Some(held.prefix),
            ),
            Phase::Bound | Phase::Released => return None,
        };
        let (any, length) = ANY_PREFIX;
        let message = PrefixClientMessage {
            kind,
            transaction,
            client: &self.duid,
            server: server.map(Vec::as_slice),
            elapsed,
            prefix: prefix.unwrap_or(Ipv6Net::new_assert(any, length)),
        };
        Some(message.frame(self.sender))
    }
}

impl Phase {
    fn exchange(&self) -> Option<&PrefixExchange> {
        match self {
            Self::Soliciting(exchange, _)
            | Self::Requesting(exchange, _)
            | Self::Renewing(exchange)
            | Self::Rebinding(exchange)
            | Self::Releasing(exchange, _) => Some(exchange),
            Self::Bound | Self::Released => None,
        }
    }

    fn exchange_mut(&mut self) -> Option<&mut PrefixExchange> {
        match self {
            Self::Soliciting(exchange, _)
            | Self::Requesting(exchange, _)
            | Self::Renewing(exchange)
            | Self::Rebinding(exchange)
            | Self::Releasing(exchange, _) => Some(exchange),
            Self::Bound | Self::Released => None,
        }
    }
}

fn soliciting(longest: Duration, now: Instant, random: u64) -> Phase {
    let exchange = PrefixExchange::delayed(Retransmission::solicit(longest), now, random);
    Phase::Soliciting(exchange, None)
}

fn requesting(offer: Offer, now: Instant, random: u64) -> Phase {
    let exchange = PrefixExchange::new(Retransmission::request(), now, random);
    Phase::Requesting(exchange, offer)
}

fn extending(now: Instant, random: u64) -> PrefixExchange {
    PrefixExchange::new(Retransmission::extend(), now, random)
}

fn earlier(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    one.into_iter().chain(other).min()
}
