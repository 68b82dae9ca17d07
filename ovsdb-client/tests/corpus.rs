//! The fuzz targets' corpora, replayed: every input that once was new to the fuzzer, and every crash.

#![allow(clippy::unwrap_used)]

mod any_bytes;

use std::fs;
use std::path::Path;

use any_bytes::property;

fn replay(target: &str, holds: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/corpus")
        .join(target);
    let inputs: Vec<_> = fs::read_dir(folder).unwrap().collect();
    assert!(inputs.len() > 20, "the corpus is there");
    for input in inputs {
        holds(&fs::read(input.unwrap().path()).unwrap());
    }
}

#[test]
fn any_stream() {
    replay("framing", property::messages_do_not_depend_on_reads);
}

#[test]
fn any_update() {
    replay("update", property::an_update_is_applied_or_refused);
}

#[test]
fn any_words() {
    replay("session", property::a_session_survives_its_server);
}
