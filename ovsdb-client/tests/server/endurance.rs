//! Connections that are cut, servers that stop, start again, fall silent or change their schema.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use sextant_ovsdb_client::{
    Connection, Error, Event, Failover, Options, Replica, Row, SessionError, Transaction, Value,
    reconnect,
};
use tokio::net::{TcpListener, UnixStream};

use crate::random::transactions;
use crate::replica::{follow, write};
use crate::server::{Server, in_time, next, run, synced, text};
use crate::wire::{Counts, Wire};
use crate::zoo;

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
async fn the_server_s_own_probes_are_answered() {
    in_time(async {
        let server = Server::open_vswitch(&["db:Open_vSwitch,Open_vSwitch,manager_options".into()]);
        let listener = TcpListener::bind("[::1]:0").await.unwrap();
        let target = format!("tcp:{}", listener.local_addr().unwrap());
        let probe = ["--", "set", "Manager", &target, "inactivity_probe=1000"];
        server.vsctl(&[&["set-manager", &target], &probe[..]].concat());
        let (stream, _) = listener.accept().await.unwrap();
        let counts = Arc::new(Counts::default());
        let options = Options {
            probe_interval: None,
            ..Options::default()
        };
        let mut connection = Connection::new(Wire::new(stream, &[], &counts), options);
        // The third probe comes only if the first two were answered.
        tokio::select! {
            event = connection.next_event() => panic!("{event:?}"),
            enough = counts.probes.acquire_many(3) => drop(enough.unwrap()),
        }
    })
    .await;
}

#[tokio::test]
async fn a_follower_that_is_cut_off_again_and_again_misses_nothing_and_sees_nothing_twice() {
    in_time(async {
        let mut server = zoo::open();
        let mut failover = Failover::new([server.remote()]).unwrap();
        let mut supply = transactions();
        let mut replica = Replica::default();
        let mut told = zoo::Contents::new();
        for round in 0..20 {
            write(&mut server.connect().await, supply.by_ref().take(20)).await;
            if round % 5 == 4 {
                server.kill();
                server.restart();
            }
            let mut reader = reconnect(&mut failover, Options::default(), replica).await;
            reader.monitor_request(zoo::request());
            let end = next(&mut reader, |reader, event| {
                let end = event == Event::Synced;
                match (end, round) {
                    (true, 0) => told = zoo::replicated(reader.replica()),
                    (true, _) => {}
                    (false, _) => follow(&mut told, event),
                }
                end.then_some(())
            });
            end.await.unwrap();
            failover.succeeded();
            assert_eq!(
                zoo::replicated(reader.replica()),
                zoo::dumped(&server, reader.replica())
            );
            assert_eq!(zoo::replicated(reader.replica()), told);
            replica = reader.into_replica();
        }
    })
    .await;
}

#[tokio::test]
async fn a_killed_server_ends_its_connections() {
    in_time(async {
        let mut server = zoo::open();
        let mut connection = server.connect().await;
        connection.monitor_request(zoo::request());
        synced(&mut connection).await;
        server.kill();
        let error = connection.next_event().await.unwrap_err();
        assert!(matches!(error, Error::Closed | Error::Io(_)), "{error}");
    })
    .await;
}

#[tokio::test]
async fn a_conversion_of_the_schema_is_followed() {
    in_time(async {
        let server = zoo::open();
        let mut connection = server.connect().await;
        connection.monitor_request(zoo::request().optional_columns("Animal", ["color"]));
        synced(&mut connection).await;
        let mut schema = zoo::schema();
        schema["version"] = json!("1.1.0");
        schema["tables"]["Animal"]["columns"]["color"] = json!({"type": "string"});
        let (_folder, file) = zoo::schema_file(&schema);
        run(
            "ovsdb-client",
            &["convert", &server.remote().to_string(), text(&file)],
        );
        synced(&mut connection).await;
        let red = Row::new().with("color", "red").with("tag", Value::set([1]));
        connection.transact(Transaction::new("Zoo").insert("Animal", None, red));
        next(&mut connection, |connection, _| {
            connection
                .replica()
                .find("Animal", "color", "red")
                .map(drop)
        })
        .await
        .unwrap();
    })
    .await;
}
