//! What is monitored, and what updates make of it.

use std::collections::BTreeSet;

use super::*;
use crate::table::{Column, Table};
use crate::value::Value;

fn schema() -> DatabaseSchema {
    let many = json!({"key": "integer", "min": 0, "max": "unlimited"});
    DatabaseSchema::from_json(&json!({"name": "D", "tables": {
        "T": {"columns": {"name": {"type": "string"}, "tags": {"type": many}}},
    }}))
    .unwrap()
}

fn tables() -> Arc<BTreeMap<Name, TableSchema>> {
    MonitorRequest::new("D")
        .table("T", ["name", "tags"])
        .resolve(&schema())
        .unwrap()
}

fn one(method: Method, update: Json) -> Result<Update, UpdateError> {
    let json = json!({"T": {Uuid::nil().to_string(): update}});
    Ok(read_updates(method, &json, &tables())?.remove(0).change)
}

#[test]
fn columns_left_out_of_a_whole_row_have_their_defaults() {
    let row = Row::new()
        .with("name", "a")
        .with("tags", Value::empty_set());
    for kind in ["initial", "insert"] {
        assert_eq!(
            one(Method::CondSince, json!({kind: {"name": "a"}})),
            Ok(Update::Contents(row.clone()))
        );
    }
    assert_eq!(
        one(Method::Cond, json!({"modify": {"tags": 4}})),
        Ok(Update::Difference(Row::new().with("tags", Value::set([4]))))
    );
    assert_eq!(
        one(Method::Cond, json!({"delete": null})),
        Ok(Update::Deleted)
    );
}

#[test]
fn the_updates_of_the_rfc_carry_whole_rows() {
    let new = json!({"name": "a", "tags": ["set", [1, 2]]});
    let row = Row::new()
        .with("name", "a")
        .with("tags", Value::set([1, 2]));
    assert_eq!(
        one(Method::Plain, json!({"old": {"name": "b"}, "new": new})),
        Ok(Update::Contents(row))
    );
    assert_eq!(
        one(Method::Plain, json!({"old": {"name": "b"}})),
        Ok(Update::Deleted)
    );
}

#[test]
fn updates_that_make_no_sense_are_refused() {
    let refused = |update| one(Method::Cond, update).unwrap_err();
    assert!(matches!(
        refused(json!({"insert": {}, "delete": null})),
        UpdateError::Malformed { .. }
    ));
    assert!(matches!(
        refused(json!({"upsert": {}})),
        UpdateError::Malformed { .. }
    ));
    assert!(matches!(
        refused(json!({"insert": {"name": 1}})),
        UpdateError::Value { .. }
    ));
    assert!(matches!(
        refused(json!({"insert": {"color": 1}})),
        UpdateError::NotAskedFor { .. }
    ));
    assert!(read_updates(Method::Cond, &json!({"U": {}}), &tables()).is_err());
    assert!(
        read_updates(
            Method::Cond,
            &json!({"T": {"x": {"delete": null}}}),
            &tables()
        )
        .is_err()
    );
}

#[test]
fn what_an_old_database_lacks_is_an_error_unless_optional() {
    let request = MonitorRequest::new("D").table("T", ["name"]);
    let optional = request.clone().optional_columns("T", ["tags", "color"]);
    let resolved = optional.resolve(&schema()).unwrap();
    let names: Vec<&str> = resolved["T"].columns.keys().map(|name| &**name).collect();
    assert_eq!(names, ["name", "tags"]);
    assert_eq!(
        request
            .table("T", ["color"])
            .resolve(&schema())
            .unwrap_err()
            .to_string(),
        "the table T of database D has no column color"
    );
    assert!(
        MonitorRequest::new("D")
            .table("U", ["a"])
            .resolve(&schema())
            .is_err()
    );
}

#[test]
fn a_declared_column_has_to_be_of_its_type() {
    let resolve = |columns: &'static [(&str, ColumnType)]| {
        let declaration: Declaration = Box::leak(Box::new([("T", columns)]));
        MonitorRequest::declared("D", declaration).resolve(&schema())
    };
    // The server says exactly one, which is at most one and also a set.
    assert!(resolve(&[("name", <Option<String>>::TYPE)]).is_ok());
    assert!(resolve(&[("name", <BTreeSet<String>>::TYPE)]).is_ok());
    assert_eq!(
        resolve(&[("name", i64::TYPE)]).unwrap_err().to_string(),
        "column name of table T of database D holds one string, where one integer is wanted"
    );
    assert_eq!(
        resolve(&[("tags", <Option<i64>>::TYPE)])
            .unwrap_err()
            .to_string(),
        "column tags of table T of database D holds a set of integer, where at most one integer is wanted"
    );
    assert!(resolve(&[("tags", <BTreeMap<String, String>>::TYPE)]).is_err());
    assert!(resolve(&[("color", String::TYPE)]).is_err());
}

#[test]
fn conditions_are_sent_where_the_method_knows_them() {
    let request = MonitorRequest::new("D")
        .table("T", ["name"])
        .matching("T", [Condition::equal("name", "a")]);
    let tables = request.resolve(&schema()).unwrap();
    let params = |method| request.params(method, &json!(1), &tables, Uuid::nil());
    let with = json!({"T": [{"columns": ["name"], "where": [["name", "==", "a"]]}]});
    let without = json!({"T": [{"columns": ["name"]}]});
    assert_eq!(
        params(Method::CondSince),
        json!(["D", 1, with, "00000000-0000-0000-0000-000000000000"])
    );
    assert_eq!(params(Method::Cond), json!(["D", 1, with]));
    assert_eq!(params(Method::Plain), json!(["D", 1, without]));
}

crate::tables! {
    /// What only newer databases have.
    const NEWER;
    /// A table that is always there.
    Old = "T" { name: String, label: Option<String>, tags: BTreeSet<String> }
    /// A table that is not.
    New = "U" { name: String }
}

#[test]
fn what_may_be_missing_is_left_out_and_so_is_what_has_another_type() {
    let request = MonitorRequest::new("D")
        .table("T", ["name"])
        .optional(NEWER);
    let tables = request.resolve(&schema()).unwrap();
    let columns = tables.iter().map(|(table, columns)| {
        let columns: Vec<&str> = columns.columns.keys().map(|name| &**name).collect();
        (&**table, columns)
    });
    let columns: Vec<(&str, Vec<&str>)> = columns.collect();
    assert_eq!(columns, [("T", vec!["name"])], "tags holds integers");
    let row = Row::new();
    assert_eq!((Old::of(&row).label(), New::of(&row).name()), (None, ""));

    let required = request.table("U", ["name"]).resolve(&schema());
    assert!(matches!(required, Err(RequestMismatch::NoTable { .. })));
}
