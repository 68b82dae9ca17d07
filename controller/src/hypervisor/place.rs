//! Whether a session may speak for a hypervisor.

use crate::seat::{Claimant, Seat, Seats};
use sextant_model::ChassisId;
use std::sync::Arc;

/// A newer session has taken the seat.
pub(super) struct Lost;

/// Whether a session may speak for a hypervisor.
#[derive(Debug)]
pub(super) enum SpeakingRight {
    /// It has not said yet which hypervisor it is.
    Unknown,
    /// It may not: another hypervisor of that name is connected.
    Waiting(ChassisId),
    /// It may: it has the seat.
    Seated(Arc<Seat<ChassisId>>),
}

impl SpeakingRight {
    /// Waits until the seat is lost, or free.
    pub(super) async fn changes(&self, seats: &Seats<ChassisId>, peer: &Claimant) {
        match self {
            Self::Unknown => std::future::pending().await,
            Self::Waiting(id) => seats.vacancy(id, peer.clone()).await,
            Self::Seated(seat) => seat.lost().await,
        }
    }

    /// What [`SpeakingRight::changes`] means: a seat that is lost is lost to a newer session.
    pub(super) fn vacate(&mut self) -> Result<(), Lost> {
        match std::mem::replace(self, Self::Unknown) {
            Self::Seated(_) => Err(Lost),
            Self::Unknown | Self::Waiting(_) => Ok(()),
        }
    }
}
