//! One side of an OVSDB connection as a state machine: bytes in, bytes and events out, time as an argument.
//!
//! Sessions do not care who opened the connection: an ovsdb-server that was told `set-manager tcp:…` connects to its
//! manager and then serves requests on that stream like on any other (ovsdb-server(1), "--remote").

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use serde_json::{Value as Json, json};

use crate::event::{Event, Refusal, SessionError};
use crate::framing::{Framer, Limits};
use crate::liveness::{Liveness, Verdict};
use crate::monitor::{Method, MonitorRequest, UpdateError};
use crate::replica::{Replica, RowChange};
use crate::rpc::{self, Message, RequestId, RpcError};
use crate::subscription::{Progress, Subscription};
use crate::transaction::{Transaction, read_reply};

/// How a session behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// What a message of the peer may cost.
    pub limits: Limits,
    /// After this much silence the peer is probed, after as much again it is taken for dead. `None` never probes.
    pub probe_interval: Option<Duration>,
}

impl Default for Options {
    /// The limits' defaults, and a probe after five seconds, like Open vSwitch's own.
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            probe_interval: Some(Duration::from_secs(5)),
        }
    }
}

/// What a reply will be an answer to.
#[derive(Debug)]
enum Pending {
    Probe,
    /// The schema for the subscription of this number.
    Schema(u64),
    /// The contents for the subscription of this number.
    Contents(u64),
    Transaction {
        operations: usize,
    },
    Lock(String),
    Request,
    /// Nobody is interested.
    Ignored,
}

/// The state machine of a connection.
#[derive(Debug)]
pub struct Session {
    framer: Framer,
    liveness: Liveness,
    output: BytesMut,
    events: VecDeque<Event>,
    pending: BTreeMap<RequestId, Pending>,
    requests: u64,
    /// How many subscriptions there were; the current one's number.
    subscriptions: u64,
    subscription: Option<Subscription>,
    replica: Replica,
}

impl Session {
    /// A session on a stream that was just opened.
    #[must_use]
    pub fn new(options: Options, now: Instant) -> Self {
        Self::resume(options, Replica::default(), now)
    }

    /// A session that goes on from what an earlier one with the same database knew: if the next monitor asks for the
    /// same columns, a server that remembers sends only what changed since.
    #[must_use]
    pub fn resume(options: Options, replica: Replica, now: Instant) -> Self {
        Self {
            framer: Framer::new(options.limits),
            liveness: Liveness::new(options.probe_interval, now),
            output: BytesMut::new(),
            events: VecDeque::new(),
            pending: BTreeMap::new(),
            requests: 0,
            subscriptions: 0,
            subscription: None,
            replica,
        }
    }

    /// The monitored tables as the server last told them.
    #[must_use]
    pub fn replica(&self) -> &Replica {
        &self.replica
    }

    /// Gives up the session and keeps what it knows, for [`Session::resume`].
    #[must_use]
    pub fn into_replica(self) -> Replica {
        self.replica
    }

    /// Starts keeping a replica; [`Event::Synced`] tells when it is there. An earlier monitor ends.
    pub fn monitor(&mut self, request: MonitorRequest) {
        if let Some(earlier) = self.subscription.take() {
            self.send("monitor_cancel", &json!([earlier.id()]), Pending::Ignored);
        }
        self.subscriptions += 1;
        let subscription = Subscription::new(request, self.subscriptions);
        let (method, params) = subscription.schema_request();
        self.send(method, &params, Pending::Schema(self.subscriptions));
        self.subscription = Some(subscription);
    }

    /// Sends a transaction; [`Event::Reply`] tells what became of it.
    pub fn transact(&mut self, transaction: Transaction) -> RequestId {
        let operations = transaction.len();
        let pending = Pending::Transaction { operations };
        self.send("transact", &transaction.into_params(), pending)
    }

    /// Asks that a transaction that still waits be given up (RFC 7047 §4.1.4); its reply then says `canceled`.
    pub fn cancel(&mut self, transaction: RequestId) {
        if self.pending.contains_key(&transaction) {
            let params = json!([transaction.0]);
            rpc::write_notification(&mut self.output, "cancel", &params);
        }
    }

    /// Asks for a lock (RFC 7047 §4.1.8); [`Event::Locked`] tells when this session owns it.
    pub fn lock(&mut self, lock: &str) -> RequestId {
        self.send("lock", &json!([lock]), Pending::Lock(lock.into()))
    }

    /// Takes a lock from whoever owns it; [`Event::Locked`] tells when this session does.
    pub fn steal(&mut self, lock: &str) -> RequestId {
        self.send("steal", &json!([lock]), Pending::Lock(lock.into()))
    }

    /// Gives up a lock, or the wish for it.
    pub fn unlock(&mut self, lock: &str) -> RequestId {
        self.send("unlock", &json!([lock]), Pending::Ignored)
    }

    /// Makes any other request, such as `list_dbs`; [`Event::Answer`] has its result.
    pub fn request(&mut self, method: &str, params: &Json) -> RequestId {
        self.send(method, params, Pending::Request)
    }

    fn send(&mut self, method: &str, params: &Json, pending: Pending) -> RequestId {
        self.requests += 1;
        let id = RequestId(self.requests);
        rpc::write_request(&mut self.output, method, params, id);
        self.pending.insert(id, pending);
        id
    }

    /// The next thing that happened.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// All bytes that are to be sent to the peer, in order.
    pub fn poll_output(&mut self) -> Option<Bytes> {
        (!self.output.is_empty()).then(|| self.output.split().freeze())
    }

    /// How many bytes wait for [`Session::poll_output`].
    #[must_use]
    pub fn queued_output(&self) -> usize {
        self.output.len()
    }

    /// When to call [`Session::handle_timeout`] at the latest.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.liveness.deadline()
    }

    /// Probes a silent peer.
    ///
    /// # Errors
    /// [`SessionError::PeerDead`].
    pub fn handle_timeout(&mut self, now: Instant) -> Result<(), SessionError> {
        match self.liveness.judge(now) {
            Verdict::Alive => {}
            Verdict::Probe => {
                self.send("echo", &json!([]), Pending::Probe);
            }
            Verdict::Dead { silence } => return Err(SessionError::PeerDead { silence }),
        }
        Ok(())
    }

    /// Takes bytes as they were received.
    ///
    /// # Errors
    /// [`SessionError`]; what had arrived before the offending message still comes out of [`Session::poll_event`].
    pub fn handle_input(&mut self, bytes: &[u8], now: Instant) -> Result<(), SessionError> {
        self.liveness.heard(now);
        self.framer.push(bytes);
        while let Some(json) = self.framer.next_message()? {
            self.handle_message(Message::parse(json)?)?;
        }
        Ok(())
    }

    /// Takes the end of the stream.
    ///
    /// # Errors
    /// [`SessionError::Framing`] if it came inside a message.
    pub fn handle_end(&self) -> Result<(), SessionError> {
        Ok(self.framer.finish()?)
    }

    fn handle_message(&mut self, message: Message) -> Result<(), SessionError> {
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
            "monitor_canceled" => self.handle_cancellation(&params)?,
            _ => tracing::debug!(method, "the peer sent a notification of an unknown kind"),
        }
        Ok(())
    }

    fn handle_update(&mut self, method: Method, params: &Json) -> Result<(), UpdateError> {
        let Some(subscription) = &self.subscription else {
            return Ok(());
        };
        let changes = subscription.handle_update(method, params, &mut self.replica)?;
        self.tell_changes(changes.unwrap_or_default());
        Ok(())
    }

    fn handle_lock(&mut self, params: &Json, event: fn(String) -> Event) -> Result<(), RpcError> {
        let lock = params[0].as_str().ok_or(RpcError::MalformedRequest)?;
        self.events.push_back(event(lock.into()));
        Ok(())
    }

    fn handle_cancellation(&self, params: &Json) -> Result<(), SessionError> {
        match &self.subscription {
            Some(subscription) if params[0] == *subscription.id() => {
                Err(SessionError::MonitorCanceled)
            }
            Some(_) | None => Ok(()),
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
            Pending::Schema(number) => self.handle_schema(number, reply),
            Pending::Contents(number) => self.handle_contents(number, reply),
            Pending::Transaction { operations } => {
                let result = read_reply(reply, operations);
                self.events.push_back(Event::Reply { id, result });
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
        number: u64,
        reply: Result<Json, Json>,
    ) -> Result<(), SessionError> {
        let current = self.subscription.as_mut();
        let Some(subscription) = current.filter(|_| number == self.subscriptions) else {
            return Ok(());
        };
        subscription.handle_schema(reply, &mut self.replica)?;
        self.ask_for_contents();
        Ok(())
    }

    fn handle_contents(
        &mut self,
        number: u64,
        reply: Result<Json, Json>,
    ) -> Result<(), SessionError> {
        let current = self.subscription.as_mut();
        let Some(subscription) = current.filter(|_| number == self.subscriptions) else {
            return Ok(());
        };
        let news = self.replica.is_synced();
        match subscription.handle_reply(reply, &mut self.replica)? {
            Progress::Retry => self.ask_for_contents(),
            Progress::Contents(changes) => {
                if news {
                    self.tell_changes(changes);
                }
                self.events.push_back(Event::Synced);
            }
        }
        Ok(())
    }

    fn ask_for_contents(&mut self) {
        if let Some(subscription) = &self.subscription {
            let (method, params) = subscription.monitor_request(&self.replica);
            self.send(method, &params, Pending::Contents(self.subscriptions));
        }
    }

    fn tell_changes(&mut self, changes: Vec<RowChange>) {
        if !changes.is_empty() {
            self.events.push_back(Event::Changed(changes));
        }
    }
}
