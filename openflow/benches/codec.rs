//! The hot path (packet-in, packet-out) and the bulk (flow-mods).

use std::time::Instant;

use bytes::{Bytes, BytesMut};
use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use rust_openflow::session::{Event, Options, Session};
use rust_openflow::{
    Action, Cookie, Features, Field, FlowMod, Hello, Instruction, Match, Message, NO_BUFFER,
    PacketIn, PacketInReason, PacketOut, TableId, Xid,
};

fn main() {
    divan::main();
}

fn encode(message: &Message) -> Bytes {
    let mut buffer = BytesMut::new();
    message
        .encode(Xid(1), &mut buffer)
        .expect("a short message");
    buffer.freeze()
}

fn flow_mod() -> Message {
    let matches = Match::new()
        .with(Field::reg(0), 42_u8)
        .with(Field::ETH_TYPE, 0x86dd_u16)
        .with(Field::IP_PROTO, 58_u8)
        .with(Field::NW_TTL, 255_u8)
        .with(Field::ICMPV6_TYPE, 133_u8);
    let actions = vec![
        Action::set(Field::reg(1), 1_u8),
        Action::resubmit(3),
        Action::output(7),
    ];
    Message::FlowMod(FlowMod::add(
        0,
        100,
        matches,
        vec![
            Instruction::Apply(actions),
            Instruction::GotoTable(TableId(3)),
        ],
    ))
}

fn packet_in() -> Message {
    let matches = Match::new()
        .with(Field::IN_PORT, 7_u8)
        .with(Field::METADATA, 9_u8)
        .with(Field::reg(0), 42_u8)
        .with(Field::reg(1), 43_u8)
        .with(Field::reg(2), 44_u8);
    Message::PacketIn(PacketIn {
        buffer_id: NO_BUFFER,
        total_len: 70,
        reason: PacketInReason::Action,
        table: TableId(2),
        cookie: Cookie(0x1234),
        matches,
        data: Bytes::from_static(&[0; 70]),
    })
}

#[divan::bench]
fn flow_mod_encode(bencher: Bencher<'_, '_>) {
    let message = flow_mod();
    let mut buffer = BytesMut::with_capacity(65536);
    bencher.bench_local(|| {
        buffer.clear();
        black_box(&message).encode(Xid(1), &mut buffer)
    });
}

#[divan::bench]
fn flow_mod_decode(bencher: Bencher<'_, '_>) {
    let frame = encode(&flow_mod());
    // Let go at once, as a session does: what stays alive would measure the memory of a thousand messages.
    bencher.bench_local(|| drop(black_box(Message::decode(black_box(&frame)))));
}

#[divan::bench]
fn packet_in_decode(bencher: Bencher<'_, '_>) {
    let frame = encode(&packet_in());
    bencher.bench_local(|| drop(black_box(Message::decode(black_box(&frame)))));
}

#[divan::bench]
fn packet_out_encode(bencher: Bencher<'_, '_>) {
    let data = Bytes::from_static(&[0; 110]);
    let mut buffer = BytesMut::with_capacity(65536);
    bencher.bench_local(|| {
        buffer.clear();
        Message::PacketOut(PacketOut::to_port(7, data.clone())).encode(Xid(1), &mut buffer)
    });
}

/// As many as arrive at once on a busy switch.
const BATCH: usize = 256;

#[divan::bench(counters = [ItemsCount::new(BATCH)])]
fn packet_ins_of_a_session(bencher: Bencher<'_, '_>) {
    let octets = encode(&packet_in()).repeat(BATCH);
    let now = some_time();
    let mut session = ready(now);
    bencher.bench_local(|| {
        session.handle_input(&octets, now);
        let mut packets = 0;
        while let Ok(Some(event)) = session.poll_event() {
            packets += usize::from(matches!(black_box(event), Event::Message { .. }));
        }
        assert_eq!(packets, BATCH);
    });
}

/// A session whose handshake is over.
fn ready(now: Instant) -> Session {
    let mut session = Session::new(Options::default(), now);
    session.handle_input(&encode(&Message::Hello(Hello::openflow13())), now);
    assert_eq!(session.poll_event(), Ok(None));
    let asked = session
        .poll_transmit(now)
        .map_or(&[][..], |octets| &octets[octets.len() - 4..]);
    let xid = asked.try_into().map(u32::from_be_bytes).unwrap_or_default();
    let mut features = BytesMut::new();
    Message::FeaturesReply(Features::default())
        .encode(Xid(xid), &mut features)
        .expect("a short message");
    session.handle_input(&features, now);
    assert!(matches!(session.poll_event(), Ok(Some(Event::Ready(_)))));
    session
}

#[expect(clippy::disallowed_methods, reason = "a session needs any time at all")]
fn some_time() -> Instant {
    Instant::now()
}
