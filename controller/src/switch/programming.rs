//! One change of a switch's flows: an atomic bundle and a barrier.
//!
//! Where the switch refuses flows, the bundle goes again without them. Each round leaves out at least one, so it ends.
//!
//! Meters cannot be in a bundle: those that new flows pass are added before it, those that no flow passes any more are
//! deleted after it (deleting one deletes its flows).

use super::meters::Meters;
use crate::snapshot::Snapshot;
use rust_openflow::{
    Bundle, BundleError, Connection, EncodeError, ErrorCode, Message, MeterMod, Xid,
};
use sextant_flows::{Cookie, Difference, is_about_the_flow};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;

/// What a slow switch takes for one flow of a bundle.
const TIME_FOR_A_FLOW: Duration = Duration::from_millis(1);
/// How often a change goes again without what was refused. Open vSwitch names nearly all in the first round.
const MOST_ROUNDS: u32 = 64;

/// Messages that delete meters.
fn delete_meters(meters: &BTreeSet<u32>) -> Vec<Message> {
    meters
        .iter()
        .map(|meter| Message::MeterMod(MeterMod::delete(*meter)))
        .collect()
}

/// A change that was sent and is not confirmed yet.
#[derive(Debug)]
pub(super) struct Change {
    step: Step,
    difference: Difference,
    /// The meters that it adds, by the transaction ids of the messages that do.
    meters: BTreeMap<Xid, u32>,
    rounds: u32,
    /// What the switch has once it is confirmed.
    pub(super) snapshot: Arc<Snapshot>,
    /// When it was sent.
    pub(super) sent: Instant,
    /// When it was last sent again without what was refused.
    sent_again: Instant,
}

#[derive(Debug)]
enum Step {
    /// The bundle is under way; it commits only after the switch has accepted each flow.
    Bundle(Bundle),
    /// The barrier is to be sent.
    Committed,
    /// The barrier with this transaction id is under way.
    Barrier(Xid),
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
    pub(super) fn new(id: u32, difference: Difference, snapshot: Arc<Snapshot>) -> Self {
        let now = Instant::now();
        Self {
            step: begin(id, &difference),
            difference,
            meters: BTreeMap::new(),
            rounds: 0,
            snapshot,
            sent: now,
            sent_again: now,
        }
    }

    /// Adds the meters that its flows pass. They go before the bundle, so what the switch says of them comes before, too.
    pub(super) fn send_meters<S>(&mut self, meters: &Meters, connection: &mut Connection<S>)
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        for meter in self.difference.added_meters() {
            let add = Message::MeterMod(meters.add(*meter));
            let sent = connection.send(&add);
            self.meters.extend(sent.map(|xid| (xid, *meter)));
        }
    }

    /// The meter that a message with this transaction id adds.
    pub(super) fn meter(&self, xid: Xid) -> Option<u32> {
        self.meters.get(&xid).copied()
    }

    /// Whether a message is one of its bundle's, or answers it.
    pub(super) fn has(&self, xid: Xid) -> bool {
        matches!(&self.step, Step::Bundle(bundle) if bundle.has(xid))
    }

    /// The flows for which the switch refused it; none if it is not for these, or if it has gone often enough.
    pub(super) fn at_fault(&self, refused: &Refused) -> BTreeMap<Cookie, ErrorCode> {
        let Refused::Bundle(BundleError::FlowMods(places)) = refused else {
            return BTreeMap::new();
        };
        let mut at_fault = self.difference.added_by(places);
        at_fault.retain(|_, error| is_about_the_flow(*error));
        at_fault
    }

    /// Goes again without these flows. Says whether it may: it has gone often enough else.
    pub(super) fn go_without(&mut self, id: u32, flows: &BTreeMap<Cookie, ErrorCode>) -> bool {
        self.difference.leave_out(flows.keys());
        self.step = begin(id, &self.difference);
        self.sent_again = Instant::now();
        self.rounds += 1;
        self.rounds < MOST_ROUNDS
    }

    /// Whether what links have to say may differ once it is confirmed.
    pub(super) fn touches_links(&self) -> bool {
        self.difference.touches_links()
    }

    /// Whether what uplinks have to say may differ once it is confirmed.
    pub(super) fn touches_uplinks(&self) -> bool {
        self.difference.touches_uplinks()
    }

    /// How many flows it adds.
    pub(super) fn additions(&self) -> usize {
        self.difference.additions()
    }

    /// How many flows it deletes.
    pub(super) fn deletions(&self) -> usize {
        self.difference.deletions()
    }

    /// Takes in a message.
    ///
    /// # Errors
    /// The switch refused the change: nothing of it was done.
    pub(super) fn on_message(&mut self, xid: Xid, message: &Message) -> Result<(), Refused> {
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
        let flows = u32::try_from(self.additions() + self.deletions()).unwrap_or(u32::MAX);
        self.sent_again + patience + TIME_FOR_A_FLOW * flows
    }

    /// Messages that delete the meters that no flow passes any more, to be sent once it is confirmed.
    pub(super) fn last_messages(&self) -> Vec<Message> {
        delete_meters(self.difference.deleted_meters())
    }

    /// Whether the switch has confirmed it.
    pub(super) fn is_done(&self) -> bool {
        matches!(self.step, Step::Done)
    }
}

fn begin(id: u32, difference: &Difference) -> Step {
    if difference.changes_flows() {
        Step::Bundle(Bundle::new(id, difference.flow_mods()))
    } else {
        Step::Committed
    }
}
