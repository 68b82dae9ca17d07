//! What comes before a session can begin: whose switch it is that connected, and whether it may speak for it.

use super::Context;
use super::line::Line;
use super::session::SessionError;
use crate::admission::Words;
use crate::seat::Seat;
use crate::snapshot::Snapshot;
use crate::stream::Incoming;
use rust_openflow::Connection;
use rust_openflow::connection::{ConnectionError, Options};
use sextant_model::ChassisId;
use std::net::SocketAddr;
use std::sync::Arc;

/// A switch that is known and may speak.
pub(super) struct Arrived {
    pub(super) line: Line,
    pub(super) chassis: ChassisId,
    /// What was known when it was.
    pub(super) snapshot: Arc<Snapshot>,
    pub(super) seat: Seat<ChassisId>,
}

pub(super) async fn arrive(
    stream: Incoming,
    peer: SocketAddr,
    words: &Words,
    context: &Context,
) -> Result<Arrived, SessionError> {
    let stream = stream.open().await.map_err(ConnectionError::from)?;
    let connection = Connection::handshake(stream, Options::default()).await?;
    let datapath_id = connection.features().datapath_id;
    let mut line = Line::new(connection, peer, context.metrics.clone());
    let (chassis, snapshot) = identify(&mut line, datapath_id, context).await?;
    line.is_of(&chassis);
    let seat = sit(&mut line, &chassis, peer, words, context).await?;
    tracing::info!(%peer, %chassis, datapath_id = format_args!("{datapath_id:016x}"), "switch connected");
    Ok(Arrived {
        line,
        chassis,
        snapshot,
        seat,
    })
}

/// Waits until it is known whose switch this is, and everything about that hypervisor.
async fn identify(
    line: &mut Line,
    datapath_id: u64,
    context: &Context,
) -> Result<(ChassisId, Arc<Snapshot>), SessionError> {
    let mut snapshots = context.snapshots.clone();
    let mut snapshot = snapshots.latest();
    loop {
        let chassis = snapshot
            .facts
            .chassis_of_datapath(datapath_id)
            .filter(|chassis| chassis.observed);
        if let Some(chassis) = chassis {
            return Ok((chassis.id.clone(), snapshot));
        }
        tokio::select! {
            changed = snapshots.changed() => snapshot = changed?,
            received = line.next() => drop(received?),
        }
    }
}

/// Waits until this session may speak for the hypervisor's switch: until no other is connected from elsewhere.
async fn sit(
    line: &mut Line,
    chassis: &ChassisId,
    peer: SocketAddr,
    words: &Words,
    context: &Context,
) -> Result<Seat<ChassisId>, SessionError> {
    loop {
        let taken = match context.seats.take(chassis, peer.ip()) {
            Ok(seat) => return Ok(seat),
            Err(taken) => taken,
        };
        if let Some(unsaid) = words.admit() {
            tracing::warn!(%peer, %chassis, unsaid, "a second switch with the datapath id of this hypervisor waits: {taken}");
        }
        let vacancy = context.seats.vacancy(chassis, peer.ip());
        tokio::pin!(vacancy);
        loop {
            tokio::select! {
                () = &mut vacancy => break,
                received = line.next() => drop(received?),
            }
        }
    }
}
