//! Serves HTTP so that no client can block others, and stops without cutting anybody off.
//!
//! A client has a limited time to send a request's head, also on a connection that is kept open, and again for its
//! body. The number of connections is limited. One more replaces a connection without a request, or one whose client
//! has not read its answer for as long. If all have requests, it waits in the listener's queue.

mod answer;
mod body;
mod places;

use crate::metrics::{Metrics, RefusedConnection};
use crate::stream::{Dialects, Listener, Plain};
use crate::tls::Tls;
use answer::{AnswerUnderWay, Outgoing};
use axum::Router;
use axum::body::Body;
use body::Received;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use places::{ClientPlace, ClientPlaces, ClientPresence, Evicted};
use sextant_responders::throttle::Throttle;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};

/// Limits on clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HttpLimits {
    /// The most connections at once, at least 1.
    pub connections: usize,
    /// The most connections at once from one IPv4 address, or one /64 of IPv6.
    pub of_an_address: usize,
    /// How long waiting for a request's head may take, and how long its body.
    pub head: Duration,
    /// How long present requests may take once the service is to end.
    pub farewell: Duration,
}

impl Default for HttpLimits {
    /// The default limits. 512 connections leave half of the usual 1024 files to switches and hypervisors. One address
    /// may have half of these, since it may be a proxy's. A head may take 30 s, and ending 5 s.
    fn default() -> Self {
        Self {
            connections: 512,
            of_an_address: 256,
            head: Duration::from_secs(30),
            farewell: Duration::from_secs(5),
        }
    }
}

/// The sender of a request, among its extensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The other end of the connection.
    pub address: SocketAddr,
    /// Whether the connection is TLS.
    pub encrypted: bool,
}

/// Serves until `stopping`, and then until present requests are answered. `name` is the listener's in metrics and logs.
pub async fn serve(
    name: &'static str,
    listener: impl Into<Listener>,
    service: Router,
    limits: HttpLimits,
    metrics: Metrics,
    stopping: impl Future<Output = ()>,
) {
    let Listener { tcp, tls, dialects } = listener.into();
    let mut door = Entrance {
        name,
        places: ClientPlaces::new(limits.connections, limits.of_an_address),
        metrics,
        throttle: Throttle::default(),
    };
    let underway = GracefulShutdown::new();
    let mut stopping = pin!(stopping);
    loop {
        let (stream, address, place) = tokio::select! {
            admitted = door.admit(&tcp) => admitted,
            () = &mut stopping => break,
        };
        let connection = Connection {
            service: service.clone(),
            limits,
            watcher: underway.watcher(),
            address,
            dialects: dialects.clone(),
        };
        tokio::spawn(connection.run(stream, tls.clone(), place));
    }
    drop(tcp);
    if timeout(limits.farewell, underway.shutdown()).await.is_err() {
        tracing::warn!("requests that took too long were cut off");
    }
}

/// Accepts clients.
struct Entrance {
    name: &'static str,
    places: Arc<ClientPlaces>,
    metrics: Metrics,
    throttle: Throttle,
}

impl Entrance {
    /// The next connection that has a place.
    async fn admit(&mut self, listener: &TcpListener) -> (TcpStream, SocketAddr, ClientPlace) {
        loop {
            let (stream, address) = match listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    if let Some(unsaid) = self.throttle.admit(Instant::now()) {
                        tracing::warn!(listener = self.name, %error, unsaid, "a client's connection could not be accepted");
                    }
                    sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            match self.places.admit(address.ip()).await {
                Some((place, None)) => return (stream, address, place),
                Some((place, Some(Evicted))) => {
                    self.tell(
                        RefusedConnection::Idle,
                        address,
                        "too many connections: an idle one was ended",
                    );
                    return (stream, address, place);
                }
                None => self.tell(
                    RefusedConnection::Address,
                    address,
                    "too many requests under way from one address: a connection was refused",
                ),
            }
        }
    }

    fn tell(&mut self, reason: RefusedConnection, newest: SocketAddr, what: &str) {
        self.metrics
            .connections_refused
            .with_label_values(&[self.name, reason.as_str()])
            .inc();
        if let Some(unsaid) = self.throttle.admit(Instant::now()) {
            tracing::warn!(listener = self.name, %newest, unsaid, "{what}");
        }
    }
}

/// A client's connection.
struct Connection {
    service: Router,
    limits: HttpLimits,
    watcher: Watcher,
    address: SocketAddr,
    dialects: Dialects,
}

impl Connection {
    /// Serves it until it ends, or until its place is needed.
    async fn run(self, stream: TcpStream, tls: Option<Tls>, mut place: ClientPlace) {
        // Else the last part of an answer in parts waits until the client acknowledges the first, some 40 ms.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(address = %self.address, %error, "a client is gone");
            return;
        }
        let seat = place.seat.clone();
        let served = async {
            match tls {
                None => self.serve_plain(stream, seat).await,
                Some(tls) => self.serve_encrypted(stream, &tls, seat).await,
            }
        };
        tokio::select! {
            () = served => {}
            _ = &mut place.shown_out => {}
        }
    }

    async fn serve_plain(self, stream: TcpStream, seat: ClientPresence) {
        let stream = Plain::new(stream, self.address, self.dialects.clone());
        self.serve(stream, false, seat).await;
    }

    async fn serve_encrypted(self, stream: TcpStream, tls: &Tls, seat: ClientPresence) {
        let address = self.address;
        match timeout(self.limits.head, tls.accept(stream)).await {
            Ok(Ok(stream)) => self.serve(stream, true, seat).await,
            Ok(Err(error)) => {
                let error = self.dialects.explain(error, address);
                tracing::debug!(%address, %error, "a client's TLS handshake failed")
            }
            Err(_) => tracing::debug!(%address, "a client's TLS handshake took too long"),
        }
    }

    async fn serve(
        self,
        stream: impl AsyncRead + AsyncWrite + Unpin + 'static,
        encrypted: bool,
        seat: ClientPresence,
    ) {
        let peer = Peer {
            address: self.address,
            encrypted,
        };
        let patience = self.limits.head;
        let stream = Outgoing::new(stream, patience, seat.clone());
        let service = TowerToHyperService::new(self.service);
        let service = service_fn(move |request: Request<Incoming>| {
            let mut request =
                request.map(|body| Body::new(Received::new(body, patience, seat.clone())));
            request.extensions_mut().insert(peer);
            let (answer, seat) = (service.call(request), seat.clone());
            async move {
                let answer = answer.await;
                answer.map(|answer| AnswerUnderWay::with(answer, seat))
            }
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
