//! What a session does with each message of the peer.

use serde_json::{Value as Json, json};

use super::{Pending, Session, Subject};
use crate::cluster;
use crate::event::{Event, Refusal, SessionError};
use crate::feed::{Feed, Progress, Subscription, SubscriptionId};
use crate::monitor::Method;
use crate::replica::{Replica, RowChange};
use crate::rpc::{self, Message, RequestId, RpcError};
use crate::transaction::read_reply;
use crate::value;

impl Session {
    pub(super) fn handle_message(&mut self, message: Message) -> Result<(), SessionError> {
        match message {
            Message::Request { method, params, id } => {
                self.handle_request(&method, &params, &id);
                Ok(())
            }
            Message::Notification { method, params } => self.handle_notification(&method, params),
            Message::Reply { id, result } => match self.pending.remove(&id) {
                Some(pending) => self.handle_reply(id, pending, result),
                None => Err(RpcError::UnexpectedReply { id: id.to_string() }.into()),
            },
        }
    }

    fn handle_request(&mut self, method: &str, params: &Json, id: &Json) {
        match method {
            "echo" => rpc::write_result(&mut self.output, params, id),
            _ => {
                tracing::debug!(method, "the peer made a request that clients do not serve");
                rpc::write_error(&mut self.output, "unknown method", id);
            }
        }
    }

    fn handle_notification(&mut self, method: &str, params: Json) -> Result<(), SessionError> {
        match method {
            "update" => self.handle_update(Method::Plain, &params)?,
            "update2" => self.handle_update(Method::Cond, &params)?,
            "update3" => self.handle_update(Method::CondSince, &params)?,
            "locked" => self.handle_lock(&params, |lock| Event::Locked { lock })?,
            "stolen" => self.handle_lock(&params, |lock| Event::Stolen { lock })?,
            "monitor_canceled" => self.handle_cancellation(&params),
            _ => tracing::debug!(method, "the peer sent a notification of an unknown kind"),
        }
        Ok(())
    }

    fn handle_update(&mut self, method: Method, params: &Json) -> Result<(), SessionError> {
        let id = named(params);
        let Some((subject, subscription, replica)) = id.and_then(|id| self.subscription(id)) else {
            return Ok(());
        };
        let changes = subscription.handle_update(method, params, replica)?;
        self.tell_changes(subject, changes)
    }

    fn handle_lock(&mut self, params: &Json, event: fn(String) -> Event) -> Result<(), RpcError> {
        let lock = params[0].as_str().ok_or(RpcError::MalformedRequest)?;
        self.events.push_back(event(lock.into()));
        Ok(())
    }

    /// The server ended a monitor because its database was converted, or is gone (ovsdb-server(7), 4.1.7).
    fn handle_cancellation(&mut self, params: &Json) {
        let id = named(params);
        let Some((subject, _, _)) = id.and_then(|id| self.subscription(id)) else {
            return;
        };
        let subscription = &mut self.feed(subject).subscription;
        if let Some(subscription) = subscription.take_if(|subscription| subscription.is_live()) {
            self.subscribe(subject, subscription.into_request());
        }
    }

    fn handle_reply(
        &mut self,
        id: RequestId,
        pending: Pending,
        reply: Result<Json, Json>,
    ) -> Result<(), SessionError> {
        match pending {
            Pending::Probe | Pending::Ignored => Ok(()),
            Pending::Schema(id) => self.handle_schema(id, reply),
            Pending::Contents(id) => self.handle_contents(id, reply),
            Pending::Conditions(id) => self.handle_conditions(id, reply),
            Pending::Transaction { operations } => {
                let result = read_reply(reply, operations);
                self.events.push_back(Event::Reply { id, result });
                Ok(())
            }
            Pending::Cancellation(transaction) => {
                if let Some(pending) = self.pending.remove(&transaction) {
                    self.handle_reply(transaction, pending, Err(json!("canceled")))?;
                }
                Ok(())
            }
            Pending::Lock(lock) => {
                self.handle_lock_reply(id, lock, reply);
                Ok(())
            }
            Pending::Request => {
                let result = reply.map_err(Refusal::from);
                self.events.push_back(Event::Answer { id, result });
                Ok(())
            }
        }
    }

    fn handle_lock_reply(&mut self, id: RequestId, lock: String, reply: Result<Json, Json>) {
        match reply {
            Ok(json) if json["locked"] == true => self.events.push_back(Event::Locked { lock }),
            Ok(_) => {}
            Err(json) => {
                let result = Err(json.into());
                self.events.push_back(Event::Answer { id, result });
            }
        }
    }

    fn handle_schema(
        &mut self,
        id: SubscriptionId,
        reply: Result<Json, Json>,
    ) -> Result<(), SessionError> {
        let Some((subject, subscription, replica)) = self.subscription(id) else {
            return Ok(());
        };
        match subscription.handle_schema(reply, replica) {
            Ok(()) => self.ask_for_contents(id),
            Err(error) => self.handle_refusal(subject, error)?,
        }
        Ok(())
    }

    fn handle_contents(
        &mut self,
        id: SubscriptionId,
        reply: Result<Json, Json>,
    ) -> Result<(), SessionError> {
        let Some((subject, subscription, replica)) = self.subscription(id) else {
            return Ok(());
        };
        match subscription.handle_contents(reply, replica) {
            Ok(Progress::Retry) => self.ask_for_contents(id),
            Ok(Progress::Contents(news)) => {
                self.tell_changes(subject, news)?;
                if subject == Subject::Database {
                    self.events.push_back(Event::Synced);
                    self.tell_selected();
                }
            }
            Err(error) => self.handle_refusal(subject, error)?,
        }
        Ok(())
    }

    fn handle_conditions(
        &mut self,
        id: SubscriptionId,
        reply: Result<Json, Json>,
    ) -> Result<(), SessionError> {
        if let Some((_, subscription, replica)) = self.subscription(id)
            && subscription.handle_conditions(reply, replica)?
        {
            self.tell_selected();
        }
        Ok(())
    }

    /// The replica has the rows that were chosen last: by an answer, or by contents that were asked for since.
    fn tell_selected(&mut self) {
        if std::mem::take(&mut self.selecting) {
            self.events.push_back(Event::Selected);
        }
    }

    fn ask_for_contents(&mut self, id: SubscriptionId) {
        if let Some((_, subscription, replica)) = self.subscription(id) {
            let (method, params) = subscription.call(replica);
            self.send(method.name(), &params, Pending::Contents(id));
        }
    }

    /// A server too old to describe itself is too old for clusters.
    fn handle_refusal(
        &mut self,
        subject: Subject,
        error: SessionError,
    ) -> Result<(), SessionError> {
        match (subject, error) {
            (Subject::Server, SessionError::MonitorRefused { .. }) => {
                self.server.subscription = None;
                Ok(())
            }
            (Subject::Server | Subject::Database, error) => Err(error),
        }
    }

    fn tell_changes(
        &mut self,
        subject: Subject,
        changes: Vec<RowChange>,
    ) -> Result<(), SessionError> {
        match (subject, &self.database.subscription) {
            (Subject::Database, _) if changes.is_empty() => {}
            (Subject::Database, _) => self.events.push_back(Event::Changed(changes)),
            (Subject::Server, Some(subscription)) => {
                cluster::judge(&self.server.replica, subscription.database(), self.member)?;
            }
            (Subject::Server, None) => {}
        }
        Ok(())
    }

    pub(super) fn feed(&mut self, subject: Subject) -> &mut Feed {
        match subject {
            Subject::Database => &mut self.database,
            Subject::Server => &mut self.server,
        }
    }

    /// The subscription of this number, unless it was superseded.
    fn subscription(
        &mut self,
        id: SubscriptionId,
    ) -> Option<(Subject, &mut Subscription, &mut Replica)> {
        let subject = match self.database.is(id) {
            true => Subject::Database,
            false => Subject::Server,
        };
        let (subscription, replica) = self.feed(subject).get(id)?;
        Some((subject, subscription, replica))
    }
}

/// The monitor that a notification is for.
fn named(params: &Json) -> Option<SubscriptionId> {
    value::count(&params[0]).map(SubscriptionId)
}
