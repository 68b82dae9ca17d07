//! What it costs to follow a hypervisor: the whole of its interfaces at first, then one change after the other.

mod messages;

use divan::{Bencher, counter::BytesCount};
use messages::{SINCE, interfaces, listen, session};
use serde_json::json;
use uuid::Uuid;

fn main() {
    divan::main();
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
