//! How many packets the switch counted: of its own accord every [`INTERVAL`], and when people ask.

mod drops;
mod questions;
mod unknown_endpoints;

use super::SwitchContext;
use crate::flow_counters::{CounterQuestions, SwitchErrand};
use crate::seat::Seat;
use crate::series::Series;
use drops::Drops;
use questions::Unanswered;
use rust_openflow::{Message, Xid};
use sextant_flows::View;
use sextant_model::ChassisId;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use unknown_endpoints::UnknownEndpoints;

/// How long counters are left alone.
const INTERVAL: Duration = Duration::from_secs(10);

/// What is read of one switch's counters. A switch that is not connected is not read: it goes on counting by itself.
#[derive(Debug)]
pub(super) struct Counting {
    due: Instant,
    unknown_endpoints: UnknownEndpoints,
    drops: Drops,
    questions: CounterQuestions,
    unanswered: Unanswered,
}

impl Counting {
    /// Nothing was read yet.
    pub(super) fn new(context: &SwitchContext, seat: &Arc<Seat<ChassisId>>, now: Instant) -> Self {
        let metrics = &context.metrics;
        let unknown = Series::new(&metrics.tunnel_unknown_endpoint_packets, seat);
        Self {
            due: now + INTERVAL,
            unknown_endpoints: UnknownEndpoints::new(unknown),
            drops: Drops::new(Series::new(&metrics.packets_dropped, seat)),
            questions: context.counters.questions(seat),
            unanswered: Unanswered::default(),
        }
    }

    /// When the counters are to be read next.
    pub(super) fn deadline(&self) -> Instant {
        self.due
    }

    /// Sends the requests that are due. `send` queues a message, and gives its transaction id if it could.
    pub(super) fn ask(
        &mut self,
        now: Instant,
        view: &View<'_>,
        mut send: impl FnMut(&Message) -> Option<Xid>,
    ) {
        if now < self.due {
            return;
        }
        self.due = now + INTERVAL;
        self.unknown_endpoints.ask(view, &mut send);
        self.drops.ask(&mut send);
    }

    /// The next question of a person.
    pub(super) async fn question(&mut self) -> Option<SwitchErrand> {
        self.questions.next().await
    }

    /// Passes on to the switch what people want of it.
    pub(super) fn pass_on(
        &mut self,
        errand: SwitchErrand,
        send: impl FnOnce(&Message) -> Option<Xid>,
    ) {
        match errand {
            SwitchErrand::Count(question) => self.unanswered.ask(question, send),
            // A message that cannot be sent any more is a connection that ends.
            SwitchErrand::Send(message) => drop(send(&message)),
        }
    }

    /// Reads a message if it answers a request.
    pub(super) fn take(&mut self, xid: Xid, message: &Message) {
        self.unknown_endpoints.take(xid, message);
        self.drops.take(xid, message);
        self.unanswered.take(xid, message);
    }
}
