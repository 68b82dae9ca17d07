//! Connections that are cut, servers that stop, start again or change their schema.

use serde_json::json;
use sextant_ovsdb_client::{
    Error, Event, Failover, Options, Replica, Row, Transaction, Value, reconnect,
};

use crate::random::transactions;
use crate::replica::{follow, write};
use crate::server::{Server, in_time, next, run, synced, text};
use crate::zoo;

pub(crate) const TRANSACTIONS: usize = 10_000;
const TRANSACTIONS_OF_A_SERVER: usize = 1_000;

#[tokio::test]
async fn a_follower_that_is_cut_off_again_and_again_misses_nothing_and_sees_nothing_twice() {
    in_time(async {
        let mut server = zoo::open();
        let failover = Failover::new([server.remote()]).unwrap();
        let (replica, ()) = tokio::join!(
            follow_with_cuts(failover, Options::default()),
            write_with_restarts(&mut server)
        );
        assert_eq!(zoo::replicated(&replica), zoo::dumped(&server, &replica));
    })
    .await;
}

/// Writes random transactions, and kills the server now and then.
async fn write_with_restarts(server: &mut Server) {
    let mut writer = server.connect().await;
    for (number, transaction) in transactions().take(TRANSACTIONS).enumerate() {
        if number % TRANSACTIONS_OF_A_SERVER == TRANSACTIONS_OF_A_SERVER - 1 {
            server.kill();
            server.restart();
            writer = server.connect().await;
        }
        write(&mut writer, [transaction].into_iter()).await;
    }
    write(&mut writer, [end()].into_iter()).await;
}

/// The name of the row that comes to the follower after all else.
pub(crate) const END: &str = "end";

fn end() -> Transaction {
    Transaction::new("Zoo").insert("Animal", None, Row::new().with("name", END))
}

pub(crate) fn ended(replica: &Replica) -> bool {
    replica.find("Animal", "name", END).is_some()
}

/// Follows until the row that the writer puts last, through connections that it drops after some events each.
pub(crate) async fn follow_with_cuts(mut failover: Failover, options: Options) -> Replica {
    let mut replica = Replica::default();
    let mut told = zoo::Contents::new();
    for events in (0..50).cycle() {
        let mut reader = reconnect(&mut failover, options, replica).await;
        reader.monitor_request(zoo::request());
        for _ in 0..events {
            if ended(reader.replica()) {
                break;
            }
            match reader.next_event().await {
                Ok(Event::Synced) if told.is_empty() => told = zoo::replicated(reader.replica()),
                Ok(Event::Synced) => failover.succeeded(),
                Ok(event) => follow(&mut told, event),
                Err(_) => break,
            }
        }
        replica = reader.into_replica();
        assert_eq!(zoo::replicated(&replica), told);
        if ended(&replica) {
            break;
        }
    }
    replica
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
