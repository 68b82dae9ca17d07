//! The connection on a stream in memory, with a clock that jumps.

use std::time::Duration;

use serde_json::{Value as Json, json};
use sextant_ovsdb_client::{Connection, Error, Event, Limits, Options, SessionError, Transaction};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::time::Instant;

const PIPE: usize = 4096;

fn pair(options: Options) -> (Connection<DuplexStream>, DuplexStream) {
    let (near, far) = duplex(PIPE);
    (Connection::new(near, options), far)
}

#[tokio::test(start_paused = true)]
async fn a_silent_peer_is_probed_after_one_interval_and_given_up_after_two() {
    let (mut connection, mut peer) = pair(Options::default());
    let start = Instant::now();
    let error = connection.next_event().await.unwrap_err();
    assert!(
        matches!(error, Error::Session(SessionError::PeerDead { .. })),
        "{error}"
    );
    assert_eq!(start.elapsed().as_secs(), 10);
    let mut probe = vec![0; 100];
    let length = peer.read(&mut probe).await.unwrap();
    let probe: Json = serde_json::from_slice(&probe[..length]).unwrap();
    assert_eq!(probe["method"], "echo");
    assert!(connection.next_event().await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_answers_probes_may_be_silent_for_days() {
    let (mut connection, mut peer) = pair(Options::default());
    let answering = async {
        for _ in 0..50_000 {
            let mut probe = vec![0; 100];
            let length = peer.read(&mut probe).await.unwrap();
            let probe: Json = serde_json::from_slice(&probe[..length]).unwrap();
            let reply = json!({"id": probe["id"], "result": [], "error": null});
            peer.write_all(reply.to_string().as_bytes()).await.unwrap();
        }
    };
    let start = Instant::now();
    tokio::select! {
        event = connection.next_event() => panic!("{event:?}"),
        () = answering => {}
    }
    assert!(start.elapsed() > Duration::from_hours(48));
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_asks_without_reading_costs_bounded_memory_and_is_given_up() {
    let (mut connection, mut peer) = pair(Options::default());
    let question = json!({"id": 1, "method": "echo", "params": ["x".repeat(1000)]}).to_string();
    let asking = async {
        let mut asked = 0;
        while peer.write_all(question.as_bytes()).await.is_ok() {
            asked += question.len();
            assert!(asked < 4 << 20, "the connection went on reading");
        }
    };
    let ending = async {
        let error = connection.next_event().await.unwrap_err();
        assert!(
            matches!(error, Error::Session(SessionError::PeerDead { .. })),
            "{error}"
        );
        drop(connection);
    };
    tokio::join!(asking, ending);
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_wait_loses_nothing() {
    let (mut connection, mut peer) = pair(Options::default());
    let id = connection.transact(Transaction::new("D").comment("x".repeat(3 * PIPE).as_str()));
    let reply = json!({"id": 1, "result": [{}], "error": null}).to_string();
    let serving = async {
        let mut request = Vec::new();
        while serde_json::from_slice::<Json>(&request).is_err() {
            peer.read_buf(&mut request).await.unwrap();
        }
        for byte in reply.bytes() {
            peer.write_all(&[byte]).await.unwrap();
            tokio::task::yield_now().await;
        }
    };
    let impatient = async {
        loop {
            tokio::select! {
                biased;
                event = connection.next_event() => break event.unwrap(),
                () = tokio::task::yield_now() => {}
            }
        }
    };
    let (event, ()) = tokio::join!(impatient, serving);
    assert!(matches!(event, Event::Reply { id: found, result: Ok(_) } if found == id));
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_stream_is_told_after_what_came_before() {
    let (mut connection, mut peer) = pair(Options::default());
    let id = connection.request("list_dbs", &json!([]));
    let reply = json!({"id": 1, "result": ["D"], "error": null}).to_string();
    peer.write_all(reply.as_bytes()).await.unwrap();
    drop(peer);
    // The request finds nobody, or is lost; the answer that had been sent still counts.
    let event = connection.next_event().await.unwrap();
    assert_eq!(
        event,
        Event::Answer {
            id,
            result: Ok(json!(["D"]))
        }
    );
    assert!(matches!(
        connection.next_event().await,
        Err(Error::Closed | Error::Io(_))
    ));
    assert!(matches!(connection.next_event().await, Err(Error::Closed)));
}

#[tokio::test(start_paused = true)]
async fn a_message_above_the_limit_ends_the_connection() {
    let limits = Limits {
        size: 1000,
        ..Limits::default()
    };
    let (mut connection, mut peer) = pair(Options {
        limits,
        ..Options::default()
    });
    peer.write_all(format!("{{\"id\":\"{}", "1".repeat(1000)).as_bytes())
        .await
        .unwrap();
    let error = connection.next_event().await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the peer's message is longer than 1000 bytes"
    );
}

#[tokio::test(start_paused = true)]
async fn an_owner_who_comes_back_late_does_not_blame_the_peer() {
    for _ in 0..20 {
        let (mut connection, mut peer) = pair(Options::default());
        let probed = Duration::from_secs(6);
        assert!(
            tokio::time::timeout(probed, connection.next_event())
                .await
                .is_err()
        );
        let reply = json!({"id": 1, "result": [], "error": null});
        peer.write_all(reply.to_string().as_bytes()).await.unwrap();
        tokio::time::advance(Duration::from_secs(3600)).await;
        let moment = Duration::from_millis(1);
        let heard = tokio::time::timeout(moment, connection.next_event()).await;
        assert!(heard.is_err(), "{heard:?}");
    }
}
