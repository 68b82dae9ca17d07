//! A session on a stream: the one file that knows sockets and the clock.
//!
//! The task that owns a [`Connection`] awaits [`Connection::next_event`] in its loop, beside whatever else it waits
//! for, and queues requests between. Everything else (writing, answering the peer's probes, probing the peer) happens
//! while it waits there.

use std::io;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use serde_json::Value as Json;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::event::{Event, SessionError};
use crate::failover::{Attempt, Failover};
use crate::monitor::MonitorRequest;
use crate::remote::Remote;
use crate::replica::Replica;
use crate::rpc::RequestId;
use crate::schema::Name;
use crate::session::{Options, Session};
use crate::transaction::{Condition, Transaction};

/// While this many bytes wait to be written, nothing more is read: a peer that asks without reading the answers has to
/// wait, and is taken for dead in the end.
const OUTPUT_HIGH_WATER: usize = 1 << 20;

/// How much is read at once, in bytes.
const READ_SIZE: usize = 64 << 10;
/// The same while little comes: a database is silent most of the time, and there may be thousands.
const QUIET_READ_SIZE: usize = 1 << 10;
/// A read of fewer bytes is little.
const LITTLE: usize = 512;

/// How long a server may take to accept before another one is tried.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Why a connection ended.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// The network or the operating system.
    #[error("the connection failed: {0}")]
    Io(#[from] io::Error),
    /// The peer closed the connection, between two messages.
    #[error("the peer closed the connection")]
    Closed,
    /// The peer broke the protocol or died, or the database is not what was expected.
    #[error(transparent)]
    Session(#[from] SessionError),
}

/// The client's side of an OVSDB connection over any stream.
#[derive(Debug)]
pub struct Connection<S> {
    session: Session,
    reader: ReadHalf<S>,
    writer: WriteHalf<S>,
    input: BytesMut,
    output: Bytes,
    /// Whether bytes were written that the stream may still hold back.
    unflushed: bool,
    /// Why nothing can be written any more; what the peer had sent before that still counts.
    write_failure: Option<io::Error>,
    /// Whether the peer has closed its side.
    ended: bool,
}

/// Any kind of stream that [`connect`] may have opened.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send + std::fmt::Debug {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + std::fmt::Debug> Stream for S {}

/// Connects to a server.
///
/// # Errors
/// [`Error::Io`].
pub async fn connect(
    remote: &Remote,
    options: Options,
) -> Result<Connection<Box<dyn Stream>>, Error> {
    Ok(Connection::new(open(remote).await?, options))
}

/// Connects to one of several servers, trying them in turn until one accepts, and goes on from what an earlier connection
/// knew ([`Connection::into_replica`]). Once the connection has proved to be of use, such as by [`Event::Synced`], tell
/// [`Failover::succeeded`].
pub async fn reconnect(
    failover: &mut Failover,
    options: Options,
    replica: Replica,
) -> Connection<Box<dyn Stream>> {
    reconnect_with(failover, options, replica, async |remote: &Remote| {
        open(remote).await
    })
    .await
}

/// As [`reconnect`], with streams that the caller opens: such as TLS to `ssl:` remotes. Five seconds after it began, a
/// stream that is not open yet is given up.
pub async fn reconnect_with<S: AsyncRead + AsyncWrite + Unpin>(
    failover: &mut Failover,
    options: Options,
    replica: Replica,
    mut open: impl AsyncFnMut(&Remote) -> io::Result<S>,
) -> Connection<S> {
    loop {
        let Attempt { remote, delay } = failover.attempt();
        sleep(delay).await;
        match timeout(CONNECT_TIMEOUT, open(&remote)).await {
            Ok(Ok(stream)) => return Connection::resume(stream, options, replica),
            Ok(Err(error)) => tracing::debug!(%remote, %error, "the connection failed"),
            Err(_) => tracing::debug!(%remote, "the connection took too long"),
        }
    }
}

async fn open(remote: &Remote) -> io::Result<Box<dyn Stream>> {
    Ok(match remote {
        Remote::Tcp { host, port } => {
            let stream = TcpStream::connect((host.as_str(), *port)).await?;
            Box::new(prepare(stream)?)
        }
        Remote::Unix { path } => Box::new(UnixStream::connect(path).await?),
        Remote::Ssl { .. } => {
            let reason = "TLS is for the opener that reconnect_with is given";
            return Err(io::Error::new(io::ErrorKind::Unsupported, reason));
        }
    })
}

/// Serves as the manager of the server whose connection was accepted (`ovs-vsctl set-manager tcp:…`).
///
/// # Errors
/// [`Error::Io`] if the socket is broken already.
pub fn accept(stream: TcpStream, options: Options) -> Result<Connection<TcpStream>, Error> {
    Ok(Connection::new(prepare(stream)?, options))
}

/// Requests are small and awaited: they must not wait for company.
fn prepare(stream: TcpStream) -> io::Result<TcpStream> {
    stream.set_nodelay(true)?;
    Ok(stream)
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// A connection on a stream that was just opened, by either side.
    pub fn new(stream: S, options: Options) -> Self {
        Self::resume(stream, options, Replica::default())
    }

    /// A connection that goes on from what an earlier one knew; see [`Session::resume`].
    pub fn resume(stream: S, options: Options, replica: Replica) -> Self {
        let (reader, writer) = tokio::io::split(stream);
        Self {
            session: Session::resume(options, replica, Instant::now().into_std()),
            reader,
            writer,
            input: BytesMut::with_capacity(QUIET_READ_SIZE),
            output: Bytes::new(),
            unflushed: false,
            write_failure: None,
            ended: false,
        }
    }

    /// The next thing that happened; the replica is then as of this event. Cancel-safe: dropping the future loses nothing.
    ///
    /// # Errors
    /// [`enum@Error`], once everything that came before has been handed out. The connection is of no use then, except for
    /// [`Connection::into_replica`].
    pub async fn next_event(&mut self) -> Result<Event, Error> {
        loop {
            if let Some(event) = self.session.poll_event()? {
                return Ok(event);
            }
            if self.ended {
                return Err(self.write_failure.take().map_or(Error::Closed, Error::Io));
            }
            self.exchange().await?;
        }
    }

    /// Waits until the stream or the clock lets the session go on.
    async fn exchange(&mut self) -> io::Result<()> {
        if self.output.is_empty() || self.write_failure.is_some() {
            self.output = self.session.poll_output().unwrap_or_default();
        }
        let deadline = self.session.poll_timeout().map(Instant::from_std);
        let may_read = self.session.queued_output() < OUTPUT_HIGH_WATER;
        let may_write =
            self.write_failure.is_none() && (self.output.has_remaining() || self.unflushed);
        // In this order: whoever comes back late finds what the peer had sent before judging its silence.
        tokio::select! {
            biased;
            written = write(&mut self.writer, &mut self.output, &mut self.unflushed), if may_write => {
                self.write_failure = written.err();
            }
            read = self.reader.read_buf(&mut self.input), if may_read => self.take_input(read?),
            () = sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() => {
                self.session.handle_timeout(Instant::now().into_std());
            }
        }
        Ok(())
    }

    fn take_input(&mut self, length: usize) {
        if length == 0 {
            self.ended = true;
            self.session.handle_end();
        }
        let now = Instant::now().into_std();
        self.session.handle_input(&self.input, now);
        let is_full = self.input.len() == self.input.capacity();
        self.input.clear();
        if is_full && self.input.capacity() < READ_SIZE {
            self.input = BytesMut::with_capacity(READ_SIZE);
        } else if length < LITTLE && self.input.capacity() > QUIET_READ_SIZE {
            self.input = BytesMut::with_capacity(QUIET_READ_SIZE);
        }
    }

    /// The monitored tables as the server last told them.
    #[must_use]
    pub fn replica(&self) -> &Replica {
        self.session.replica()
    }

    /// Changes [`Options::probe_interval`], also of a silence that lasts.
    pub fn set_probe_interval(&mut self, interval: Option<Duration>) {
        self.session.set_probe_interval(interval);
    }

    /// Gives up the connection and keeps what it knows, for [`Connection::resume`].
    #[must_use]
    pub fn into_replica(self) -> Replica {
        self.session.into_replica()
    }

    /// How many requests of this side the peer has not answered.
    #[must_use]
    pub fn unanswered(&self) -> usize {
        self.session.unanswered()
    }

    /// How many bytes wait to be written: a caller who queues faster than the peer reads can see it here.
    #[must_use]
    pub fn queued_output(&self) -> usize {
        self.output.len() + self.session.queued_output()
    }

    /// Starts keeping a replica of these columns of these tables; [`Event::Synced`] tells when it is there.
    pub fn monitor<T, C>(&mut self, database: &str, tables: impl IntoIterator<Item = (T, C)>)
    where
        T: Into<Name>,
        C: IntoIterator<Item: Into<Name>>,
    {
        let request = MonitorRequest::new(database);
        self.monitor_request(
            tables
                .into_iter()
                .fold(request, |request, (table, columns)| {
                    request.table(table, columns)
                }),
        );
    }

    /// Starts keeping a replica of what is asked for; [`Event::Synced`] tells when it is there. An earlier monitor ends.
    pub fn monitor_request(&mut self, request: MonitorRequest) {
        self.session.monitor(request);
    }

    /// Ends the monitor; see [`Session::stop_monitoring`].
    pub fn stop_monitoring(&mut self) {
        self.session.stop_monitoring();
    }

    /// Queues the wish for other rows of a table; see [`Session::change_conditions`].
    pub fn change_conditions(
        &mut self,
        table: impl Into<Name>,
        conditions: impl IntoIterator<Item = Condition>,
    ) {
        self.session.change_conditions(table, conditions);
    }

    /// Queues a transaction; [`Event::Reply`] tells what became of it.
    pub fn transact(&mut self, transaction: Transaction) -> RequestId {
        self.session.transact(transaction)
    }

    /// Queues the wish that a waiting transaction be given up; see [`Session::cancel`].
    pub fn cancel(&mut self, transaction: RequestId) {
        self.session.cancel(transaction);
    }

    /// Queues the wish for a lock; see [`Session::lock`].
    pub fn lock(&mut self, lock: &str) -> RequestId {
        self.session.lock(lock)
    }

    /// Queues the taking of a lock; see [`Session::steal`].
    pub fn steal(&mut self, lock: &str) -> RequestId {
        self.session.steal(lock)
    }

    /// Queues the end of a lock; see [`Session::unlock`].
    pub fn unlock(&mut self, lock: &str) -> RequestId {
        self.session.unlock(lock)
    }

    /// Queues any other request; see [`Session::request`].
    pub fn request(&mut self, method: &str, params: &Json) -> RequestId {
        self.session.request(method, params)
    }
}

/// Writes some of what there is, or else flushes. Cancel-safe.
async fn write<W: AsyncWrite + Unpin>(
    writer: &mut W,
    output: &mut Bytes,
    unflushed: &mut bool,
) -> io::Result<()> {
    if !output.has_remaining() {
        writer.flush().await?;
        *unflushed = false;
    } else if writer.write_buf(output).await? == 0 {
        return Err(io::ErrorKind::WriteZero.into());
    } else {
        *unflushed = true;
    }
    Ok(())
}
