//! The stream of one watch: its messages as commits.

use super::known::KnownRows;
use super::{CallError, Reached, Stop};
use crate::store::Committed;
use crate::store::etcd::call::timely;
use crate::store::etcd::layout::{EtcdKey, Layout, format_value};
use crate::store::etcd::rows::LARGEST;
use crate::store::etcd::transaction::made_at;
use etcd_client::{Event, EventType, WatchOptions, WatchResponse, WatchStream};
use std::collections::VecDeque;

pub(super) struct CommitStream {
    messages: WatchStream,
    /// What the last message said, and who listens has not heard yet.
    waiting: VecDeque<Result<Heard, CallError>>,
}

/// What a watch says.
pub(super) enum Heard {
    Commit(Committed),
    /// There is nothing else up to this revision.
    Progress(i64),
}

/// Watches what comes after a revision.
pub(super) async fn open(
    reached: &Reached,
    layout: &Layout,
    seen: i64,
) -> Result<CommitStream, CallError> {
    let watch = reached.client.watch_client();
    let options = WatchOptions::new()
        .with_prefix()
        .with_start_revision(seen + 1);
    let mut watch = watch.max_decoding_message_size(LARGEST);
    let messages = timely(watch.watch(layout.prefix(), Some(options))).await?;
    let waiting = VecDeque::new();
    Ok(CommitStream { messages, waiting })
}

impl CommitStream {
    /// What comes next. Cancel-safe. etcd never divides a revision between two messages, unless asked to.
    pub(super) async fn next(
        &mut self,
        known: &mut KnownRows,
        layout: &Layout,
    ) -> Result<Heard, Stop> {
        loop {
            if let Some(heard) = self.waiting.pop_front() {
                return heard.map_err(Stop::from);
            }
            let message = self.messages.message().await.map_err(CallError::from)?;
            let Some(message) = message else {
                return Err(CallError::NoAnswer("the watch has ended".to_owned()).into());
            };
            self.take(&message, known, layout);
        }
    }

    fn take(&mut self, message: &WatchResponse, known: &mut KnownRows, layout: &Layout) {
        let events = message.events();
        for events in events.chunk_by(|one, other| revision(one) == revision(other)) {
            let committed = committed(events, known, layout).transpose();
            let committed = committed.map(|result| result.map(Heard::Commit));
            let is_end = committed.as_ref().is_some_and(Result::is_err);
            self.waiting.extend(committed);
            if is_end {
                return;
            }
        }
        if message.compact_revision() > 0 {
            self.waiting.push_back(Err(CallError::Compacted));
        } else if message.canceled() {
            let why = message.cancel_reason().to_owned();
            self.waiting.push_back(Err(CallError::NoAnswer(why)));
        } else if message.events().is_empty() && !message.created() {
            let reached = message.header().map_or(0, |header| header.revision());
            self.waiting.push_back(Ok(Heard::Progress(reached)));
        }
    }

    /// Has the watch say how far it is.
    pub(super) async fn ask_for_progress(&mut self) -> Result<(), CallError> {
        timely(self.messages.request_progress()).await
    }
}

fn revision(event: &Event) -> i64 {
    event.kv().map_or(0, etcd_client::KeyValue::mod_revision)
}

/// The events of one revision as a commit. `None`: only receipts have expired, or it concerns somebody else.
fn committed(
    events: &[Event],
    known: &mut KnownRows,
    layout: &Layout,
) -> Result<Option<Committed>, CallError> {
    let mut is_commit = false;
    let mut changes = Vec::new();
    for event in events {
        let Some(row) = event.kv() else { continue };
        let is_put = event.event_type() == EventType::Put;
        match layout.place(row.key()) {
            EtcdKey::Object(key) => {
                let change = if is_put {
                    known.put(key, row)
                } else {
                    known.delete(key)
                };
                match change {
                    Ok(change) => changes.push(change),
                    Err(error) => {
                        tracing::error!(%error, "a change in the store is left out. Its key stays as it was until it can be read")
                    }
                }
            }
            EtcdKey::Format if !is_put || row.value() != format_value().as_bytes() => {
                let why = "the store was removed, or another version has taken it over";
                return Err(CallError::Refused(why.to_owned()));
            }
            EtcdKey::Receipt => is_commit |= is_put,
            EtcdKey::Format | EtcdKey::Foreign => {}
        }
    }
    let revision = events.first().map_or(0, revision);
    let committed = Committed {
        revision: made_at(revision),
        changes,
    };
    let is_commit = is_commit || !committed.changes.is_empty();
    Ok(is_commit.then_some(committed))
}
