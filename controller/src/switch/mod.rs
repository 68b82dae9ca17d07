//! Switches: one OpenFlow session each, in one task that programs flows and answers punted packets.

mod advertising;
mod arrival;
mod inventory;
mod programming;
mod punts;
mod session;

pub use punts::Punts;

use crate::metrics::Metrics;
use crate::seat::Seats;
use crate::snapshot::Snapshots;
use crate::state::Events;
use crate::stream::Listener;
use sextant_model::ChassisId;
use std::time::Duration;

/// What every session needs.
#[derive(Clone, Debug)]
pub struct Context {
    /// What is known.
    pub snapshots: Snapshots,
    /// Where confirmations go.
    pub events: Events,
    /// What is counted.
    pub metrics: Metrics,
    /// Who speaks for the switch of which hypervisor.
    pub seats: Seats<ChassisId>,
    /// How long a switch may take to say what it has, and to confirm a small change.
    pub patience: Duration,
}

/// What [`Context::patience`] should be: a busy switch reads back hundreds of thousands of flows in less.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Serves every switch that connects. Does not return.
pub async fn listen(listener: impl Into<Listener>, context: Context) {
    let listener = listener.into();
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
