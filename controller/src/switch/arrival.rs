//! What comes before a session can begin: whose switch it is that connected, and whether it may speak for it.

use super::Context;
use super::session::{SessionError, next};
use crate::seat::Seat;
use crate::snapshot::Snapshot;
use crate::stream::Stream;
use rust_openflow::Connection;
use sextant_model::ChassisId;
use std::net::SocketAddr;
use std::sync::Arc;

/// Waits until it is known whose switch this is, and everything about that hypervisor.
pub(super) async fn identify(
    connection: &mut Connection<Stream>,
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
            received = next(connection) => drop(received?),
        }
    }
}

/// Waits until this session may speak for the hypervisor's switch: until no other is connected from elsewhere.
pub(super) async fn sit(
    connection: &mut Connection<Stream>,
    chassis: &ChassisId,
    peer: SocketAddr,
    context: &Context,
) -> Result<Seat<ChassisId>, SessionError> {
    loop {
        let taken = match context.seats.take(chassis, peer.ip()) {
            Ok(seat) => return Ok(seat),
            Err(taken) => taken,
        };
        tracing::warn!(%peer, %chassis, "a second switch with the datapath id of this hypervisor waits: {taken}");
        let vacancy = context.seats.vacancy(chassis, peer.ip());
        tokio::pin!(vacancy);
        loop {
            tokio::select! {
                () = &mut vacancy => break,
                received = next(connection) => drop(received?),
            }
        }
    }
}
