//! Switches: one OpenFlow session each, in one task that programs flows and answers punted packets.

mod advertising;
mod inventory;
mod programming;
mod punts;
mod session;

pub use punts::Punts;

use crate::metrics::Metrics;
use crate::snapshot::Snapshots;
use crate::state::Events;
use std::time::Duration;
use tokio::net::TcpListener;

/// What every session needs.
#[derive(Clone, Debug)]
pub struct Context {
    /// What is known.
    pub snapshots: Snapshots,
    /// Where confirmations go.
    pub events: Events,
    /// What is counted.
    pub metrics: Metrics,
}

/// Serves every switch that connects. Does not return.
pub async fn listen(listener: TcpListener, context: Context) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => drop(tokio::spawn(session::serve(stream, peer, context.clone()))),
            Err(error) => {
                tracing::warn!(%error, "a switch's connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}
