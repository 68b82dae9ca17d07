//! The connection against a peer whose every byte the test decides, in tokio's paused time.

#![allow(clippy::unwrap_used)]

#[path = "parts/tables.rs"]
mod tables;

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use rust_openflow::{
    AnswerError, AskError, Bundle, Connection, ConnectionError, ErrorCode, ErrorMessage, Features,
    FlowMod, Framer, Hello, Match, Message, MultipartRequest, Options, SessionError, Xid,
};
use tables::tables;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

const FEATURES: Features = Features {
    datapath_id: 0xfa16_3e00_0001,
    buffers: 0,
    tables: 254,
    auxiliary_id: 0,
    capabilities: 79,
};

/// The switch's end of a connection.
struct Peer {
    stream: DuplexStream,
    incoming: BytesMut,
}

impl Peer {
    async fn say(&mut self, xid: impl Into<Xid>, message: &Message) {
        let mut buffer = BytesMut::new();
        message.encode(xid, &mut buffer).unwrap();
        self.stream.write_all(&buffer).await.unwrap();
    }

    async fn hear(&mut self) -> (Xid, Message) {
        loop {
            if let Some(frame) = Framer.next(&mut self.incoming).unwrap() {
                return Message::decode(&frame).unwrap();
            }
            assert_ne!(
                self.stream.read_buf(&mut self.incoming).await.unwrap(),
                0,
                "the connection was closed"
            );
        }
    }
}

fn pair(capacity: usize) -> (DuplexStream, Peer) {
    let (ours, theirs) = duplex(capacity);
    (
        ours,
        Peer {
            stream: theirs,
            incoming: BytesMut::new(),
        },
    )
}

async fn connected(capacity: usize) -> (Connection<DuplexStream>, Peer) {
    connected_with(capacity, Options::default()).await
}

async fn connected_with(capacity: usize, options: Options) -> (Connection<DuplexStream>, Peer) {
    let (stream, mut peer) = pair(capacity);
    let switch = async {
        peer.say(9, &Message::Hello(Hello::openflow13())).await;
        assert_eq!(peer.hear().await.1, Message::Hello(Hello::openflow13()));
        let (xid, request) = peer.hear().await;
        assert_eq!(request, Message::FeaturesRequest);
        peer.say(xid, &Message::FeaturesReply(FEATURES)).await;
    };
    let (connection, ()) = tokio::join!(Connection::handshake(stream, options), switch);
    (connection.unwrap(), peer)
}

fn echo(text: &'static str) -> Message {
    Message::EchoRequest(Bytes::from_static(text.as_bytes()))
}

#[tokio::test(start_paused = true)]
async fn the_handshake_learns_what_the_switch_is() {
    let (connection, _peer) = connected(4096).await;
    assert_eq!(*connection.features(), FEATURES);
}

#[tokio::test(start_paused = true)]
async fn what_comes_before_the_features_is_kept() {
    let (stream, mut peer) = pair(4096);
    let switch = async {
        peer.say(1, &Message::Hello(Hello::default())).await;
        peer.say(2, &Message::BarrierReply).await;
        peer.hear().await;
        let (xid, _) = peer.hear().await;
        peer.say(xid, &Message::FeaturesReply(FEATURES)).await;
    };
    let (connection, ()) = tokio::join!(Connection::handshake(stream, Options::default()), switch);
    assert_eq!(
        connection.unwrap().recv().await.unwrap(),
        Some((Xid(2), Message::BarrierReply))
    );
}

#[tokio::test(start_paused = true)]
async fn a_switch_of_another_version_is_told_so() {
    let (stream, mut peer) = pair(4096);
    peer.stream
        .write_all(&[6, 0, 0, 16, 0, 0, 0, 1, 0, 1, 0, 8, 0, 0, 0, 0x42])
        .await
        .unwrap();
    let error = Connection::handshake(stream, Options::default())
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            ConnectionError::Session(SessionError::Version {
                version: 6,
                bitmap: Some(0x42)
            })
        ),
        "{error}"
    );
    peer.hear().await;
    let (_, Message::Error(said)) = peer.hear().await else {
        panic!("no error")
    };
    assert_eq!(said.code, ErrorCode::HELLO_INCOMPATIBLE);
}

#[tokio::test(start_paused = true)]
async fn a_silent_switch_ends_the_handshake() {
    let (stream, _peer) = pair(4096);
    let error = Connection::handshake(stream, Options::default())
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            ConnectionError::Session(SessionError::HandshakeTimeout(_))
        ),
        "{error}"
    );
}

#[tokio::test(start_paused = true)]
async fn echoes_are_answered_and_hidden() {
    let (mut connection, mut peer) = connected(4096).await;
    peer.say(77, &echo("abc")).await;
    peer.say(78, &Message::BarrierReply).await;
    assert_eq!(
        connection.recv().await.unwrap(),
        Some((Xid(78), Message::BarrierReply))
    );
    connection.flush().await.unwrap();
    assert_eq!(
        peer.hear().await,
        (Xid(77), Message::EchoReply(Bytes::from_static(b"abc")))
    );
}

#[tokio::test(start_paused = true)]
async fn a_dead_switch_is_noticed_after_one_probe() {
    let (mut connection, mut peer) = connected(4096).await;
    let begun = tokio::time::Instant::now();
    let error = connection.recv().await.unwrap_err();
    assert!(
        matches!(error, ConnectionError::Session(SessionError::Dead(_))),
        "{error}"
    );
    assert!(error.is_fatal());
    assert_eq!(begun.elapsed().as_secs(), 10);
    assert!(matches!(peer.hear().await, (_, Message::EchoRequest(_))));
}

#[tokio::test(start_paused = true)]
async fn an_answered_probe_keeps_the_connection() {
    let (mut connection, mut peer) = connected(4096).await;
    let switch = async {
        for _ in 0..5 {
            let (xid, probe) = peer.hear().await;
            assert_eq!(probe, Message::EchoRequest(Bytes::new()));
            peer.say(xid, &Message::EchoReply(Bytes::new())).await;
        }
        peer.say(5, &Message::BarrierReply).await;
    };
    let (received, ()) = tokio::join!(connection.recv(), switch);
    assert_eq!(received.unwrap(), Some((Xid(5), Message::BarrierReply)));
}

#[tokio::test(start_paused = true)]
async fn receiving_writes_what_is_queued() {
    // Much more than the pipe holds, so that both directions must take turns.
    let (mut connection, mut peer) = connected(64).await;
    let sent: Vec<Xid> = (0..100)
        .map(|_| connection.send(&Message::BarrierRequest).unwrap())
        .collect();
    assert_eq!(connection.queued_bytes(), 800);
    let switch = async {
        for xid in &sent {
            assert_eq!(peer.hear().await, (*xid, Message::BarrierRequest));
        }
        peer.say(1, &Message::BarrierReply).await;
    };
    let (received, ()) = tokio::join!(connection.recv(), switch);
    assert_eq!(received.unwrap(), Some((Xid(1), Message::BarrierReply)));
    assert_eq!(connection.queued_bytes(), 0);
}

#[tokio::test(start_paused = true)]
async fn flushing_takes_answers_from_a_switch_that_writes_before_it_reads() {
    let (mut connection, mut peer) = connected(64).await;
    (0..50).for_each(|_| assert!(connection.send(&Message::BarrierRequest).is_ok()));
    let switch = async {
        for xid in 0..50 {
            // The pipe holds eight answers: without a reader this would wait for ever.
            peer.say(xid, &Message::BarrierReply).await;
        }
        for _ in 0..50 {
            peer.hear().await;
        }
    };
    let (flushed, ()) = tokio::join!(connection.flush(), switch);
    flushed.unwrap();
    let buffered = std::iter::from_fn(|| connection.try_recv_buffered().unwrap()).count();
    assert!(buffered > 8, "{buffered}");
}

#[tokio::test(start_paused = true)]
async fn a_switch_that_never_reads_is_given_up() {
    let (mut connection, _peer) = connected(64).await;
    (0..50).for_each(|_| assert!(connection.send(&Message::BarrierRequest).is_ok()));
    let error = connection.flush().await.unwrap_err();
    assert!(
        matches!(error, ConnectionError::Session(SessionError::Stuck(_))),
        "{error}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_dropped_receive_or_flush_loses_nothing() {
    let (mut connection, mut peer) = connected(64).await;
    let sent: Vec<Xid> = (0..40)
        .map(|_| connection.send(&Message::BarrierRequest).unwrap())
        .collect();
    peer.stream.write_all(&[4, 21, 0, 8, 0]).await.unwrap();
    for _ in 0..3 {
        let _ = tokio::time::timeout(Duration::from_millis(1), connection.recv())
            .await
            .unwrap_err();
        let _ = tokio::time::timeout(Duration::from_millis(1), connection.flush())
            .await
            .unwrap_err();
    }
    let switch = async {
        peer.stream.write_all(&[0, 0, 3]).await.unwrap();
        for xid in &sent {
            assert_eq!(peer.hear().await, (*xid, Message::BarrierRequest));
        }
    };
    let (received, ()) = tokio::join!(
        async { (connection.recv().await, connection.flush().await) },
        switch
    );
    assert_eq!(received.0.unwrap(), Some((Xid(3), Message::BarrierReply)));
}

#[tokio::test(start_paused = true)]
async fn a_malformed_message_is_answered_and_the_next_one_received() {
    let (mut connection, mut peer) = connected(4096).await;
    // A packet-in that ends before its cookie.
    peer.stream
        .write_all(&[4, 10, 0, 12, 0, 0, 0, 8, 255, 255, 255, 255])
        .await
        .unwrap();
    peer.say(4, &Message::BarrierReply).await;
    let error = connection.recv().await.unwrap_err();
    assert!(!error.is_fatal());
    assert_eq!(
        error.to_string(),
        "message 0x8: malformed OpenFlow at byte 12: 2 bytes needed, 0 left"
    );
    assert_eq!(
        connection.recv().await.unwrap(),
        Some((Xid(4), Message::BarrierReply))
    );
    connection.flush().await.unwrap();
    let (Xid(8), Message::Error(said)) = peer.hear().await else {
        panic!("no error")
    };
    assert_eq!(said.code, ErrorCode::BAD_LENGTH);
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_stream_is_told_from_a_cut() {
    let (mut connection, peer) = connected(4096).await;
    drop(peer);
    assert_eq!(connection.recv().await.unwrap(), None);
    let (mut connection, mut peer) = connected(4096).await;
    peer.stream.write_all(&[4, 21, 0]).await.unwrap();
    drop(peer);
    assert!(matches!(
        connection.recv().await,
        Err(ConnectionError::Session(SessionError::Cut))
    ));
}

#[tokio::test(start_paused = true)]
async fn a_large_bundle_is_queued_in_portions() {
    let (mut connection, _peer) = connected(4096).await;
    let flows =
        (0..20_000).map(|cookie| FlowMod::add(0, 1, Match::new(), Vec::new()).with_cookie(cookie));
    let mut bundle = Bundle::new(1, flows.collect::<Vec<_>>());
    assert!(!connection.drive(&mut bundle).unwrap());
    assert!(connection.queued_bytes() < 1024 * 1024 + 4096);
}

#[tokio::test(start_paused = true)]
async fn a_switch_that_says_much_but_not_what_it_is_is_hung_up_on() {
    let (stream, mut peer) = pair(4096);
    let switch = async {
        peer.say(1, &Message::Hello(Hello::default())).await;
        let unknown = Message::Unknown {
            kind: 99,
            body: Bytes::from_static(&[0; 60_000]),
        };
        let mut frame = BytesMut::new();
        unknown.encode(2, &mut frame).unwrap();
        while peer.stream.write_all(&frame).await.is_ok() {}
    };
    let handshake = async {
        let error = Connection::handshake(stream, Options::default()).await;
        error.map(drop).unwrap_err()
    };
    let (error, ()) = tokio::join!(handshake, switch);
    assert!(
        matches!(error, ConnectionError::Session(SessionError::Flood)),
        "{error}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_switch_that_asks_without_end_and_takes_no_answer_is_given_up() {
    let high_water = 16 * 1024;
    let options = Options {
        high_water,
        ..Options::default()
    };
    let (mut connection, mut peer) = connected_with(4096, options).await;
    let asking = tokio::spawn(async move {
        let mut frame = BytesMut::new();
        let request = Message::EchoRequest(Bytes::from_static(&[0; 1000]));
        request.encode(1, &mut frame).unwrap();
        while peer.stream.write_all(&frame).await.is_ok() {}
    });
    let error = connection.recv().await.unwrap_err();
    assert!(
        matches!(error, ConnectionError::Session(SessionError::Stuck(_))),
        "{error}"
    );
    let queued = connection.queued_bytes();
    assert!(queued <= 2 * high_water + 1008, "{queued}");
    drop(connection);
    asking.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_answer_to_a_question_is_found_among_other_messages() {
    let (mut connection, mut peer) = connected(4096).await;
    let question = Message::MultipartRequest(MultipartRequest::Table);
    let switch = async {
        let (xid, asked) = peer.hear().await;
        assert_eq!(asked, question);
        peer.say(xid.plus(1), &tables(false, 9)).await;
        peer.say(xid, &tables(true, 0)).await;
        peer.say(77, &echo("abc")).await;
        peer.say(0, &Message::BarrierReply).await;
        peer.say(xid, &tables(false, 1)).await;
        assert_eq!(peer.hear().await.0, Xid(77));
        xid
    };
    let asking = async {
        let answer = connection.ask(&question).await.unwrap();
        connection.flush().await.unwrap();
        answer
    };
    let (answer, xid) = tokio::join!(asking, switch);
    assert_eq!(answer, [tables(true, 0), tables(false, 1)]);
    assert_eq!(
        connection.try_recv_buffered().unwrap(),
        Some((xid.plus(1), tables(false, 9)))
    );
    assert_eq!(
        connection.recv().await.unwrap(),
        Some((Xid(0), Message::BarrierReply))
    );
}

#[tokio::test(start_paused = true)]
async fn what_was_refused_before_a_barrier_is_received_behind_it() {
    let (mut connection, mut peer) = connected(4096).await;
    let sent = FlowMod::add(0, 1, Match::new(), Vec::new());
    let refused = connection.send(&Message::FlowMod(sent)).unwrap();
    let refusal = Message::Error(ErrorMessage {
        code: ErrorCode::BAD_PREREQUISITE,
        data: Bytes::new(),
    });
    let switch = async {
        let (xid, _) = peer.hear().await;
        peer.say(xid, &refusal).await;
        let (xid, barrier) = peer.hear().await;
        assert_eq!(barrier, Message::BarrierRequest);
        peer.say(xid, &Message::BarrierReply).await;
        let (xid, _) = peer.hear().await;
        peer.say(xid, &refusal).await;
    };
    let asking = async {
        connection.barrier().await.unwrap();
        connection.ask(&Message::GetAsyncRequest).await.unwrap_err()
    };
    let (error, ()) = tokio::join!(asking, switch);
    assert!(
        matches!(error, AskError::Answer(AnswerError::Refused(_))),
        "{error}"
    );
    assert_eq!(
        connection.recv().await.unwrap(),
        Some((refused, refusal.clone()))
    );
}
