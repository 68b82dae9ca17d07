//! Passes people's questions on to the switch: how many packets did its flows take?

use crate::flow_counters::CounterQuestion;
use rust_openflow::multipart::{FlowStats, FlowStatsRequest};
use rust_openflow::{Message, MultipartBody, MultipartRequest, Xid};
use std::collections::BTreeMap;
use tokio::sync::oneshot;

/// An answer takes memory: what is beyond these is left out.
const MOST_COUNTED: usize = 4096;

/// The questions that the switch has not answered yet.
#[derive(Debug, Default)]
pub(super) struct Unanswered(BTreeMap<Xid, PendingQuestion>);

#[derive(Debug)]
struct PendingQuestion {
    flows: Vec<FlowStats>,
    answer: oneshot::Sender<Vec<FlowStats>>,
}

impl Unanswered {
    /// Passes a question on. `send` queues a message, and gives its transaction id.
    pub(super) fn ask(
        &mut self,
        question: CounterQuestion,
        send: impl FnOnce(&Message) -> Option<Xid>,
    ) {
        self.0.retain(|_, asked| !asked.answer.is_closed());
        let request = FlowStatsRequest {
            matches: question.matches,
            ..FlowStatsRequest::all()
        };
        let request = Message::MultipartRequest(MultipartRequest::Flow(request));
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
            let room = MOST_COUNTED.saturating_sub(asked.flows.len());
            asked.flows.extend(flows.iter().take(room).cloned());
        }
        if reply.more {
            self.0.insert(xid, asked);
        } else {
            // Who asked may have left.
            let _ = asked.answer.send(asked.flows);
        }
    }
}
