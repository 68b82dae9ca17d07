//! The properties, one function a fuzz target. A function that returns has found nothing wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};
use sextant_ovsdb_client::framing::{Framer, FramingError};
use sextant_ovsdb_client::monitor::{Method, read_updates};
use sextant_ovsdb_client::schema::{ColumnType, DatabaseSchema, Shape};
use sextant_ovsdb_client::{
    Atom, AtomSet, Condition, Event, Limits, MonitorRequest, Options, Replica, Session,
    SessionError, Transaction, Value,
};

/// Small, so that a fuzzer's inputs reach them.
const LIMITS: Limits = Limits {
    size: 512,
    memory: 8192,
    depth: 8,
};
/// What a session asks of its own accord, beside what [`session`] has it ask.
const UNANSWERED: usize = 10;
/// Inputs longer than this say nothing that shorter ones do not.
const LONGEST: usize = 16_384;

/// `stream` in pieces, whose lengths less one are `reads`, again and again.
fn pieces<'a>(reads: &'a [u8], stream: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    let mut lengths = reads.iter().cycle().map(|read| usize::from(*read) + 1);
    let mut left = stream;
    std::iter::from_fn(move || {
        let (piece, rest) = left.split_at(left.len().min(lengths.next()?));
        left = rest;
        (!piece.is_empty()).then_some(piece)
    })
}

/// However a stream is cut into reads, the messages and the error are the same; no message exceeds the limits, once
/// parsed or before; written again, it is the same message. The first 4 bytes of the input are lengths of reads.
pub(crate) fn messages_do_not_depend_on_reads(input: &[u8]) {
    let Some((reads, stream)) = input.split_first_chunk::<4>() else {
        return;
    };
    let whole = frame([stream].into_iter());
    assert_eq!(frame(pieces(reads, stream)), whole);
    for message in whole.0 {
        assert!(depth(&message) <= LIMITS.depth);
        assert!(size_of::<Json>() + heap(&message) <= LIMITS.memory);
        assert_eq!(reframed(&message), message);
    }
}

/// Numbers may be written longer than they were read, so that the limits do not apply.
fn reframed(message: &Json) -> Json {
    let mut framer = Framer::new(Limits::default());
    framer.push(message.to_string().as_bytes());
    framer.next_message().unwrap().unwrap()
}

/// The memory that a value points to, at the least.
fn heap(json: &Json) -> usize {
    match json {
        Json::Array(items) => {
            items.capacity() * size_of::<Json>() + items.iter().map(heap).sum::<usize>()
        }
        Json::Object(members) => {
            // The nodes of a map have eleven places each, all of them allocated.
            let nodes = members.len().div_ceil(11);
            let node = 11 * (size_of::<String>() + size_of::<Json>());
            let inside = |(name, value): (&String, &Json)| name.capacity() + heap(value);
            nodes * node + members.iter().map(inside).sum::<usize>()
        }
        Json::String(text) => text.capacity(),
        Json::Null | Json::Bool(_) | Json::Number(_) => 0,
    }
}

fn frame<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<Json>, Option<FramingError>) {
    let (mut framer, mut messages) = (Framer::new(LIMITS), Vec::new());
    for piece in pieces {
        framer.push(piece);
        loop {
            match framer.next_message() {
                Ok(Some(message)) => messages.push(message),
                Ok(None) => break,
                Err(error) => {
                    assert_eq!(framer.next_message(), Err(error.clone()));
                    return (messages, Some(error));
                }
            }
        }
        if let Err(FramingError::Truncated { received }) = framer.finish() {
            assert!(received <= LIMITS.size);
        }
    }
    (messages, framer.finish().err())
}

fn depth(json: &Json) -> usize {
    match json {
        Json::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Json::Object(members) => 1 + members.values().map(depth).max().unwrap_or(0),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => 0,
    }
}

/// A database with a column of every type and shape.
fn schema() -> Json {
    let atoms = ["integer", "real", "boolean", "string", "uuid"];
    let mut columns = serde_json::Map::new();
    for key in atoms {
        let column = |max: Json| json!({"type": {"key": key, "min": 0, "max": max}});
        columns.insert(format!("{key}_one"), json!({"type": key}));
        columns.insert(format!("{key}_optional"), column(json!(1)));
        columns.insert(format!("{key}_many"), column(json!("unlimited")));
        for value in atoms {
            let map = json!({"key": key, "value": value, "min": 0, "max": "unlimited"});
            columns.insert(format!("{key}_{value}"), json!({"type": map}));
        }
    }
    json!({"name": "D", "version": "1.0.0", "tables": {"T": {"columns": columns}}})
}

static SCHEMA: LazyLock<DatabaseSchema> =
    LazyLock::new(|| DatabaseSchema::from_json(&schema()).unwrap());

/// The input is two values as JSON, one after the other. Of every type that both have, the difference leads from the one
/// to the other and, but for a column of at most one element, back; a value is written as it was read. Taken for an
/// update, the first value is applied or refused.
pub(crate) fn an_update_is_applied_or_refused(input: &[u8]) {
    let mut values = serde_json::Deserializer::from_slice(input).into_iter::<Json>();
    let (Some(Ok(old)), Some(Ok(new))) = (values.next(), values.next()) else {
        return;
    };
    let schema = &*SCHEMA;
    for column in schema.tables["T"].columns.values() {
        if let (Ok(old), Ok(new)) = (column.read(&old), column.read(&new)) {
            differences_lead_there(column, &old, &new);
        }
    }
    for method in [Method::Plain, Method::Cond, Method::CondSince] {
        let Ok(updates) = read_updates(method, &old, &schema.tables) else {
            continue;
        };
        let mentioned: BTreeSet<_> = updates.iter().map(|update| update.uuid).collect();
        let mut replica = Replica::default();
        let _ = replica.apply(updates);
        assert!(replica.rows("T").all(|(uuid, _)| mentioned.contains(&uuid)));
    }
    let _ = (DatabaseSchema::from_json(&old), ColumnType::from_json(&new));
}

fn differences_lead_there(column: &ColumnType, old: &Value, new: &Value) {
    assert_eq!(column.read(&old.to_json()).as_ref(), Ok(old));
    let mut value = old.clone();
    column.apply_difference(&mut value, difference(old, new, column));
    assert_eq!(&value, new, "{column:?}");
    column.apply_difference(&mut value, difference(new, old, column));
    assert_eq!(&value, old, "{column:?}");
}

fn atoms(set: &AtomSet) -> BTreeSet<Atom> {
    set.iter().cloned().collect()
}

/// The difference as a server makes it (ovsdb-server(7), 4.1.14).
fn difference(old: &Value, new: &Value, column: &ColumnType) -> Value {
    match (old, new, column.shape) {
        (Value::Set(old), Value::Set(new), Shape::Many) => Value::set(&atoms(old) ^ &atoms(new)),
        (Value::Map(old), Value::Map(new), _) => {
            let gone = old.iter().filter(|(key, _)| !new.contains_key(key));
            let set = new
                .iter()
                .filter(|(key, value)| old.get(key) != Some(value));
            let pairs: BTreeMap<_, _> = gone.chain(set).collect();
            Value::Map(
                pairs
                    .into_iter()
                    .map(|(key, value)| (key.clone(), value.clone()))
                    .collect(),
            )
        }
        (_, new, _) => new.clone(),
    }
}

/// The schema of [`GREETING`]: a column of each kind that changes in its own way.
static COLUMNS: LazyLock<Json> = LazyLock::new(|| {
    let schema = schema();
    let kept = [
        "string_one",
        "real_one",
        "uuid_optional",
        "integer_many",
        "string_string",
    ];
    let columns: serde_json::Map<String, Json> = kept
        .iter()
        .map(|name| {
            (
                name.to_string(),
                schema["tables"]["T"]["columns"][name].clone(),
            )
        })
        .collect();
    json!({"name": "D", "version": "1.0.0", "tables": {"T": {"columns": columns}}})
});

/// What a server says before the input: all that [`session`] asks for, and rows.
static GREETING: LazyLock<String> = LazyLock::new(greeting);

fn greeting() -> String {
    let uuid = |number: u8| format!("00000000-0000-0000-0000-{number:012}");
    let row = json!({"string_one": "a", "integer_many": ["set", [4, 5]], "string_string": ["map", [["x", "y"]]]});
    let contents = json!({"T": {uuid(1): {"initial": row}, uuid(2): {"initial": {}}}});
    let said = [
        json!({"id": 1, "result": {}, "error": null}),
        json!({"id": 2, "result": *COLUMNS, "error": null}),
        json!({"id": 6, "result": [false, uuid(9), contents], "error": null}),
    ];
    said.iter().map(Json::to_string).collect()
}

/// A session that waits for its transaction, its lock and another request.
fn session(now: Instant) -> Session {
    let options = Options {
        limits: Limits {
            size: 16_384,
            depth: 32,
            ..Limits::default()
        },
        ..Options::default()
    };
    let mut session = Session::new(options, now);
    let columns = COLUMNS["tables"]["T"]["columns"].as_object().unwrap();
    let columns = columns.keys().map(String::as_str);
    session.monitor(MonitorRequest::new("D").table("T", columns));
    session.transact(Transaction::new("D").delete("T", []).select("T", [], &[]));
    session.lock("l");
    session.request("list_dbs", &json!([]));
    session
}

/// What a session makes of a stream: what happened, why it ended, and what it answered.
type Heard = (Vec<Event>, Option<SessionError>, Vec<u8>);

/// Whatever a server says, in whatever pieces, the session tells the same and says the same; an error stays; what waits
/// to be sent is in proportion to what was heard, and what waits for an answer does not grow. The first 4 bytes of the input are lengths of reads, the fifth says
/// whether the input comes after a proper [`GREETING`].
pub(crate) fn a_session_survives_its_server(input: &[u8]) {
    let Some(([reads @ .., greeted], said)) = input.split_first_chunk::<5>() else {
        return;
    };
    if said.len() > LONGEST {
        return;
    }
    #[allow(
        clippy::disallowed_methods,
        reason = "time has to begin somewhere, and does not pass"
    )]
    let now = Instant::now();
    let greeting = greeted & 1 == 1;
    let whole = listen(now, greeting, [said].into_iter());
    let heard = listen(now, greeting, pieces(reads, said));
    assert_eq!((&heard.0, &heard.1), (&whole.0, &whole.1));
    assert!(heard.1.is_some() || heard.2 == whole.2);
}

fn listen<'a>(now: Instant, greeted: bool, pieces: impl Iterator<Item = &'a [u8]>) -> Heard {
    let mut session = session(now);
    let (mut events, mut heard) = (Vec::new(), 0);
    if greeted {
        session.handle_input(GREETING.as_bytes(), now);
        assert_eq!(drain(&mut session, &mut events), None);
        assert!(session.replica().is_synced());
        session.change_conditions("T", [Condition::equal("string_one", "a")]);
    }
    let asked = session.queued_output();
    for piece in pieces {
        heard += piece.len();
        session.handle_input(piece, now);
        let error = drain(&mut session, &mut events);
        assert!(session.queued_output() <= asked + 64 * 1024 + 16 * heard);
        assert!(session.unanswered() <= UNANSWERED);
        if error.is_some() {
            assert_eq!(session.poll_event().err(), error);
            return (events, error, Vec::new());
        }
    }
    session.handle_end();
    let error = session.poll_event().err();
    let said = session.poll_output().map(Vec::from).unwrap_or_default();
    session.handle_timeout(now + Duration::from_secs(60));
    (events, error, said)
}

fn drain(session: &mut Session, events: &mut Vec<Event>) -> Option<SessionError> {
    loop {
        match session.poll_event() {
            Ok(Some(event)) => events.push(event),
            Ok(None) => return None,
            Err(error) => return Some(error),
        }
    }
}
