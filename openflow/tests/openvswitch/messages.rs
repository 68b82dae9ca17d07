//! Whole messages: byte for byte, and in the words of `ovs-ofctl ofp-print`.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use bytes::{Bytes, BytesMut};
use rust_openflow::multipart::FlowStatsRequest;
use rust_openflow::{
    Framer, GROUP_ALL, Hello, METER_ALL, Message, MultipartRequest, PortNo, Role, RoleMessage,
    ports,
};

use crate::ofctl::{GROUPS, METERS, recorded, recorded_flows};
use crate::support::{attempt, corpus, encode, hex, ofctl, ofp_print};
use crate::switch::Switch;

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
    // Table features are long: they come from ovs-vswitchd.
    let but = |some: &[u16]| (0..14).filter(|part| !some.contains(part)).collect();
    assert_eq!(parts(18), but(&[]));
    assert_eq!(parts(19), but(&[12]));
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

/// Everything that a switch can be asked.
fn questions() -> Vec<Message> {
    let parts = [
        MultipartRequest::Desc,
        MultipartRequest::Flow(FlowStatsRequest::all()),
        MultipartRequest::Aggregate(FlowStatsRequest::all()),
        MultipartRequest::Table,
        MultipartRequest::PortStats(ports::ANY),
        MultipartRequest::Queue {
            port: ports::ANY,
            queue: u32::MAX,
        },
        MultipartRequest::Group(GROUP_ALL),
        MultipartRequest::GroupDesc,
        MultipartRequest::GroupFeatures,
        MultipartRequest::Meter(METER_ALL),
        MultipartRequest::MeterConfig(METER_ALL),
        MultipartRequest::MeterFeatures,
        MultipartRequest::TableFeatures(Vec::new()),
        MultipartRequest::PortDesc,
    ];
    let role = RoleMessage {
        role: Role::NoChange,
        generation: 0,
    };
    let others = [
        Message::FeaturesRequest,
        Message::GetConfigRequest,
        Message::GetAsyncRequest,
        Message::QueueGetConfigRequest(PortNo(1)),
        Message::RoleRequest(role),
        Message::BarrierRequest,
    ];
    let parts = parts.map(Message::MultipartRequest);
    parts.into_iter().chain(others).collect()
}

/// A switch with ports, queues, and all the groups and meters that it takes.
fn equipped() -> Switch {
    let switch = Switch::start();
    switch.add_port("guest", 1);
    switch.add_queues("guest");
    let target = format!("unix:{}", switch.file("br0.mgmt"));
    let mut accepted = 0;
    for (number, line) in corpus(GROUPS).into_iter().enumerate() {
        let (_, rest) = line.split_once(',').unwrap();
        let group = format!("group_id={},{rest}", 100 + number);
        accepted += usize::from(
            attempt(ofctl().args(["add-group", &target, &group]))
                .status
                .success(),
        );
    }
    for (number, line) in corpus(METERS).into_iter().enumerate() {
        let (_, rest) = line.split_once(',').unwrap();
        let meter = format!("meter={},{rest}", 100 + number);
        accepted += usize::from(
            attempt(ofctl().args(["add-meter", &target, &meter]))
                .status
                .success(),
        );
    }
    assert!(accepted > 12, "{accepted}");
    switch
}

/// All that the switch says until its barrier, byte for byte.
fn answers(switch: &Switch) -> Vec<Bytes> {
    let mut stream = UnixStream::connect(switch.file("br0.mgmt")).unwrap();
    let mut said = BytesMut::new();
    Message::Hello(Hello::openflow13())
        .encode(0, &mut said)
        .unwrap();
    for (xid, question) in (1..).zip(questions()) {
        question.encode(xid, &mut said).unwrap();
    }
    stream.write_all(&said).unwrap();
    let (mut incoming, mut chunk, mut frames) = (BytesMut::new(), [0; 65536], Vec::new());
    loop {
        let count = stream.read(&mut chunk).unwrap();
        incoming.extend_from_slice(&chunk[..count]);
        while let Some(frame) = Framer.next(&mut incoming).unwrap() {
            let last = frame[1] == 21;
            frames.push(frame);
            if last {
                return frames;
            }
        }
        assert_ne!(count, 0, "the switch hung up");
    }
}

#[test]
fn what_a_real_switch_says_survives_byte_for_byte_and_in_its_words() {
    let switch = equipped();
    let frames = answers(&switch);
    let names: BTreeSet<String> = frames
        .iter()
        .map(|frame| {
            let (xid, message) = Message::decode(frame).unwrap();
            assert_eq!(hex(&encode(xid, &message)), hex(frame), "{message:?}");
            let ours = trimmed(&message.print(xid).to_string());
            let name = ours.split_once(" (").unwrap().0.to_owned();
            // Its words for what tables can do are about all tables at once.
            if name != "OFPST_TABLE_FEATURES reply" {
                let theirs = ofp_print(std::slice::from_ref(frame)).join("\n");
                assert_eq!(ours, trimmed(&theirs));
            }
            name
        })
        .collect();
    // Hello, and an answer of its own kind to every question; flows are in no part of their own.
    assert_eq!(names.len(), 1 + questions().len(), "{names:?}");
    assert!(!names.contains("OFPT_ERROR"), "{names:?}");
}
