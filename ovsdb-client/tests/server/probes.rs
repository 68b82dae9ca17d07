//! Silent connections: probed by both sides, held for long, given up when the other side is dead.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use sextant_ovsdb_client::{
    Connection, Error, Event, OperationResult, Options, SessionError, Transaction,
};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::time::{Instant, timeout_at};

use crate::server::{Server, in_time, next, synced};
use crate::wire::{Counts, Wire};
use crate::zoo;

/// The shortest interval that Open vSwitch's programs keep.
const SERVER_INTERVAL: Duration = Duration::from_secs(1);
const CLIENT_INTERVAL: Duration = Duration::from_millis(200);

#[tokio::test]
async fn a_server_that_is_stopped_is_found_dead() {
    in_time(async {
        let server = zoo::open();
        let interval = Duration::from_millis(50);
        let options = Options {
            probe_interval: Some(interval),
            ..Options::default()
        };
        let stream = UnixStream::connect(server.socket()).await.unwrap();
        let mut connection = Connection::new(stream, options);
        connection.monitor_request(zoo::request());
        synced(&mut connection).await;
        server.signal("STOP");
        let error = connection.next_event().await.unwrap_err();
        let Error::Session(SessionError::PeerDead { silence }) = error else {
            panic!("{error}");
        };
        assert!(silence >= 2 * interval, "{silence:?}");
        server.signal("CONT");
    })
    .await;
}

#[tokio::test]
async fn a_silent_connection_is_held_over_dozens_of_probes() {
    hold(Duration::from_secs(15)).await;
}

#[tokio::test]
#[ignore = "takes three minutes"]
async fn a_silent_connection_is_held_for_minutes() {
    hold(Duration::from_secs(180)).await;
}

/// Holds connections on which nothing but probes happens: two that the server probes, two that the client does.
async fn hold(time: Duration) {
    let server = Server::open_vswitch();
    let mut managed = [None, None].map(|interval| (interval, Arc::new(Counts::default())));
    let mut probing = [(); 2].map(|()| (Some(CLIENT_INTERVAL), Arc::new(Counts::default())));
    let ends = Instant::now() + time;
    let mut held = tokio::task::JoinSet::new();
    for (probe_interval, counts) in managed.iter_mut().chain(&mut probing) {
        let stream = called(&server).await;
        let options = Options {
            probe_interval: *probe_interval,
            ..Options::default()
        };
        let connection = Connection::new(Wire::new(stream, &[], counts), options);
        held.spawn(hold_one(connection, ends));
    }
    while let Some(ended) = held.join_next().await {
        ended.unwrap();
    }
    // Either side probes after an interval of silence; a busy machine may keep it from some.
    let least = |interval: Duration| (time.as_millis() / interval.as_millis() * 7 / 10) as usize;
    for (_, counts) in &managed {
        let probes = counts.probes.load(Ordering::Relaxed);
        assert!(
            probes >= least(SERVER_INTERVAL),
            "the server probed {probes} times"
        );
    }
    for (_, counts) in &probing {
        let probes = counts.probed.load(Ordering::Relaxed);
        assert!(
            probes >= least(CLIENT_INTERVAL),
            "the client probed {probes} times"
        );
    }
}

/// A connection that the server opens, and that it will probe.
async fn called(server: &Server) -> TcpStream {
    let listener = TcpListener::bind("[::1]:0").await.unwrap();
    let target = format!("target=\"tcp:{}\"", listener.local_addr().unwrap());
    let interval = format!("inactivity_probe={}", SERVER_INTERVAL.as_millis());
    let manager = ["--id=@m", "create", "Manager", &target, &interval];
    let add = ["--", "add", "Open_vSwitch", ".", "manager_options", "@m"];
    server.vsctl(&[&["--"], &manager[..], &add[..]].concat());
    listener.accept().await.unwrap().0
}

/// Nothing may happen until the end; then the connection is of use as ever, and nothing is owed to it.
async fn hold_one(mut connection: Connection<Wire<TcpStream>>, ends: Instant) {
    if let Ok(event) = timeout_at(ends, connection.next_event()).await {
        panic!("{event:?}");
    }
    let select = Transaction::new("Open_vSwitch").select("Open_vSwitch", [], &["next_cfg"]);
    let asked = connection.transact(select);
    let answered = next(&mut connection, |_, event| Some(event));
    let Event::Reply { id, result } = in_time(answered).await.unwrap() else {
        panic!("something else happened");
    };
    assert_eq!(id, asked);
    assert!(matches!(&result.unwrap()[..], [OperationResult::Rows(rows)] if rows.len() == 1));
    assert_eq!(connection.unanswered(), 0);
}
