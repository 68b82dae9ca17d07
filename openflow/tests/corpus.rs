//! The fuzz targets' corpora, replayed: every input that once was new to the fuzzer, and every crash.

#![allow(clippy::unwrap_used)]

mod any_bytes;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use any_bytes::property;
use rust_openflow::Message;

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

/// The messages that the corpus of `message` has, by the names that they print.
fn reached() -> BTreeSet<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/message");
    let inputs = fs::read_dir(folder).unwrap();
    let decoded = inputs.filter_map(|input| {
        let input = fs::read(input.unwrap().path()).unwrap();
        let (kind, body) = input.split_first()?;
        let (xid, message) = Message::decode(&property::frame(*kind, body)).ok()?;
        let text = message.print(xid).to_string();
        Some(text.split_once(" (").unwrap().0.to_owned())
    });
    decoded.collect()
}

const PARTS: [&str; 14] = [
    "DESC",
    "FLOW",
    "AGGREGATE",
    "TABLE",
    "PORT",
    "QUEUE",
    "GROUP",
    "GROUP_DESC",
    "GROUP_FEATURES",
    "METER",
    "METER_CONFIG",
    "METER_FEATURES",
    "TABLE_FEATURES",
    "PORT_DESC",
];
const MESSAGES: [&str; 34] = [
    "OFPT_HELLO",
    "OFPT_ERROR",
    "OFPT_ECHO_REQUEST",
    "OFPT_ECHO_REPLY",
    "OFPT_EXPERIMENTER",
    "OFPT_FEATURES_REQUEST",
    "OFPT_FEATURES_REPLY",
    "OFPT_GET_CONFIG_REQUEST",
    "OFPT_GET_CONFIG_REPLY",
    "OFPT_SET_CONFIG",
    "OFPT_PACKET_IN",
    "OFPT_FLOW_REMOVED",
    "OFPT_PORT_STATUS",
    "OFPT_PACKET_OUT",
    "OFPT_FLOW_MOD",
    "OFPT_GROUP_MOD",
    "OFPT_PORT_MOD",
    "OFPT_TABLE_MOD",
    "OFPT_BARRIER_REQUEST",
    "OFPT_BARRIER_REPLY",
    "OFPT_QUEUE_GET_CONFIG_REQUEST",
    "OFPT_QUEUE_GET_CONFIG_REPLY",
    "OFPT_ROLE_REQUEST",
    "OFPT_ROLE_REPLY",
    "OFPT_GET_ASYNC_REQUEST",
    "OFPT_GET_ASYNC_REPLY",
    "OFPT_SET_ASYNC",
    "OFPT_METER_MOD",
    "ONFT_BUNDLE_CONTROL",
    "ONFT_BUNDLE_ADD_MESSAGE",
    "NXT_SET_PACKET_IN_FORMAT",
    "NXT_PACKET_IN2",
    "NXT_RESUME",
    "OFPT_99",
];

#[test]
fn the_corpus_reaches_every_decoder() {
    let reached = reached();
    let sides = ["request", "reply"];
    let parts = PARTS
        .iter()
        .flat_map(|part| sides.map(|side| format!("OFPST_{part} {side}")));
    let all = MESSAGES.iter().map(|name| (*name).to_owned()).chain(parts);
    let missing: Vec<String> = all.filter(|name| !reached.contains(name)).collect();
    assert_eq!(missing, [""; 0]);
}
