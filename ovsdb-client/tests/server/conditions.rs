//! Rows that meet conditions, and conditions that change: the replica has what `ovsdb-client dump` has of those rows.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use sextant_ovsdb_client::{
    Comparison, Condition, Connection, Event, MonitorRequest, Options, Replica, Row, Transaction,
    Value,
};
use tokio::net::UnixStream;

use crate::replica::{follow, write};
use crate::server::{Server, in_time, next, synced};
use crate::wire::{Counts, Wire};
use crate::zoo::{self, Contents};

const LEGS: i64 = 6;

fn animals() -> impl Iterator<Item = Transaction> {
    (0..LEGS).map(|legs| {
        let row = Row::new()
            .with("name", format!("animal {legs}"))
            .with("legs", legs);
        Transaction::new("Zoo").insert("Animal", None, row)
    })
}

fn legs(comparison: Comparison, legs: i64) -> Condition {
    Condition::new("legs", comparison, legs)
}

/// The rows of the database whose number of legs is wanted.
fn dumped(server: &Server, replica: &Replica, wanted: impl Fn(i64) -> bool) -> Contents {
    let mut rows = zoo::dumped(server, replica);
    rows.retain(|_, row| (0..LEGS).any(|legs| row["legs"] == Value::from(legs) && wanted(legs)));
    rows
}

async fn follower(
    server: &Server,
    unknown: &'static [&'static str],
    counts: &Arc<Counts>,
    replica: Replica,
) -> Connection<Wire<UnixStream>> {
    let stream = UnixStream::connect(server.socket()).await.unwrap();
    let stream = Wire::new(stream, unknown, counts);
    Connection::resume(stream, Options::default(), replica)
}

/// Awaits that the replica has what was wished for last; the events on the way say how it came to it.
async fn selected(reader: &mut Connection<Wire<UnixStream>>, told: &mut Contents) {
    let mut done = |_: &Connection<_>, event| {
        let done = event == Event::Selected;
        if !done {
            follow(told, event);
        }
        done.then_some(())
    };
    next(reader, &mut done).await.unwrap();
    assert_eq!(&zoo::replicated(reader.replica()), told);
}

/// Follows some rows, then others, then all, while rows come and go by what they hold.
async fn select(unknown: &'static [&'static str]) {
    let server = zoo::open();
    let mut writer = server.connect().await;
    write(&mut writer, animals()).await;
    let mut reader = follower(&server, unknown, &Arc::default(), Replica::default()).await;
    let few = zoo::request().matching("Animal", [legs(Comparison::Less, 2)]);
    reader.monitor_request(few);
    synced(&mut reader).await;
    let mut told = zoo::replicated(reader.replica());
    let wanted = |replica: &Replica, wanted: &dyn Fn(i64) -> bool| dumped(&server, replica, wanted);
    assert_eq!(told, wanted(reader.replica(), &|legs| legs < 2));

    let ends = [legs(Comparison::Equal, 0), legs(Comparison::Greater, 3)];
    reader.change_conditions("Animal", ends);
    selected(&mut reader, &mut told).await;
    assert_eq!(
        told,
        wanted(reader.replica(), &|legs| legs == 0 || legs > 3)
    );

    let shoe = Row::new().with("legs", 5);
    let third = [Condition::equal("name", "animal 3")];
    write(
        &mut writer,
        [Transaction::new("Zoo").update("Animal", third, shoe)].into_iter(),
    )
    .await;
    next(&mut reader, |reader, event| {
        follow(&mut told, event);
        reader
            .replica()
            .find("Animal", "name", "animal 3")
            .map(drop)
    })
    .await
    .unwrap();
    assert_eq!(
        told,
        wanted(reader.replica(), &|legs| legs == 0 || legs > 3)
    );

    reader.change_conditions("Animal", []);
    selected(&mut reader, &mut told).await;
    assert_eq!(told, wanted(reader.replica(), &|_| true));
    assert_eq!(reader.unanswered(), 0);
}

#[tokio::test]
async fn monitor_cond_since_changes_its_conditions() {
    in_time(select(&[])).await;
}

#[tokio::test]
async fn monitor_cond_changes_its_conditions() {
    in_time(select(&["\"monitor_cond_since\""])).await;
}

#[tokio::test]
async fn a_server_without_conditions_sends_all_rows() {
    in_time(async {
        let server = zoo::open();
        let mut writer = server.connect().await;
        write(&mut writer, animals()).await;
        let unknown = &["\"monitor_cond_since\"", "\"monitor_cond\""];
        let mut reader = follower(&server, unknown, &Arc::default(), Replica::default()).await;
        reader.monitor_request(zoo::request().matching("Animal", [legs(Comparison::Less, 2)]));
        synced(&mut reader).await;
        reader.change_conditions("Animal", [legs(Comparison::Equal, 3)]);
        let mut told = zoo::replicated(reader.replica());
        selected(&mut reader, &mut told).await;
        assert_eq!(told, zoo::dumped(&server, reader.replica()));
    })
    .await;
}

#[tokio::test]
async fn who_stops_and_starts_again_is_told_the_difference() {
    in_time(async {
        let server = zoo::open();
        let mut writer = server.connect().await;
        let mut reader = follower(&server, &[], &Arc::default(), Replica::default()).await;
        reader.monitor_request(zoo::request());
        synced(&mut reader).await;
        reader.stop_monitoring();
        reader.request("list_dbs", &serde_json::json!([]));
        next(&mut reader, |_, event| Some(event)).await.unwrap();
        write(&mut writer, animals()).await;
        reader.monitor_request(zoo::request());
        let event = reader.next_event().await.unwrap();
        let mut told = Contents::new();
        follow(&mut told, event);
        assert_eq!(reader.next_event().await.unwrap(), Event::Synced);
        assert_eq!(told, zoo::dumped(&server, reader.replica()));
        assert_eq!(reader.unanswered(), 0);
    })
    .await;
}

#[tokio::test]
async fn who_comes_back_for_other_rows_does_not_miss_those_that_did_not_change() {
    in_time(async {
        let servers = zoo::open_cluster();
        let mut writer = servers[0].connect().await;
        write(&mut writer, animals()).await;
        let wish = |legs| zoo::request().matching("Animal", [Condition::equal("legs", legs)]);
        let (counts, mut replica) = (Arc::new(Counts::default()), Replica::default());
        for (request, resumed) in [(wish(1), 0), (wish(1), 1), (wish(2), 1), (wish(2), 2)] {
            let mut reader = follower(&servers[0], &[], &counts, replica).await;
            reader.monitor_request(request.clone());
            next(&mut reader, |_, event| {
                (event == Event::Synced).then_some(())
            })
            .await
            .unwrap();
            let found = zoo::replicated(reader.replica());
            let wanted = dumped(&servers[0], reader.replica(), |legs| request == wish(legs));
            assert_eq!(found, wanted);
            assert_eq!(counts.found.load(Ordering::Relaxed), resumed);
            replica = reader.into_replica();
        }
        // Cut off while the server selects other rows, nobody knows which ones these are.
        let mut reader = follower(&servers[0], &[], &counts, replica).await;
        reader.monitor_request(wish(2));
        synced(&mut reader).await;
        reader.change_conditions("Animal", [Condition::equal("legs", 3)]);
        let mut reader = follower(&servers[0], &[], &counts, reader.into_replica()).await;
        reader.monitor_request(MonitorRequest::clone(&wish(2)));
        next(&mut reader, |_, event| {
            (event == Event::Synced).then_some(())
        })
        .await
        .unwrap();
        let wanted = dumped(&servers[0], reader.replica(), |legs| legs == 2);
        assert_eq!(zoo::replicated(reader.replica()), wanted);
        assert_eq!(counts.found.load(Ordering::Relaxed), 3);
    })
    .await;
}
