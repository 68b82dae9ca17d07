//! Whole messages: byte for byte, and in the words of `ovs-ofctl ofp-print`.

use std::collections::BTreeSet;

use bytes::Bytes;
use rust_openflow::Message;

use crate::ofctl::{GROUPS, METERS, recorded, recorded_flows};
use crate::support::{corpus, encode, hex, ofp_print};

const MESSAGES: &str = include_str!("../corpus/messages.txt");

pub(crate) fn frames() -> Vec<Bytes> {
    let frame = |line: &str| -> Bytes {
        let digits = line.as_bytes().chunks(2);
        let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16);
        digits
            .map(|pair| byte(pair).unwrap())
            .collect::<Vec<u8>>()
            .into()
    };
    corpus(MESSAGES).into_iter().map(frame).collect()
}

fn trimmed(text: &str) -> String {
    let lines: Vec<&str> = text.trim_end().lines().map(str::trim_end).collect();
    lines.join("\n")
}

/// The text, without the packet's own: Open vSwitch takes packets apart, we print their bytes.
fn without_packet(message: &Message, text: &str) -> String {
    let has_packet = matches!(message, Message::PacketIn(_) | Message::PacketOut(_));
    let lines = text.lines().take(if has_packet { 1 } else { usize::MAX });
    trimmed(&lines.collect::<Vec<_>>().join("\n"))
}

#[test]
fn messages_survive_byte_for_byte_and_in_the_words_of_ofp_print() {
    let mut different = Vec::new();
    for frame in frames() {
        let (xid, message) = Message::decode(&frame).unwrap();
        assert_eq!(hex(&encode(xid, &message)), hex(&frame), "{message:?}");
        let theirs = ofp_print(std::slice::from_ref(&frame)).join("\n");
        let ours = without_packet(&message, &message.print(xid).to_string());
        let theirs = without_packet(&message, &theirs);
        if ours != theirs {
            different.push(format!("ours:\n{ours}\ntheirs:\n{theirs}\n"));
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}

#[test]
fn the_messages_are_of_every_type() {
    let kinds: BTreeSet<u8> = frames().iter().map(|frame| frame[1]).collect();
    let recorded = [14, 15, 29];
    let missing: Vec<u8> = (0..30)
        .filter(|kind| !kinds.contains(kind) && !recorded.contains(kind))
        .collect();
    assert_eq!(missing, [0; 0]);
    let parts = |kind: u8| -> BTreeSet<u16> {
        let frames = frames();
        let of_kind = frames.iter().filter(|frame| frame[1] == kind);
        of_kind
            .map(|frame| u16::from_be_bytes([frame[8], frame[9]]))
            .collect()
    };
    // Flows and table features are long: they come from ovs-vswitchd.
    let but = |some: &[u16]| (0..14).filter(|part| !some.contains(part)).collect();
    assert_eq!(parts(18), but(&[]));
    assert_eq!(parts(19), but(&[1, 12]));
}

#[test]
fn changes_of_flows_groups_and_meters_are_printed_in_its_words() {
    let groups = recorded("add-group", &corpus(GROUPS));
    let meters = recorded("add-meter", &corpus(METERS));
    let frames = [recorded_flows(), groups, meters].concat();
    let theirs = ofp_print(&frames);
    assert_eq!(theirs.len(), frames.len());
    let mut different = Vec::new();
    for (frame, theirs) in frames.iter().zip(&theirs) {
        let (xid, message) = Message::decode(frame).unwrap();
        let (ours, theirs) = (trimmed(&message.print(xid).to_string()), trimmed(theirs));
        if ours != theirs && !ours.contains("raw:") {
            different.push(format!("ours:\n{ours}\ntheirs:\n{theirs}\n"));
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}
