//! The replica equals the database, with every method of monitoring.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use sextant_ovsdb_client::{Connection, Event, Options, Row, RowChange, Transaction};
use tokio::net::UnixStream;

use crate::random::transactions;
use crate::server::{in_time, next, synced};
use crate::wire::Wire;
use crate::zoo::{self, Contents};

#[tokio::test]
async fn monitor_cond_since_keeps_the_replica_equal() {
    in_time(replicate(&[], 400)).await;
}

#[tokio::test]
async fn monitor_cond_keeps_the_replica_equal() {
    in_time(replicate(&["\"monitor_cond_since\""], 200)).await;
}

#[tokio::test]
async fn monitor_keeps_the_replica_equal() {
    in_time(replicate(
        &["\"monitor_cond_since\"", "\"monitor_cond\""],
        200,
    ))
    .await;
}

/// One connection writes, another follows from somewhere in the middle to the end.
async fn replicate(unknown: &'static [&'static str], count: usize) {
    let server = zoo::open();
    let mut writer = server.connect().await;
    let mut supply = transactions();
    write(&mut writer, supply.by_ref().take(count / 2)).await;

    let stream = UnixStream::connect(server.socket()).await.unwrap();
    let counts = Arc::default();
    let mut reader = Connection::new(Wire::new(stream, unknown, &counts), Options::default());
    reader.monitor_request(zoo::request());
    synced(&mut reader).await;
    assert_eq!(counts.respelled.load(Ordering::Relaxed), unknown.len());
    let mut told = zoo::replicated(reader.replica());
    assert_eq!(told, zoo::dumped(&server, reader.replica()));
    assert!(
        !told.is_empty(),
        "the first half left nothing to start from"
    );

    let end = Transaction::new("Zoo").insert("Animal", None, Row::new().with("name", "end"));
    write(&mut writer, supply.take(count - count / 2).chain([end])).await;
    next(&mut reader, |reader, event| {
        follow(&mut told, event);
        reader.replica().find("Animal", "name", "end").map(drop)
    })
    .await
    .unwrap();
    assert_eq!(
        zoo::replicated(reader.replica()),
        zoo::dumped(&server, reader.replica())
    );
    assert_eq!(zoo::replicated(reader.replica()), told);
}

/// Sends transactions one after the other.
pub(crate) async fn write<S>(
    writer: &mut Connection<S>,
    transactions: impl Iterator<Item = Transaction>,
) where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    for transaction in transactions {
        writer.transact(transaction);
        let reply = |_: &Connection<S>, event| matches!(event, Event::Reply { .. }).then_some(());
        next(writer, reply).await.unwrap();
    }
}

/// Does with `told` what the events say, and checks that they say it of the rows as they are.
pub(crate) fn follow(told: &mut Contents, event: Event) {
    let Event::Changed(changes) = event else {
        panic!("{event:?} instead of a change");
    };
    for RowChange { uuid, old, new, .. } in changes {
        let columns = |row: Row| {
            row.columns()
                .map(|(name, value)| (name.to_string(), value.clone()))
                .collect()
        };
        let before = match new.map(columns) {
            Some(new) => told.insert(uuid, new),
            None => told.remove(&uuid),
        };
        assert_eq!(before, old.map(columns));
    }
}
