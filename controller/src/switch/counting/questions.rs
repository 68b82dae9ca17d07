//! Passes people's questions on to the switch: how many packets did its flows take?

use crate::flow_counters::{CounterQuestion, MOST_ASKED, NoCounters};
use rust_openflow::multipart::FlowStats;
use rust_openflow::{Message, MultipartBody, MultipartRequest, Xid};
use std::collections::BTreeMap;
use tokio::sync::oneshot;

/// The questions that the switch has not answered yet.
#[derive(Debug, Default)]
pub(super) struct Unanswered(BTreeMap<Xid, PendingQuestion>);

#[derive(Debug)]
struct PendingQuestion {
    flows: Vec<FlowStats>,
    answer: oneshot::Sender<Result<Vec<FlowStats>, NoCounters>>,
}

impl Unanswered {
    /// Passes a question on. `send` queues a message, and gives its transaction id.
    pub(super) fn ask(
        &mut self,
        question: CounterQuestion,
        send: impl FnOnce(&Message) -> Option<Xid>,
    ) {
        self.0.retain(|_, asked| !asked.answer.is_closed());
        let request = Message::MultipartRequest(MultipartRequest::Flow(question.request));
        if let Some(xid) = send(&request) {
            let (flows, answer) = (vec![], question.answer);
            self.0.insert(xid, PendingQuestion { flows, answer });
        }
    }

    /// Reads a message if it answers a question.
    pub(super) fn take(&mut self, xid: Xid, message: &Message) {
        let Message::MultipartReply(reply) = message else {
            // An error: nobody waits any more once it is dropped.
            self.0.remove(&xid);
            return;
        };
        let Some(mut asked) = self.0.remove(&xid) else {
            return;
        };
        if let MultipartBody::Flow(flows) = &reply.body {
            asked.flows.extend(flows.iter().cloned());
        }
        // Who asked may have left.
        let _ = if asked.flows.len() > MOST_ASKED {
            asked.answer.send(Err(NoCounters::TooMany))
        } else if reply.more {
            self.0.insert(xid, asked);
            return;
        } else {
            asked.answer.send(Ok(asked.flows))
        };
    }
}
