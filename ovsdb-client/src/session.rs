//! One side of an OVSDB connection as a state machine: bytes in, bytes and events out, time as an argument.
//!
//! Sessions do not care who opened the connection: an ovsdb-server that was told `set-manager tcp:…` connects to its
//! manager and then serves requests on that stream like on any other (ovsdb-server(1), "--remote").

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use serde_json::{Value as Json, json};

use crate::cluster::{self, Member};
use crate::event::{Event, Refusal, SessionError};
use crate::feed::{Feed, Progress, Subscription, SubscriptionId};
use crate::framing::{Framer, Limits};
use crate::liveness::{Liveness, Verdict};
use crate::monitor::{Method, MonitorRequest};
use crate::replica::{Replica, RowChange};
use crate::rpc::{self, Message, RequestId, RpcError};
use crate::transaction::{Transaction, read_reply};

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
        let earlier = [&mut self.server, &mut self.database].map(|feed| feed.subscription.take());
        for subscription in earlier.into_iter().flatten() {
            let id = subscription.id().0;
            self.send("monitor_cancel", &json!([id]), Pending::Ignored);
        }
        if self.member != Member::Any {
            let request = cluster::request(request.database());
            self.subscribe(Subject::Server, request);
        }
        self.subscribe(Subject::Database, request);
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
            Verdict::Alive => {}
            Verdict::Probe => {
                self.send("echo", &json!([]), Pending::Probe);
            }
            Verdict::Dead { silence } => self.failure = Some(SessionError::PeerDead { silence }),
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
    /// The server ended a monitor because its database was converted, or is gone (ovsdb-server(7), 4.1.7).
    fn handle_cancellation(&mut self, params: &Json) {
        let id = named(params);
        let Some((subject, _, _)) = id.and_then(|id| self.subscription(id)) else {
            return;
        };
        if let Some(subscription) = self.feed(subject).subscription.take() {
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
                }
            }
            Err(error) => self.handle_refusal(subject, error)?,
        }
        Ok(())
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

    fn feed(&mut self, subject: Subject) -> &mut Feed {
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
    params[0].as_u64().map(SubscriptionId)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::MemberError;
    use crate::framing::FramingError;
    use crate::row::Row;
    use crate::rpc::RpcError;
    use crate::value::Value;

    /// A session and the test in the role of its server.
    struct Conversation {
        session: Session,
        now: Instant,
    }

    impl Conversation {
        fn new(replica: Replica) -> Self {
            let now = tokio::time::Instant::now().into_std();
            let session = Session::resume(Options::default(), replica, now);
            Self { session, now }
        }

        /// A session that has the row `a` of table `T`, with the numbers 1 and 2.
        fn synced() -> Self {
            let mut conversation = Self::new(Replica::default());
            conversation
                .session
                .monitor(MonitorRequest::new("D").table("T", ["name", "numbers"]));
            conversation.say(json!({"id": 2, "error": null, "result": schema()}));
            conversation.say(
                json!({"id": 3, "error": null, "result": [false, transaction(1), {"T": {
                    row(1): {"initial": {"name": "a", "numbers": ["set", [1, 2]]}},
                }}]}),
            );
            assert_eq!(conversation.events(), Ok(vec![Event::Synced]));
            conversation.heard();
            conversation
        }

        fn say(&mut self, message: Json) {
            self.session
                .handle_input(message.to_string().as_bytes(), self.now);
        }

        fn events(&mut self) -> Result<Vec<Event>, SessionError> {
            let mut events = Vec::new();
            while let Some(event) = self.session.poll_event()? {
                events.push(event);
            }
            Ok(events)
        }

        /// What the session has sent, as far as it was not asked for before.
        fn heard(&mut self) -> Vec<Json> {
            let output = self.session.poll_output().unwrap_or_default();
            let messages = serde_json::Deserializer::from_slice(&output).into_iter();
            messages.map(Result::unwrap).collect()
        }
    }

    fn schema() -> Json {
        let many = json!({"key": "integer", "min": 0, "max": "unlimited"});
        json!({"name": "D", "tables": {"T": {"columns": {"name": {"type": "string"}, "numbers": {"type": many}}}}})
    }

    fn row(number: u128) -> String {
        uuid::Uuid::from_u128(number).to_string()
    }

    fn transaction(number: u128) -> String {
        row(number << 64)
    }

    fn modification(numbers: &[i64], since: u128) -> Json {
        let difference = json!({"modify": {"numbers": ["set", numbers]}});
        json!({"id": null, "method": "update3", "params": [1, transaction(since), {"T": {row(1): difference}}]})
    }

    #[test]
    fn the_replica_is_as_of_the_event_that_was_handed_out() {
        let mut conversation = Conversation::synced();
        conversation.say(modification(&[2, 3], 2));
        conversation.say(modification(&[3, 4], 3));
        let mut states = Vec::new();
        while let Some(event) = conversation.session.poll_event().unwrap() {
            assert!(matches!(event, Event::Changed(_)), "{event:?}");
            let (_, row) = conversation
                .session
                .replica()
                .find("T", "name", "a")
                .unwrap();
            states.push(
                row.integers("numbers")
                    .unwrap()
                    .into_iter()
                    .collect::<Vec<_>>(),
            );
        }
        assert_eq!(states, [[1, 3], [1, 4]]);
    }

    #[test]
    fn the_peer_s_echo_is_answered_and_other_requests_are_refused() {
        let mut conversation = Conversation::new(Replica::default());
        conversation.say(json!({"id": "echo", "method": "echo", "params": ["x"]}));
        conversation.say(json!({"id": [7], "method": "transact", "params": []}));
        assert_eq!(conversation.events(), Ok(vec![]));
        assert_eq!(
            conversation.heard(),
            [
                json!({"id": "echo", "result": ["x"], "error": null}),
                json!({"id": [7], "result": null, "error": "unknown method"}),
            ]
        );
    }

    #[test]
    fn a_resumed_session_asks_for_what_it_missed_and_tells_it() {
        let before = Conversation::synced().session.into_replica();
        let mut conversation = Conversation::new(before);
        conversation
            .session
            .monitor(MonitorRequest::new("D").table("T", ["name", "numbers"]));
        conversation.say(json!({"id": 2, "error": null, "result": schema()}));
        assert_eq!(conversation.events(), Ok(vec![]));
        assert_eq!(conversation.heard()[2]["params"][3], transaction(1));
        conversation.say(
            json!({"id": 3, "error": null, "result": [true, transaction(4), {"T": {
                row(1): {"modify": {"numbers": 1}},
            }}]}),
        );
        let events = conversation.events().unwrap();
        assert!(
            matches!(&events[..], [Event::Changed(changes), Event::Synced] if changes.len() == 1),
            "{events:?}"
        );
        let replica = conversation.session.replica();
        let left = Row::new()
            .with("name", "a")
            .with("numbers", Value::set([2]));
        assert_eq!(replica.rows("T").next().map(|(_, row)| row), Some(&left));
        assert_eq!(replica.last_transaction().to_string(), transaction(4));
    }

    #[test]
    fn a_second_monitor_supersedes_the_first_at_any_moment() {
        let mut conversation = Conversation::new(Replica::default());
        conversation
            .session
            .monitor(MonitorRequest::new("D").table("T", ["name", "numbers"]));
        conversation.say(json!({"id": 2, "error": null, "result": schema()}));
        assert_eq!(conversation.events(), Ok(vec![]));
        conversation
            .session
            .monitor(MonitorRequest::new("D").table("T", ["name"]));
        let contents = json!([false, transaction(1), {"T": {row(1): {"initial": {"name": "a"}}}}]);
        conversation.say(json!({"id": 3, "error": null, "result": contents}));
        conversation.say(modification(&[5], 2));
        conversation.say(json!({"id": 4, "error": null, "result": {}}));
        conversation.say(json!({"id": 5, "error": null, "result": schema()}));
        assert_eq!(conversation.events(), Ok(vec![]));
        conversation.say(json!({"id": 6, "error": null, "result": contents}));
        assert_eq!(conversation.events(), Ok(vec![Event::Synced]));
        let replica = conversation.session.replica();
        assert_eq!(
            replica.rows("T").next().map(|(_, row)| row),
            Some(&Row::new().with("name", "a"))
        );
    }

    #[test]
    fn what_happened_before_an_error_is_told_and_the_error_stays() {
        let mut conversation = Conversation::synced();
        conversation.say(modification(&[2], 2));
        conversation.session.handle_input(b"[]", conversation.now);
        assert!(matches!(
            conversation.session.poll_event(),
            Ok(Some(Event::Changed(_)))
        ));
        let error = SessionError::Framing(FramingError::NotAnObject { byte: b'[' });
        assert_eq!(conversation.events(), Err(error.clone()));
        conversation.say(modification(&[2], 3));
        assert_eq!(conversation.events(), Err(error));
    }

    #[test]
    fn a_peer_that_breaks_the_protocol_is_told_apart() {
        let unknown = json!({"id": null, "method": "update3", "params": [1, transaction(2), {"T": {row(9): {"delete": null}}}]});
        let unasked = json!({"id": 77, "result": {}, "error": null});
        for (message, accepted) in [
            (unknown, false),
            (unasked, false),
            (
                json!({"id": null, "method": "update3", "params": [1]}),
                false,
            ),
            (json!({"id": null, "method": "locked", "params": []}), false),
            (
                json!({"id": null, "method": "monitor_canceled", "params": [0]}),
                true,
            ),
            (json!({"id": null, "method": "news", "params": []}), true),
        ] {
            let mut conversation = Conversation::synced();
            conversation.say(message.clone());
            assert_eq!(conversation.events().is_ok(), accepted, "{message}");
        }
        let mut conversation = Conversation::synced();
        conversation
            .session
            .handle_input(b"{\"id\"", conversation.now);
        conversation.session.handle_end();
        let truncated = FramingError::Truncated { received: 5 };
        assert_eq!(conversation.events(), Err(SessionError::Framing(truncated)));
    }

    #[test]
    fn a_server_that_refuses_the_monitor_or_lacks_the_column_is_an_error() {
        let refuse = |reply: Json| {
            let mut conversation = Conversation::new(Replica::default());
            conversation
                .session
                .monitor(MonitorRequest::new("D").table("T", ["color"]));
            conversation.say(reply);
            conversation.events().unwrap_err().to_string()
        };
        let error = json!({"error": "unknown database", "details": "no such thing"});
        assert_eq!(
            refuse(json!({"id": 2, "result": null, "error": error})),
            "the server refused to monitor D: unknown database (no such thing)"
        );
        assert_eq!(
            refuse(json!({"id": 2, "result": schema(), "error": null})),
            "the table T of database D has no column color"
        );
        assert_eq!(
            refuse(json!({"id": 2, "result": {"name": "D"}, "error": null})),
            "the server's schema has no valid tables"
        );
    }

    #[test]
    fn a_monitor_that_the_server_ends_starts_over() {
        let mut conversation = Conversation::synced();
        conversation.say(json!({"id": null, "method": "monitor_canceled", "params": [1]}));
        assert_eq!(conversation.events(), Ok(vec![]));
        let requests = conversation.heard();
        assert_eq!(
            requests,
            [json!({"id": 4, "method": "get_schema", "params": ["D"]})]
        );
        conversation.say(json!({"id": 4, "error": null, "result": schema()}));
        conversation.say(json!({"id": 5, "error": null, "result": [false, transaction(2), {}]}));
        let events = conversation.events().unwrap();
        assert!(
            matches!(&events[..], [Event::Changed(changes), Event::Synced] if changes[0].new.is_none()),
            "{events:?}"
        );
    }

    #[test]
    fn a_member_that_will_not_do_ends_the_session_before_its_contents_are_told() {
        let now = tokio::time::Instant::now().into_std();
        let options = Options {
            member: Member::Leader,
            ..Options::default()
        };
        let mut conversation = Conversation {
            session: Session::new(options, now),
            now,
        };
        conversation
            .session
            .monitor(MonitorRequest::new("D").table("T", ["name"]));
        let text = json!({"type": "string"});
        let truth = json!({"type": "boolean"});
        let columns = json!({"name": text, "model": text, "connected": truth, "leader": truth});
        conversation.say(json!({"id": 2, "error": null, "result": {"name": "_Server", "tables": {"Database": {"columns": columns}}}}));
        conversation.say(json!({"id": 3, "error": null, "result": schema()}));
        assert_eq!(conversation.events(), Ok(vec![]));
        let methods: Vec<Json> = conversation
            .heard()
            .into_iter()
            .map(|request| request["params"][0].clone())
            .collect();
        assert_eq!(
            methods,
            [
                json!(true),
                json!("_Server"),
                json!("D"),
                json!("_Server"),
                json!("D")
            ]
        );
        let database = |leader| json!({"name": "D", "model": "clustered", "connected": true, "leader": leader});
        conversation.say(json!({"id": 4, "error": null, "result": [false, transaction(0), {"Database": {row(1): {"initial": database(true)}}}]}));
        conversation
            .say(json!({"id": 5, "error": null, "result": [false, transaction(1), {"T": {}}]}));
        assert_eq!(conversation.events(), Ok(vec![Event::Synced]));
        let lost = json!({"modify": {"leader": false}});
        conversation.say(json!({"id": null, "method": "update3", "params": [1, transaction(0), {"Database": {row(1): lost}}]}));
        assert_eq!(
            conversation.events(),
            Err(SessionError::Member(MemberError::NotLeader))
        );
    }

    #[test]
    fn a_cancelled_transaction_has_one_reply_whatever_the_server_does() {
        for server_replies in [false, true] {
            let mut conversation = Conversation::new(Replica::default());
            let id = conversation
                .session
                .transact(Transaction::new("D").comment("a"));
            conversation.session.cancel(id);
            let requests = conversation.heard();
            assert_eq!(
                requests[1],
                json!({"id": null, "method": "cancel", "params": [1]})
            );
            if server_replies {
                conversation.say(json!({"id": 1, "result": null, "error": "canceled"}));
            }
            conversation.say(json!({"id": requests[2]["id"], "result": [], "error": null}));
            let events = conversation.events().unwrap();
            assert!(
                matches!(&events[..], [Event::Reply { id: found, result: Err(_) }] if *found == id),
                "{events:?}"
            );
        }
    }

    #[test]
    fn a_silent_peer_is_probed_and_given_up() {
        let mut conversation = Conversation::new(Replica::default());
        let at =
            |conversation: &Conversation, seconds| conversation.now + Duration::from_secs(seconds);
        assert_eq!(
            conversation.session.poll_timeout(),
            Some(at(&conversation, 5))
        );
        conversation.session.handle_timeout(at(&conversation, 5));
        assert_eq!(
            conversation.heard(),
            [json!({"id": 1, "method": "echo", "params": []})]
        );
        conversation.session.handle_timeout(at(&conversation, 10));
        let silence = Duration::from_secs(10);
        assert_eq!(
            conversation.events(),
            Err(SessionError::PeerDead { silence })
        );
    }

    #[test]
    fn an_unexpected_reply_names_its_id() {
        let mut conversation = Conversation::new(Replica::default());
        conversation.say(json!({"id": 9, "result": {}, "error": null}));
        let error = RpcError::UnexpectedReply { id: "9".into() };
        assert_eq!(conversation.events(), Err(SessionError::Rpc(error)));
    }
}
