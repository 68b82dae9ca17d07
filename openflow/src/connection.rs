//! A session with a switch over any byte stream: TCP, TLS, a socket pair in a test.
//!
//! One task owns a connection. It receives a message, drains what else has arrived with [`Connection::try_recv_buffered`],
//! answers with [`Connection::send`] (which only fills a buffer), and lets the buffer go once for the whole batch with
//! [`Connection::flush`], or leaves that to [`Connection::recv`], which writes while it waits.
//!
//! What a caller queues is for the caller to bound: it stops taking on work while [`Connection::queued_bytes`] is high. What
//! the peer can cause by itself is bounded here: reading ahead, messages kept for later, and answers to its echoes, after
//! which nothing more is received before some of them are taken. Frames share the receive buffer's memory, which lives as
//! long as a packet cut from it.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::time::{Instant, timeout_at};

use crate::bundle::Bundle;
use crate::error::{DecodeError, EncodeError};
use crate::failure::ErrorMessage;
use crate::framer::Framer;
use crate::message::Message;
use crate::session::Features;

mod ask;
mod handshake;

pub use ask::AskError;

/// Room that is made for reading when less than a fraction of it is left.
const READ_CHUNK: usize = 64 * 1024;
/// Bytes read ahead while flushing: the peer may have to write before it reads on.
const READ_AHEAD: usize = 1024 * 1024;
/// Bytes of messages kept for later: those that a switch sends before it says what it is, or before an answer.
const MAX_KEPT: usize = 1024 * 1024;
/// Times [`Options::high_water`] that are queued when nothing more is received.
const CLOGGED: usize = 2;

/// Times and limits of a connection.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How long the whole handshake may take.
    pub handshake: Duration,
    /// Silence after which the peer is asked whether it is there.
    pub idle: Duration,
    /// How long it may take to answer, or to accept a single byte, before it is taken for dead.
    pub dead: Duration,
    /// [`Connection::drive`] stops adding to the write buffer at this many bytes; at twice as many, nothing more is received.
    pub high_water: usize,
}

impl Default for Options {
    /// Ten seconds for the handshake, a probe after five seconds of silence, dead five seconds later, 1 MiB of output.
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Options {
            handshake: seconds(10),
            idle: seconds(5),
            dead: seconds(5),
            high_water: 1024 * 1024,
        }
    }
}

/// Why a connection cannot go on, or a message cannot be used.
#[derive(Debug, Error)]
pub enum ConnectionError {
    /// The network failed.
    #[error("connection lost: {0}")]
    Io(#[from] io::Error),
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
    /// Too much came before the answer to a request, the first of which is that for the switch's features.
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
    /// One message does not follow the specification. It has been answered with an error; the next one can be received.
    #[error("message {xid:#x}: {error}")]
    Malformed {
        /// The message's xid.
        xid: u32,
        /// What is wrong.
        error: DecodeError,
    },
}

impl ConnectionError {
    /// Whether the connection is of no more use.
    pub fn is_fatal(&self) -> bool {
        !matches!(self, ConnectionError::Malformed { .. })
    }
}

/// An OpenFlow 1.3 session. See the [module](self) for how it is used.
#[derive(Debug)]
pub struct Connection<S> {
    stream: S,
    incoming: BytesMut,
    outgoing: BytesMut,
    /// The peer has ended its side.
    ended: bool,
    /// What came before an answer that was waited for.
    kept: VecDeque<Bytes>,
    kept_bytes: usize,
    features: Features,
    next_xid: u32,
    options: Options,
    /// When the last byte came in.
    heard: Instant,
    /// When the peer last accepted a byte, or output began to wait.
    accepted: Instant,
    /// The echo request that is out, and since when.
    probe: Option<Instant>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// Agrees on OpenFlow 1.3 and asks the switch what it is.
    ///
    /// # Errors
    /// Any [`ConnectionError`]; the stream is closed then.
    pub async fn handshake(stream: S, options: Options) -> Result<Self, ConnectionError> {
        let limit = Instant::now() + options.handshake;
        let mut connection = Connection::new(stream, options);
        let shaken = timeout_at(limit, connection.shake_hands()).await;
        shaken.unwrap_or(Err(ConnectionError::HandshakeTimeout(options.handshake)))?;
        Ok(connection)
    }

    fn new(stream: S, options: Options) -> Self {
        let now = Instant::now();
        Connection {
            stream,
            incoming: BytesMut::with_capacity(READ_CHUNK),
            outgoing: BytesMut::with_capacity(READ_CHUNK),
            ended: false,
            kept: VecDeque::new(),
            kept_bytes: 0,
            features: Features {
                datapath_id: 0,
                buffers: 0,
                tables: 0,
                auxiliary_id: 0,
                capabilities: 0,
            },
            next_xid: 1,
            options,
            heard: now,
            accepted: now,
            probe: None,
        }
    }

    /// Keeps a message for [`Connection::recv`].
    fn keep(&mut self, frame: Bytes) -> Result<(), ConnectionError> {
        self.kept_bytes += frame.len();
        self.kept.push_back(frame);
        if self.kept_bytes > MAX_KEPT {
            return Err(ConnectionError::Flood);
        }
        Ok(())
    }

    /// What the switch said of itself.
    pub fn features(&self) -> &Features {
        &self.features
    }

    /// The stream underneath, to ask it for addresses.
    pub fn stream(&self) -> &S {
        &self.stream
    }

    /// The next message from the switch with its xid; `None` when the switch has ended the connection.
    ///
    /// Echo requests are answered and the connection's own echoes are hidden. While it waits, output is written and the
    /// peer's life is watched. Cancel-safe: dropping the future loses nothing.
    ///
    /// # Errors
    /// Any [`ConnectionError`]; after a [`ConnectionError::Malformed`] the next message can be received.
    pub async fn recv(&mut self) -> Result<Option<(u32, Message)>, ConnectionError> {
        loop {
            if let Some(message) = self.try_recv_buffered()? {
                return Ok(Some(message));
            }
            if !self.wait_for_more().await? {
                return Ok(None);
            }
        }
    }

    /// A message that has arrived already, without any IO; none while too much waits to be written.
    ///
    /// # Errors
    /// As [`Connection::recv`].
    pub fn try_recv_buffered(&mut self) -> Result<Option<(u32, Message)>, ConnectionError> {
        while !self.is_clogged()
            && let Some(frame) = self.next_frame()?
        {
            if let Some(message) = self.open(&frame)? {
                return Ok(Some(message));
            }
        }
        Ok(None)
    }

    /// Whether the peer takes its answers so slowly that it is given no more to answer.
    fn is_clogged(&self) -> bool {
        self.outgoing.len() >= self.options.high_water.saturating_mul(CLOGGED)
    }

    /// Waits for bytes to come in, or to go out where too many are queued; `false` at the end of the stream.
    async fn wait_for_more(&mut self) -> Result<bool, ConnectionError> {
        if self.is_clogged() {
            self.flush().await?;
        } else if !self.ended {
            self.wait().await?;
        } else if self.incoming.is_empty() {
            return Ok(false);
        } else {
            return Err(ConnectionError::Cut);
        }
        Ok(true)
    }

    fn next_frame(&mut self) -> Result<Option<Bytes>, ConnectionError> {
        if let Some(kept) = self.kept.pop_front() {
            self.kept_bytes -= kept.len();
            return Ok(Some(kept));
        }
        self.cut_frame()
    }

    fn cut_unclogged(&mut self) -> Result<Option<Bytes>, ConnectionError> {
        if self.is_clogged() {
            return Ok(None);
        }
        self.cut_frame()
    }

    fn cut_frame(&mut self) -> Result<Option<Bytes>, ConnectionError> {
        Framer
            .next(&mut self.incoming)
            .map_err(ConnectionError::Framing)
    }

    /// Decodes a frame; echoes end here.
    fn open(&mut self, frame: &Bytes) -> Result<Option<(u32, Message)>, ConnectionError> {
        match Message::decode(frame) {
            Ok((xid, Message::EchoRequest(data))) => {
                self.queue_with_xid(xid, &Message::EchoReply(data));
                Ok(None)
            }
            Ok((_, Message::EchoReply(_))) => Ok(None),
            Ok(found) => Ok(Some(found)),
            Err(error) => Err(self.complain(frame, error)),
        }
    }

    /// Answers a malformed message with an error, unless it is one itself.
    fn complain(&mut self, frame: &Bytes, error: DecodeError) -> ConnectionError {
        let xid = frame.get(4..8).map_or(0, |mut xid| xid.get_u32());
        if frame.get(1) != Some(&1) {
            let data = frame.slice(..frame.len().min(64));
            self.queue_with_xid(
                xid,
                &Message::Error(ErrorMessage {
                    code: error.to_error_code(),
                    data,
                }),
            );
        }
        ConnectionError::Malformed { xid, error }
    }

    /// Waits for bytes, or for the time to do something about silence.
    async fn wait(&mut self) -> Result<(), ConnectionError> {
        let deadline = self.deadline();
        match timeout_at(deadline, poll_fn(|context| self.poll_exchange(context))).await {
            Ok(result) => result,
            Err(_elapsed) => self.silence(),
        }
    }

    fn deadline(&self) -> Instant {
        let heard = self.probe.map_or(self.heard + self.options.idle, |since| {
            since + self.options.dead
        });
        if self.outgoing.is_empty() {
            heard
        } else {
            heard.min(self.accepted + self.stuck_after())
        }
    }

    fn stuck_after(&self) -> Duration {
        self.options.idle + self.options.dead
    }

    /// The deadline has passed: ask, or give up.
    fn silence(&mut self) -> Result<(), ConnectionError> {
        let now = Instant::now();
        if !self.outgoing.is_empty() && now >= self.accepted + self.stuck_after() {
            Err(ConnectionError::Stuck(now - self.accepted))
        } else if self.probe.is_some() {
            Err(ConnectionError::Dead(now - self.heard))
        } else {
            self.probe = Some(now);
            self.queue(&Message::EchoRequest(Bytes::new()));
            Ok(())
        }
    }

    /// Queues a message under a new xid, which is returned. Does no IO.
    ///
    /// # Errors
    /// [`EncodeError`] for a message that is too long; nothing is queued then.
    pub fn send(&mut self, message: &Message) -> Result<u32, EncodeError> {
        let xid = self.reserve_xids(1);
        self.send_with_xid(xid, message)?;
        Ok(xid)
    }

    /// Queues a message under a given xid, as in the answer to a request.
    ///
    /// # Errors
    /// As [`Connection::send`].
    pub fn send_with_xid(&mut self, xid: u32, message: &Message) -> Result<(), EncodeError> {
        if self.outgoing.is_empty() {
            self.accepted = Instant::now();
        }
        message.encode(xid, &mut self.outgoing)
    }

    /// The first of `count` consecutive xids that nothing else on this connection will use.
    pub fn reserve_xids(&mut self, count: u32) -> u32 {
        let first = self.next_xid;
        self.next_xid = first.wrapping_add(count);
        first
    }

    /// Queues what `bundle` has to send, up to the high-water mark. To be called at first, after each message that
    /// [`Bundle::on_message`] took, and after each flush while it returns `false`.
    ///
    /// # Errors
    /// As [`Connection::send`]; the bundle is of no more use then.
    pub fn drive(&mut self, bundle: &mut Bundle) -> Result<bool, EncodeError> {
        if !bundle.is_started() {
            let first = self.reserve_xids(bundle.xids());
            bundle.start(first);
        }
        while self.queued_bytes() < self.options.high_water {
            let Some((xid, message)) = bundle.poll_message() else {
                return Ok(true);
            };
            self.send_with_xid(xid, &message)?;
        }
        Ok(false)
    }

    /// Bytes queued that the peer has not accepted.
    pub fn queued_bytes(&self) -> usize {
        self.outgoing.len()
    }

    /// Writes all that is queued. Cancel-safe: what was written stays written, the rest stays queued.
    ///
    /// What arrives meanwhile is read ahead up to a limit, because a switch may not read on before its answers are taken.
    ///
    /// # Errors
    /// [`ConnectionError::Io`], or [`ConnectionError::Stuck`] when the peer accepts nothing for too long.
    pub async fn flush(&mut self) -> Result<(), ConnectionError> {
        loop {
            let limit = self.accepted + self.stuck_after();
            match timeout_at(limit, poll_fn(|context| self.poll_flush(context))).await {
                Ok(result) => return result,
                Err(_elapsed) if Instant::now() < self.accepted + self.stuck_after() => {}
                Err(_elapsed) => return Err(ConnectionError::Stuck(self.stuck_after())),
            }
        }
    }

    /// For the connection's own messages, which are short.
    fn queue(&mut self, message: &Message) -> u32 {
        let xid = self.reserve_xids(1);
        self.queue_with_xid(xid, message);
        xid
    }

    fn queue_with_xid(&mut self, xid: u32, message: &Message) {
        if let Err(error) = self.send_with_xid(xid, message) {
            tracing::warn!(%error, "answer dropped");
        }
    }

    /// Ready when bytes have come in or the peer has ended; writes on the way.
    fn poll_exchange(&mut self, context: &mut Context<'_>) -> Poll<Result<(), ConnectionError>> {
        if let Poll::Ready(Err(error)) = self.poll_drain(context) {
            return Poll::Ready(Err(error));
        }
        self.poll_fill(context)
    }

    /// Ready when everything is written; reads ahead on the way.
    fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<Result<(), ConnectionError>> {
        loop {
            if let Poll::Ready(result) = self.poll_drain(context) {
                return Poll::Ready(result);
            }
            if self.ended || self.incoming.len() >= READ_AHEAD {
                return Poll::Pending;
            }
            ready!(self.poll_fill(context))?;
        }
    }

    /// Ready when everything is written.
    fn poll_drain(&mut self, context: &mut Context<'_>) -> Poll<Result<(), ConnectionError>> {
        while !self.outgoing.is_empty() {
            let written = ready!(Pin::new(&mut self.stream).poll_write(context, &self.outgoing))?;
            if written == 0 {
                return Poll::Ready(Err(io::Error::from(io::ErrorKind::WriteZero).into()));
            }
            self.outgoing.advance(written);
            self.accepted = Instant::now();
        }
        Pin::new(&mut self.stream)
            .poll_flush(context)
            .map_err(ConnectionError::Io)
    }

    /// Ready when bytes have come in or the peer has ended.
    fn poll_fill(&mut self, context: &mut Context<'_>) -> Poll<Result<(), ConnectionError>> {
        if self.incoming.capacity() - self.incoming.len() < READ_CHUNK / 8 {
            self.incoming.reserve(READ_CHUNK);
        }
        let read = ready!(pin!(self.stream.read_buf(&mut self.incoming)).poll(context))?;
        if read == 0 {
            self.ended = true;
        } else {
            self.heard = Instant::now();
            self.probe = None;
        }
        Poll::Ready(Ok(()))
    }
}
