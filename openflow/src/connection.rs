//! A [`Session`] on a byte stream of tokio: TCP, TLS, a socket pair in a test. The one file that knows sockets and the clock.
//!
//! One task owns a connection. It receives a message, drains what else has arrived with [`Connection::try_recv_buffered`],
//! answers with [`Connection::send`] (which only fills a buffer), and lets the buffer go once for the whole batch with
//! [`Connection::flush`], or leaves that to [`Connection::recv`], which writes while it waits.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::time::{Instant, timeout_at};

use crate::bundle::Bundle;
use crate::error::{DecodeError, EncodeError};
use crate::message::Message;
use crate::numbers::Xid;
use crate::session::{AnswerError, Event, Options, Session, SessionError};
use crate::setup::Features;

/// Why a connection cannot go on, or a message cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ConnectionError {
    /// The network failed.
    #[error("connection lost: {0}")]
    Io(#[from] io::Error),
    /// The peer broke the protocol, or died.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// One message does not follow the specification. It has been answered with an error; the next one can be received.
    #[error("message {xid}: {error}")]
    Malformed {
        /// The message's transaction id.
        xid: Xid,
        /// What is wrong.
        error: DecodeError,
    },
}

impl ConnectionError {
    /// Whether the connection is of no more use.
    #[must_use]
    pub fn is_fatal(&self) -> bool {
        !matches!(self, ConnectionError::Malformed { .. })
    }
}

/// Why there is no answer.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AskError {
    /// The switch refused the request, or answered it with nonsense.
    #[error(transparent)]
    Answer(#[from] AnswerError),
    /// The request cannot be sent.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The switch ended the connection.
    #[error("the switch closed the connection before its answer")]
    Closed,
    /// The connection failed.
    #[error(transparent)]
    Connection(#[from] ConnectionError),
}

/// An OpenFlow 1.3 session on a stream. See the [module](self) for how it is used.
#[derive(Debug)]
pub struct Connection<S> {
    stream: S,
    session: Session,
    features: Features,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// Agrees on OpenFlow 1.3 and asks the switch what it is.
    ///
    /// # Errors
    /// Any [`ConnectionError`]; the stream is closed then.
    pub async fn handshake(stream: S, options: Options) -> Result<Self, ConnectionError> {
        let mut connection = Connection {
            stream,
            session: Session::new(options, now()),
            features: Features::default(),
        };
        let ready = connection.next_event().await;
        if ready.is_err() {
            // The error that refuses a handshake goes to a peer that takes it at once.
            poll_fn(|context| Poll::Ready(connection.poll_drain(context).is_ready())).await;
        }
        match ready? {
            Some(Event::Ready(features)) => connection.features = features,
            _ => return Err(SessionError::ClosedEarly.into()),
        }
        Ok(connection)
    }

    /// What the switch said of itself.
    #[must_use]
    pub fn features(&self) -> &Features {
        &self.features
    }

    /// The stream underneath, to ask it for addresses.
    #[must_use]
    pub fn stream(&self) -> &S {
        &self.stream
    }

    /// The next message from the switch with its transaction id; `None` when the switch has ended the connection.
    ///
    /// While it waits, output is written and the peer's life is watched. Cancel-safe: dropping the future loses nothing.
    ///
    /// # Errors
    /// Any [`ConnectionError`]; after a [`ConnectionError::Malformed`] the next message can be received.
    pub async fn recv(&mut self) -> Result<Option<(Xid, Message)>, ConnectionError> {
        loop {
            if let Some(message) = self.try_recv_buffered()? {
                return Ok(Some(message));
            }
            if !self.wait_for_more().await? {
                return Ok(None);
            }
        }
    }

    /// A message that has arrived already, without any IO; `None` also while too much waits to be written.
    ///
    /// # Errors
    /// As [`Connection::recv`].
    pub fn try_recv_buffered(&mut self) -> Result<Option<(Xid, Message)>, ConnectionError> {
        while let Some(event) = self.session.poll_event()? {
            match event {
                Event::Message { xid, message } => return Ok(Some((xid, message))),
                Event::Malformed { xid, error } => {
                    return Err(ConnectionError::Malformed { xid, error });
                }
                // The future that asked was dropped.
                Event::Answer { .. } | Event::Ready(_) => {}
            }
        }
        Ok(None)
    }

    /// Sends a request and waits for the whole answer: one message, or all parts of a multipart reply.
    ///
    /// Only for messages that a switch answers; behind others, [`Connection::barrier`] tells when they are done. Messages
    /// that are no part of the answer are kept, and received later. Dropping the future loses the answer and nothing else.
    ///
    /// # Errors
    /// [`AskError::Answer`] with the switch's error; else the connection is of no more use.
    pub async fn ask(&mut self, request: &Message) -> Result<Vec<Message>, AskError> {
        let asked = self.session.ask(request)?;
        loop {
            let answer = self.session.poll_answer(asked);
            if let Some(answer) = answer.map_err(ConnectionError::Session)? {
                return Ok(answer?);
            }
            if !self.wait_for_more().await? {
                return Err(AskError::Closed);
            }
        }
    }

    /// Waits until the switch has done all that was sent before. What it refused of that is received as errors.
    ///
    /// # Errors
    /// As [`Connection::ask`].
    pub async fn barrier(&mut self) -> Result<(), AskError> {
        self.ask(&Message::BarrierRequest).await.map(drop)
    }

    /// Queues a message under a new transaction id; see [`Session::send`]. Does no IO.
    ///
    /// # Errors
    /// [`EncodeError`] for a message that is too long; nothing is queued then.
    pub fn send(&mut self, message: &Message) -> Result<Xid, EncodeError> {
        self.session.send(message)
    }

    /// Queues a message under a given transaction id, as in the answer to a request.
    ///
    /// # Errors
    /// As [`Connection::send`].
    pub fn send_with_xid(
        &mut self,
        xid: impl Into<Xid>,
        message: &Message,
    ) -> Result<(), EncodeError> {
        self.session.send_with_xid(xid, message)
    }

    /// The first of `count` consecutive transaction ids that nothing else on this connection will use.
    pub fn reserve_xids(&mut self, count: u32) -> Xid {
        self.session.reserve_xids(count)
    }

    /// Queues what `bundle` has to send; see [`Session::drive`]. To be called after each flush while it returns `false`.
    ///
    /// # Errors
    /// As [`Connection::send`]; the bundle is of no more use then.
    pub fn drive(&mut self, bundle: &mut Bundle) -> Result<bool, EncodeError> {
        self.session.drive(bundle)
    }

    /// Changes [`Options::idle`], also of a silence that lasts.
    pub fn set_idle(&mut self, idle: Duration) {
        self.session.set_idle(idle);
    }

    /// Octets queued that the peer has not accepted.
    #[must_use]
    pub fn queued_bytes(&self) -> usize {
        self.session.queued_bytes()
    }

    /// Writes all that is queued. Cancel-safe: what was written stays written, the rest stays queued.
    ///
    /// What arrives meanwhile is read ahead up to a limit, because a switch may not read on before its answers are taken.
    ///
    /// # Errors
    /// [`ConnectionError::Io`], or [`SessionError::Stuck`] when the peer accepts nothing for too long.
    pub async fn flush(&mut self) -> Result<(), ConnectionError> {
        loop {
            let deadline = self.deadline();
            let flushed = timeout_at(deadline, poll_fn(|context| self.poll_flush(context))).await;
            if let Ok(result) = flushed {
                return Ok(result?);
            }
            self.handle_timeout()?;
        }
    }

    async fn next_event(&mut self) -> Result<Option<Event>, ConnectionError> {
        loop {
            if let Some(event) = self.session.poll_event()? {
                return Ok(Some(event));
            }
            if !self.wait_for_more().await? {
                return Ok(None);
            }
        }
    }

    /// Waits for octets to come in, or to go out where too many are queued; `false` at the end of the stream.
    async fn wait_for_more(&mut self) -> Result<bool, ConnectionError> {
        if self.session.is_clogged() {
            self.flush().await?;
        } else if self.session.has_ended() {
            return Ok(false);
        } else {
            self.exchange().await?;
        }
        Ok(true)
    }

    /// Waits until the stream or the clock lets the session go on.
    async fn exchange(&mut self) -> Result<(), ConnectionError> {
        let deadline = self.deadline();
        match timeout_at(deadline, poll_fn(|context| self.poll_exchange(context))).await {
            Ok(result) => Ok(result?),
            Err(_elapsed) => self.handle_timeout(),
        }
    }

    fn deadline(&self) -> Instant {
        self.session
            .poll_timeout()
            .map_or_else(Instant::now, Instant::from_std)
    }

    fn handle_timeout(&mut self) -> Result<(), ConnectionError> {
        self.session.handle_timeout(now());
        match self.session.failure() {
            Some(failure) => Err(failure.clone().into()),
            None => Ok(()),
        }
    }

    /// Ready when octets have come in or the peer has ended; writes on the way.
    fn poll_exchange(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Poll::Ready(Err(error)) = self.poll_drain(context) {
            return Poll::Ready(Err(error));
        }
        self.poll_fill(context)
    }

    /// Ready when everything is written; reads ahead on the way.
    fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            if let Poll::Ready(result) = self.poll_drain(context) {
                return Poll::Ready(result);
            }
            if !self.session.wants_input() {
                return Poll::Pending;
            }
            ready!(self.poll_fill(context))?;
        }
    }

    /// Ready when everything is written.
    fn poll_drain(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(octets) = self.session.poll_transmit(now()) {
            let written = ready!(Pin::new(&mut self.stream).poll_write(context, octets))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.session.handle_transmitted(written, now());
        }
        Pin::new(&mut self.stream).poll_flush(context)
    }

    /// Ready when octets have come in or the peer has ended.
    fn poll_fill(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let read = self.stream.read_buf(self.session.receive_buffer());
        if ready!(pin!(read).poll(context))? == 0 {
            self.session.handle_end();
        } else {
            self.session.handle_received(now());
        }
        Poll::Ready(Ok(()))
    }
}

/// The time as tokio's clock has it, which tests can stop.
fn now() -> std::time::Instant {
    Instant::now().into_std()
}
