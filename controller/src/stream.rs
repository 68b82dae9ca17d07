//! Where others connect, and what they connect by: TCP, or TLS over it.

use crate::tls::Tls;
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

/// Where others connect.
#[derive(Debug)]
pub struct Listener {
    pub(crate) tcp: TcpListener,
    pub(crate) tls: Option<Tls>,
}

impl Listener {
    /// Who connects speaks TLS, if there is any.
    pub fn new(tcp: TcpListener, tls: Option<Tls>) -> Self {
        Self { tcp, tls }
    }

    /// The next connection, before any handshake.
    ///
    /// # Errors
    /// It could not be accepted; the next may be.
    pub async fn accept(&self) -> io::Result<(Incoming, SocketAddr)> {
        let (stream, peer) = self.tcp.accept().await?;
        let tls = self.tls.clone();
        Ok((Incoming { stream, tls }, peer))
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
}

impl Incoming {
    /// The address that was connected to.
    ///
    /// # Errors
    /// The connection is gone.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.stream.local_addr()
    }

    /// What to speak over, once hands were shaken; small messages are sent at once.
    ///
    /// # Errors
    /// The other end is gone, or does not speak TLS as it should.
    pub async fn open(self) -> io::Result<Stream> {
        self.stream.set_nodelay(true)?;
        let Some(tls) = self.tls else {
            return Ok(Stream::Plain(self.stream));
        };
        let shaken = timeout(PATIENCE, tls.accept(self.stream)).await?;
        shaken.map(|stream| Stream::Encrypted(Box::new(stream)))
    }
}

/// What is spoken over.
#[derive(Debug)]
pub enum Stream {
    /// TCP.
    Plain(TcpStream),
    /// TLS.
    Encrypted(Box<TlsStream<TcpStream>>),
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
