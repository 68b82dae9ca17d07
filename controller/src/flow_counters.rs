//! How many packets the flows of a switch took, for people who ask: the session with the switch asks it.

use crate::seat::Seat;
use dashmap::DashMap;
use rust_openflow::Message;
use rust_openflow::multipart::{FlowStats, FlowStatsRequest};
use sextant_model::ChassisId;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

/// How many questions may wait at one switch.
const WAITING: usize = 8;
/// How long a switch may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// An answer takes memory: a switch with more flows than that is asked for fewer at a time.
pub const MOST_ASKED: usize = 1 << 16;

/// A question: which flows are these, with their counters?
#[derive(Debug)]
pub struct CounterQuestion {
    /// Which flows.
    pub request: FlowStatsRequest,
    /// Where the answer goes.
    pub answer: oneshot::Sender<Result<Vec<FlowStats>, NoCounters>>,
}

/// What people want of a switch.
#[derive(Debug)]
pub enum SwitchErrand {
    /// To know its counters.
    Count(CounterQuestion),
    /// To have it do this.
    Send(Message),
}

/// The switches that can be asked.
#[derive(Clone, Debug, Default)]
pub struct FlowCounters(Arc<DashMap<ChassisId, mpsc::Sender<SwitchErrand>>>);

/// The questions to one switch, for as long as its session lives.
#[derive(Debug)]
pub struct CounterQuestions {
    all: FlowCounters,
    seat: Arc<Seat<ChassisId>>,
    questions: mpsc::Receiver<SwitchErrand>,
}

/// Why there are no counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoCounters {
    /// No switch of that hypervisor is connected here.
    #[error("its switch is not connected")]
    NotConnected,
    /// It is connected, and does not answer.
    #[error("its switch does not answer")]
    NoAnswer,
    /// It has more such flows than an answer may have.
    #[error("its switch has more than {MOST_ASKED} such flows")]
    TooMany,
}

impl FlowCounters {
    /// Some flows of a switch, as it has them. Takes a thread that may block.
    ///
    /// # Errors
    /// [`NoCounters`] says why there is no answer.
    pub fn ask(
        &self,
        chassis: &ChassisId,
        request: FlowStatsRequest,
    ) -> Result<Vec<FlowStats>, NoCounters> {
        let asked = self.0.get(chassis).map(|asked| asked.value().clone());
        let asked = asked.ok_or(NoCounters::NotConnected)?;
        let (answer, answered) = oneshot::channel();
        let question = CounterQuestion { request, answer };
        let errand = SwitchErrand::Count(question);
        asked.try_send(errand).map_err(|_| NoCounters::NoAnswer)?;
        // Callers are threads beside the runtime, which has the clock.
        let answered = tokio::runtime::Handle::current().block_on(timeout(PATIENCE, answered));
        match answered {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) | Err(_) => Err(NoCounters::NoAnswer),
        }
    }

    /// Whether a switch can be asked here: another controller may own its hypervisor.
    #[must_use]
    pub fn knows(&self, chassis: &ChassisId) -> bool {
        self.0.contains_key(chassis)
    }

    /// Has a switch do something.
    ///
    /// # Errors
    /// It is not connected here, or has too much to do.
    pub fn send(&self, chassis: &ChassisId, message: Message) -> Result<(), NoCounters> {
        let asked = self.0.get(chassis).ok_or(NoCounters::NotConnected)?;
        let errand = SwitchErrand::Send(message);
        asked.try_send(errand).map_err(|_| NoCounters::NoAnswer)
    }

    /// The questions to the switch of the hypervisor that has this seat.
    #[must_use]
    pub fn questions(&self, seat: &Arc<Seat<ChassisId>>) -> CounterQuestions {
        let (asked, questions) = mpsc::channel(WAITING);
        self.0.insert(seat.key().clone(), asked);
        CounterQuestions {
            all: self.clone(),
            seat: seat.clone(),
            questions,
        }
    }
}

impl CounterQuestions {
    /// The next question.
    pub async fn next(&mut self) -> Option<SwitchErrand> {
        self.questions.recv().await
    }
}

impl Drop for CounterQuestions {
    fn drop(&mut self) {
        // A newer session has its own.
        if !self.seat.is_lost() {
            self.all.0.remove(self.seat.key());
        }
    }
}
