//! Clients that are slow, many or cut off, over TCP.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use axum::Router;
use axum::body::Bytes;
use axum::routing::{get, post};
use sextant_controller::http::{HttpLimits, serve};
use sextant_controller::metrics::Metrics;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Far more than anything here takes, unless it never happens.
const SOON: Duration = Duration::from_secs(20);
/// Far more than sockets hold between two ends, in octets.
const LONG: usize = 64 << 20;
const LONG_REQUEST: &[u8] = b"GET /long HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
const REQUEST: &[u8] = b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n";

struct Service {
    address: SocketAddr,
    /// The handler has a request.
    asked: Arc<Notify>,
    /// The handler may answer.
    answer: Arc<Notify>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

async fn service(limits: HttpLimits) -> Service {
    let (asked, answer) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (begun, may) = (asked.clone(), answer.clone());
    let slow = get(|| async move {
        begun.notify_one();
        may.notified().await;
        "done"
    });
    let listener = TcpListener::bind("[::1]:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel();
    let stopping = async { drop(stopped.await) };
    let metrics = Metrics::new().unwrap();
    let read = post(|body: Bytes| async move { format!("read it: {}", body.len()) });
    let long = get(|| async { vec![b'x'; LONG] });
    let router = Router::new()
        .route("/slow", slow)
        .route("/read", read)
        .route("/long", long);
    let task = tokio::spawn(serve("api", listener, router, limits, metrics, stopping));
    Service {
        address,
        asked,
        answer,
        stop,
        task,
    }
}

async fn connected(address: SocketAddr, sends: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(sends).await.unwrap();
    stream
}

/// All that comes until the service closes the connection.
async fn rest(mut stream: TcpStream) -> String {
    let mut text = String::new();
    let read = timeout(SOON, stream.read_to_string(&mut text)).await;
    read.expect("the service closes the connection").unwrap();
    text
}

#[tokio::test]
async fn a_head_that_does_not_come_ends_the_connection() {
    let limits = HttpLimits {
        head: Duration::from_millis(100),
        ..HttpLimits::default()
    };
    let service = service(limits).await;
    for sends in [&b""[..], b"GET /slow HTTP/1.1\r\nHost:"] {
        let text = rest(connected(service.address, sends).await).await;
        assert!(!text.contains("done"), "{text}");
    }
}

/// What a client may send so as to have a connection and be owed nothing.
const HALVES: [&[u8]; 3] = [
    b"",
    b"GET /slow HTTP/1.1\r\nHost:",
    b"POST /read HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{",
];

#[tokio::test]
async fn those_who_never_finish_a_request_close_the_service_for_nobody() {
    let limits = HttpLimits {
        connections: 8,
        of_an_address: 6,
        ..HttpLimits::default()
    };
    for sends in HALVES {
        let service = service(limits).await;
        let mut halves = Vec::new();
        for _ in 0..100 {
            halves.push(connected(service.address, sends).await);
        }
        let whole = connected(service.address, REQUEST).await;
        timeout(SOON, service.asked.notified()).await.unwrap();
        for _ in 0..100 {
            halves.push(connected(service.address, sends).await);
        }
        let oldest = rest(halves.remove(0));
        assert_eq!(oldest.await, "");
        service.answer.notify_one();
        let text = rest_of_one(whole).await;
        assert!(text.ends_with("done"), "{text}");
    }
}

/// The answer to a request, on a connection that stays.
async fn rest_of_one(mut stream: TcpStream) -> String {
    let mut text = Vec::new();
    while !text.ends_with(b"done") {
        let read = timeout(SOON, stream.read_buf(&mut text)).await;
        assert_ne!(read.unwrap().unwrap(), 0, "the connection is closed");
    }
    String::from_utf8(text).unwrap()
}

#[tokio::test]
async fn a_body_that_does_not_come_ends_the_connection() {
    let limits = HttpLimits {
        head: Duration::from_millis(100),
        ..HttpLimits::default()
    };
    let service = service(limits).await;
    let text = rest(connected(service.address, HALVES[2]).await).await;
    assert!(!text.contains("read it"), "{text}");
}

#[tokio::test]
async fn those_beyond_the_limit_wait_while_all_are_being_answered() {
    let limits = HttpLimits {
        connections: 1,
        ..HttpLimits::default()
    };
    let service = service(limits).await;
    let first = connected(service.address, REQUEST).await;
    timeout(SOON, service.asked.notified()).await.unwrap();
    let second = connected(service.address, REQUEST).await;
    service.answer.notify_one();
    assert!(rest_of_one(first).await.ends_with("done"));
    timeout(SOON, service.asked.notified()).await.unwrap();
    service.answer.notify_one();
    assert!(rest_of_one(second).await.ends_with("done"));
}

#[tokio::test]
async fn what_is_under_way_is_finished_and_nothing_more_is_begun() {
    let service = service(HttpLimits::default()).await;
    let idle = connected(service.address, b"").await;
    let stream = connected(service.address, REQUEST).await;
    timeout(SOON, service.asked.notified()).await.unwrap();
    service.stop.send(()).unwrap();
    assert_eq!(rest(idle).await, "");
    assert!(TcpStream::connect(service.address).await.is_err());
    service.answer.notify_one();
    assert!(rest(stream).await.ends_with("done"));
    timeout(SOON, service.task).await.unwrap().unwrap();
}

#[tokio::test]
async fn the_end_is_not_waited_for_for_ever() {
    let limits = HttpLimits {
        farewell: Duration::from_millis(100),
        ..HttpLimits::default()
    };
    let service = service(limits).await;
    let _stuck = connected(service.address, REQUEST).await;
    timeout(SOON, service.asked.notified()).await.unwrap();
    service.stop.send(()).unwrap();
    timeout(SOON, service.task).await.unwrap().unwrap();
}

#[tokio::test]
async fn who_still_reads_its_answer_keeps_its_place() {
    let limits = HttpLimits {
        of_an_address: 1,
        ..HttpLimits::default()
    };
    let service = service(limits).await;
    let mut reader = connected(service.address, LONG_REQUEST).await;
    let read = timeout(SOON, reader.read_u8()).await;
    assert_eq!(read.unwrap().unwrap(), b'H');
    let refused = connected(service.address, b"").await;
    assert_eq!(rest(refused).await, "");
    let text = rest(reader).await;
    let (_, body) = text.split_once("\r\n\r\n").unwrap();
    assert_eq!(body.len(), LONG);
}

#[tokio::test]
async fn who_reads_nothing_of_its_answer_loses_its_place() {
    let limits = HttpLimits {
        of_an_address: 1,
        head: Duration::from_millis(100),
        ..HttpLimits::default()
    };
    let service = service(limits).await;
    let mut reader = connected(service.address, LONG_REQUEST).await;
    let read = timeout(SOON, reader.read_u8()).await;
    assert_eq!(read.unwrap().unwrap(), b'H');
    // Refused ones are closed, so each waits for one answer or the other.
    let admitted = async {
        loop {
            let newcomer = connected(service.address, REQUEST).await;
            let mut nothing = [0];
            tokio::select! {
                _ = newcomer.peek(&mut nothing) => {}
                () = service.asked.notified() => return,
            }
        }
    };
    timeout(SOON, admitted).await.unwrap();
}
