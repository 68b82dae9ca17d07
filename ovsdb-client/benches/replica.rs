//! What it costs to follow a hypervisor: the whole of its interfaces at first, then one change after the other.

use std::time::Instant;

use divan::{Bencher, black_box, counter::BytesCount};
use serde_json::{Map, Value as Json, json};
use sextant_ovsdb_client::{MonitorRequest, Options, Session};
use uuid::Uuid;

fn main() {
    divan::main();
}

const SINCE: &str = "00000000-0000-0000-0000-000000000001";

fn schema() -> String {
    let map = json!({"type": {"key": "string", "value": "string", "min": 0, "max": "unlimited"}});
    let ofport = json!({"type": {"key": "integer", "min": 0, "max": 1}});
    let columns = json!({"name": {"type": "string"}, "ofport": ofport, "external_ids": map, "statistics": map});
    let tables = json!({"Interface": {"columns": columns}});
    json!({"id": 2, "error": null, "result": {"name": "Open_vSwitch", "tables": tables}})
        .to_string()
}

fn interfaces(count: u128) -> String {
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

fn session(now: Instant) -> Session {
    let mut session = Session::new(Options::default(), now);
    let columns = ["name", "ofport", "external_ids", "statistics"];
    session.monitor(MonitorRequest::new("Open_vSwitch").table("Interface", columns));
    listen(&mut session, &schema(), now);
    session
}

fn listen(session: &mut Session, text: &str, now: Instant) {
    session.handle_input(text.as_bytes(), now);
    while let Some(event) = session
        .poll_event()
        .expect("the benchmark's messages are valid")
    {
        black_box(event);
    }
}

#[divan::bench(args = [100, 10_000])]
fn initial_contents(bencher: Bencher, interfaces_of_a_hypervisor: u128) {
    let now = tokio::time::Instant::now().into_std();
    let contents = interfaces(interfaces_of_a_hypervisor);
    bencher
        .counter(BytesCount::of_str(&contents))
        .with_inputs(|| session(now))
        .bench_refs(|session| listen(session, &contents, now));
}

#[divan::bench(args = [100, 10_000])]
fn one_change(bencher: Bencher, interfaces_of_a_hypervisor: u128) {
    let now = tokio::time::Instant::now().into_std();
    let mut session = session(now);
    listen(&mut session, &interfaces(interfaces_of_a_hypervisor), now);
    let modify = json!({"modify": {"ofport": 5, "external_ids": ["map", [["vm-id", "x"]]]}});
    let params = json!([1, SINCE, {"Interface": {Uuid::from_u128(50).to_string(): modify}}]);
    let update = json!({"id": null, "method": "update3", "params": params}).to_string();
    bencher.bench_local(|| listen(&mut session, &update, now));
}
