//! A database with a column of every shape, and the comparison of its replica with the server's own dump.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde_json::json;
use sextant_ovsdb_client::{Atom, MonitorRequest, Replica, Value};
use uuid::Uuid;

use crate::server::{Folder, Server};

pub(crate) const COLUMNS: [&str; 10] = [
    "name", "legs", "weight", "tame", "tag", "numbers", "weights", "names", "counts", "friends",
];

/// Starts a server of an empty zoo.
pub(crate) fn open() -> Server {
    open_with(&[])
}

/// Starts a server of an empty zoo with more arguments.
pub(crate) fn open_with(arguments: &[String]) -> Server {
    let (_folder, schema) = schema_file(&schema());
    Server::start(&schema, arguments)
}

/// Starts three servers of one empty zoo. No set is bounded there: the leader of a cluster of ovsdb-server 3.1 answers
/// nobody any more once the difference of a set has more elements than the set may have, which it refuses to read back
/// from its log.
pub(crate) fn open_cluster() -> [Server; 3] {
    let mut schema = schema();
    schema["tables"]["Animal"]["columns"]["weights"]["type"]["max"] = json!("unlimited");
    let (_folder, schema) = schema_file(&schema);
    let first = Server::start_cluster(&schema);
    let others = [(), ()].map(|()| Server::join_cluster("Zoo", &first));
    let [second, third] = others;
    [first, second, third]
}

/// Writes a schema to a file that goes with its folder.
pub(crate) fn schema_file(schema: &serde_json::Value) -> (Folder, PathBuf) {
    let folder = Folder::new();
    let path = folder.join("zoo.ovsschema");
    std::fs::write(&path, schema.to_string()).unwrap();
    (folder, path)
}

pub(crate) fn schema() -> serde_json::Value {
    let many = |key: serde_json::Value| json!({"type": {"key": key, "min": 0, "max": "unlimited"}});
    let map =
        |value| json!({"type": {"key": "string", "value": value, "min": 0, "max": "unlimited"}});
    json!({"name": "Zoo", "version": "1.0.0", "tables": {"Animal": {"isRoot": true, "columns": {
        "name": {"type": "string"},
        "legs": {"type": "integer"},
        "weight": {"type": "real"},
        "tame": {"type": "boolean"},
        "tag": {"type": {"key": "integer", "min": 0, "max": 1}},
        "numbers": many(json!("integer")),
        "weights": {"type": {"key": "real", "min": 0, "max": 3}},
        "names": map("string"),
        "counts": map("integer"),
        "friends": many(json!({"type": "uuid", "refTable": "Animal", "refType": "weak"})),
    }}}})
}

pub(crate) fn request() -> MonitorRequest {
    MonitorRequest::new("Zoo").table("Animal", COLUMNS)
}

pub(crate) type Contents = BTreeMap<Uuid, BTreeMap<String, Value>>;

/// What the server's own client prints, as values of the columns' types.
pub(crate) fn dumped(server: &Server, replica: &Replica) -> Contents {
    let columns = &replica.schema()["Animal"].columns;
    let rows = server.dump("Zoo", "Animal").into_iter().map(|(uuid, row)| {
        let row = row.into_iter();
        let row = row.map(|(name, json)| {
            let value = columns[name.as_str()].read(&json).unwrap();
            (name, value)
        });
        (uuid, row.collect())
    });
    rows.collect()
}

/// What the replica holds.
pub(crate) fn replicated(replica: &Replica) -> Contents {
    let rows = replica.rows("Animal").map(|(uuid, row)| {
        let columns = row.columns();
        let columns = columns.map(|(name, value)| (name.to_string(), value.clone()));
        (uuid, columns.collect())
    });
    rows.collect()
}

/// The contents without references to rows that are gone, about which the members of a cluster may differ: see [`Replica`].
pub(crate) fn without_lost_friends(mut contents: Contents) -> Contents {
    let rows: BTreeSet<Uuid> = contents.keys().copied().collect();
    for row in contents.values_mut() {
        let Some(Value::Set(friends)) = row.get_mut("friends") else {
            panic!("no set of friends: {row:?}");
        };
        let kept = std::mem::take(friends).into_atoms();
        *friends = kept
            .filter(|friend| matches!(friend, Atom::Uuid(uuid) if rows.contains(uuid)))
            .collect();
    }
    contents
}
