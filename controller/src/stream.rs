//! Listeners and their connections: TCP, or TLS over it.

mod dialect;

pub use dialect::{Dialects, Misunderstood, WhoIs};

use crate::tls::{Certificate, Tls};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_rustls::server::TlsStream;

/// How long a handshake may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// A listener.
#[derive(Debug)]
pub struct Listener {
    pub(crate) tcp: TcpListener,
    pub(crate) tls: Option<Tls>,
    pub(crate) dialects: Dialects,
}

impl Listener {
    /// A listener that uses TLS if there is any.
    pub fn new(tcp: TcpListener, tls: Option<Tls>) -> Self {
        let dialects = Dialects::default();
        Self { tcp, tls, dialects }
    }

    /// The same, reporting peers that speak the other protocol.
    #[must_use]
    pub fn with_dialects(self, dialects: Dialects) -> Self {
        Self { dialects, ..self }
    }

    /// The next connection, before any handshake.
    ///
    /// # Errors
    /// It could not be accepted; the next may be.
    pub async fn accept(&self) -> io::Result<(Incoming, SocketAddr)> {
        let (stream, peer) = self.tcp.accept().await?;
        let (tls, dialects) = (self.tls.clone(), self.dialects.clone());
        let hearing = Hearing { peer, dialects };
        let incoming = Incoming {
            stream,
            tls,
            hearing,
        };
        Ok((incoming, peer))
    }
}

impl From<TcpListener> for Listener {
    fn from(tcp: TcpListener) -> Self {
        Self::new(tcp, None)
    }
}

/// A connection that has come.
#[derive(Debug)]
pub struct Incoming {
    stream: TcpStream,
    tls: Option<Tls>,
    hearing: Hearing,
}

/// Who sent the first octets, and what checks them.
#[derive(Clone, Debug)]
struct Hearing {
    peer: SocketAddr,
    dialects: Dialects,
}

/// A connection without TLS whose first octets are checked.
#[derive(Debug)]
pub struct Plain<S> {
    stream: S,
    /// `None` once the first octets were checked.
    hearing: Option<Box<Hearing>>,
}

impl<S> Plain<S> {
    pub(crate) fn new(stream: S, peer: SocketAddr, dialects: Dialects) -> Self {
        let hearing = Some(Box::new(Hearing { peer, dialects }));
        Self { stream, hearing }
    }
}

impl Incoming {
    /// The address that the peer connected to.
    ///
    /// # Errors
    /// The connection is gone.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.stream.local_addr()
    }

    /// The connection after its handshake. Small messages are sent at once.
    ///
    /// # Errors
    /// The other end is gone, or its TLS handshake failed.
    pub async fn open(self) -> io::Result<Stream> {
        self.stream.set_nodelay(true)?;
        let Some(tls) = self.tls else {
            let Hearing { peer, dialects } = self.hearing;
            return Ok(Stream::Plain(Plain::new(self.stream, peer, dialects)));
        };
        let shaken = timeout(PATIENCE, tls.accept(self.stream)).await?;
        let Hearing { peer, dialects } = self.hearing;
        let shaken = shaken.map_err(|error| dialects.explain(error, peer));
        shaken.map(|stream| Stream::Encrypted(Box::new(stream)))
    }
}

/// A connection.
#[derive(Debug)]
pub enum Stream {
    /// TCP.
    Plain(Plain<TcpStream>),
    /// TLS.
    Encrypted(Box<TlsStream<TcpStream>>),
}

impl Stream {
    /// The certificate of the other end.
    pub fn certificate(&self) -> Option<Certificate> {
        let Self::Encrypted(stream) = self else {
            return None;
        };
        let (_, session) = stream.get_ref();
        Certificate::read(session.peer_certificates()?.first()?)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Plain<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let read = std::task::ready!(Pin::new(&mut this.stream).poll_read(context, buffer));
        if let Some(Hearing { peer, dialects }) = this.hearing.as_deref() {
            let heard = &buffer.filled()[before..];
            let understood = dialects.hear(heard, *peer);
            if !heard.is_empty() {
                this.hearing = None;
            }
            understood?;
        }
        Poll::Ready(read)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Plain<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(context, octets)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Encrypted(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(context, octets),
            Self::Encrypted(stream) => Pin::new(stream).poll_write(context, octets),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(context),
            Self::Encrypted(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Encrypted(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
