//! One change of a switch's flows: an atomic bundle and a barrier.
//!
//! Meters cannot be in a bundle: those that new flows pass are added before it, those that no flow passes any more are
//! deleted after it (deleting one deletes its flows).

use crate::snapshot::Snapshot;
use rust_openflow::multipart::MeterConfig;
use rust_openflow::{
    Bundle, BundleError, Connection, EncodeError, Message, MeterCommand, MeterMod,
};
use sextant_flows::Difference;
use sextant_model::Settings;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;

/// What a slow switch takes for one flow of a bundle.
const TIME_FOR_A_FLOW: Duration = Duration::from_millis(1);

/// The meters of a switch, and what they should be.
#[derive(Debug, Default)]
pub(super) struct Meters {
    present: BTreeMap<u32, MeterConfig>,
}

impl Meters {
    /// What the switch has.
    pub(super) fn new(present: BTreeMap<u32, MeterConfig>) -> Self {
        Self { present }
    }

    /// Messages that make the wanted meters what they should be.
    pub(super) fn wanted(&mut self, wanted: &BTreeSet<u32>, settings: &Settings) -> Vec<Message> {
        let mut messages = vec![];
        let usual = MeterMod::packet_rate(0, settings.punt_rate, settings.punt_burst);
        let is_usual =
            |present: &MeterConfig| (present.flags, &present.bands) == (usual.flags, &usual.bands);
        for meter in wanted {
            if self.present.get(meter).is_some_and(is_usual) {
                continue;
            }
            let mut add = MeterMod {
                meter: *meter,
                ..usual.clone()
            };
            let config = MeterConfig {
                flags: add.flags,
                meter: *meter,
                bands: add.bands.clone(),
            };
            if self.present.insert(*meter, config).is_some() {
                add.command = MeterCommand::Modify;
            }
            messages.push(Message::MeterMod(add));
        }
        messages
    }

    /// Messages that remove all others.
    pub(super) fn unwanted(&mut self, wanted: &BTreeSet<u32>) -> Vec<Message> {
        let unwanted: Vec<u32> = self
            .present
            .keys()
            .copied()
            .filter(|meter| !wanted.contains(meter))
            .collect();
        unwanted
            .iter()
            .for_each(|meter| drop(self.present.remove(meter)));
        unwanted
            .into_iter()
            .map(|meter| Message::MeterMod(MeterMod::delete(meter)))
            .collect()
    }
}

/// A change that was sent and is not confirmed yet.
#[derive(Debug)]
pub(super) struct Change {
    step: Step,
    /// What the switch has once it is confirmed.
    pub(super) snapshot: Arc<Snapshot>,
    /// When it was sent.
    pub(super) sent: Instant,
    /// Whether meters come or go with it.
    pub(super) touches_meters: bool,
    /// How many flows it adds.
    pub(super) additions: usize,
    /// How many flows it deletes.
    pub(super) deletions: usize,
}

#[derive(Debug)]
enum Step {
    /// The bundle is under way; it commits only after the switch has accepted each flow.
    Bundle(Bundle),
    /// The barrier is to be sent.
    Committed,
    /// The barrier with this transaction id is under way.
    Barrier(u32),
    /// The barrier was answered.
    Done,
}

/// Why a change did not happen.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refused {
    /// The switch refused it.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// A flow is too long for a message.
    #[error(transparent)]
    Encode(#[from] EncodeError),
}

impl Change {
    /// A difference to be sent; call [`Change::drive`] for it to begin.
    pub(super) fn new(id: u32, difference: &Difference, snapshot: Arc<Snapshot>) -> Self {
        let step = if difference.is_empty() {
            Step::Committed
        } else {
            Step::Bundle(Bundle::new(id, difference.flow_mods()))
        };
        let (additions, deletions) = (difference.additions(), difference.deletions());
        Self {
            step,
            touches_meters: difference.touches_meters(),
            snapshot,
            sent: Instant::now(),
            additions,
            deletions,
        }
    }

    /// Takes in a message.
    ///
    /// # Errors
    /// The switch refused the change: nothing of it was done.
    pub(super) fn on_message(&mut self, xid: u32, message: &Message) -> Result<(), Refused> {
        match &mut self.step {
            Step::Bundle(bundle) => match bundle.on_message(xid, message) {
                Some(outcome) => outcome
                    .map(|()| self.step = Step::Committed)
                    .map_err(Refused::from),
                None => Ok(()),
            },
            Step::Barrier(awaited)
                if *awaited == xid && matches!(message, Message::BarrierReply) =>
            {
                self.step = Step::Done;
                Ok(())
            }
            Step::Barrier(_) | Step::Committed | Step::Done => Ok(()),
        }
    }

    /// Sends what is to be sent now.
    ///
    /// # Errors
    /// A flow is too long for a message.
    pub(super) fn drive<S>(&mut self, connection: &mut Connection<S>) -> Result<(), Refused>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        match &mut self.step {
            Step::Bundle(bundle) => drop(connection.drive(bundle)?),
            Step::Committed => {
                self.step = Step::Barrier(connection.send(&Message::BarrierRequest)?)
            }
            Step::Barrier(_) | Step::Done => {}
        }
        Ok(())
    }

    /// When the switch should have confirmed it: one that answers pings, but not this, is not left alone with it for ever.
    pub(super) fn deadline(&self, patience: Duration) -> Instant {
        let flows = u32::try_from(self.additions + self.deletions).unwrap_or(u32::MAX);
        self.sent + patience + TIME_FOR_A_FLOW * flows
    }

    /// Whether the switch has confirmed it.
    pub(super) fn is_done(&self) -> bool {
        matches!(self.step, Step::Done)
    }
}
