//! A session on a stream: the one file that knows sockets and the clock.
//!
//! The task that owns a [`Connection`] awaits [`Connection::next_event`] in its loop, beside whatever else it waits
//! for, and queues requests between. Everything else (writing, answering the peer's probes, probing the peer) happens
//! while it waits there.

use std::io;

use bytes::{Buf, Bytes, BytesMut};
use serde_json::Value as Json;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::{Instant, sleep_until};

use crate::event::{Event, SessionError};
use crate::monitor::MonitorRequest;
use crate::remote::Remote;
use crate::replica::Replica;
use crate::rpc::RequestId;
use crate::schema::Name;
use crate::session::{Options, Session};
use crate::transaction::Transaction;

/// While this many bytes wait to be written, nothing more is read: a peer that asks without reading the answers has to
/// wait, and is taken for dead in the end.
const OUTPUT_HIGH_WATER: usize = 1 << 20;

/// How much is read at once, in bytes.
const READ_SIZE: usize = 64 << 10;

/// Why a connection ended.
#[derive(Debug, Error)]
pub enum Error {
    /// The network or the operating system.
    #[error("the connection failed: {0}")]
    Io(#[from] io::Error),
    /// The peer closed the connection, between two messages.
    #[error("the peer closed the connection")]
    Closed,
    /// [`Connection::next_event`] was called again after it had told how the connection ended: the caller's mistake.
    #[error("the connection ended before")]
    Ended,
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
    /// What ended the connection: handed out after the events from before, and then [`Error::Ended`] for ever.
    failure: Option<Error>,
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
    let stream: Box<dyn Stream> = match remote {
        Remote::Tcp { host, port } => {
            Box::new(prepare(TcpStream::connect((host.as_str(), *port)).await?)?)
        }
        Remote::Unix { path } => Box::new(UnixStream::connect(path).await?),
    };
    Ok(Connection::new(stream, options))
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
            input: BytesMut::with_capacity(READ_SIZE),
            output: Bytes::new(),
            unflushed: false,
            failure: None,
        }
    }

    /// The next thing that happened. Cancel-safe: dropping the future loses nothing.
    ///
    /// # Errors
    /// [`Error`], once everything that came before has been handed out. The connection is of no use then, except for
    /// [`Connection::into_replica`].
    pub async fn next_event(&mut self) -> Result<Event, Error> {
        loop {
            if let Some(event) = self.session.poll_event() {
                return Ok(event);
            }
            if let Some(failure) = &mut self.failure {
                return Err(std::mem::replace(failure, Error::Ended));
            }
            self.failure = self.exchange().await.err();
        }
    }

    /// Waits until the stream or the clock lets the session go on.
    async fn exchange(&mut self) -> Result<(), Error> {
        if self.output.is_empty() {
            self.output = self.session.poll_output().unwrap_or_default();
        }
        let deadline = self.session.poll_timeout().map(Instant::from_std);
        let may_read = self.session.queued_output() < OUTPUT_HIGH_WATER;
        let may_write = self.output.has_remaining() || self.unflushed;
        tokio::select! {
            written = write(&mut self.writer, &mut self.output, &mut self.unflushed), if may_write => written?,
            read = self.reader.read_buf(&mut self.input), if may_read => self.take_input(read?)?,
            () = sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() => {
                self.session.handle_timeout(Instant::now().into_std())?;
            }
        }
        Ok(())
    }

    fn take_input(&mut self, length: usize) -> Result<(), Error> {
        if length == 0 {
            self.session.handle_end()?;
            return Err(Error::Closed);
        }
        let handled = self
            .session
            .handle_input(&self.input, Instant::now().into_std());
        self.input.clear();
        Ok(handled?)
    }

    /// The monitored tables as the server last told them.
    #[must_use]
    pub fn replica(&self) -> &Replica {
        self.session.replica()
    }

    /// Gives up the connection and keeps what it knows, for [`Connection::resume`].
    #[must_use]
    pub fn into_replica(self) -> Replica {
        self.session.into_replica()
    }

    /// Starts keeping a replica of these columns of these tables; [`Event::Synced`] tells when it is there.
    pub fn monitor<T, C>(&mut self, database: &str, tables: impl IntoIterator<Item = (T, C)>)
    where
        T: Into<Name>,
        C: IntoIterator<Item: Into<Name>>,
    {
        let request = MonitorRequest::new(database);
        let add = |request: MonitorRequest, (table, columns)| request.table(table, columns);
        self.monitor_request(tables.into_iter().fold(request, add));
    }

    /// Starts keeping a replica of what is asked for; [`Event::Synced`] tells when it is there. An earlier monitor ends.
    pub fn monitor_request(&mut self, request: MonitorRequest) {
        self.session.monitor(request);
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
