//! One side of an OVSDB connection as a state machine: bytes in, bytes and events out, time as an argument.
//!
//! Sessions do not care who opened the connection: an ovsdb-server that was told `set-manager tcp:…` connects to its
//! manager and then serves requests on that stream like on any other (ovsdb-server(1), "--remote").

mod incoming;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use serde_json::{Value as Json, json};

use crate::cluster::{self, Member};
use crate::event::{Event, SessionError};
use crate::feed::{ConditionChange, Feed, Subscription, SubscriptionId};
use crate::framing::{Framer, Limits};
use crate::liveness::{Liveness, PeerState};
use crate::monitor::MonitorRequest;
use crate::replica::Replica;
use crate::rpc::{self, Message, RequestId};
use crate::schema::Name;
use crate::transaction::{Condition, Transaction};

/// How a session behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// What a message of the peer may cost.
    pub limits: Limits,
    /// After this much silence the peer is probed, after as much again it is taken for dead. `None` never probes.
    pub probe_interval: Option<Duration>,
    /// Which server of a cluster will do.
    pub member: Member,
}

impl Default for Options {
    /// The limits' defaults, a probe after five seconds like Open vSwitch's own, and any server.
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            probe_interval: Some(Duration::from_secs(5)),
            member: Member::Any,
        }
    }
}

/// Which of the two feeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Subject {
    Database,
    Server,
}

/// What a reply will be an answer to.
#[derive(Debug)]
enum Pending {
    Probe,
    Schema(SubscriptionId),
    Contents(SubscriptionId),
    Conditions(SubscriptionId),
    Transaction {
        operations: usize,
    },
    /// By this reply the transaction is answered or given up.
    Cancellation(RequestId),
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
    subscriptions: u64,
    member: Member,
    /// What the owner monitors.
    database: Feed,
    /// Whether rows were chosen that are not here yet.
    selecting: bool,
    /// What tells whether the server will do.
    server: Feed,
    failure: Option<SessionError>,
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
            member: options.member,
            selecting: false,
            database: Feed {
                replica,
                subscription: None,
            },
            server: Feed::default(),
            failure: None,
        }
    }

    /// The monitored tables as the server last told them.
    #[must_use]
    pub fn replica(&self) -> &Replica {
        &self.database.replica
    }

    /// Changes [`Options::probe_interval`], also of a silence that lasts.
    pub fn set_probe_interval(&mut self, interval: Option<Duration>) {
        self.liveness.set_interval(interval);
    }

    /// Gives up the session and keeps what it knows, for [`Session::resume`].
    #[must_use]
    pub fn into_replica(self) -> Replica {
        self.database.replica
    }

    /// Starts keeping a replica; [`Event::Synced`] tells when it is there. An earlier monitor ends.
    ///
    /// Should the database be converted to another schema meanwhile, the monitor starts over by itself.
    pub fn monitor(&mut self, request: MonitorRequest) {
        if self.subscriptions == 0 {
            self.send("set_db_change_aware", &json!([true]), Pending::Ignored);
        }
        self.stop_monitoring();
        if self.member != Member::Any {
            let request = cluster::request(request.database());
            self.subscribe(Subject::Server, request);
        }
        self.subscribe(Subject::Database, request);
    }

    /// Ends the monitor (RFC 7047 §4.1.7). The replica stays as it is; who wants it again goes on from there.
    pub fn stop_monitoring(&mut self) {
        let earlier = [&mut self.server, &mut self.database].map(|feed| feed.subscription.take());
        for subscription in earlier.into_iter().flatten() {
            let id = subscription.id().0;
            self.send("monitor_cancel", &json!([id]), Pending::Ignored);
        }
    }

    /// Restricts a table that is monitored to rows that meet one of the conditions given, instead of those given before;
    /// no conditions, no restriction. [`Event::Selected`] tells when the replica is as wished last, also where the first
    /// contents have not come yet. Servers older than Open vSwitch 2.6 go on sending all rows.
    pub fn change_conditions(
        &mut self,
        table: impl Into<Name>,
        conditions: impl IntoIterator<Item = Condition>,
    ) {
        let Feed {
            replica,
            subscription: Some(subscription),
        } = &mut self.database
        else {
            return;
        };
        let id = subscription.id();
        let conditions = conditions.into_iter().collect();
        match subscription.change_conditions(table.into(), conditions, replica) {
            ConditionChange::Ask(params) => {
                self.selecting = true;
                self.send("monitor_cond_change", &params, Pending::Conditions(id));
            }
            ConditionChange::Unknown => self.events.push_back(Event::Selected),
            ConditionChange::Restart => {
                self.selecting = true;
                let request = subscription.request().clone();
                self.monitor(request);
            }
        }
    }

    fn subscribe(&mut self, subject: Subject, request: MonitorRequest) {
        self.subscriptions += 1;
        let id = SubscriptionId(self.subscriptions);
        self.send(
            "get_schema",
            &json!([request.database()]),
            Pending::Schema(id),
        );
        self.feed(subject).subscription = Some(Subscription::new(request, id));
    }

    /// Sends a transaction; [`Event::Reply`] tells what became of it.
    pub fn transact(&mut self, transaction: Transaction) -> RequestId {
        let operations = transaction.len();
        let pending = Pending::Transaction { operations };
        self.send("transact", &transaction.into_params(), pending)
    }

    /// Asks that a transaction that still waits be given up (RFC 7047 §4.1.4); its reply then says `canceled`.
    ///
    /// ovsdb-server does not reply to a transaction that it gave up, against the RFC. It handles requests in their order:
    /// once a later one is answered, a transaction without a reply will never have one.
    pub fn cancel(&mut self, transaction: RequestId) {
        let pending = self.pending.get(&transaction);
        if matches!(pending, Some(Pending::Transaction { .. })) {
            let params = json!([transaction.0]);
            rpc::write_notification(&mut self.output, "cancel", &params);
            self.send("echo", &json!([]), Pending::Cancellation(transaction));
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

    /// How many requests of this side the peer has not answered.
    #[must_use]
    pub fn unanswered(&self) -> usize {
        self.pending.len()
    }

    /// The next thing that happened. The replica then is as of this event, and not ahead of it, although more may have
    /// been received. To be called until it gives `None`, whenever something was handled.
    ///
    /// # Errors
    /// [`SessionError`], after everything that happened before it; and again every time.
    pub fn poll_event(&mut self) -> Result<Option<Event>, SessionError> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Ok(Some(event));
            }
            if let Some(failure) = &self.failure {
                return Err(failure.clone());
            }
            match self.next_message() {
                Ok(Some(message)) => self.failure = self.handle_message(message).err(),
                Ok(None) => return Ok(None),
                Err(error) => self.failure = Some(error),
            }
        }
    }

    fn next_message(&mut self) -> Result<Option<Message>, SessionError> {
        let json = self.framer.next_message()?;
        Ok(json.map(Message::parse).transpose()?)
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

    /// Probes a silent peer, or gives it up.
    pub fn handle_timeout(&mut self, now: Instant) {
        match self.liveness.judge(now) {
            PeerState::Alive => {}
            PeerState::Probe => {
                self.send("echo", &json!([]), Pending::Probe);
            }
            PeerState::Dead { silence } => self.failure = Some(SessionError::PeerDead { silence }),
        }
    }

    /// Takes bytes as they were received.
    pub fn handle_input(&mut self, bytes: &[u8], now: Instant) {
        self.liveness.heard(now);
        self.framer.push(bytes);
    }

    /// Takes the end of the stream.
    pub fn handle_end(&mut self) {
        if let Err(error) = self.framer.finish() {
            self.failure = Some(error.into());
        }
    }
}
