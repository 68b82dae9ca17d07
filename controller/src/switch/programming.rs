//! One change of a switch's flows: an atomic bundle and a barrier.
//!
//! Meters cannot be in a bundle: those that new flows pass are added before it, those that no flow passes any more are
//! deleted after it (deleting one deletes its flows).

use crate::snapshot::Snapshot;
use rust_openflow::{Bundle, BundleError, Message, MeterConfig, MeterMod};
use sextant_flows::Difference;
use sextant_model::Settings;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tokio::time::Instant;

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
        for meter in wanted {
            let mut add = MeterMod::packet_rate(*meter, settings.punt_rate, settings.punt_burst);
            let config = MeterConfig { flags: add.flags, meter: *meter, bands: add.bands.clone() };
            match self.present.insert(*meter, config.clone()) {
                Some(present) if present == config => continue,
                Some(_) => add.command = rust_openflow::MeterCommand::Modify,
                None => {}
            }
            messages.push(Message::MeterMod(add));
        }
        messages
    }

    /// Messages that remove all others.
    pub(super) fn unwanted(&mut self, wanted: &BTreeSet<u32>) -> Vec<Message> {
        let unwanted: Vec<u32> = self.present.keys().copied().filter(|meter| !wanted.contains(meter)).collect();
        unwanted.iter().for_each(|meter| drop(self.present.remove(meter)));
        unwanted.into_iter().map(|meter| Message::MeterMod(MeterMod::delete(meter))).collect()
    }
}

/// A change that was sent and is not confirmed yet.
#[derive(Debug)]
pub(super) struct Change {
    bundle: Option<Bundle>,
    barrier: u32,
    /// What the switch has once it is confirmed.
    pub(super) snapshot: Arc<Snapshot>,
    /// When it was sent.
    pub(super) sent: Instant,
    /// How many flows it adds.
    pub(super) additions: usize,
    /// How many flows it deletes.
    pub(super) deletions: usize,
}

/// Where messages are sent: returns the transaction id given to one.
pub(super) trait Outbox {
    /// Queues a message.
    fn post(&mut self, message: &Message) -> u32;
    /// Queues a message under a transaction id of its own.
    fn post_as(&mut self, xid: u32, message: &Message);
}

impl Change {
    /// Sends a difference, then a barrier.
    pub(super) fn send(outbox: &mut impl Outbox, id: u32, difference: &Difference, snapshot: Arc<Snapshot>) -> Self {
        let bundle = (!difference.is_empty()).then(|| {
            let mut bundle = Bundle::new(id, difference.flow_mods());
            bundle.send(|message| outbox.post(message));
            bundle
        });
        let barrier = outbox.post(&Message::BarrierRequest);
        let (additions, deletions) = (difference.additions(), difference.deletions());
        Self { bundle, barrier, snapshot, sent: Instant::now(), additions, deletions }
    }

    /// What a message says about this change: nothing yet, confirmed, or refused.
    pub(super) fn on_message(&mut self, xid: u32, message: &Message) -> Option<Result<(), BundleError>> {
        if let Some(bundle) = &mut self.bundle {
            match bundle.on_message(xid, message) {
                Some(Ok(())) => self.bundle = None,
                refused => return refused,
            }
        }
        let confirmed = xid == self.barrier && matches!(message, Message::BarrierReply) && self.bundle.is_none();
        confirmed.then_some(Ok(()))
    }
}
