//! What a server says, and a session that hears it.

use std::time::Instant;

use divan::black_box;
use serde_json::{Map, Value as Json, json};
use sextant_ovsdb_client::{MonitorRequest, Options, Session};
use uuid::Uuid;

pub(crate) const SINCE: &str = "00000000-0000-0000-0000-000000000001";

fn schema() -> String {
    let map = json!({"type": {"key": "string", "value": "string", "min": 0, "max": "unlimited"}});
    let ofport = json!({"type": {"key": "integer", "min": 0, "max": 1}});
    let columns = json!({"name": {"type": "string"}, "ofport": ofport, "external_ids": map, "statistics": map});
    let tables = json!({"Interface": {"columns": columns}});
    json!({"id": 2, "error": null, "result": {"name": "Open_vSwitch", "tables": tables}})
        .to_string()
}

pub(crate) fn interfaces(count: u128) -> String {
    let rows = (0..count).map(|number| {
        let ids = json!([
            "map",
            [
                ["iface-id", Uuid::from_u128(number).to_string()],
                ["attached-mac", "fa:16:3e:00:00:01"]
            ]
        ]);
        let row =
            json!({"name": format!("tap{number}"), "ofport": number as i64, "external_ids": ids});
        (Uuid::from_u128(number).to_string(), json!({"initial": row}))
    });
    let rows: Map<String, Json> = rows.collect();
    json!({"id": 3, "error": null, "result": [false, SINCE, {"Interface": rows}]}).to_string()
}

pub(crate) fn session(now: Instant) -> Session {
    let mut session = Session::new(Options::default(), now);
    let columns = ["name", "ofport", "external_ids", "statistics"];
    session.monitor(MonitorRequest::new("Open_vSwitch").table("Interface", columns));
    listen(&mut session, &schema(), now);
    session
}

pub(crate) fn listen(session: &mut Session, text: &str, now: Instant) {
    session.handle_input(text.as_bytes(), now);
    while let Some(event) = session
        .poll_event()
        .expect("the benchmark's messages are valid")
    {
        black_box(event);
    }
}
