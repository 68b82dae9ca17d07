//! Serves HTTP so that no client can hold up the others, and stops without cutting anybody off.
//!
//! A client has a limited time to send a request's head, also on a connection that is kept open; so many connections are
//! served at once, and the next wait in the listener's queue. Told to stop, it takes no more connections, answers the
//! requests that are under way, and ends.

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
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

/// Serves until `stopping`, and then until the requests under way are answered.
pub async fn serve(
    listener: TcpListener,
    service: Router,
    limits: Limits,
    stopping: impl Future<Output = ()>,
) {
    let room = Arc::new(Semaphore::new(limits.connections));
    let underway = GracefulShutdown::new();
    let mut stopping = pin!(stopping);
    loop {
        let (stream, place) = tokio::select! {
            admitted = admit(&listener, &room) => admitted,
            () = &mut stopping => break,
        };
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.head)
            .serve_connection(
                TokioIo::new(stream),
                TowerToHyperService::new(service.clone()),
            );
        let connection = underway.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a client's connection ended");
            }
            drop(place);
        });
    }
    drop(listener);
    if timeout(limits.farewell, underway.shutdown()).await.is_err() {
        tracing::warn!("requests that took too long were cut off");
    }
}

/// The next connection, once there is room for it.
async fn admit(
    listener: &TcpListener,
    room: &Arc<Semaphore>,
) -> (TcpStream, Option<OwnedSemaphorePermit>) {
    // Nobody closes the semaphore.
    let place = room.clone().acquire_owned().await.ok();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return (stream, place),
            Err(error) => {
                tracing::warn!(%error, "a client's connection could not be accepted");
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
}
