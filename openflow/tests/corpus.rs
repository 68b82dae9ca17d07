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
    replay("framer", property::frames_do_not_depend_on_reads);
}

#[test]
fn any_message() {
    replay("message", property::what_is_decoded_survives);
}

#[test]
fn any_text() {
    replay("text", property::what_is_decoded_has_a_text);
}
