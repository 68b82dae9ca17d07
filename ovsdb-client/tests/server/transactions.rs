//! Every operation, and every way of being refused.

use std::time::Duration;

use sextant_ovsdb_client::connection::Stream;
use sextant_ovsdb_client::{
    Condition, Connection, Event, Mutation, Mutator, OperationResult, Real, Row, Transaction,
    TransactionError, TransactionResult, Until, Value,
};

use crate::server::{in_time, next};
use crate::zoo;

async fn result(
    connection: &mut Connection<Box<dyn Stream>>,
    transaction: Transaction,
) -> TransactionResult {
    let request = connection.transact(transaction);
    next(connection, |_, event| {
        let Event::Reply { id, result } = event else {
            return None;
        };
        (id == request).then_some(result)
    })
    .await
    .unwrap()
}

fn zoo() -> Transaction {
    Transaction::new("Zoo")
}

fn animal(name: &str) -> Row {
    Row::new().with("name", name)
}

#[tokio::test]
async fn every_operation_does_what_it_says() {
    in_time(async {
        let server = zoo::open();
        let mut connection = server.connect().await;
        let cat = animal("cat")
            .with("legs", 4)
            .with("numbers", Value::set([1, 2]));
        let transaction = zoo()
            .insert("Animal", Some("cat"), cat)
            .update(
                "Animal",
                [Condition::equal("name", "cat")],
                Row::new().with("tame", true),
            )
            .mutate(
                "Animal",
                [Condition::equal("_uuid", Value::named_uuid("cat"))],
                [Mutation::new("legs", Mutator::Multiply, 2)],
            )
            .select(
                "Animal",
                [],
                &["name", "legs", "tame", "numbers", "tag", "weight"],
            )
            .wait("Animal", [], &["name"], Until::Equal, [animal("cat")], None)
            .comment("a cat")
            .commit_durably()
            .delete("Animal", [Condition::equal("legs", 8)]);
        let results = result(&mut connection, transaction).await.unwrap();
        assert!(matches!(results[0], OperationResult::Inserted(_)));
        let selected = animal("cat")
            .with("legs", 8)
            .with("tame", true)
            .with("numbers", Value::set([1, 2]))
            .with("tag", Value::empty_set())
            .with("weight", 0);
        assert_eq!(
            results[1..],
            [
                OperationResult::Count(1),
                OperationResult::Count(1),
                OperationResult::Rows(vec![selected]),
                OperationResult::Done,
                OperationResult::Done,
                OperationResult::Done,
                OperationResult::Count(1),
            ]
        );
        assert_eq!(server.dump("Zoo", "Animal").len(), 0);
    })
    .await;
}

#[tokio::test]
async fn a_refused_transaction_names_its_operation_and_changes_nothing() {
    in_time(async {
        let server = zoo::open();
        let mut connection = server.connect().await;
        let refused = zoo().insert("Animal", None, animal("cat")).insert("Vegetable", None, Row::new());
        let error = result(&mut connection, refused).await.unwrap_err();
        assert!(matches!(&error, TransactionError::Operation { index: 1, .. }), "{error}");
        assert!(error.to_string().contains("Vegetable"), "{error}");

        let aborted = zoo().insert("Animal", None, animal("cat")).abort();
        let error = result(&mut connection, aborted).await.unwrap_err();
        assert_eq!(error.to_string(), "the database refused operation 1: aborted (aborted by request)");

        let late = zoo().wait("Animal", [], &["name"], Until::NotEqual, [], Some(Duration::from_millis(1)));
        let error = result(&mut connection, late).await.unwrap_err();
        assert!(matches!(&error, TransactionError::Operation { index: 0, error, .. } if error == "timed out"), "{error}");

        let elsewhere = Transaction::new("Jungle").comment("where?");
        let error = result(&mut connection, elsewhere).await.unwrap_err();
        assert!(matches!(&error, TransactionError::Request { .. }), "{error}");
        assert_eq!(server.dump("Zoo", "Animal").len(), 0);
    })
    .await;
}

#[tokio::test]
async fn a_row_with_an_identity_of_its_own_is_not_inserted_twice() {
    in_time(async {
        let server = zoo::open();
        let mut connection = server.connect().await;
        let uuid = uuid::Uuid::from_u128(7);
        let again = || zoo().insert_as("Animal", uuid, animal("cat"));
        let first = result(&mut connection, again()).await.unwrap();
        assert_eq!(first, [OperationResult::Inserted(uuid)]);
        let error = result(&mut connection, again()).await.unwrap_err();
        assert!(error.to_string().contains("duplicate uuid"), "{error}");
        assert_eq!(server.dump("Zoo", "Animal").len(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_waiting_transaction_ends_when_cancelled_or_when_its_condition_holds() {
    in_time(async {
        let server = zoo::open();
        let mut connection = server.connect().await;
        let wait = |name: &str| {
            zoo().wait(
                "Animal",
                [Condition::equal("name", name)],
                &["name"],
                Until::Equal,
                [animal(name)],
                None,
            )
        };
        let (cat, dog) = (
            connection.transact(wait("cat")),
            connection.transact(wait("dog")),
        );
        connection.cancel(cat);
        let first = next(&mut connection, |_, event| Some(event)).await.unwrap();
        let canceled = TransactionError::Request {
            error: "canceled".into(),
            details: None,
        };
        assert_eq!(
            first,
            Event::Reply {
                id: cat,
                result: Err(canceled)
            }
        );

        let mut other = server.connect().await;
        result(&mut other, zoo().insert("Animal", None, animal("dog")))
            .await
            .unwrap();
        let second = next(&mut connection, |_, event| Some(event)).await.unwrap();
        assert_eq!(
            second,
            Event::Reply {
                id: dog,
                result: Ok(vec![OperationResult::Done])
            }
        );
    })
    .await;
}

/// ovsdb-server never answers what it gave up, so that whoever waits for its answers would remember it for ever.
#[tokio::test]
async fn nothing_is_left_of_cancelled_transactions() {
    in_time(async {
        let server = zoo::open();
        let mut connection = server.connect().await;
        let never = || zoo().wait("Animal", [], &["name"], Until::NotEqual, [], None);
        for _ in 0..10 {
            let mut cancelled: Vec<_> = (0..100).map(|_| connection.transact(never())).collect();
            for id in &cancelled {
                connection.cancel(*id);
            }
            while !cancelled.is_empty() {
                let Event::Reply { id, result } = connection.next_event().await.unwrap() else {
                    panic!("something else happened");
                };
                assert!(
                    matches!(result, Err(TransactionError::Request { .. })),
                    "{result:?}"
                );
                cancelled.retain(|waiting| *waiting != id);
            }
            assert_eq!(connection.unanswered(), 0);
        }
        let echoed = connection.request("echo", &serde_json::json!(["still", "there"]));
        let answer = Event::Answer {
            id: echoed,
            result: Ok(serde_json::json!(["still", "there"])),
        };
        assert_eq!(connection.next_event().await.unwrap(), answer);
    })
    .await;
}

#[tokio::test]
async fn a_lock_has_one_owner_who_can_be_robbed() {
    in_time(async {
        let server = zoo::open();
        let (mut first, mut second) = (server.connect().await, server.connect().await);
        let lock = || String::from("keeper");
        first.lock("keeper");
        assert_eq!(first.next_event().await.unwrap(), Event::Locked { lock: lock() });
        let guarded = || zoo().assert("keeper").insert("Animal", None, animal("cat"));
        result(&mut first, guarded()).await.unwrap();

        let error = result(&mut second, guarded()).await.unwrap_err();
        assert!(matches!(&error, TransactionError::Operation { index: 0, error, .. } if error == "not owner"), "{error}");
        second.steal("keeper");
        assert_eq!(second.next_event().await.unwrap(), Event::Locked { lock: lock() });
        assert_eq!(first.next_event().await.unwrap(), Event::Stolen { lock: lock() });

        first.unlock("keeper");
        first.lock("keeper");
        result(&mut first, zoo().comment("the lock requests were handled before this")).await.unwrap();
        second.unlock("keeper");
        result(&mut second, zoo().comment("so was the release")).await.unwrap();
        assert_eq!(first.next_event().await.unwrap(), Event::Locked { lock: lock() });
    })
    .await;
}

#[tokio::test]
async fn any_method_can_be_called() {
    in_time(async {
        let server = zoo::open();
        let mut connection = server.connect().await;
        let id = connection.request("list_dbs", &serde_json::json!([]));
        let event = connection.next_event().await.unwrap();
        assert_eq!(
            event,
            Event::Answer {
                id,
                result: Ok(serde_json::json!(["Zoo", "_Server"]))
            }
        );
        connection.request("open_sesame", &serde_json::json!([]));
        let Event::Answer {
            result: Err(refusal),
            ..
        } = connection.next_event().await.unwrap()
        else {
            panic!("the server knows a magic word");
        };
        assert_eq!(
            refusal.to_string(),
            "the server refused the request: unknown method"
        );
        let half = Real::new(0.5).unwrap();
        result(
            &mut connection,
            zoo().insert("Animal", None, animal("snail").with("weight", half)),
        )
        .await
        .unwrap();
        assert_eq!(
            server.dump("Zoo", "Animal").into_values().next().unwrap()["weight"],
            0.5
        );
    })
    .await;
}
