//! The controller's side of an OpenFlow connection as a state machine: octets in, octets and events out, time as an argument.
//!
//! Whoever owns the stream (a task, a thread, a test) goes round:
//!
//! 1. Write what [`Session::poll_transmit`] gives; say with [`Session::handle_transmitted`] how much of it the peer accepted.
//! 2. Read, and hand that to [`Session::handle_input`]; the end of the stream to [`Session::handle_end`].
//! 3. When [`Session::poll_timeout`] has passed, call [`Session::handle_timeout`].
//! 4. Take events with [`Session::poll_event`] until there are no more, and queue messages with [`Session::send`].
//!
//! The caller bounds what it queues itself: it stops while [`Session::queued_bytes`] is high. The session bounds what the
//! peer can cause: reading ahead, messages kept for later, parts of answers, and answers to its echoes.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes, BytesMut};
use thiserror::Error;

use crate::bundle::Bundle;
use crate::error::{DecodeError, EncodeError};
use crate::failure::ErrorMessage;
use crate::framer::Framer;
use crate::message::Message;
use crate::numbers::Xid;
use crate::setup::{Features, Hello};

mod handshake;
mod incoming;
mod liveness;

pub use incoming::{Answer, AnswerError};

use handshake::Phase;
use incoming::AnswerParts;
use liveness::{Liveness, PeerState};

/// Room for reading, in octets; made anew when less than an eighth is left.
const READ_CHUNK: usize = 64 * 1024;
/// Room for reading while little comes: most switches are silent most of the time, and there may be thousands.
const QUIET_CHUNK: usize = 1024;
/// A read or a message of fewer octets is little.
const LITTLE: usize = 512;
/// Room for output that is kept while nothing is to be sent, in octets: a switch is given all its flows once, and answers
/// mostly.
const KEPT_OUTPUT: usize = 2 * READ_CHUNK;
/// The same after little was sent.
const KEPT_QUIET_OUTPUT: usize = 4 * QUIET_CHUNK;
/// Octets of input after which [`Session::wants_input`] says no.
const READ_AHEAD: usize = 1024 * 1024;
/// Octets of messages kept for later: those that come before the switch's features, or before an answer.
const MAX_KEPT: usize = 1024 * 1024;
/// Times [`Options::high_water`] that are queued when no more messages are taken in.
const CLOGGED: usize = 2;

/// Times and limits of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// How long the whole handshake may take.
    pub handshake: Duration,
    /// Silence after which the peer is asked whether it is there.
    pub idle: Duration,
    /// How long it may take to answer that before it counts as dead. A peer that accepts no octet for [`Options::idle`] and
    /// this counts as stuck.
    pub dead: Duration,
    /// Octets that the answer to one question may have, in all its parts.
    pub max_answer: usize,
    /// [`Session::drive`] stops adding to the output at this many octets. At twice as many, no more messages are taken in.
    pub high_water: usize,
}

impl Default for Options {
    /// Ten seconds for the handshake, a probe after five seconds of silence, dead five seconds later, 64 MiB an answer,
    /// 256 KiB of output.
    fn default() -> Self {
        Options {
            handshake: Duration::from_secs(10),
            idle: Duration::from_secs(5),
            dead: Duration::from_secs(5),
            max_answer: 64 * 1024 * 1024,
            high_water: 256 * 1024,
        }
    }
}

/// Why a session cannot go on: the switch's fault, or the network's.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SessionError {
    /// The peer ended the stream inside a message.
    #[error("the switch closed the connection inside a message")]
    Cut,
    /// The peer ended the stream during the handshake.
    #[error("the switch closed the connection before it said what it is")]
    ClosedEarly,
    /// The handshake took too long.
    #[error("no handshake within {0:?}")]
    HandshakeTimeout(Duration),
    /// The peer does not speak OpenFlow 1.3.
    #[error(
        "the switch does not speak OpenFlow 1.3 (its hello is of version {version:#04x}, its bitmap {bitmap:?})"
    )]
    Version {
        /// Version in the header of its hello.
        version: u8,
        /// Its version bitmap.
        bitmap: Option<u32>,
    },
    /// The peer refused our hello or our request for its features.
    #[error("the switch refused the handshake: {0}")]
    Refused(ErrorMessage),
    /// The first message was no hello.
    #[error("the switch did not begin with a hello")]
    NoHello,
    /// The peer's hello or features do not follow the specification.
    #[error("the switch's handshake is malformed: {0}")]
    Handshake(DecodeError),
    /// Too much came before an answer; the first answer that is waited for is the switch's features.
    #[error("the switch sent more than {MAX_KEPT} bytes before its answer")]
    Flood,
    /// Nothing was heard, not even an answer to an echo request.
    #[error("the switch is dead: silent for {0:?}")]
    Dead(Duration),
    /// The peer does not read.
    #[error("the switch is stuck: accepted nothing for {0:?}")]
    Stuck(Duration),
    /// The stream cannot be cut into messages.
    #[error("framing lost: {0}")]
    Framing(DecodeError),
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// Both sides agree on OpenFlow 1.3; this is what the switch is. The first event.
    Ready(Features),
    /// The switch sent a message that answers no question.
    Message {
        /// The message's transaction id.
        xid: Xid,
        /// The message.
        message: Message,
    },
    /// The whole answer to a question has come.
    Answer {
        /// What [`Session::ask`] returned.
        xid: Xid,
        /// The answer, or why there is none.
        answer: Answer,
    },
    /// A message did not follow the specification. It has been answered with an error.
    Malformed {
        /// The message's transaction id.
        xid: Xid,
        /// What is wrong with it.
        error: DecodeError,
    },
}

/// The state machine of a connection. See the [module](self) for how it is driven.
#[derive(Debug)]
pub struct Session {
    options: Options,
    phase: Phase,
    liveness: Liveness,
    incoming: BytesMut,
    /// How much room for reading is made.
    chunk: usize,
    /// How much room there was for what is being read.
    room: usize,
    outgoing: BytesMut,
    /// The peer has ended its side.
    ended: bool,
    /// What came before an answer that was waited for.
    kept: VecDeque<Bytes>,
    kept_bytes: usize,
    next_xid: Xid,
    /// What is asked, with what has come of each answer.
    questions: BTreeMap<Xid, AnswerParts>,
    /// Answers that came while another one was waited for.
    events: VecDeque<Event>,
    failure: Option<SessionError>,
}

impl Session {
    /// A session on a stream that was just opened, by either side. Its hello is queued.
    #[must_use]
    pub fn new(options: Options, now: Instant) -> Self {
        let mut session = Session {
            options,
            phase: Phase::Hello {
                limit: now + options.handshake,
            },
            liveness: Liveness::new(options.idle, options.dead, now),
            incoming: BytesMut::new(),
            chunk: QUIET_CHUNK,
            room: 0,
            outgoing: BytesMut::new(),
            ended: false,
            kept: VecDeque::new(),
            kept_bytes: 0,
            next_xid: Xid(1),
            questions: BTreeMap::new(),
            events: VecDeque::new(),
            failure: None,
        };
        session.queue(&Message::Hello(Hello::openflow13()));
        session
    }

    /// Takes octets as they were received.
    pub fn handle_input(&mut self, octets: &[u8], now: Instant) {
        self.incoming.extend_from_slice(octets);
        self.handle_received(now);
    }

    /// Room to read into, which saves the copy that [`Session::handle_input`] makes. Whoever has appended what was received
    /// calls [`Session::handle_received`].
    ///
    /// Messages share the memory of this buffer, which lives as long as a packet cut from it.
    pub fn receive_buffer(&mut self) -> &mut BytesMut {
        let is_quiet = self.chunk == QUIET_CHUNK && self.incoming.is_empty();
        if is_quiet && self.spare() > QUIET_CHUNK {
            self.incoming = BytesMut::with_capacity(QUIET_CHUNK);
        } else if self.spare() < self.chunk / 8 {
            self.incoming.reserve(self.chunk);
        }
        self.room = self.spare();
        &mut self.incoming
    }

    fn spare(&self) -> usize {
        self.incoming.capacity() - self.incoming.len()
    }

    /// Notes that octets were appended to [`Session::receive_buffer`].
    pub fn handle_received(&mut self, now: Instant) {
        let spare = self.spare();
        if spare == 0 {
            self.chunk = READ_CHUNK;
        } else if self.room.saturating_sub(spare) < LITTLE {
            self.chunk = QUIET_CHUNK;
        }
        self.liveness.heard(now);
    }

    /// Takes the end of the stream.
    pub fn handle_end(&mut self) {
        self.ended = true;
    }

    /// Whether the peer has ended its side.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.ended
    }

    /// Whether to read more while output waits. A switch may not read on before its answers are taken, so say no only when
    /// much was read ahead.
    #[must_use]
    pub fn wants_input(&self) -> bool {
        !self.ended && self.incoming.len() < READ_AHEAD
    }

    /// All octets that are to be sent to the peer, in order.
    ///
    /// After a failure, too: the last message says why.
    pub fn poll_transmit(&mut self, now: Instant) -> Option<&[u8]> {
        if self.outgoing.is_empty() {
            return None;
        }
        self.liveness.offered(now);
        Some(&self.outgoing)
    }

    /// Notes that the peer accepted this many of the octets of [`Session::poll_transmit`].
    pub fn handle_transmitted(&mut self, octets: usize, now: Instant) {
        let queued = self.outgoing.len();
        let kept = match queued < LITTLE {
            true => KEPT_QUIET_OUTPUT,
            false => KEPT_OUTPUT,
        };
        self.outgoing.advance(octets.min(queued));
        if self.outgoing.is_empty() && self.outgoing.try_reclaim(kept + 1) {
            self.outgoing = BytesMut::new();
        }
        self.liveness.accepted(now, !self.outgoing.is_empty());
    }

    /// Changes [`Options::idle`], also of a silence that lasts.
    pub fn set_idle(&mut self, idle: Duration) {
        self.options.idle = idle;
        self.liveness.set_idle(idle);
    }

    /// Octets queued that the peer has not accepted.
    #[must_use]
    pub fn queued_bytes(&self) -> usize {
        self.outgoing.len()
    }

    /// Whether the peer takes its answers so slowly that it is given no more to answer: [`Session::poll_event`] gives nothing
    /// before some output is transmitted.
    #[must_use]
    pub fn is_clogged(&self) -> bool {
        self.outgoing.len() >= self.options.high_water.saturating_mul(CLOGGED)
    }

    /// When to call [`Session::handle_timeout`].
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.failure.is_some() {
            return None;
        }
        Some(self.phase.limit().unwrap_or(self.liveness.deadline()))
    }

    /// Probes a silent peer, or gives it up.
    pub fn handle_timeout(&mut self, now: Instant) {
        let failure = match self.phase.limit() {
            Some(limit) if now < limit => return,
            Some(_) => SessionError::HandshakeTimeout(self.options.handshake),
            None => match self.liveness.judge(now) {
                PeerState::Alive => return,
                PeerState::Probe => return self.queue(&Message::EchoRequest(Bytes::new())),
                PeerState::Dead(silence) => SessionError::Dead(silence),
                PeerState::Stuck(waited) => SessionError::Stuck(waited),
            },
        };
        self.failure.get_or_insert(failure);
    }

    /// What the switch is, once [`Event::Ready`] has said so.
    #[must_use]
    pub fn features(&self) -> Option<&Features> {
        self.phase.features()
    }

    /// Why the session is of no more use.
    #[must_use]
    pub fn failure(&self) -> Option<&SessionError> {
        self.failure.as_ref()
    }

    /// Queues a message under a new transaction id, which is returned.
    ///
    /// # Errors
    /// [`EncodeError`] for a message that is too long; nothing is queued then.
    pub fn send(&mut self, message: &Message) -> Result<Xid, EncodeError> {
        let xid = self.reserve_xids(1);
        self.send_with_xid(xid, message)?;
        Ok(xid)
    }

    /// Queues a message under a given transaction id, as in the answer to a request.
    ///
    /// # Errors
    /// As [`Session::send`].
    pub fn send_with_xid(
        &mut self,
        xid: impl Into<Xid>,
        message: &Message,
    ) -> Result<(), EncodeError> {
        message.encode(xid, &mut self.outgoing)
    }

    /// Queues a request whose whole answer (one message, or all parts of a multipart reply) comes as one [`Event::Answer`].
    ///
    /// Only for messages that a switch answers. To learn when it has done others, ask with [`Message::BarrierRequest`].
    ///
    /// # Errors
    /// As [`Session::send`].
    pub fn ask(&mut self, request: &Message) -> Result<Xid, EncodeError> {
        let xid = self.send(request)?;
        self.questions.insert(xid, AnswerParts::default());
        Ok(xid)
    }

    /// The first of `count` consecutive transaction ids that nothing else in this session will use.
    pub fn reserve_xids(&mut self, count: u32) -> Xid {
        let first = self.next_xid;
        self.next_xid = first.plus(count);
        first
    }

    /// Queues what `bundle` has to send, up to the high-water mark; says whether that was all for the moment. To be called
    /// at first, after each message that [`Bundle::on_message`] took, and while it says `false` after each transmission.
    ///
    /// # Errors
    /// As [`Session::send`]; the bundle is of no more use then.
    pub fn drive(&mut self, bundle: &mut Bundle) -> Result<bool, EncodeError> {
        if !bundle.is_started() {
            let first = self.reserve_xids(bundle.xids());
            bundle.start(first);
        }
        while self.queued_bytes() < self.options.high_water {
            if !bundle.encode_next(&mut self.outgoing)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Queues one of the session's own messages, which are short.
    fn queue(&mut self, message: &Message) {
        let xid = self.reserve_xids(1);
        self.queue_with_xid(xid, message);
    }

    fn queue_with_xid(&mut self, xid: Xid, message: &Message) {
        if let Err(error) = self.send_with_xid(xid, message) {
            tracing::warn!(%error, "answer dropped");
        }
    }

    fn cut_frame(&mut self) -> Result<Option<Bytes>, SessionError> {
        Framer
            .next(&mut self.incoming)
            .map_err(SessionError::Framing)
    }

    /// Keeps a message until the one that is waited for has come.
    fn keep(&mut self, frame: Bytes) -> Result<(), SessionError> {
        self.kept_bytes += frame.len();
        self.kept.push_back(frame);
        if self.kept_bytes > MAX_KEPT {
            return Err(SessionError::Flood);
        }
        Ok(())
    }
}
