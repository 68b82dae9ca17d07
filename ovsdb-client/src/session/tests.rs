//! A session, with the test in the role of its server.

use super::*;
use crate::cluster::MemberError;
use crate::framing::FramingError;
use crate::monitor::UpdateError;
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

/// The transaction that a new session goes on from.
fn since(replica: Replica, request: MonitorRequest) -> Json {
    let mut conversation = Conversation::new(replica);
    conversation.session.monitor(request);
    conversation.say(json!({"id": 2, "error": null, "result": schema()}));
    assert_eq!(conversation.events(), Ok(vec![]));
    conversation.heard()[2]["params"][3].clone()
}

#[test]
fn an_update_that_does_not_fit_takes_no_effect_and_everything_is_asked_for_anew() {
    let mut conversation = Conversation::synced();
    let before = conversation.session.replica().clone();
    let difference = json!({"modify": {"numbers": 3}});
    let updates = json!({"T": {row(1): difference, row(9): difference}});
    conversation
        .say(json!({"id": null, "method": "update3", "params": [1, transaction(2), updates]}));
    assert!(matches!(
        conversation.events(),
        Err(SessionError::Update(UpdateError::UnknownRow { .. }))
    ));
    let after = conversation.session.into_replica();
    assert!(after.rows("T").eq(before.rows("T")));
    let request = MonitorRequest::new("D").table("T", ["name", "numbers"]);
    assert_eq!(since(before, request.clone()), transaction(1));
    assert_eq!(since(after, request), transaction(0));
}

#[test]
fn while_conditions_change_the_replica_is_of_no_known_transaction() {
    let request = || MonitorRequest::new("D").table("T", ["name", "numbers"]);
    let named = || [crate::Condition::equal("name", "b")];
    let mut conversation = Conversation::synced();
    conversation.session.change_conditions("T", named());
    assert_eq!(
        conversation.heard(),
        [
            json!({"id": 4, "method": "monitor_cond_change", "params": [1, 1, {"T": [{"where": [["name", "==", "b"]]}]}]})
        ]
    );
    let gone = json!({"T": {row(1): {"delete": null}}});
    conversation.say(json!({"id": null, "method": "update3", "params": [1, transaction(1), gone]}));
    assert!(matches!(
        &conversation.events().unwrap()[..],
        [Event::Changed(_)]
    ));
    let cut = conversation.session.replica().clone();
    assert_eq!(since(cut, request().matching("T", named())), transaction(0));

    conversation.say(json!({"id": 4, "result": {}, "error": null}));
    assert_eq!(conversation.events(), Ok(vec![Event::Selected]));
    let cut = || conversation.session.replica().clone();
    assert_eq!(
        since(cut(), request().matching("T", named())),
        transaction(1)
    );
    assert_eq!(since(cut(), request()), transaction(0));
}

#[test]
fn conditions_that_change_before_the_contents_are_asked_for_at_once() {
    let mut conversation = Conversation::new(Replica::default());
    let request = MonitorRequest::new("D").table("T", ["name", "numbers"]);
    conversation.session.change_conditions("T", []);
    conversation.session.monitor(request);
    let named = [crate::Condition::equal("name", "b")];
    conversation.session.change_conditions("T", named);
    let methods: Vec<Json> = conversation
        .heard()
        .into_iter()
        .map(|message| message["method"].clone())
        .collect();
    assert_eq!(
        methods,
        [
            "set_db_change_aware",
            "get_schema",
            "monitor_cancel",
            "get_schema"
        ]
    );
    conversation.say(json!({"id": 4, "error": null, "result": schema()}));
    assert_eq!(conversation.events(), Ok(vec![]));
    let asked = conversation.heard();
    assert_eq!(
        asked[0]["params"][2]["T"][0]["where"],
        json!([["name", "==", "b"]])
    );
}

#[test]
fn a_server_that_refuses_other_conditions_is_an_error() {
    let mut conversation = Conversation::synced();
    let color = [crate::Condition::equal("color", "red")];
    conversation.session.change_conditions("T", color);
    conversation.say(json!({"id": 4, "result": null, "error": "no column color"}));
    assert!(matches!(
        conversation.events(),
        Err(SessionError::MonitorRefused { .. })
    ));
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
    let database =
        |leader| json!({"name": "D", "model": "clustered", "connected": true, "leader": leader});
    conversation.say(json!({"id": 4, "error": null, "result": [false, transaction(0), {"Database": {row(1): {"initial": database(true)}}}]}));
    conversation.say(json!({"id": 5, "error": null, "result": [false, transaction(1), {"T": {}}]}));
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
    let at = |conversation: &Conversation, seconds| conversation.now + Duration::from_secs(seconds);
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
