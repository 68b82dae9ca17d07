//! Serves HTTP so that no client can hold up the others, and stops without cutting anybody off.
//!
//! A client has a limited time to send a request's head, also on a connection that is kept open; so many connections are
//! served at once, and the next wait in the listener's queue. Told to stop, it takes no more connections, answers the
//! requests that are under way, and ends.

use crate::stream::{Dialects, Listener, Plain};
use crate::tls::Tls;
use axum::Router;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};

/// What clients may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections at once, at least 1.
    pub connections: usize,
    /// How long a request's head may take, and the wait for it.
    pub head: Duration,
    /// How long requests under way may take after the end of the service was asked for.
    pub farewell: Duration,
}

impl Default for Limits {
    /// 512 connections, which leaves most of the usual 1024 files to switches and hypervisors; 30 s for a head; 5 s to end.
    fn default() -> Self {
        Self {
            connections: 512,
            head: Duration::from_secs(30),
            farewell: Duration::from_secs(5),
        }
    }
}

/// Whom a request comes from, among its extensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The other end of the connection.
    pub address: SocketAddr,
    /// The connection is TLS.
    pub encrypted: bool,
}

/// Serves until `stopping`, and then until the requests under way are answered.
pub async fn serve(
    listener: impl Into<Listener>,
    service: Router,
    limits: Limits,
    stopping: impl Future<Output = ()>,
) {
    let Listener { tcp, tls, dialects } = listener.into();
    let room = Arc::new(Semaphore::new(limits.connections));
    let underway = GracefulShutdown::new();
    let mut stopping = pin!(stopping);
    loop {
        let (stream, address, place) = tokio::select! {
            admitted = admit(&tcp, &room) => admitted,
            () = &mut stopping => break,
        };
        let connection = Connection {
            service: service.clone(),
            limits,
            watcher: underway.watcher(),
            address,
            dialects: dialects.clone(),
        };
        let tls = tls.clone();
        tokio::spawn(async move {
            match tls {
                None => connection.serve_plain(stream).await,
                Some(tls) => connection.serve_encrypted(stream, &tls).await,
            }
            drop(place);
        });
    }
    drop(tcp);
    if timeout(limits.farewell, underway.shutdown()).await.is_err() {
        tracing::warn!("requests that took too long were cut off");
    }
}

/// A client's connection.
struct Connection {
    service: Router,
    limits: Limits,
    watcher: Watcher,
    address: SocketAddr,
    dialects: Dialects,
}

impl Connection {
    async fn serve_plain(self, stream: TcpStream) {
        let stream = Plain::new(stream, self.address, self.dialects.clone());
        self.serve(stream, false).await;
    }

    async fn serve_encrypted(self, stream: TcpStream, tls: &Tls) {
        let address = self.address;
        match timeout(self.limits.head, tls.accept(stream)).await {
            Ok(Ok(stream)) => self.serve(stream, true).await,
            Ok(Err(error)) => {
                let error = self.dialects.explain(error, address);
                tracing::debug!(%address, %error, "a client does not speak TLS as it should")
            }
            Err(_) => tracing::debug!(%address, "a client took too long over its handshake"),
        }
    }

    async fn serve(self, stream: impl AsyncRead + AsyncWrite + Unpin + 'static, encrypted: bool) {
        let peer = Peer {
            address: self.address,
            encrypted,
        };
        let service = TowerToHyperService::new(self.service);
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(peer);
            service.call(request)
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.limits.head)
            .serve_connection(TokioIo::new(stream), service);
        if let Err(error) = self.watcher.watch(connection).await {
            tracing::debug!(%error, "a client's connection ended");
        }
    }
}

/// The next connection, once there is room for it.
async fn admit(
    listener: &TcpListener,
    room: &Arc<Semaphore>,
) -> (TcpStream, SocketAddr, Option<OwnedSemaphorePermit>) {
    // Nobody closes the semaphore.
    let place = room.clone().acquire_owned().await.ok();
    loop {
        match listener.accept().await {
            Ok((stream, address)) => return (stream, address, place),
            Err(error) => {
                tracing::warn!(%error, "a client's connection could not be accepted");
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
}
