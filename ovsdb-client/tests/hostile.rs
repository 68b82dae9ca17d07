//! A server's conversation with something wrong in it: an error at most, and the same one for ever.

use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value as Json, json};
use sextant_ovsdb_client::{MonitorRequest, Options, Session, SessionError, Transaction};

/// What a server says to the requests of [`session`], and then some.
fn conversation() -> Vec<Json> {
    let row = "00000000-0000-0000-0000-000000000001";
    let since = "00000000-0000-0000-0000-000000000002";
    let many = json!({"key": "integer", "min": 0, "max": "unlimited"});
    let map = json!({"key": "string", "value": "real", "min": 0, "max": "unlimited"});
    let columns =
        json!({"name": {"type": "string"}, "numbers": {"type": many}, "sizes": {"type": map}});
    let contents = json!({"name": "a", "numbers": 4, "sizes": ["map", [["x", 1.5]]]});
    let change = json!({"numbers": ["set", [4, 5]], "sizes": ["map", [["x", 1.5], ["y", 2]]]});
    let update = |change: Json| json!({"id": null, "method": "update3", "params": [1, since, {"T": {row: change}}]});
    vec![
        json!({"id": 1, "result": {}, "error": null}),
        json!({"id": 2, "result": {"name": "D", "version": "1.0.0", "tables": {"T": {"columns": columns}}}, "error": null}),
        json!({"id": 5, "result": [false, since, {"T": {row: {"initial": contents}}}], "error": null}),
        json!({"id": 3, "result": [{"count": 1}, {"rows": [contents]}], "error": null}),
        json!({"id": 4, "result": {"locked": false}, "error": null}),
        json!({"id": "echo", "method": "echo", "params": []}),
        update(json!({"modify": change})),
        json!({"id": null, "method": "locked", "params": ["l"]}),
        update(json!({"delete": null})),
        update(json!({"insert": contents})),
        json!({"id": null, "method": "monitor_canceled", "params": [1]}),
    ]
}

fn session() -> Session {
    let mut session = Session::new(Options::default(), now());
    session.monitor(MonitorRequest::new("D").table("T", ["name", "numbers", "sizes"]));
    session.transact(Transaction::new("D").delete("T", []).select("T", [], &[]));
    session.lock("l");
    session
}

fn now() -> std::time::Instant {
    tokio::time::Instant::now().into_std()
}

/// Everything that a session has to say to these bytes.
fn listen(session: &mut Session, bytes: &[u8]) -> Result<usize, SessionError> {
    session.handle_input(bytes, now());
    let mut events = 0;
    while session.poll_event()?.is_some() {
        events += 1;
    }
    Ok(events)
}

/// The places in a JSON value at which something else could stand.
fn places(json: &mut Json) -> Vec<&mut Json> {
    let inner: Vec<&mut Json> = match json {
        Json::Array(items) => items.iter_mut().collect(),
        Json::Object(members) => members.values_mut().collect(),
        leaf @ (Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_)) => {
            return vec![leaf];
        }
    };
    inner.into_iter().flat_map(places).collect()
}

fn something_else() -> impl Strategy<Value = Json> {
    let of_a_kind = [
        json!(null),
        json!(0),
        json!(-1),
        json!(1e300),
        json!(u64::MAX),
        json!(true),
        json!(""),
        json!("unlimited"),
        json!("uuid"),
        json!([]),
        json!({}),
        json!(["set", [1, 1]]),
        json!(["map", [[1]]]),
        json!(["uuid", "x"]),
        json!([[[[[]]]]]),
        json!({"error": "timed out", "details": 5}),
        json!({"key": "uuid", "min": 2, "max": 1}),
    ];
    prop::sample::select(of_a_kind.to_vec())
}

#[test]
fn the_conversation_is_fine_as_it_is() {
    let bytes: String = conversation().iter().map(Json::to_string).collect();
    assert_eq!(listen(&mut session(), bytes.as_bytes()), Ok(6));
}

proptest! {
    #[test]
    fn something_else_in_some_place_is_at_most_an_error(
        places_of_change in prop::collection::vec((any::<prop::sample::Index>(), something_else()), 1..3),
    ) {
        let mut messages = Json::from(conversation());
        for (index, new) in places_of_change {
            let mut places = places(&mut messages);
            let count = places.len();
            *places[index.index(count)] = new;
        }
        let messages = messages.as_array().unwrap().iter().map(Json::to_string).collect::<String>();
        let mut session = session();
        if let Err(error) = listen(&mut session, messages.as_bytes()) {
            prop_assert_eq!(listen(&mut session, b"{}"), Err(error));
        }
    }

    #[test]
    fn broken_bytes_are_at_most_an_error(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes: Vec<u8> = conversation().iter().flat_map(|message| message.to_string().into_bytes()).collect();
        for (index, byte) in changes {
            let place = index.index(bytes.len());
            bytes[place] = byte;
        }
        let (first, second) = bytes.split_at(cut.index(bytes.len()));
        let mut session = session();
        let heard = listen(&mut session, first).and_then(|_| listen(&mut session, second));
        session.handle_timeout(now() + Duration::from_secs(60));
        session.handle_end();
        if let Err(error) = heard {
            prop_assert!(!error.to_string().is_empty());
        }
    }
}
