//! Transactions as they are sent, and answers as they are read.

use super::*;

#[test]
fn operations_are_written_as_in_the_rfc() {
    let transaction = Transaction::new("Open_vSwitch")
        .insert("Bridge", Some("br"), Row::new().with("name", "br-int"))
        .update(
            "Bridge",
            [Condition::equal("name", "br-ex")],
            Row::new().with("fail_mode", "secure"),
        )
        .mutate(
            "Open_vSwitch",
            [],
            [
                Mutation::insert("bridges", Value::named_uuid("br")),
                Mutation::new("next_cfg", Mutator::Add, 1),
            ],
        )
        .delete("Port", [Condition::new("tag", Comparison::Greater, 5)])
        .select("Port", [], &["name"])
        .wait(
            "Port",
            [],
            &["name"],
            Until::NotEqual,
            [Row::new()],
            Some(Duration::from_secs(1)),
        )
        .comment("why")
        .assert("lock")
        .commit_durably()
        .abort();
    assert_eq!(transaction.len(), 10);
    assert_eq!(
        transaction.into_params(),
        json!([
            "Open_vSwitch",
            {"op": "insert", "table": "Bridge", "row": {"name": "br-int"}, "uuid-name": "br"},
            {"op": "update", "table": "Bridge", "where": [["name", "==", "br-ex"]], "row": {"fail_mode": "secure"}},
            {"op": "mutate", "table": "Open_vSwitch", "where": [],
             "mutations": [["bridges", "insert", ["named-uuid", "br"]], ["next_cfg", "+=", 1]]},
            {"op": "delete", "table": "Port", "where": [["tag", ">", 5]]},
            {"op": "select", "table": "Port", "where": [], "columns": ["name"]},
            {"op": "wait", "table": "Port", "where": [], "columns": ["name"], "until": "!=", "rows": [{}], "timeout": 1000},
            {"op": "comment", "comment": "why"},
            {"op": "assert", "lock": "lock"},
            {"op": "commit", "durable": true},
            {"op": "abort"},
        ])
    );
}

#[test]
fn each_operation_has_its_result() {
    let uuid = Uuid::from_u128(9);
    let reply =
        json!([{"uuid": ["uuid", uuid.to_string()]}, {"count": 2}, {"rows": [{"name": "a"}]}, {}]);
    assert_eq!(
        read_reply(Ok(reply), 4),
        Ok(vec![
            OperationResult::Inserted(uuid),
            OperationResult::Count(2),
            OperationResult::Rows(vec![Row::new().with("name", "a")]),
            OperationResult::Done,
        ])
    );
}

#[test]
fn the_failing_operation_is_named() {
    let reply = json!([{}, {"error": "timed out", "details": "after 5 ms"}, null]);
    assert_eq!(
        read_reply(Ok(reply), 3).unwrap_err().to_string(),
        "the database refused operation 1: timed out (after 5 ms)"
    );
    let reply = json!([{}, {"error": "referential integrity violation"}]);
    assert_eq!(
        read_reply(Ok(reply), 1).unwrap_err().to_string(),
        "the database refused the transaction: referential integrity violation"
    );
    let refusal = json!({"error": "unknown database", "details": "no such database"});
    assert_eq!(
        read_reply(Err(refusal), 1).unwrap_err().to_string(),
        "the server refused the request: unknown database (no such database)"
    );
    assert_eq!(
        read_reply(Err(json!("canceled")), 1)
            .unwrap_err()
            .to_string(),
        "the server refused the request: canceled"
    );
}

#[test]
fn a_reply_to_something_else_is_malformed() {
    for (reply, length) in [
        (json!({}), 1),
        (json!([]), 1),
        (json!([{"count": -1}]), 1),
        (json!([null]), 1),
        (json!([{"uuid": 5}]), 1),
    ] {
        assert!(
            matches!(
                read_reply(Ok(reply.clone()), length),
                Err(TransactionError::Malformed { .. })
            ),
            "{reply}"
        );
    }
}
