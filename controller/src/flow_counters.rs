//! How many packets the flows of a switch took, for people who ask: the session with the switch asks it.

use crate::seat::Seat;
use dashmap::DashMap;
use rust_openflow::Match;
use rust_openflow::multipart::FlowStats;
use sextant_model::ChassisId;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

/// How many questions may wait at one switch.
const WAITING: usize = 8;
/// How long a switch may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// A question: which flows match at least this, with their counters?
#[derive(Debug)]
pub struct CounterQuestion {
    /// What a flow has to match.
    pub matches: Match,
    /// Where the answer goes.
    pub answer: oneshot::Sender<Vec<FlowStats>>,
}

/// The switches that can be asked.
#[derive(Clone, Debug, Default)]
pub struct FlowCounters(Arc<DashMap<ChassisId, mpsc::Sender<CounterQuestion>>>);

/// The questions to one switch, for as long as its session lives.
#[derive(Debug)]
pub struct CounterQuestions {
    all: FlowCounters,
    seat: Arc<Seat<ChassisId>>,
    questions: mpsc::Receiver<CounterQuestion>,
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
}

impl FlowCounters {
    /// The flows of a switch that match at least this. Takes a thread that may block.
    ///
    /// # Errors
    /// [`NoCounters`] says why there is no answer.
    pub fn ask(&self, chassis: &ChassisId, matches: Match) -> Result<Vec<FlowStats>, NoCounters> {
        let asked = self.0.get(chassis).map(|asked| asked.value().clone());
        let asked = asked.ok_or(NoCounters::NotConnected)?;
        let (answer, answered) = oneshot::channel();
        let question = CounterQuestion { matches, answer };
        asked.try_send(question).map_err(|_| NoCounters::NoAnswer)?;
        // Callers are threads beside the runtime, which has the clock.
        let answered = tokio::runtime::Handle::current().block_on(timeout(PATIENCE, answered));
        answered
            .ok()
            .and_then(Result::ok)
            .ok_or(NoCounters::NoAnswer)
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
    pub async fn next(&mut self) -> Option<CounterQuestion> {
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
