//! A connection that a hypervisor makes to a controller, and when to do something about it.

use super::database::USUAL_PROBE;
use super::{Count, Counts, Side};
use bytes::{Buf, BytesMut};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::AsyncWrite;
use tokio::net::TcpStream;
use tokio::time::Instant;

/// It tries again at once after a connection that lasted for so long, and else after that time.
const BACKOFF: Duration = Duration::from_secs(1);

/// Octets that are read at a time.
const READ: usize = 16 * 1024;

type Connecting = Pin<Box<dyn Future<Output = io::Result<TcpStream>> + Send>>;

pub(super) struct Line {
    side: Side,
    target: SocketAddr,
    counts: Arc<Counts>,
    state: State,
    pub(super) incoming: BytesMut,
    pub(super) outgoing: BytesMut,
    since: Instant,
    heard: Instant,
    is_probed: bool,
    /// Silence after which the controller is asked whether it is there; after as long again it is given up.
    pub(super) probe: Duration,
    again: Instant,
}

enum State {
    Idle,
    Connecting(Connecting),
    Connected(TcpStream),
}

/// What has become of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Happened {
    Connected,
    Received,
    /// It ended, and not because somebody here wanted it.
    Lost,
    /// It is time to ask whether the controller is there.
    Silent,
}

impl Line {
    pub(super) fn new(side: Side, target: SocketAddr, counts: Arc<Counts>) -> Self {
        let now = Instant::now();
        Self {
            side,
            target,
            counts,
            state: State::Idle,
            incoming: BytesMut::new(),
            outgoing: BytesMut::new(),
            since: now,
            heard: now,
            is_probed: false,
            probe: USUAL_PROBE,
            again: now,
        }
    }

    pub(super) fn target(&self) -> SocketAddr {
        self.target
    }

    pub(super) fn is_connected(&self) -> bool {
        matches!(self.state, State::Connected(_))
    }

    /// Connects as soon as it is asked what is due.
    pub(super) fn hurry(&mut self) {
        self.again = Instant::now();
    }

    /// When something is due, unless something happens before.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self.state {
            State::Idle => Some(self.again),
            State::Connecting(_) => None,
            State::Connected(_) if self.is_probed => Some(self.heard + 2 * self.probe),
            State::Connected(_) => Some(self.heard + self.probe),
        }
    }

    /// Does what is due.
    pub(super) fn act(&mut self, now: Instant) -> Option<Happened> {
        if self.deadline().is_none_or(|deadline| deadline > now) {
            return None;
        }
        match self.state {
            State::Idle => {
                self.state = State::Connecting(Box::pin(TcpStream::connect(self.target)));
                None
            }
            State::Connecting(_) => None,
            State::Connected(_) if self.is_probed => Some(self.lose()),
            State::Connected(_) => {
                self.is_probed = true;
                Some(Happened::Silent)
            }
        }
    }

    /// Ends the connection, or the attempt at one.
    pub(super) fn close(&mut self) {
        let now = Instant::now();
        match std::mem::replace(&mut self.state, State::Idle) {
            State::Connected(_) => {
                self.counts.take(Count::Connected(self.side), 1);
                let lasted = now - self.since > BACKOFF;
                self.again = if lasted { now } else { now + BACKOFF };
            }
            State::Connecting(_) => self.again = now + BACKOFF,
            State::Idle => {}
        }
        self.incoming.clear();
        self.outgoing.clear();
    }

    /// Ends a connection that is of no use any more.
    pub(super) fn lose(&mut self) -> Happened {
        if self.is_connected() {
            self.counts.add(Count::Lost(self.side), 1);
        }
        self.close();
        Happened::Lost
    }

    /// Writes what there is to write, and waits until something happens.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Happened> {
        let connected = match &mut self.state {
            State::Idle => return Poll::Pending,
            State::Connecting(connecting) => ready!(connecting.as_mut().poll(cx)),
            State::Connected(stream) => {
                let transferred = transfer(stream, &mut self.outgoing, &mut self.incoming, cx);
                if ready!(transferred).is_err() {
                    return Poll::Ready(self.lose());
                }
                (self.heard, self.is_probed) = (Instant::now(), false);
                return Poll::Ready(Happened::Received);
            }
        };
        let connected = connected.and_then(|stream| stream.set_nodelay(true).map(|()| stream));
        let Ok(stream) = connected else {
            self.close();
            return Poll::Ready(Happened::Lost);
        };
        let now = Instant::now();
        (self.since, self.heard, self.is_probed) = (now, now, false);
        self.state = State::Connected(stream);
        self.counts.add(Count::Connected(self.side), 1);
        Poll::Ready(Happened::Connected)
    }
}

/// Writes all that can be written, and reads once.
fn transfer(
    stream: &mut TcpStream,
    outgoing: &mut BytesMut,
    incoming: &mut BytesMut,
    cx: &mut Context<'_>,
) -> Poll<io::Result<()>> {
    while !outgoing.is_empty() {
        match Pin::new(&mut *stream).poll_write(cx, outgoing) {
            Poll::Ready(written) => outgoing.advance(written?),
            Poll::Pending => break,
        }
    }
    loop {
        ready!(stream.poll_read_ready(cx))?;
        incoming.reserve(READ);
        match stream.try_read_buf(incoming) {
            Ok(0) => return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
            Ok(_) => return Poll::Ready(Ok(())),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Poll::Ready(Err(error)),
        }
    }
}
